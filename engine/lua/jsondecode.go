package lua

import (
	"strings"
	"unicode/utf8"
)

// jsonReader decodes JSON as Redis' cjson does: lax about numbers, and a zero byte ends the text.
type jsonReader struct {
	vm    *VM
	cfg   *jsonConfig
	data  string
	pos   int
	depth int

	// The current token.
	kind  jsonToken
	index int    // where it begins
	text  string // of a string, or what is wrong
	num   float64
}

type jsonToken string

const (
	jsonObject   jsonToken = "T_OBJ_BEGIN"
	jsonObjEnd   jsonToken = "T_OBJ_END"
	jsonArray    jsonToken = "T_ARR_BEGIN"
	jsonArrEnd   jsonToken = "T_ARR_END"
	jsonString   jsonToken = "T_STRING"
	jsonNumber   jsonToken = "T_NUMBER"
	jsonBoolean  jsonToken = "T_BOOLEAN"
	jsonNull     jsonToken = "T_NULL"
	jsonColon    jsonToken = "T_COLON"
	jsonComma    jsonToken = "T_COMMA"
	jsonEnd      jsonToken = "T_END"
	jsonBadToken jsonToken = "T_ERROR"
)

func jsonDecode(vm *VM, cfg *jsonConfig, args []Value) []Value {
	if len(args) != 1 {
		vm.ArgError(1, "expected 1 argument")
	}
	data := vm.CheckString(args, 1)
	if len(data) >= 2 && (data[0] == 0 || data[1] == 0) {
		vm.Fail("JSON parser does not support UTF-16 or UTF-32")
	}
	vm.Charge(len(data) >> 2)
	r := &jsonReader{vm: vm, cfg: cfg, data: data}
	r.next()
	v := r.value()
	r.next()
	if r.kind != jsonEnd {
		r.expected("the end")
	}
	return vm.Ret(v)
}

func (r *jsonReader) expected(what string) {
	found := string(r.kind)
	if r.kind == jsonBadToken {
		found = r.text
	}
	r.vm.Fail("Expected %s but found %s at character %d", what, found, r.index+1)
}

// at returns the byte i places on; the text is as if it ended with a zero.
func (r *jsonReader) at(i int) byte {
	if r.pos+i < len(r.data) {
		return r.data[r.pos+i]
	}
	return 0
}

func (r *jsonReader) bad(what string) {
	r.kind, r.text, r.index = jsonBadToken, what, r.pos
}

var jsonSingles = map[byte]jsonToken{
	'{': jsonObject, '}': jsonObjEnd, '[': jsonArray, ']': jsonArrEnd, ':': jsonColon, ',': jsonComma,
}

func (r *jsonReader) next() {
	r.vm.Charge(1)
	r.vm.dear(dearJSON)
	for c := r.at(0); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = r.at(0) {
		r.pos++
	}
	r.index = r.pos
	c := r.at(0)
	if single, ok := jsonSingles[c]; ok {
		r.kind = single
		r.pos++
		return
	}
	rest := r.data[min(r.pos, len(r.data)):]
	switch {
	case c == 0:
		r.kind = jsonEnd
	case c == '"':
		r.string()
	case c == '-' || isDigit(c):
		if !r.cfg.decodeInvalidNumbers && oddNumber(rest) {
			r.bad("invalid number")
			return
		}
		r.number(rest)
	case strings.HasPrefix(rest, "true"):
		r.kind, r.num = jsonBoolean, 1
		r.pos += 4
	case strings.HasPrefix(rest, "false"):
		r.kind, r.num = jsonBoolean, 0
		r.pos += 5
	case strings.HasPrefix(rest, "null"):
		r.kind = jsonNull
		r.pos += 4
	case r.cfg.decodeInvalidNumbers && strings.IndexByte("+iInN", c) >= 0 && oddNumber(rest):
		r.number(rest)
	default:
		r.bad("invalid token")
	}
}

// oddNumber reports whether a number is none of JSON's: a plus sign, hexadecimal, leading zeros,
// infinity, NaN.
func oddNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	switch {
	case s == "":
		return false
	case s[0] == '+':
		return true
	case s[0] == '0':
		return len(s) > 1 && (s[1]|32 == 'x' || isDigit(s[1]))
	case s[0] <= '9':
		return false
	}
	word := strings.ToLower(s[:min(len(s), 3)])
	return word == "inf" || word == "nan"
}

func (r *jsonReader) number(rest string) {
	n := numberPrefix(rest)
	f, ok := ParseNumber(rest[:n])
	if n == 0 || !ok {
		r.bad("invalid number")
		return
	}
	r.kind, r.num = jsonNumber, f
	r.pos += n
}

// numberPrefix returns how much of s C's strtod would read.
func numberPrefix(s string) int {
	i := 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		i = 1
	}
	lower := strings.ToLower(s[i:min(len(s), i+8)])
	switch {
	case strings.HasPrefix(lower, "infinity"):
		return i + 8
	case strings.HasPrefix(lower, "inf"), strings.HasPrefix(lower, "nan"):
		return i + 3
	case strings.HasPrefix(lower, "0x"):
		if n := mantissa(s[i+2:], isHex); n > 0 {
			return i + 2 + n + exponent(s[i+2+n:], 'p')
		}
		return i + 1
	}
	n := mantissa(s[i:], isDigit)
	if n == 0 {
		return 0
	}
	return i + n + exponent(s[i+n:], 'e')
}

// mantissa returns the length of digits with at most one point among them, zero without digits.
func mantissa(s string, isDigit func(byte) bool) int {
	i, digits := 0, 0
	for point := false; i < len(s); i++ {
		switch {
		case isDigit(s[i]):
			digits++
		case s[i] == '.' && !point:
			point = true
		default:
			if digits == 0 {
				return 0
			}
			return i
		}
	}
	if digits == 0 {
		return 0
	}
	return i
}

func exponent(s string, letter byte) int {
	if s == "" || s[0]|32 != letter {
		return 0
	}
	i := 1
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	from := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == from {
		return 0
	}
	return i
}

var jsonEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 't': '\t', 'n': '\n', 'f': '\f', 'r': '\r'}

func (r *jsonReader) string() {
	r.pos++
	from := r.pos
	var built []byte
	for {
		switch c := r.at(0); c {
		case '"':
			text := r.data[from:r.pos]
			if built != nil {
				text = string(r.vm.appendText(built, text))
			}
			r.pos++
			r.kind, r.text = jsonString, text
			return
		case 0:
			r.bad("unexpected end of string")
			return
		case '\\':
			built = r.vm.appendText(built, r.data[from:r.pos])
			if built = r.escape(built); built == nil {
				return
			}
			from = r.pos
		default:
			r.pos++
		}
	}
}

// escape appends what the escape sequence at the current place stands for. It returns nil when the
// sequence is wrong.
func (r *jsonReader) escape(b []byte) []byte {
	c := r.at(1)
	if e, ok := jsonEscapes[c]; ok {
		r.pos += 2
		return append(r.vm.reserve(b, 1), e)
	}
	if c != 'u' {
		r.bad("invalid escape code")
		return nil
	}
	code, n := r.codePoint()
	if code < 0 {
		r.bad("invalid unicode escape code")
		return nil
	}
	r.pos += n
	return utf8.AppendRune(r.vm.reserve(b, utf8.UTFMax), code)
}

// codePoint reads \uXXXX, or two of them that are a surrogate pair; -1 if it is neither.
func (r *jsonReader) codePoint() (code rune, n int) {
	high := r.hex4(2)
	if high < 0 || high&0xFC00 == 0xDC00 {
		return -1, 0
	}
	if high&0xFC00 != 0xD800 {
		return high, 6
	}
	if r.at(6) != '\\' || r.at(7) != 'u' {
		return -1, 0
	}
	low := r.hex4(8)
	if low < 0 || low&0xFC00 != 0xDC00 {
		return -1, 0
	}
	return (high&0x3FF<<10 | low&0x3FF) + 0x10000, 12
}

func (r *jsonReader) hex4(at int) rune {
	var n rune
	for i := range 4 {
		c := r.at(at + i)
		if !isHex(c) {
			return -1
		}
		n = n<<4 | rune(digit(c))
	}
	return n
}

// value reads the value that begins with the current token.
func (r *jsonReader) value() Value {
	switch r.kind {
	case jsonString:
		return r.vm.NewString(r.text)
	case jsonNumber:
		return Num(r.num)
	case jsonBoolean:
		return Bool(r.num != 0)
	case jsonNull:
		return Null
	case jsonObject:
		return r.object()
	case jsonArray:
		return r.array()
	}
	r.expected("value")
	return Value{}
}

// descend counts a level of nesting.
func (r *jsonReader) descend() {
	r.depth++
	if r.depth > r.cfg.decodeDepth || r.depth > jsonStackDepth {
		r.vm.Fail("Found too many nested data structures (%d) at character %d", r.depth, r.pos)
	}
}

func (r *jsonReader) object() Value {
	r.descend()
	t := r.vm.NewTable(0, 0)
	r.next()
	for r.kind != jsonObjEnd {
		if r.kind != jsonString {
			r.expected("object key string")
		}
		key := r.vm.NewString(r.text)
		if r.next(); r.kind != jsonColon {
			r.expected("colon")
		}
		r.next()
		t.Set(key, r.value())
		if r.next(); r.kind == jsonObjEnd {
			break
		}
		if r.kind != jsonComma {
			r.expected("comma or object end")
		}
		if r.next(); r.kind == jsonObjEnd {
			r.expected("object key string")
		}
	}
	r.depth--
	return Value{o: t}
}

func (r *jsonReader) array() Value {
	r.descend()
	t := r.vm.NewTable(0, 0)
	r.next()
	for i := 1; r.kind != jsonArrEnd; i++ {
		t.SetInt(i, r.value())
		if r.next(); r.kind == jsonArrEnd {
			break
		}
		if r.kind != jsonComma {
			r.expected("comma or array end")
		}
		if r.next(); r.kind == jsonArrEnd {
			r.expected("value")
		}
	}
	r.depth--
	return Value{o: t}
}
