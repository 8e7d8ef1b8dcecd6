package lua

import (
	"math"
	"strconv"
	"strings"
)

// spec is a conversion of string.format, as C's printf understands it.
type spec struct {
	minus, plus, space, alt, zero bool
	width                         int
	prec                          int // -1 if none is given
	verb                          byte
}

func strFormat(vm *VM, args []Value) []Value {
	format := vm.CheckString(args, 1)
	var out []byte
	arg := 1
	for i := 0; i < len(format); {
		if format[i] != '%' {
			next := strings.IndexByte(format[i:], '%')
			if next < 0 {
				next = len(format) - i
			}
			out = vm.appendText(out, format[i:i+next])
			i += next
			continue
		}
		i++
		if i < len(format) && format[i] == '%' {
			out = vm.appendText(out, "%")
			i++
			continue
		}
		if arg++; arg > len(args) {
			vm.ArgError(arg, "no value")
		}
		sp, end := vm.parseSpec(format, i)
		i = end
		vm.Charge(1)
		vm.dear(dearFormat)
		out = vm.appendFormatted(out, sp, args, arg)
	}
	vm.chargeBytes(stringBytes + len(out))
	return vm.Ret(Text(string(out)))
}

// parseSpec reads a conversion that begins at i, after the percent sign.
func (vm *VM) parseSpec(format string, i int) (spec, int) {
	sp := spec{prec: -1}
	at := func() byte {
		if i < len(format) {
			return format[i]
		}
		return 0
	}
	flags := i
	for strings.IndexByte("-+ #0", at()) >= 0 && i < len(format) {
		switch at() {
		case '-':
			sp.minus = true
		case '+':
			sp.plus = true
		case ' ':
			sp.space = true
		case '#':
			sp.alt = true
		case '0':
			sp.zero = true
		}
		i++
	}
	if i-flags >= len("-+ #0")+1 {
		vm.Fail("invalid format (repeated flags)")
	}
	number := func() int {
		n := 0
		for range 2 {
			if isDigit(at()) {
				n = n*10 + int(at()-'0')
				i++
			}
		}
		return n
	}
	sp.width = number()
	if at() == '.' {
		i++
		sp.prec = number()
	}
	if isDigit(at()) {
		vm.Fail("invalid format (width or precision too long)")
	}
	sp.verb = at()
	return sp, i + 1
}

func (vm *VM) appendFormatted(out []byte, sp spec, args []Value, arg int) []byte {
	var text []byte
	switch sp.verb {
	case 'c':
		text = sp.pad(nil, "", string([]byte{byte(vm.CheckInt(args, arg))}))
	case 'd', 'i':
		n := vm.CheckInt(args, arg)
		sign, digits := sp.sign(n < 0), strconv.FormatUint(magnitude(n), 10)
		text = sp.integer(sign, digits)
	case 'o', 'u', 'x', 'X':
		text = sp.unsigned(unsigned(vm.CheckNumber(args, arg)))
	case 'e', 'E', 'f', 'g', 'G':
		text = sp.float(vm.CheckNumber(args, arg))
	case 'q':
		return vm.appendQuoted(out, vm.CheckString(args, arg))
	case 's':
		s := vm.CheckString(args, arg)
		if sp.prec < 0 && len(s) >= 100 {
			return vm.appendText(out, s)
		}
		if sp.prec >= 0 && len(s) > sp.prec {
			s = s[:sp.prec]
		}
		if i := strings.IndexByte(s, 0); i >= 0 {
			s = s[:i]
		}
		sp.zero = false
		text = sp.pad(nil, "", s)
	default:
		vm.Fail("invalid option '%%%s' to 'format'", cString(string([]byte{sp.verb})))
	}
	return vm.appendText(out, cString(string(text)))
}

// cString cuts at the first zero byte, as printf into a buffer does.
func cString(s string) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return s[:i]
	}
	return s
}

func magnitude(n int) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// unsigned converts as x86 does in C.
func unsigned(f float64) uint64 {
	if f >= 1<<63 {
		if f >= 1<<64 {
			return 0
		}
		return uint64(f)
	}
	return uint64(truncate(f))
}

func (sp *spec) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case sp.plus:
		return "+"
	case sp.space:
		return " "
	}
	return ""
}

// pad appends a sign or prefix and a body, filled up to the width.
func (sp *spec) pad(b []byte, prefix, body string) []byte {
	fill := sp.width - len(prefix) - len(body)
	if fill <= 0 {
		return append(append(b, prefix...), body...)
	}
	switch {
	case sp.minus:
		b = append(append(b, prefix...), body...)
		return append(b, strings.Repeat(" ", fill)...)
	case sp.zero:
		b = append(b, prefix...)
		b = append(b, strings.Repeat("0", fill)...)
		return append(b, body...)
	}
	b = append(b, strings.Repeat(" ", fill)...)
	return append(append(b, prefix...), body...)
}

// integer pads digits to the precision, which overrides the flag 0.
func (sp *spec) integer(prefix, digits string) []byte {
	if sp.prec >= 0 {
		sp.zero = false
		if sp.prec == 0 && digits == "0" {
			digits = ""
		}
		if n := sp.prec - len(digits); n > 0 {
			digits = strings.Repeat("0", n) + digits
		}
	}
	return sp.pad(nil, prefix, digits)
}

func (sp *spec) unsigned(n uint64) []byte {
	prefix := ""
	var digits string
	switch sp.verb {
	case 'o':
		digits = strconv.FormatUint(n, 8)
		if sp.alt && n != 0 && sp.prec <= len(digits) {
			digits = "0" + digits
		}
	case 'u':
		digits = strconv.FormatUint(n, 10)
	default:
		digits = strconv.FormatUint(n, 16)
		if sp.alt && n != 0 {
			prefix = "0x"
		}
		if sp.verb == 'X' {
			digits, prefix = strings.ToUpper(digits), strings.ToUpper(prefix)
		}
	}
	return sp.integer(prefix, digits)
}

func (sp *spec) float(f float64) []byte {
	sign := sp.sign(math.Signbit(f))
	f = math.Abs(f)
	body, special := notFinite(f)
	if special {
		sp.zero = false
	} else {
		body = string(sp.digits(f))
	}
	if sp.verb == 'E' || sp.verb == 'G' {
		body = strings.ToUpper(body)
	}
	return sp.pad(nil, sign, body)
}

func (sp *spec) digits(f float64) []byte {
	prec := sp.prec
	if prec < 0 {
		prec = 6
	}
	if sp.verb|32 == 'g' {
		return appendG(nil, f, prec, sp.alt)
	}
	b := strconv.AppendFloat(nil, f, sp.verb|32, prec, 64)
	if sp.alt && prec == 0 {
		if e := strings.IndexByte(string(b), 'e'); e >= 0 {
			return []byte(string(b[:e]) + "." + string(b[e:]))
		}
		return append(b, '.')
	}
	return b
}

// appendQuoted appends a string so that Lua reads it back.
func (vm *VM) appendQuoted(out []byte, s string) []byte {
	out = vm.appendText(out, `"`)
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			out = vm.appendText(out, "\\"+s[i:i+1])
		case '\r':
			out = vm.appendText(out, `\r`)
		case 0:
			out = vm.appendText(out, `\000`)
		default:
			out = vm.appendText(out, s[i:i+1])
		}
	}
	return vm.appendText(out, `"`)
}
