package lua

import (
	"fmt"
	"strconv"
	"strings"
)

// token is a kind of token: a character for itself, or one of the constants below.
type token int

const (
	tokAnd token = iota + 257
	tokBreak
	tokDo
	tokElse
	tokElseif
	tokEnd
	tokFalse
	tokFor
	tokFunction
	tokIf
	tokIn
	tokLocal
	tokNil
	tokNot
	tokOr
	tokRepeat
	tokReturn
	tokThen
	tokTrue
	tokUntil
	tokWhile
	tokConcat
	tokDots
	tokEq
	tokGe
	tokLe
	tokNe
	tokNumber
	tokName
	tokString
	tokEOF
)

var tokenTexts = [...]string{
	"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
	"not", "or", "repeat", "return", "then", "true", "until", "while", "..", "...", "==", ">=", "<=", "~=",
	"<number>", "<name>", "<string>", "<eof>",
}

var keywords = func() map[string]token {
	m := make(map[string]token)
	for t := tokAnd; t <= tokWhile; t++ {
		m[tokenTexts[t-tokAnd]] = t
	}
	return m
}()

func (t token) String() string {
	switch {
	case t >= tokAnd:
		return tokenTexts[t-tokAnd]
	case t < ' ' || t == 127:
		return fmt.Sprintf("char(%d)", int(t))
	}
	return string([]byte{byte(t)})
}

// syntaxError is the panic that ends a compilation.
type syntaxError struct{ text string }

func (e *syntaxError) Error() string { return e.text }

// lexer cuts source text into tokens. Its fields kind, text and num are those of the current token.
type lexer struct {
	chunk string
	src   string
	pos   int
	line  int // of the current token's end

	lastLine int // of the token before
	kind     token
	text     string // of a name or string
	num      float64
	raw      string // for messages: as written, but with escape sequences replaced

	ahead *lexeme // the next token when it was looked at
}

type lexeme struct {
	kind token
	text string
	num  float64
	raw  string
	line int
}

func (lx *lexer) fail(message string) {
	panic(&syntaxError{fmt.Sprintf("%s:%d: %s", lx.chunk, lx.line, message)})
}

func (lx *lexer) failNear(message, near string) {
	if i := strings.IndexByte(near, 0); i >= 0 { // C prints up to the first zero
		near = near[:i]
	}
	lx.fail(fmt.Sprintf("%s near '%s'", message, near))
}

// failHere reports a syntax error at the current token.
func (lx *lexer) failHere(message string) {
	if lx.kind == 0 { // the byte 0, which C takes for no token to tell of
		lx.fail(message)
	}
	near := lx.kind.String()
	if lx.kind == tokNumber || lx.kind == tokName || lx.kind == tokString {
		near = lx.raw
	}
	lx.failNear(message, near)
}

// next moves on to the next token.
func (lx *lexer) next() {
	lx.lastLine = lx.line
	if a := lx.ahead; a != nil {
		lx.kind, lx.text, lx.num, lx.raw, lx.line = a.kind, a.text, a.num, a.raw, a.line
		lx.ahead = nil
		return
	}
	lx.scan()
}

// peek returns the kind of the token after the current one.
func (lx *lexer) peek() token {
	now := lexeme{lx.kind, lx.text, lx.num, lx.raw, lx.line}
	lx.scan()
	lx.ahead = &lexeme{lx.kind, lx.text, lx.num, lx.raw, lx.line}
	lx.kind, lx.text, lx.num, lx.raw, lx.line = now.kind, now.text, now.num, now.raw, now.line
	return lx.ahead.kind
}

// at returns the byte i places on, or 0 at the end, which is told from a zero byte by position.
func (lx *lexer) at(i int) byte {
	if lx.pos+i < len(lx.src) {
		return lx.src[lx.pos+i]
	}
	return 0
}

// newline skips one line end, which may be a pair.
func (lx *lexer) newline() {
	c := lx.src[lx.pos]
	lx.pos++
	if d := lx.at(0); (d == '\n' || d == '\r') && d != c {
		lx.pos++
	}
	lx.line++
}

func (lx *lexer) scan() {
	lx.skip()
	if lx.pos >= len(lx.src) {
		lx.kind = tokEOF
		return
	}
	start := lx.pos
	c := lx.src[start]
	switch {
	case isAlpha(c) || c == '_':
		for isAlpha(lx.at(0)) || lx.at(0) == '_' || isDigit(lx.at(0)) {
			lx.pos++
		}
		lx.raw = lx.src[start:lx.pos]
		lx.text, lx.kind = lx.raw, tokName
		if k, ok := keywords[lx.raw]; ok {
			lx.kind = k
		}
	case isDigit(c) || c == '.' && isDigit(lx.at(1)):
		lx.scanNumber()
	case c == '"' || c == '\'':
		lx.scanString(c)
	case c == '[':
		if level := lx.longBracket(); level >= 0 {
			equals := strings.Repeat("=", level)
			lx.text = lx.scanLong(level, "unfinished long string")
			lx.raw, lx.kind = "["+equals+"["+lx.text+"]"+equals+"]", tokString
		} else if level == -1 {
			lx.single(c)
		} else {
			lx.failNear("invalid long string delimiter", lx.src[start:lx.pos])
		}
	default:
		lx.scanOperator(c)
	}
}

// skip passes space and comments.
func (lx *lexer) skip() {
	for lx.pos < len(lx.src) {
		switch c := lx.src[lx.pos]; {
		case c == '\n' || c == '\r':
			lx.newline()
		case isSpace(c):
			lx.pos++
		case c == '-' && lx.at(1) == '-':
			lx.pos += 2
			if lx.at(0) == '[' {
				if level := lx.longBracket(); level >= 0 {
					lx.scanLong(level, "unfinished long comment")
					continue
				}
			}
			for lx.pos < len(lx.src) && lx.src[lx.pos] != '\n' && lx.src[lx.pos] != '\r' {
				lx.pos++
			}
		default:
			return
		}
	}
}

// longBracket returns the level of the long bracket that opens here, -1 for a plain [, and -2 for
// [= that leads to none, which is passed.
func (lx *lexer) longBracket() int {
	n := 1
	for lx.at(n) == '=' {
		n++
	}
	if lx.at(n) == '[' {
		return n - 1
	}
	if n == 1 {
		return -1
	}
	lx.pos += n
	return -2
}

func (lx *lexer) scanLong(level int, unfinished string) string {
	lx.pos += level + 2
	if c := lx.at(0); lx.pos < len(lx.src) && (c == '\n' || c == '\r') {
		lx.newline()
	}
	closing := "]" + strings.Repeat("=", level) + "]"
	var b strings.Builder
	for lx.pos < len(lx.src) {
		switch c := lx.src[lx.pos]; {
		case c == ']' && strings.HasPrefix(lx.src[lx.pos:], closing):
			lx.pos += len(closing)
			return b.String()
		case c == '\n' || c == '\r':
			lx.newline()
			b.WriteByte('\n')
		default:
			b.WriteByte(c)
			lx.pos++
		}
	}
	lx.failNear(unfinished, tokEOF.String())
	return ""
}

func (lx *lexer) scanNumber() {
	start := lx.pos
	for isDigit(lx.at(0)) || lx.at(0) == '.' {
		lx.pos++
	}
	if lx.at(0)|32 == 'e' {
		lx.pos++
		if c := lx.at(0); c == '+' || c == '-' {
			lx.pos++
		}
	}
	for c := lx.at(0); isDigit(c) || isAlpha(c) || c == '_'; c = lx.at(0) {
		lx.pos++
	}
	lx.raw = lx.src[start:lx.pos]
	f, ok := ParseNumber(lx.raw)
	if !ok {
		lx.failNear("malformed number", lx.raw)
	}
	lx.num, lx.kind = f, tokNumber
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

func (lx *lexer) scanString(quote byte) {
	lx.pos++
	b := []byte{quote}
	for {
		if lx.pos >= len(lx.src) {
			lx.failNear("unfinished string", tokEOF.String())
		}
		switch c := lx.src[lx.pos]; c {
		case quote:
			lx.pos++
			lx.text, lx.kind = string(b[1:]), tokString
			lx.raw = string(append(b, quote))
			return
		case '\n', '\r':
			lx.failNear("unfinished string", string(b))
		case '\\':
			lx.pos++
			if lx.pos < len(lx.src) {
				b = lx.escape(b)
			}
		default:
			b = append(b, c)
			lx.pos++
		}
	}
}

// escape appends what the sequence after a backslash stands for.
func (lx *lexer) escape(b []byte) []byte {
	c := lx.src[lx.pos]
	switch {
	case c == '\n' || c == '\r':
		lx.newline()
		return append(b, '\n')
	case isDigit(c):
		n := 1
		for n < 3 && isDigit(lx.at(n)) {
			n++
		}
		v, _ := strconv.Atoi(lx.src[lx.pos : lx.pos+n])
		lx.pos += n
		if v > 255 {
			lx.failNear("escape sequence too large", string(b))
		}
		return append(b, byte(v))
	}
	lx.pos++
	if e, ok := escapes[c]; ok {
		return append(b, e)
	}
	return append(b, c)
}

func (lx *lexer) single(c byte) {
	lx.pos++
	lx.kind = token(c)
}

func (lx *lexer) scanOperator(c byte) {
	rest := lx.src[lx.pos:]
	for _, t := range [...]token{tokDots, tokConcat, tokEq, tokGe, tokLe, tokNe} {
		if text := t.String(); strings.HasPrefix(rest, text) {
			lx.pos += len(text)
			lx.kind = t
			return
		}
	}
	lx.single(c)
}
