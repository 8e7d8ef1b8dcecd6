package commands

import (
	"math/big"
	"strings"
)

// Redis adds floating point increments as C's long double, which on the machines
// it is mostly used on has a mantissa of 64 bits and an exponent of 15. A
// big.Float of that precision rounds the same way; what remains is the syntax of
// strtold, the range, and printf's notation.
const (
	longDoubleBits   = 64
	longDoubleExpMax = 16384  // of a mantissa in [0.5, 1)
	longDoubleExpMin = -16444 // of the smallest one that is not zero
	longDoubleLenMax = 5 * 1024
)

// parseLongDouble reads what strtold reads, without spaces around it: decimal and
// hexadecimal notation, and infinity. It refuses NaN and what is out of range.
func parseLongDouble(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) >= longDoubleLenMax {
		return nil, false
	}
	s := strings.ToLower(string(b))
	f := new(big.Float).SetPrec(longDoubleBits).SetMode(big.ToNearestEven)
	switch digits := strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-"); {
	case len(s)-len(digits) > 1:
		return nil, false
	case digits == "inf" || digits == "infinity":
		return f.SetInf(s[0] == '-'), true
	case !isDecimalFloat(digits) && !isHexFloat(digits):
		return nil, false
	}
	if _, _, err := f.Parse(s, 0); err != nil {
		return nil, false
	}
	if f.IsInf() || f.Sign() != 0 && (f.MantExp(nil) > longDoubleExpMax || f.MantExp(nil) < longDoubleExpMin) {
		return nil, false
	}
	return f, true
}

// isDecimalFloat reports whether s is digits with at most one point among them,
// and perhaps an exponent.
func isDecimalFloat(s string) bool {
	mantissa, exponent, hasExponent := strings.Cut(s, "e")
	return isMantissa(mantissa, "0123456789") && (!hasExponent || isExponent(exponent))
}

func isHexFloat(s string) bool {
	digits, ok := strings.CutPrefix(s, "0x")
	mantissa, exponent, hasExponent := strings.Cut(digits, "p")
	return ok && isMantissa(mantissa, "0123456789abcdef") && (!hasExponent || isExponent(exponent))
}

func isMantissa(s, digits string) bool {
	s = strings.Replace(s, ".", "", 1)
	return s != "" && strings.Trim(s, digits) == ""
}

func isExponent(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// addLongDouble returns a + b, and whether it is finite.
func addLongDouble(a, b *big.Float) (*big.Float, bool) {
	if a.IsInf() || b.IsInf() {
		return nil, false
	}
	sum := new(big.Float).SetPrec(longDoubleBits).SetMode(big.ToNearestEven).Add(a, b)
	return sum, sum.MantExp(nil) <= longDoubleExpMax
}

// appendLongDouble appends f with 17 digits after the point, less the zeros at
// the end.
func appendLongDouble(dst []byte, f *big.Float) []byte {
	text := f.Text('f', 17)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		text = "0"
	}
	return append(dst, text...)
}
