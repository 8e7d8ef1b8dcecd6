package lua

import "testing"

// roundTrip gives data to a decoder and what comes of it to the encoder and the decoder again. The second
// decoding has to succeed and what it gives must not grow: it need not be equal, as maps are ordered by the
// sizes of tables, and what lies too deep is lost.
func roundTrip(t *testing.T, vm *VM, decode, encode, data string) {
	c, err := Compile("test", `
		local decode, encode, data = ...
		local ok, v = pcall(decode, data)
		if not ok then return true end
		local ok, one = pcall(encode, v)
		if not ok then return true end
		local two = encode((decode(one)))
		return #two <= #one, one, two`)
	if err != nil {
		t.Fatal(err)
	}
	vm.Begin(testLimits)
	defer vm.End()
	module := func(name, fn string) Value { return vm.Globals().GetText(name).Table().GetText(fn) }
	lib := "cjson"
	if decode != "decode" {
		lib = "cmsgpack"
	}
	vals, err := vm.Run(c, module(lib, decode), module(lib, encode), Text(data))
	if err != nil {
		return // the budget
	}
	if !vals[0].Truth() {
		t.Errorf("%q: %q, then %q", data, vm.ToString(vals[1]), vm.ToString(vals[2]))
	}
}

// FuzzJSON decodes any text.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`[1,2.5,-3e10,"a\u00e9\ud83d\ude00",true,false,null]`, `"\/\b\f\n\r\t\"\\"`, `[[[[]]]]`, `[nan,inf,0x1F]`, `[1,]`, `"`,
		"\"\x00\"", "[\"\\u0000\"]", `{"a":1}`, `{"a":{"a":[]}}`, `01`, `-`,
	} {
		f.Add(s)
	}
	vm := newSealed()
	f.Fuzz(func(t *testing.T, data string) { roundTrip(t, vm, "decode", "encode", data) })
}

// FuzzMsgpack unpacks any bytes.
func FuzzMsgpack(f *testing.F) {
	for _, s := range []string{
		"\x93\x01\x02\xa1x", "\x81\xa1a\xc0", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", "\xdd\xff\xff\xff\xff", "\xd9\x05abc",
		"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "\xdf\x00\x00\x00\x01\x01\x02", "\xc1", "\xde\x00\x01\xc0\x01",
	} {
		f.Add(s)
	}
	vm := newSealed()
	f.Fuzz(func(t *testing.T, data string) { roundTrip(t, vm, "unpack", "pack", data) })
}

// FuzzStruct packs and unpacks by any format: it must end, with or without an error.
func FuzzStruct(f *testing.F) {
	f.Add("<I4c0s!8d", "\x01\x00\x00\x00abc", 1.5)
	f.Add(">i16bhl", "0123456789abcdef", -1.0)
	f.Add("!4 xBc3", "abc", 1e300)
	f.Add("i0I32c99999999", "", 0.0)
	vm := newSealed()
	c, err := Compile("test", `
		local fmt, data, n = ...
		pcall(struct.unpack, fmt, data) pcall(struct.unpack, fmt, data, n) pcall(struct.size, fmt)
		pcall(struct.pack, fmt, n, n, n, n) pcall(struct.pack, fmt, data, data)`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, format, data string, n float64) {
		vm.Begin(testLimits)
		defer vm.End()
		if _, err := vm.Run(c, Text(format), Text(data), Num(n)); err != nil && err.(*Error).Fatal == nil {
			t.Error(err)
		}
	})
}

// FuzzPattern matches any pattern: it must end, and what it captures must lie in the source.
func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{
		{"hello world", "(%w+) (%w+)"},
		{"key = value", "^(%w+)%s*=%s*(%w+)$"},
		{"((a)b)", "%b()"},
		{"THE (quick) fox", "%f[%a]%a+"},
		{"aaa", "a-b?a*"},
		{"x", "[%]a-]"},
		{"x", "[^"},
		{"abab", "(ab)%1"},
		{"a", "()"},
		{"\x00a", "%z."},
		{"x", "%"},
	} {
		f.Add(s[0], s[1])
	}
	vm := newSealed()
	c, err := Compile("test", `
		local s, p = ...
		local ok, i, j, a = pcall(string.find, s, p)
		if ok and i then
			assert(i >= 1 and j <= #s and j >= i - 1)
			local fine, m = pcall(string.match, s, p)
			local plain = p:find("%z") or not p:find("[%^%$%*%+%?%.%(%[%%%-]")
			assert(plain or fine and m == (a or s:sub(i, j)))
		end
		pcall(string.gsub, s, p, "%0%1")
		pcall(function() for w in s:gmatch(p) do end end)`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s, pattern string) {
		vm.Begin(testLimits)
		defer vm.End()
		if _, err := vm.Run(c, Text(s), Text(pattern)); err != nil && err.(*Error).Fatal == nil {
			t.Error(err)
		}
	})
}
