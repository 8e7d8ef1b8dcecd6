package lua

import (
	"encoding/binary"
	"math"
)

func openMsgpack(vm *VM) {
	t := vm.NewTable(0, 8)
	vm.globals.SetText("cmsgpack", Value{o: t})
	vm.Register(t, []string{"pack", "unpack", "unpack_one", "unpack_limit"}, map[string]Native{
		"pack": msgpackPack,
		"unpack": func(vm *VM, args []Value) []Value {
			return msgpackUnpack(vm, vm.CheckString(args, 1), 0, 0)
		},
		"unpack_one": func(vm *VM, args []Value) []Value {
			offset := vm.OptInt(args, 2, 0)
			return msgpackUnpack(vm, vm.CheckString(args, 1), 1, offset)
		},
		"unpack_limit": func(vm *VM, args []Value) []Value {
			limit, offset := vm.CheckInt(args, 2), vm.OptInt(args, 3, 0)
			return msgpackUnpack(vm, vm.CheckString(args, 1), limit, offset)
		},
	})
	t.SetText("_NAME", Text("cmsgpack"))
	t.SetText("_VERSION", Text("lua-cmsgpack 0.4.0"))
	t.SetText("_COPYRIGHT", Text("Copyright (C) 2012, Salvatore Sanfilippo"))
	t.SetText("_DESCRIPTION", Text("MessagePack C implementation for Lua"))
}

const (
	msgpackPackDepth   = 16   // tables nested deeper are packed as nil
	msgpackUnpackDepth = 1000 // nested collections that unpack reads
)

// packer writes MessagePack.
type packer struct {
	vm  *VM
	out []byte
}

func msgpackPack(vm *VM, args []Value) []Value {
	if len(args) == 0 {
		vm.ArgError(0, "MessagePack pack needs input.")
	}
	p := &packer{vm: vm}
	for _, v := range args {
		p.value(v, 0)
	}
	vm.ChargeText(len(p.out))
	return vm.Ret(Text(string(p.out)))
}

// grow pays for n bytes about to be appended.
func (p *packer) grow(n int) {
	p.vm.Charge(1)
	p.vm.dear(dearPacked)
	p.out = p.vm.reserve(p.out, n)
}

func (p *packer) value(v Value, depth int) {
	p.grow(9)
	switch o := v.o.(type) {
	case *Str:
		p.text(o.s)
	case *boolTag:
		p.out = append(p.out, 0xc2+byte(v.n))
	case *numberTag:
		p.number(v.n)
	case *Table:
		if depth < msgpackPackDepth {
			p.table(o, depth)
			return
		}
		p.out = append(p.out, 0xc0)
	default:
		p.out = append(p.out, 0xc0)
	}
}

// head appends a type byte and a number of the given width.
func (p *packer) head(kind byte, n uint64, width int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	p.out = append(append(p.out, kind), b[8-width:]...)
}

func (p *packer) text(s string) {
	p.grow(len(s) + 5)
	switch n := len(s); {
	case n < 32:
		p.out = append(p.out, 0xa0|byte(n))
	case n <= math.MaxUint8:
		p.head(0xd9, uint64(n), 1)
	case n <= math.MaxUint16:
		p.head(0xda, uint64(n), 2)
	default:
		p.head(0xdb, uint64(n), 4)
	}
	p.out = append(p.out, s...)
}

func (p *packer) number(f float64) {
	if f >= -1<<63 && f < 1<<63 && float64(int64(f)) == f {
		p.integer(int64(f))
		return
	}
	if f32 := float32(f); float64(f32) == f {
		p.head(0xca, uint64(math.Float32bits(f32)), 4)
		return
	}
	p.head(0xcb, math.Float64bits(plainNaN(f)), 8)
}

func (p *packer) integer(n int64) {
	switch {
	case n >= -32 && n <= math.MaxInt8:
		p.out = append(p.out, byte(n))
	case n < math.MinInt32:
		p.head(0xd3, uint64(n), 8)
	case n < math.MinInt16:
		p.head(0xd2, uint64(n), 4)
	case n < math.MinInt8:
		p.head(0xd1, uint64(n), 2)
	case n < 0:
		p.head(0xd0, uint64(n), 1)
	case n <= math.MaxUint8:
		p.head(0xcc, uint64(n), 1)
	case n <= math.MaxUint16:
		p.head(0xcd, uint64(n), 2)
	case n <= math.MaxUint32:
		p.head(0xce, uint64(n), 4)
	default:
		p.head(0xcf, uint64(n), 8)
	}
}

// count appends the head of a collection.
func (p *packer) count(small, wide byte, n int) {
	switch {
	case n <= 15:
		p.out = append(p.out, small|byte(n))
	case n <= math.MaxUint16:
		p.head(wide, uint64(n), 2)
	default:
		p.head(wide+1, uint64(n), 4)
	}
}

func (p *packer) table(t *Table, depth int) {
	entries, isArray := t.shape()
	if isArray {
		n := t.Len()
		p.count(0x90, 0xdc, n)
		for i := 1; i <= n; i++ {
			p.value(p.vm.Index(Value{o: t}, Num(float64(i))), depth+1)
		}
		return
	}
	p.count(0x80, 0xde, entries)
	for k, v, _ := t.Next(Value{}); k.o != nil; k, v, _ = t.Next(k) {
		p.value(k, depth+1)
		p.value(v, depth+1)
	}
}

// shape counts the entries, and reports whether their keys are 1 to that count.
func (t *Table) shape() (entries int, isArray bool) {
	highest := 0.0
	isArray = true
	for k, _, _ := t.Next(Value{}); k.o != nil; k, _, _ = t.Next(k) {
		entries++
		f, ok := k.Float()
		if !ok || f <= 0 || f != math.Floor(f) || math.IsInf(f, 0) {
			isArray = false
		}
		highest = max(highest, f)
	}
	t.vm.Charge(entries)
	return entries, isArray && highest == float64(entries)
}

// unpacker reads MessagePack.
type unpacker struct {
	vm   *VM
	data string
	pos  int
}

// msgpackUnpack reads up to limit values from the offset on. Limit and offset zero mean all values, and then
// the next offset is not among the results.
func msgpackUnpack(vm *VM, data string, limit, offset int) []Value {
	if offset < 0 || limit < 0 {
		vm.Fail("Invalid request to unpack with offset of %d and limit of %d.", int32(offset), len(data))
	}
	if offset > len(data) {
		vm.Fail("Start offset %d greater than input length %d.", int32(offset), len(data))
	}
	all := limit == 0 && offset == 0
	if all {
		limit = math.MaxInt32
	}
	u := &unpacker{vm: vm, data: data, pos: offset}
	var vals []Value
	if !all {
		vals = append(vals, Value{})
	}
	for n := 0; u.pos < len(data) && n < limit; n++ {
		if len(vals) >= maxUnpacked-8 {
			vm.Fail("stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
		}
		vals = append(vals, u.value(0))
	}
	if !all {
		vals[0] = Num(float64(u.pos))
		if u.pos == len(data) {
			vals[0] = Num(-1)
		}
	}
	vm.ret = append(vm.ret[:0], vals...)
	return vm.ret
}

// take returns the next n bytes.
func (u *unpacker) take(n int) string {
	if n < 0 || len(u.data)-u.pos < n {
		u.vm.Fail("Missing bytes in input.")
	}
	s := u.data[u.pos : u.pos+n]
	u.pos += n
	return s
}

// number reads a big-endian number of the given width.
func (u *unpacker) number(width int) uint64 {
	var n uint64
	s := u.take(width)
	for i := range len(s) {
		n = n<<8 | uint64(s[i])
	}
	return n
}

func (u *unpacker) signed(width int) Value {
	shift := 64 - 8*width
	return Num(float64(int64(u.number(width)<<shift) >> shift))
}

func (u *unpacker) text(n uint64) Value { return u.vm.NewString(u.take(int(n))) }

func (u *unpacker) value(depth int) Value {
	u.vm.Charge(2)
	u.vm.dear(dearPacked)
	if depth > msgpackUnpackDepth {
		u.vm.Fail("stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
	}
	c := u.take(1)[0]
	switch {
	case c <= 0x7f || c >= 0xe0:
		return Num(float64(int8(c)))
	case c <= 0x8f:
		return u.mapping(uint64(c&0x0f), depth)
	case c <= 0x9f:
		return u.array(uint64(c&0x0f), depth)
	case c <= 0xbf:
		return u.text(uint64(c & 0x1f))
	}
	switch c {
	case 0xc0:
		return Value{}
	case 0xc2, 0xc3:
		return Bool(c == 0xc3)
	case 0xca:
		return Num(float64(math.Float32frombits(uint32(u.number(4)))))
	case 0xcb:
		return Num(math.Float64frombits(u.number(8)))
	case 0xcc, 0xcd, 0xce, 0xcf: // one of eight bytes is taken as signed, too
		return Num(float64(int64(u.number(1 << (c - 0xcc)))))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return u.signed(1 << (c - 0xd0))
	case 0xd9, 0xda, 0xdb:
		return u.text(u.number(1 << (c - 0xd9)))
	case 0xdc, 0xdd:
		return u.array(u.number(2<<(c-0xdc)), depth)
	case 0xde, 0xdf:
		return u.mapping(u.number(2<<(c-0xde)), depth)
	}
	u.vm.Fail("Bad data format in input.")
	return Value{}
}

// A collection is allocated as its elements arrive: its announced size proves nothing.
func (u *unpacker) array(n uint64, depth int) Value {
	t := u.vm.NewTable(0, 0)
	for i := uint64(1); i <= n; i++ {
		t.SetInt(int(i), u.value(depth+1))
	}
	return Value{o: t}
}

func (u *unpacker) mapping(n uint64, depth int) Value {
	t := u.vm.NewTable(0, 0)
	for range n {
		k := u.value(depth + 1)
		v := u.value(depth + 1)
		u.vm.checkStore(t, k)
		t.Set(k, v)
	}
	return Value{o: t}
}
