// Package words splits lines into words as Redis does.
package words

import (
	"fmt"
	"strings"
)

// Split splits a line into words as redis-server splits configuration
// lines and inline commands. Words are separated by white space; "..." takes
// \n \r \t \b \a \xHH and \c for any other c, '...' takes \' only, and a
// closing quote must be followed by white space or the end. The line ends at
// a NUL byte. It returns false when quotes are unbalanced.
func Split(line []byte) (words [][]byte, ok bool) {
	at := func(i int) byte {
		if i < len(line) {
			return line[i]
		}
		return 0
	}
	i := 0
	for {
		for isSpace(at(i)) {
			i++
		}
		if at(i) == 0 {
			return words, true
		}
		word := []byte{}
		for {
			c := at(i)
			if c == 0 || isSpace(c) {
				break
			}
			if c != '"' && c != '\'' {
				word = append(word, c)
				i++
				continue
			}
			var closed bool
			if word, i, closed = appendQuoted(word, line, i); !closed {
				return nil, false
			}
			if next := at(i); next != 0 && !isSpace(next) {
				return nil, false
			}
			break
		}
		words = append(words, word)
	}
}

// appendQuoted appends the text of the quoted string that begins at i, and
// returns the place after its closing quote.
func appendQuoted(word, line []byte, i int) ([]byte, int, bool) {
	quote := line[i]
	for i++; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			return word, i + 1, true
		case c == 0:
			return word, i, false
		case c != '\\':
			word = append(word, c)
		case quote == '\'':
			if i+1 < len(line) && line[i+1] == '\'' {
				i++
				c = '\''
			}
			word = append(word, c)
		case i+3 < len(line) && line[i+1] == 'x' && isHex(line[i+2]) && isHex(line[i+3]):
			word = append(word, fromHex(line[i+2])<<4|fromHex(line[i+3]))
			i += 3
		case i+1 < len(line) && line[i+1] != 0:
			i++
			word = append(word, unescape(line[i]))
		default:
			word = append(word, c)
		}
	}
	return word, i, false
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// Quote returns s in double quotes so that [Split] gives s back.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\a':
			b.WriteString(`\a`)
		case c == '\b':
			b.WriteString(`\b`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
