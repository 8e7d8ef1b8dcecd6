package lua

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
)

func openStruct(vm *VM) {
	t := vm.NewTable(0, 4)
	vm.globals.SetText("struct", Value{o: t})
	vm.Register(t, []string{"pack", "unpack", "size"}, map[string]Native{
		"pack": structPack, "unpack": structUnpack, "size": structSize,
	})
}

const (
	structMaxInt   = 32 // bytes of the option i
	structMaxAlign = 8
)

// layout walks a format of the struct library. The format ends at its first zero byte.
type layout struct {
	vm    *VM
	fmt   string
	big   bool
	align int
}

func newLayout(vm *VM, args []Value) *layout {
	return &layout{vm: vm, fmt: cString(vm.CheckString(args, 1)), align: 1}
}

// next returns the next option, its size, and the padding that brings pos to its alignment.
func (l *layout) next(pos int) (opt byte, size, padding int) {
	opt = l.fmt[0]
	l.fmt = l.fmt[1:]
	l.vm.Charge(1)
	l.vm.dear(dearPacked)
	switch opt {
	case 'B', 'b', 'x':
		size = 1
	case 'H', 'h':
		size = 2
	case 'L', 'l', 'T', 'd':
		size = 8
	case 'f':
		size = 4
	case 'c':
		size = l.number(1)
	case 'i', 'I':
		size = l.number(4)
		if size > structMaxInt {
			l.vm.Fail("integral size %d is larger than limit of %d", size, structMaxInt)
		}
	}
	if size > 0 && opt != 'c' {
		a := min(size, l.align)
		padding = (a - pos&(a-1)) & (a - 1)
	}
	return opt, size, padding
}

func (l *layout) number(otherwise int) int {
	if l.fmt == "" || !isDigit(l.fmt[0]) {
		return otherwise
	}
	n := 0
	for l.fmt != "" && isDigit(l.fmt[0]) {
		if n = n*10 + int(l.fmt[0]-'0'); n > math.MaxInt32 {
			l.vm.Fail("integral size overflow")
		}
		l.fmt = l.fmt[1:]
	}
	return n
}

// control obeys an option that has no data.
func (l *layout) control(opt byte) {
	switch opt {
	case ' ':
	case '>':
		l.big = true
	case '<':
		l.big = false
	case '!':
		a := l.number(structMaxAlign)
		if bits.OnesCount(uint(a)) != 1 {
			l.vm.Fail("alignment %d is not a power of 2", a)
		}
		l.align = a
	default:
		l.vm.ArgError(1, "invalid format option '"+string([]byte{opt})+"'")
	}
}

func (l *layout) appendInt(b []byte, f float64, size int) []byte {
	n := unsigned(f)
	b = l.vm.reserve(b, size)
	start := len(b)
	for range size {
		b = append(b, byte(n))
		n >>= 8
	}
	if l.big {
		reverse(b[start:])
	}
	return b
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

// integer reads a number of any size; what exceeds 64 bits is lost.
func (l *layout) integer(data string, signed bool) float64 {
	var n uint64
	for i := range len(data) {
		if l.big {
			n = n<<8 | uint64(data[i])
		} else {
			n = n<<8 | uint64(data[len(data)-1-i])
		}
	}
	if !signed {
		return float64(n)
	}
	if mask := ^uint64(0) << ((len(data)*8 - 1) & 63); n&mask != 0 {
		n |= mask
	}
	return float64(int64(n))
}

func (l *layout) order() binary.ByteOrder {
	if l.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func structPack(vm *VM, args []Value) []Value {
	l := newLayout(vm, args)
	args = append(args[:len(args):len(args)], Value{}) // the reference takes one more for nil
	var out []byte
	var buf [8]byte
	for arg := 2; l.fmt != ""; {
		opt, size, padding := l.next(len(out))
		out = vm.appendText(out, strings.Repeat("\x00", padding))
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			out = l.appendInt(out, vm.CheckNumber(args, arg), size)
			arg++
		case 'x':
			out = vm.appendText(out, "\x00")
		case 'f':
			l.order().PutUint32(buf[:], math.Float32bits(float32(plainNaN(vm.CheckNumber(args, arg)))))
			out = vm.appendText(out, string(buf[:4]))
			arg++
		case 'd':
			l.order().PutUint64(buf[:], math.Float64bits(plainNaN(vm.CheckNumber(args, arg))))
			out = vm.appendText(out, string(buf[:]))
			arg++
		case 'c', 's':
			s := vm.CheckString(args, arg)
			arg++
			if size == 0 {
				size = len(s)
			}
			if len(s) < size {
				vm.ArgError(arg, "string too short")
			}
			out = vm.appendText(out, s[:size])
			if opt == 's' {
				out = vm.appendText(out, "\x00")
			}
		default:
			l.control(opt)
		}
	}
	vm.ChargeText(len(out))
	return vm.Ret(Text(string(out)))
}

func structUnpack(vm *VM, args []Value) []Value {
	l := newLayout(vm, args)
	data := vm.CheckString(args, 2)
	pos := vm.OptInt(args, 3, 1)
	if pos == 0 {
		vm.ArgError(3, "offset must be 1 or greater")
	}
	pos--
	var vals []Value
	for l.fmt != "" {
		opt, size, padding := l.next(pos)
		pos += padding
		l.check(data, pos, size)
		if len(vals) >= maxUnpacked-8 {
			vm.Fail("stack overflow (too many results)")
		}
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			vals = append(vals, Num(l.integer(data[pos:pos+size], opt >= 'a')))
		case 'x':
		case 'f':
			bits := l.order().Uint32([]byte(data[pos : pos+4]))
			vals = append(vals, Num(float64(math.Float32frombits(bits))))
		case 'd':
			bits := l.order().Uint64([]byte(data[pos : pos+8]))
			vals = append(vals, Num(math.Float64frombits(bits)))
		case 'c':
			if size == 0 {
				size, vals = l.previous(vals)
				l.check(data, pos, size)
			}
			vals = append(vals, vm.NewString(data[pos:pos+size]))
		case 's':
			end := strings.IndexByte(data[pos:], 0)
			if end < 0 {
				vm.Fail("unfinished string in data")
			}
			vals = append(vals, vm.NewString(data[pos:pos+end]))
			size = end + 1
		default:
			l.control(opt)
		}
		pos += size
	}
	vm.ret = append(append(vm.ret[:0], vals...), Num(float64(pos+1)))
	return vm.ret
}

func (l *layout) check(data string, pos, size int) {
	if pos < 0 || size < 0 || size > len(data) || pos > len(data)-size {
		l.vm.ArgError(2, "data string too short")
	}
}

// previous takes the size of a string from the number read before it.
func (l *layout) previous(vals []Value) (int, []Value) {
	if n := len(vals); n > 0 {
		if f, ok := vals[n-1].ToNumber(); ok {
			return truncate(f), vals[:n-1]
		}
	}
	l.vm.Fail("format 'c0' needs a previous size")
	return 0, nil
}

func structSize(vm *VM, args []Value) []Value {
	l := newLayout(vm, args)
	pos := 0
	for l.fmt != "" {
		opt, size, padding := l.next(pos)
		switch {
		case opt == 's':
			vm.ArgError(1, "option 's' has no fixed size")
		case opt == 'c' && size == 0:
			vm.ArgError(1, "option 'c0' has no fixed size")
		case !isAlpha(opt) && !isDigit(opt):
			l.control(opt)
		}
		pos += padding + size
	}
	return vm.Ret(Num(float64(pos)))
}
