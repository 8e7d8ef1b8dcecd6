package lua

import (
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a value.
type Kind uint8

// The kinds of values.
const (
	Nil Kind = iota
	Boolean
	LightUserdata
	Number
	String
	TableKind
	FunctionKind
	ThreadKind
)

var kindNames = [...]string{"nil", "boolean", "userdata", "number", "string", "table", "function", "thread"}

// String returns the name that Lua's type function gives.
func (k Kind) String() string { return kindNames[k] }

// Value is a Lua value. The zero Value is nil.
//
// A number and a boolean live in n, o says which; everything else is the object o points to.
type Value struct {
	o object
	n float64
}

// object is what tells values apart: a tag for the kinds held in n, else the thing itself.
type object interface{ kind() Kind }

type (
	numberTag struct{ _ byte }
	boolTag   struct{ _ byte }
)

var (
	theNumber = &numberTag{}
	theBool   = &boolTag{}
)

func (*numberTag) kind() Kind { return Number }
func (*boolTag) kind() Kind   { return Boolean }
func (*Str) kind() Kind       { return String }
func (*Table) kind() Kind     { return TableKind }
func (*Function) kind() Kind  { return FunctionKind }
func (*coroutine) kind() Kind { return ThreadKind }
func (*Token) kind() Kind     { return LightUserdata }

// Str is a string with room for its hash.
type Str struct {
	s      string
	h      uint32 // valid when hashed
	hashed bool
}

// Token is a value equal only to itself, such as cjson.null.
type Token struct{ text string }

// Null is the value of cjson.null.
var Null = Value{o: &Token{text: "userdata: (nil)"}}

// Num returns f as a value.
func Num(f float64) Value { return Value{o: theNumber, n: f} }

// Bool returns b as a value.
func Bool(b bool) Value {
	if b {
		return Value{o: theBool, n: 1}
	}
	return Value{o: theBool}
}

// Text returns s as a value. It charges nobody: see VM.NewString.
func Text(s string) Value { return Value{o: &Str{s: s}} }

// constant returns a string whose hash is known, so that machines may share it.
func constant(s string) *Str {
	k := &Str{s: s}
	k.hash()
	return k
}

// Kind returns the value's kind.
func (v Value) Kind() Kind {
	if v.o == nil {
		return Nil
	}
	return v.o.kind()
}

// IsNil reports whether v is nil.
func (v Value) IsNil() bool { return v.o == nil }

// Truth is false for nil and false.
func (v Value) Truth() bool {
	if v.o == nil {
		return false
	}
	if _, ok := v.o.(*boolTag); ok {
		return v.n != 0
	}
	return true
}

// Float returns a number's value; no string is converted.
func (v Value) Float() (float64, bool) {
	_, ok := v.o.(*numberTag)
	return v.n, ok
}

// IsBool reports whether v is a boolean.
func (v Value) IsBool() bool {
	_, ok := v.o.(*boolTag)
	return ok
}

// Str returns a string's bytes; no number is converted.
func (v Value) Str() (string, bool) {
	if s, ok := v.o.(*Str); ok {
		return s.s, true
	}
	return "", false
}

// Table returns the table that v is, or nil.
func (v Value) Table() *Table {
	t, _ := v.o.(*Table)
	return t
}

// Function returns the function that v is, or nil.
func (v Value) Function() *Function {
	f, _ := v.o.(*Function)
	return f
}

// Coerce returns the string that a string or number stands for.
func (v Value) Coerce() (string, bool) {
	switch o := v.o.(type) {
	case *Str:
		return o.s, true
	case *numberTag:
		return FormatNumber(v.n), true
	}
	return "", false
}

// ToNumber returns the number that a number or numeric string stands for.
func (v Value) ToNumber() (float64, bool) {
	switch o := v.o.(type) {
	case *numberTag:
		return v.n, true
	case *Str:
		return ParseNumber(o.s)
	}
	return 0, false
}

// hash is that of Redis' Lua, which looks at every character, back to front: pairs shows its order.
func (s *Str) hash() uint32 {
	if s.hashed {
		return s.h
	}
	h := uint32(len(s.s))
	for i := len(s.s) - 1; i >= 0; i-- {
		h ^= h<<5 + h>>2 + uint32(s.s[i])
	}
	s.h, s.hashed = h, true
	return h
}

// rawEqual compares without metatables.
func rawEqual(a, b Value) bool {
	switch x := a.o.(type) {
	case nil:
		return b.o == nil
	case *numberTag:
		_, ok := b.o.(*numberTag)
		return ok && a.n == b.n
	case *boolTag:
		_, ok := b.o.(*boolTag)
		return ok && a.n == b.n
	case *Str:
		y, ok := b.o.(*Str)
		return ok && (x == y || x.s == y.s)
	}
	return a.o == b.o
}

// FormatNumber writes a number as Lua does, with C's %.14g.
func FormatNumber(f float64) string {
	if i := int64(f); float64(i) == f && i > -1e14 && i < 1e14 && (i != 0 || !math.Signbit(f)) {
		return strconv.FormatInt(i, 10)
	}
	var buf [32]byte
	return string(appendG(buf[:0], f, 14, false))
}

// AppendNumber appends f as C's %.<digits>g does.
func AppendNumber(dst []byte, f float64, digits int) []byte {
	if i := int64(f); float64(i) == f && i > -1e14 && i < 1e14 && digits >= 14 && (i != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(dst, i, 10)
	}
	return appendG(dst, f, digits, false)
}

// appendG appends f in C's %.<prec>g; alt keeps trailing zeros, as the flag # does.
func appendG(b []byte, f float64, prec int, alt bool) []byte {
	if s, special := notFinite(f); special {
		return append(b, s...)
	}
	if prec == 0 {
		prec = 1
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'e', prec-1, 64)
	e := strings.LastIndexByte(string(b[start:]), 'e') + start
	exp, _ := strconv.Atoi(string(b[e+1:]))
	if exp >= -4 && exp < prec {
		b = strconv.AppendFloat(b[:start], f, 'f', prec-1-exp, 64)
		if alt {
			return b
		}
		return trimZeros(b, start)
	}
	if alt {
		return b
	}
	var tail [8]byte
	n := copy(tail[:], b[e:])
	return append(trimZeros(b[:e], start), tail[:n]...)
}

// trimZeros drops the zeros that end the fraction in b[start:], and a bare point.
func trimZeros(b []byte, start int) []byte {
	if !strings.Contains(string(b[start:]), ".") {
		return b
	}
	n := len(b)
	for b[n-1] == '0' {
		n--
	}
	if b[n-1] == '.' {
		n--
	}
	return b[:n]
}

// notFinite returns how C prints infinities and NaNs.
func notFinite(f float64) (string, bool) {
	switch {
	case math.IsInf(f, 1):
		return "inf", true
	case math.IsInf(f, -1):
		return "-inf", true
	case f != f && math.Signbit(f):
		return "-nan", true
	case f != f:
		return "nan", true
	}
	return "", false
}

// negativeNaN is what x86 makes of 0/0; every processor has to make the same.
var negativeNaN = math.Float64frombits(0xfff8 << 48)

// plainNaN returns f, but a NaN as C and x86 have it: Go's own has a bit more, which shows where bits are looked at.
func plainNaN(f float64) float64 {
	if f == f {
		return f
	}
	return math.Copysign(math.Float64frombits(0x7ff8<<48), f)
}

// settle gives an arithmetic result that is not a number the sign that it has on x86.
func settle(r, a, b float64) float64 {
	switch {
	case r == r:
		return r
	case a != a:
		return a
	case b != b:
		return b
	}
	return negativeNaN
}

// ParseNumber converts a string as tonumber does: C's strtod, hexadecimal integers included, with
// space around it.
func ParseNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	if s == "" {
		return 0, false
	}
	if len(s) < 16 { // the common case, a short decimal integer
		if n, ok := smallInt(s); ok {
			return n, true
		}
	}
	body, neg := s, false
	if body[0] == '-' || body[0] == '+' {
		neg = body[0] == '-'
		body = body[1:]
	}
	sign := func(f float64) float64 {
		if neg {
			return -f
		}
		return f
	}
	switch lower := strings.ToLower(body); lower {
	case "inf", "infinity":
		return sign(math.Inf(1)), true
	case "nan":
		return sign(plainNaN(math.NaN())), true
	default:
		if strings.HasPrefix(lower, "0x") {
			f, ok := parseHex(lower[2:])
			return sign(f), ok
		}
	}
	for i := 0; i < len(body); i++ {
		if c := body[i]; !isDigit(c) && c != '.' && c != 'e' && c != 'E' && c != '-' && c != '+' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(body, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return sign(f), true
}

func smallInt(s string) (float64, bool) {
	i, neg := 0, false
	if s[0] == '-' {
		i, neg = 1, true
	}
	if i == len(s) {
		return 0, false
	}
	n := 0
	for ; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	if neg {
		return math.Copysign(float64(n), -1), true
	}
	return float64(n), true
}

// parseHex reads what follows 0x: digits, a fraction, a binary exponent, the latter two optional.
func parseHex(s string) (float64, bool) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isHex(c) && c != '.' && c != 'p' && c != '-' && c != '+' {
			return 0, false
		}
	}
	if s == "" {
		return 0, false
	}
	if !strings.Contains(s, "p") {
		s += "p0"
	}
	f, err := strconv.ParseFloat("0x"+s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c|32 && c|32 <= 'f' }
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
func isAlpha(c byte) bool { return 'a' <= c|32 && c|32 <= 'z' }
