package lua

import (
	"fmt"
	"strings"
)

func openBase(vm *VM) {
	g := vm.globals
	g.SetText("_G", Value{o: g})
	g.SetText("_VERSION", Text("Lua 5.1"))
	vm.Register(g, []string{
		"assert", "collectgarbage", "error", "gcinfo", "getmetatable", "load", "loadstring", "next", "pcall",
		"rawequal", "rawget", "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall",
	}, map[string]Native{
		"assert": baseAssert, "collectgarbage": baseCollect, "error": baseError, "gcinfo": baseGcinfo,
		"getmetatable": baseGetmetatable, "load": baseLoad, "loadstring": baseLoadstring, "next": baseNext,
		"pcall": basePcall, "rawequal": baseRawequal, "rawget": baseRawget, "rawset": baseRawset,
		"select": baseSelect, "setmetatable": baseSetmetatable, "tonumber": baseTonumber, "tostring": baseTostring,
		"type": baseType, "unpack": baseUnpack, "xpcall": baseXpcall,
	})
	next, step := g.GetText("next"), vm.NewFunction(ipairsStep)
	g.SetText("pairs", vm.NewFunction(func(vm *VM, args []Value) []Value {
		t := vm.CheckTable(args, 1)
		vm.ret = append(vm.ret[:0], next, Value{o: t}, Value{})
		return vm.ret
	}))
	g.SetText("ipairs", vm.NewFunction(func(vm *VM, args []Value) []Value {
		t := vm.CheckTable(args, 1)
		vm.ret = append(vm.ret[:0], step, Value{o: t}, Num(0))
		return vm.ret
	}))
}

func ipairsStep(vm *VM, args []Value) []Value {
	i := vm.CheckInt(args, 2) + 1
	v := vm.CheckTable(args, 1).GetInt(i)
	if v.o == nil {
		return nil
	}
	return vm.ret2(Num(float64(i)), v)
}

func baseAssert(vm *VM, args []Value) []Value {
	if vm.checkAny(args, 1).Truth() {
		return args
	}
	message := "assertion failed!"
	if len(args) > 1 && args[1].o != nil {
		message = vm.CheckString(args, 2)
	}
	vm.Fail("%s", message)
	return nil
}

// The collector is not the script's business: these say what the run has allocated.
func (vm *VM) kilobytes() float64 { return float64(vm.Used().Bytes >> 10) }

func baseGcinfo(vm *VM, _ []Value) []Value { return vm.Ret(Num(vm.kilobytes())) }

func baseCollect(vm *VM, args []Value) []Value {
	option := "collect"
	if len(args) > 0 && args[0].o != nil {
		option = vm.CheckString(args, 1)
	}
	switch option {
	case "count":
		return vm.Ret(Num(vm.kilobytes()))
	case "step":
		return vm.Ret(Bool(true))
	case "collect", "stop", "restart":
		return vm.Ret(Num(0))
	case "setpause", "setstepmul":
		return vm.Ret(Num(200))
	}
	vm.ArgError(1, "invalid option '"+option+"'")
	return nil
}

func baseError(vm *VM, args []Value) []Value {
	level := vm.optInt32(args, 2, 1)
	v := first(args)
	if s, ok := v.Coerce(); ok && level > 0 {
		where := vm.where(level)
		vm.ChargeText(len(where) + len(s))
		v = Text(where + s)
	}
	vm.Raise(v)
	return nil
}

func baseGetmetatable(vm *VM, args []Value) []Value {
	mt := vm.metatable(vm.checkAny(args, 1))
	if mt == nil {
		return vm.Ret(Value{})
	}
	if p := mt.getStr(eventMetatable); p.o != nil {
		return vm.Ret(p)
	}
	return vm.Ret(Value{o: mt})
}

func baseSetmetatable(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	var mt *Table
	if len(args) < 2 || args[1].o != nil {
		if len(args) < 2 || args[1].Table() == nil {
			vm.ArgError(2, "nil or table expected")
		}
		mt = args[1].Table()
	}
	if t.meta != nil && t.meta.getStr(eventMetatable).o != nil {
		vm.Fail("cannot change a protected metatable")
	}
	if t.readonly {
		vm.fault("Attempt to modify a readonly table")
	}
	t.meta = mt
	return vm.Ret(args[0])
}

// SetMeta gives a table a metatable.
func (t *Table) SetMeta(mt *Table) { t.meta = mt }

func baseLoad(vm *VM, args []Value) []Value {
	reader := vm.checkFunction(args, 1)
	name := "=(load)"
	if len(args) > 1 && args[1].o != nil {
		name = vm.CheckString(args, 2)
	}
	var src strings.Builder
	for {
		piece := first(vm.Call(reader))
		if piece.o == nil {
			break
		}
		s, ok := piece.Coerce()
		if !ok {
			return vm.ret2(Value{}, Text("reader function must return a string"))
		}
		if s == "" {
			break
		}
		vm.ChargeText(len(s))
		src.WriteString(s)
	}
	return vm.load(src.String(), name)
}

func baseLoadstring(vm *VM, args []Value) []Value {
	src := vm.CheckString(args, 1)
	name := src
	if len(args) > 1 && args[1].o != nil {
		name = vm.CheckString(args, 2)
	}
	return vm.load(src, name)
}

const compileSteps = 8 // that compiling a byte of source costs

func (vm *VM) load(src, name string) []Value {
	vm.chargeBytes(len(src) * chunkBytesPerByte)
	vm.Charge(len(src) * compileSteps)
	c, err := compile(chunkName(name, 80), chunkName(name, 60), src)
	if err != nil {
		return vm.ret2(Value{}, vm.NewString(err.Error()))
	}
	return vm.Ret(Value{o: &Function{proto: c.main}})
}

// chunkName returns how messages show the name of a chunk: names that begin with = or @ as they are, others
// as the source text that they are, shortened to room, which counts a final zero.
func chunkName(name string, room int) string {
	if name == "" {
		return `[string ""]`
	}
	switch name[0] {
	case '=':
		return name[1:min(len(name), room)]
	case '@':
		name = name[1:]
		if limit := room - len(" '...' ") - 1; len(name) > limit {
			return "..." + name[len(name)-limit:]
		}
		return name
	}
	line := name
	if i := strings.IndexAny(line, "\r\n\x00"); i >= 0 {
		line = line[:i]
	}
	line = line[:min(len(line), room-len(` [string "..."] `)-1)]
	if line != name {
		line += "..."
	}
	return `[string "` + line + `"]`
}

func baseNext(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	var key Value
	if len(args) > 1 {
		key = args[1]
	}
	k, v, ok := t.Next(key)
	if !ok {
		vm.fault("invalid key to 'next'")
	}
	if k.o == nil {
		return vm.Ret(Value{})
	}
	return vm.ret2(k, v)
}

func basePcall(vm *VM, args []Value) []Value {
	f := vm.checkAny(args, 1)
	ret, raised := vm.PCall(f, args[1:]...)
	if raised != nil {
		return vm.ret2(Bool(false), raised.Value)
	}
	return vm.prefixTrue(ret)
}

// prefixTrue returns true and the values that a call returned.
func (vm *VM) prefixTrue(ret []Value) []Value {
	n := len(ret)
	vm.ret = append(ret, Value{})
	copy(vm.ret[1:], vm.ret[:n])
	vm.ret[0] = Bool(true)
	return vm.ret
}

func baseXpcall(vm *VM, args []Value) []Value {
	handler := vm.checkAny(args, 2)
	f := args[0]
	ret, raised := vm.PCall(f)
	if raised == nil {
		return vm.prefixTrue(ret)
	}
	handled, again := vm.PCall(handler, raised.Value)
	if again != nil {
		return vm.ret2(Bool(false), Text("error in error handling"))
	}
	return vm.ret2(Bool(false), first(handled))
}

func baseRawequal(vm *VM, args []Value) []Value {
	return vm.Ret(Bool(rawEqual(vm.checkAny(args, 1), vm.checkAny(args, 2))))
}

func baseRawget(vm *VM, args []Value) []Value {
	return vm.Ret(vm.CheckTable(args, 1).Get(vm.checkAny(args, 2)))
}

func baseRawset(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	key, val := vm.checkAny(args, 2), vm.checkAny(args, 3)
	vm.checkStore(t, key)
	t.Set(key, val)
	return vm.Ret(args[0])
}

func baseSelect(vm *VM, args []Value) []Value {
	if len(args) > 0 {
		if s, ok := args[0].Str(); ok && strings.HasPrefix(s, "#") {
			return vm.Ret(Num(float64(len(args) - 1)))
		}
	}
	i := vm.checkInt32(args, 1)
	if i < 0 {
		i += len(args)
	}
	if i < 1 {
		vm.ArgError(1, "index out of range")
	}
	if i >= len(args) {
		return nil
	}
	return args[i:]
}

func baseTonumber(vm *VM, args []Value) []Value {
	base := vm.optInt32(args, 2, 10)
	if base == 10 {
		if f, ok := vm.checkAny(args, 1).ToNumber(); ok {
			return vm.Ret(Num(f))
		}
		return vm.Ret(Value{})
	}
	s := vm.CheckString(args, 1)
	if base < 2 || base > 36 {
		vm.ArgError(2, "base out of range")
	}
	f, ok := parseUnsigned(s, uint64(base))
	if !ok {
		return vm.Ret(Value{})
	}
	return vm.Ret(Num(f))
}

// parseUnsigned converts as C's strtoul does, which takes a sign and saturates.
func parseUnsigned(s string, base uint64) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if base == 16 && len(s) > 2 && s[0] == '0' && s[1]|32 == 'x' {
		s = s[2:]
	}
	if s == "" {
		return 0, false
	}
	var n uint64
	saturated := false
	for i := 0; i < len(s); i++ {
		d := digit(s[i])
		if d >= base {
			return 0, false
		}
		if n > (1<<64-1-d)/base {
			saturated = true
		}
		n = n*base + d
	}
	if saturated {
		return 1 << 64, true
	}
	if neg {
		n = -n
	}
	return float64(n), true
}

func digit(c byte) uint64 {
	switch {
	case isDigit(c):
		return uint64(c - '0')
	case isAlpha(c):
		return uint64(c|32-'a') + 10
	}
	return 1 << 32
}

func baseTostring(vm *VM, args []Value) []Value {
	return vm.Ret(vm.tostring(vm.checkAny(args, 1)))
}

// tostring is Lua's function of that name.
func (vm *VM) tostring(v Value) Value {
	if h := vm.metamethod(v, eventToString); h.o != nil {
		return first(vm.Call(h, v))
	}
	if _, ok := v.o.(*Str); ok {
		return v
	}
	vm.dear(dearNumber)
	return vm.NewString(vm.ToString(v))
}

// address shows an object as the reference does, with its identity in place of an address.
func (vm *VM) address(v Value) string {
	var id uint32
	switch o := v.o.(type) {
	case *Table:
		id = vm.identity(&o.id)
	case *Function:
		id = vm.identity(&o.id)
	case *coroutine:
		id = vm.identity(&o.id)
	}
	return fmt.Sprintf("%s: 0x%012x", v.Kind(), 0x7f0000000000+uint64(id)*64)
}

func baseType(vm *VM, args []Value) []Value {
	return vm.Ret(kindTexts[vm.checkAny(args, 1).Kind()])
}

var kindTexts = func() (texts [len(kindNames)]Value) {
	for i, name := range kindNames {
		texts[i] = Value{o: constant(name)}
	}
	return texts
}()

func baseUnpack(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	i := vm.optInt32(args, 2, 1)
	end := 0
	if len(args) < 3 || args[2].o == nil {
		end = t.Len()
	} else {
		end = vm.checkInt32(args, 3)
	}
	if i > end {
		return nil
	}
	n := end - i + 1
	if n <= 0 || n+len(args) > maxUnpacked {
		vm.Fail("too many results to unpack")
	}
	vm.Charge(n)
	vm.ret = vm.ret[:0]
	for k := range n {
		vm.ret = append(vm.ret, t.GetInt(i+k))
	}
	return vm.ret
}
