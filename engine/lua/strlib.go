package lua

import "strings"

func openString(vm *VM) {
	t := vm.NewTable(0, 32)
	vm.globals.SetText("string", Value{o: t})
	vm.Register(t, []string{
		"byte", "char", "dump", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper",
	}, map[string]Native{
		"byte": strByte, "char": strChar, "dump": strDump, "find": strFind, "format": strFormat, "gmatch": strGmatch,
		"gsub": strGsub, "len": strLen, "lower": strLower, "match": strMatch, "rep": strRep, "reverse": strReverse,
		"sub": strSub, "upper": strUpper,
	})
	t.SetText("gfind", t.GetText("gmatch"))
	vm.stringMeta = vm.NewTable(0, 1)
	vm.stringMeta.SetText("__index", Value{o: t})
}

// offset turns a position that may count from the end into one that counts from 1.
func offset(pos, n int) int {
	switch {
	case pos >= 0:
		return pos
	case -pos > n:
		return 0
	}
	return n + pos + 1
}

func strByte(vm *VM, args []Value) []Value {
	s := vm.CheckString(args, 1)
	from := offset(vm.OptInt(args, 2, 1), len(s))
	to := offset(vm.OptInt(args, 3, from), len(s))
	from, to = max(from, 1), min(to, len(s))
	if from > to {
		return nil
	}
	if to-from+1+len(args) > maxUnpacked {
		vm.Fail("string slice too long")
	}
	vm.ret = vm.ret[:0]
	for i := from; i <= to; i++ {
		vm.ret = append(vm.ret, Num(float64(s[i-1])))
	}
	return vm.ret
}

func strChar(vm *VM, args []Value) []Value {
	vm.ChargeText(len(args))
	b := make([]byte, len(args))
	for i := range args {
		c := vm.checkInt32(args, i+1)
		if c < 0 || c > 255 {
			vm.ArgError(i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	return vm.Ret(Text(string(b)))
}

// strDump returns the mark that bytecode begins with and no more: there is none, and nothing loads it.
func strDump(vm *VM, args []Value) []Value {
	vm.checkFunction(args, 1)
	return vm.Ret(Text(bytecodeMark))
}

func strLen(vm *VM, args []Value) []Value { return vm.Ret(Num(float64(len(vm.CheckString(args, 1))))) }

func strSub(vm *VM, args []Value) []Value {
	s := vm.CheckString(args, 1)
	from := max(offset(vm.CheckInt(args, 2), len(s)), 1)
	to := min(offset(vm.OptInt(args, 3, -1), len(s)), len(s))
	if from > to {
		return vm.Ret(Text(""))
	}
	return vm.Ret(vm.NewString(s[from-1 : to]))
}

func strReverse(vm *VM, args []Value) []Value {
	s := vm.CheckString(args, 1)
	vm.ChargeText(len(s))
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	return vm.Ret(Text(string(b)))
}

func strLower(vm *VM, args []Value) []Value {
	return vm.mapBytes(args, func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			return c + 32
		}
		return c
	})
}

func strUpper(vm *VM, args []Value) []Value {
	return vm.mapBytes(args, func(c byte) byte {
		if 'a' <= c && c <= 'z' {
			return c - 32
		}
		return c
	})
}

func (vm *VM) mapBytes(args []Value, f func(byte) byte) []Value {
	s := vm.CheckString(args, 1)
	vm.ChargeText(len(s))
	b := make([]byte, len(s))
	for i := range len(s) {
		b[i] = f(s[i])
	}
	return vm.Ret(Text(string(b)))
}

func strRep(vm *VM, args []Value) []Value {
	s := vm.CheckString(args, 1)
	n := vm.checkInt32(args, 2)
	if n <= 0 || s == "" {
		return vm.Ret(Text(""))
	}
	if int64(n) > vm.bytes/int64(len(s)) {
		vm.chargeBytes(int(vm.bytes) + 1)
	}
	vm.ChargeText(n * len(s))
	return vm.Ret(Text(strings.Repeat(s, n)))
}

// patternSpecials are the characters that make a pattern more than a plain string.
const patternSpecials = "^$*+?.([%-"

const matcherBytes = 640

// useMatcher lends the VM's matcher. Whoever calls back into Lua needs one of his own.
func (vm *VM) useMatcher(src, pat string) *matcher {
	m := &vm.matcher
	m.begin(vm, src, pat)
	return m
}

func strFind(vm *VM, args []Value) []Value  { return vm.find(args, true) }
func strMatch(vm *VM, args []Value) []Value { return vm.find(args, false) }

func (vm *VM) find(args []Value, positions bool) []Value {
	s, pat := vm.CheckString(args, 1), vm.CheckString(args, 2)
	init := min(max(offset(vm.OptInt(args, 3, 1), len(s))-1, 0), len(s))
	if positions && (len(args) > 3 && args[3].Truth() || isPlain(pat)) {
		i := vm.indexOf(s[init:], pat)
		if i < 0 {
			return vm.Ret(Value{})
		}
		return vm.ret2(Num(float64(init+i+1)), Num(float64(init+i+len(pat))))
	}
	m := vm.useMatcher(s, pat)
	p := 0
	anchored := strings.HasPrefix(m.pat, "^")
	if anchored {
		p = 1
	}
	for at := init; at <= len(s); at++ {
		if end := m.try(at, p); end >= 0 {
			vm.ret = vm.ret[:0]
			if positions {
				vm.ret = append(vm.ret, Num(float64(at+1)), Num(float64(end)))
			}
			vm.ret = m.appendCaptures(vm.ret, at, end, !positions)
			return vm.ret
		}
		if anchored {
			break
		}
	}
	return vm.Ret(Value{})
}

func isPlain(pat string) bool {
	if i := strings.IndexByte(pat, 0); i >= 0 {
		pat = pat[:i]
	}
	return !strings.ContainsAny(pat, patternSpecials)
}

// indexOf finds a plain string and pays for the search.
func (vm *VM) indexOf(s, sub string) int {
	vm.Charge((len(s) + len(sub)) >> 3)
	return strings.Index(s, sub)
}

func strGmatch(vm *VM, args []Value) []Value {
	s, pat := vm.CheckString(args, 1), vm.CheckString(args, 2)
	at := 0
	vm.chargeBytes(128)
	return vm.Ret(vm.NewFunction(func(vm *VM, _ []Value) []Value {
		m := vm.useMatcher(s, pat)
		for ; at <= len(s); at++ {
			end := m.try(at, 0)
			if end < 0 {
				continue
			}
			start := at
			at = end
			if end == start {
				at++
			}
			vm.ret = m.appendCaptures(vm.ret[:0], start, end, true)
			return vm.ret
		}
		return vm.Ret(Value{})
	}))
}

func strGsub(vm *VM, args []Value) []Value {
	s, pat := vm.CheckString(args, 1), vm.CheckString(args, 2)
	var with Value
	if len(args) > 2 {
		with = args[2]
	}
	switch with.Kind() {
	case Number, String, TableKind, FunctionKind:
	default:
		vm.ArgError(3, "string/function/table expected")
	}
	limit := vm.optInt32(args, 4, len(s)+1)
	vm.chargeBytes(matcherBytes)
	m := new(matcher) // its own: the replacement may be a function that matches
	m.begin(vm, s, pat)
	p := 0
	anchored := strings.HasPrefix(m.pat, "^")
	if anchored {
		p = 1
	}
	var out []byte
	at, n := 0, 0
	for n < limit {
		end := m.try(at, p)
		if end >= 0 {
			n++
			out = m.appendReplacement(out, with, at, end)
		}
		switch {
		case end > at:
			at = end
		case at < len(s):
			out = vm.appendText(out, s[at:at+1])
			at++
		default:
			limit = n
		}
		if anchored {
			break
		}
	}
	if at < len(s) {
		out = vm.appendText(out, s[at:])
	}
	vm.chargeBytes(stringBytes + len(out))
	return vm.ret2(Text(string(out)), Num(float64(n)))
}

// reserve returns the buffer with room for n bytes more, and pays for it. All buffers that scripts make grow grow
// here: how append does it may change with the toolchain, and the budget must not.
func (vm *VM) reserve(b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		return b
	}
	size := max(2*cap(b), len(b)+n, 64)
	vm.chargeBytes(size)
	vm.Charge(size >> 6)
	return append(make([]byte, 0, size), b...)
}

// appendText appends to a buffer.
func (vm *VM) appendText(b []byte, s string) []byte { return append(vm.reserve(b, len(s)), s...) }

// appendReplacement appends what gsub puts in place of the match src[s:e].
func (m *matcher) appendReplacement(out []byte, with Value, s, e int) []byte {
	vm := m.vm
	var v Value
	switch with.o.(type) {
	case *Table:
		v = vm.Index(with, m.get(0, s, e))
	case *Function:
		v = first(vm.Call(with, m.appendCaptures(nil, s, e, true)...))
	default:
		return m.appendTemplate(out, with, s, e)
	}
	if !v.Truth() {
		return vm.appendText(out, m.src[s:e])
	}
	text, ok := v.Coerce()
	if !ok {
		vm.Fail("invalid replacement value (a %s)", v.Kind())
	}
	return vm.appendText(out, text)
}

// appendTemplate appends a replacement string, in which %1 stands for a capture.
func (m *matcher) appendTemplate(out []byte, with Value, s, e int) []byte {
	template, _ := with.Coerce()
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '%' {
			out = m.vm.appendText(out, template[i:i+1])
			continue
		}
		i++
		switch {
		case i == len(template):
			out = m.vm.appendText(out, "\x00") // the reference copies the zero that ends its string
		case template[i] == '0':
			out = m.vm.appendText(out, m.src[s:e])
		case isDigit(template[i]):
			text, _ := m.get(int(template[i]-'1'), s, e).Coerce()
			out = m.vm.appendText(out, text)
		default:
			out = m.vm.appendText(out, template[i:i+1])
		}
	}
	m.vm.Charge(len(template) >> 2)
	return out
}
