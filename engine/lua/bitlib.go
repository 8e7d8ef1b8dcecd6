package lua

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

func openBit(vm *VM) {
	t := vm.NewTable(0, 16)
	vm.globals.SetText("bit", Value{o: t})
	shift := func(f func(x, n uint32) uint32) Native {
		return func(vm *VM, args []Value) []Value {
			return bitResult(vm, f(bitArg(vm, args, 1), bitArg(vm, args, 2)&31))
		}
	}
	fold := func(f func(a, b uint32) uint32) Native {
		return func(vm *VM, args []Value) []Value {
			x := bitArg(vm, args, 1)
			for i := len(args); i > 1; i-- { // the last is looked at first
				x = f(x, bitArg(vm, args, i))
			}
			return bitResult(vm, x)
		}
	}
	single := func(f func(x uint32) uint32) Native {
		return func(vm *VM, args []Value) []Value { return bitResult(vm, f(bitArg(vm, args, 1))) }
	}
	vm.Register(t, []string{
		"tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "bswap", "tohex",
	}, map[string]Native{
		"tobit":   single(func(x uint32) uint32 { return x }),
		"bnot":    single(func(x uint32) uint32 { return ^x }),
		"bswap":   single(bits.ReverseBytes32),
		"band":    fold(func(a, b uint32) uint32 { return a & b }),
		"bor":     fold(func(a, b uint32) uint32 { return a | b }),
		"bxor":    fold(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shift(func(x, n uint32) uint32 { return x << n }),
		"rshift":  shift(func(x, n uint32) uint32 { return x >> n }),
		"arshift": shift(func(x, n uint32) uint32 { return uint32(int32(x) >> n) }),
		"rol":     shift(func(x, n uint32) uint32 { return bits.RotateLeft32(x, int(n)) }),
		"ror":     shift(func(x, n uint32) uint32 { return bits.RotateLeft32(x, -int(n)) }),
		"tohex":   bitToHex,
	})
}

// bitArg rounds a number to an integer modulo 2^32: adding 1.5*2^52 leaves it in the low bits.
func bitArg(vm *VM, args []Value, n int) uint32 {
	return uint32(math.Float64bits(plainNaN(vm.CheckNumber(args, n)) + 3<<51))
}

func bitResult(vm *VM, x uint32) []Value { return vm.Ret(Num(float64(int32(x)))) }

func bitToHex(vm *VM, args []Value) []Value {
	x := bitArg(vm, args, 1)
	n := 8
	if len(args) > 1 {
		n = int(int32(bitArg(vm, args, 2)))
	}
	upper := n < 0
	if upper {
		n = -n
	}
	s := strconv.FormatUint(uint64(x), 16)
	s = strings.Repeat("0", 8-len(s)) + s
	s = s[8-min(n, 8):]
	if upper {
		s = strings.ToUpper(s)
	}
	return vm.Ret(Text(s))
}
