package call

import (
	"math"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
)

// ParseInt reads a signed 64-bit integer as strictly as Redis does: no sign
// "+", no leading zeros, no spaces.
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	if digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(b) == 1
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

// ParseDB reads the number of one of so many databases: a C int, as redis-server has it.
func ParseDB(b []byte, databases int) (int, reply.Error) {
	n, ok := ParseInt(b)
	switch {
	case !ok:
		return 0, reply.ErrNotInteger
	case n != int64(int32(n)):
		return 0, reply.ErrNotInt32
	case n < 0 || n >= int64(databases):
		return 0, reply.ErrDBIndex
	}
	return int(n), ""
}

// ParseFloat reads a floating point number as Redis does: C's strtod without
// spaces around it, inf and infinity in any case, no nan.
func ParseFloat(b []byte) (float64, bool) {
	if len(b) == 0 || len(b) > 512 {
		return 0, false
	}
	if n, ok := shortInt(b); ok {
		return float64(n), true
	}
	s := string(b)
	if strings.ContainsAny(s, "_") {
		return 0, false
	}
	if isHexFloat(s) && !strings.ContainsAny(s, "pP") {
		s += "p0" // strtod takes 0x10; ParseFloat wants an exponent
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, false
	}
	if err != nil || f == 0 && !isZero(s) { // out of range: strtod gives ERANGE, and Redis refuses
		return 0, false
	}
	return f, true
}

// shortInt reads digits, a minus before them perhaps, that a float64 holds exactly: most numbers are such. Zero
// with a minus is none.
func shortInt(b []byte) (n int64, ok bool) {
	const exact = 15
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > exact {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	if len(digits) < len(b) {
		return -n, n != 0
	}
	return n, true
}

// isZero reports whether the number in s is zero, and not merely too small.
func isZero(s string) bool {
	digits := "123456789"
	if isHexFloat(s) {
		digits += "abcdefABCDEF"
		s, _, _ = strings.Cut(s, "p")
		s, _, _ = strings.Cut(s, "P")
	} else {
		s, _, _ = strings.Cut(s, "e")
		s, _, _ = strings.Cut(s, "E")
	}
	return !strings.ContainsAny(s, digits)
}

func isHexFloat(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')
}

// Int returns argument i as an integer, or replies with an error.
func (c *Call) Int(i int) (int64, bool) {
	n, ok := ParseInt(c.Args[i])
	if !ok {
		c.Fail(reply.ErrNotInteger)
	}
	return n, ok
}

// IntIn returns argument i as an integer between low and high, or replies
// with e.
func (c *Call) IntIn(i int, low, high int64, e reply.Error) (int64, bool) {
	n, ok := ParseInt(c.Args[i])
	if !ok {
		c.Fail(reply.ErrNotInteger)
		return 0, false
	}
	if n < low || n > high {
		c.Fail(e)
		return 0, false
	}
	return n, true
}

// Float returns argument i as a floating point number, or replies with an
// error.
func (c *Call) Float(i int) (float64, bool) {
	f, ok := ParseFloat(c.Args[i])
	if !ok {
		c.Fail(reply.ErrNotFloat)
	}
	return f, ok
}

// Is reports whether argument i is word, which is in capitals, in any case.
func (c *Call) Is(i int, word string) bool { return EqualFold(c.Args[i], word) }

// EqualFold reports whether b is word, which is in capitals, in any case.
func EqualFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		x := b[i]
		if 'a' <= x && x <= 'z' {
			x -= 'a' - 'A'
		}
		if x != word[i] {
			return false
		}
	}
	return true
}
