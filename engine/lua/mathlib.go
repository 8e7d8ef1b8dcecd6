package lua

import "math"

// random is the generator behind math.random: a 48-bit linear congruential one, the rand48 that Redis
// uses, so that a script which seeds it draws the same numbers here and there.
type random struct{ x uint64 }

const (
	randomFactor = 0x5DEECE66D
	randomAddend = 0xB
	randomMask   = 1<<48 - 1
)

func (r *random) seed(n int32) { r.x = uint64(uint32(n))<<16 | 0x330E }

// next returns a number in [0, 2^31).
func (r *random) next() int32 {
	r.x = (r.x*randomFactor + randomAddend) & randomMask
	return int32(r.x >> 17)
}

// Seed sets the generator of math.random.
func (vm *VM) Seed(n int32) { vm.random.seed(n) }

func openMath(vm *VM) {
	t := vm.NewTable(0, 32)
	vm.globals.SetText("math", Value{o: t})
	one := func(name string, f func(float64) float64) {
		t.SetText(name, vm.NewFunction(func(vm *VM, args []Value) []Value {
			x := vm.CheckNumber(args, 1)
			return vm.Ret(Num(settle(f(x), x, x)))
		}))
	}
	two := func(name string, f func(a, b float64) float64) {
		t.SetText(name, vm.NewFunction(func(vm *VM, args []Value) []Value {
			a, b := vm.CheckNumber(args, 1), vm.CheckNumber(args, 2)
			return vm.Ret(Num(settle(f(a, b), a, b)))
		}))
	}
	one("abs", math.Abs)
	one("acos", math.Acos)
	one("asin", math.Asin)
	one("atan", math.Atan)
	two("atan2", math.Atan2)
	one("ceil", math.Ceil)
	one("cos", math.Cos)
	one("cosh", math.Cosh)
	one("deg", func(x float64) float64 { return x / (math.Pi / 180) })
	one("exp", math.Exp)
	one("floor", math.Floor)
	two("fmod", math.Mod)
	one("log", math.Log)
	one("log10", math.Log10)
	two("mod", math.Mod)
	two("pow", math.Pow)
	one("rad", func(x float64) float64 { return x * (math.Pi / 180) })
	one("sin", math.Sin)
	one("sinh", math.Sinh)
	one("sqrt", math.Sqrt)
	one("tan", math.Tan)
	one("tanh", math.Tanh)
	vm.Register(t, []string{"frexp", "ldexp", "max", "min", "modf", "random", "randomseed"}, map[string]Native{
		"frexp": mathFrexp, "ldexp": mathLdexp, "max": mathMax, "min": mathMin, "modf": mathModf,
		"random": mathRandom, "randomseed": mathRandomseed,
	})
	t.SetText("huge", Num(math.Inf(1)))
	t.SetText("pi", Num(math.Pi))
}

func mathFrexp(vm *VM, args []Value) []Value {
	frac, exp := math.Frexp(vm.CheckNumber(args, 1))
	return vm.ret2(Num(frac), Num(float64(exp)))
}

func mathLdexp(vm *VM, args []Value) []Value {
	exp := min(max(vm.CheckInt(args, 2), math.MinInt32), math.MaxInt32)
	return vm.Ret(Num(math.Ldexp(vm.CheckNumber(args, 1), exp)))
}

func mathModf(vm *VM, args []Value) []Value {
	x := vm.CheckNumber(args, 1)
	if math.IsInf(x, 0) {
		return vm.ret2(Num(x), Num(math.Copysign(0, x)))
	}
	whole := math.Trunc(x)
	return vm.ret2(Num(whole), Num(math.Copysign(x-whole, x)))
}

func mathMax(vm *VM, args []Value) []Value {
	best := vm.CheckNumber(args, 1)
	for i := 2; i <= len(args); i++ {
		if x := vm.CheckNumber(args, i); x > best {
			best = x
		}
	}
	return vm.Ret(Num(best))
}

func mathMin(vm *VM, args []Value) []Value {
	best := vm.CheckNumber(args, 1)
	for i := 2; i <= len(args); i++ {
		if x := vm.CheckNumber(args, i); x < best {
			best = x
		}
	}
	return vm.Ret(Num(best))
}

func mathRandom(vm *VM, args []Value) []Value {
	const top = 1<<31 - 1
	r := float64(vm.random.next()%top) / top
	low, high := 1, 0
	switch len(args) {
	case 0:
		return vm.Ret(Num(r))
	case 1:
		high = vm.CheckInt(args, 1)
		if high < 1 {
			vm.ArgError(1, "interval is empty")
		}
	case 2:
		low, high = vm.CheckInt(args, 1), vm.CheckInt(args, 2)
		if low > high {
			vm.ArgError(2, "interval is empty")
		}
	default:
		vm.Fail("wrong number of arguments")
	}
	span := float64(high - low + 1)
	product := r * span
	return vm.Ret(Num(math.Floor(product) + float64(low)))
}

func mathRandomseed(vm *VM, args []Value) []Value {
	vm.random.seed(int32(vm.CheckInt(args, 1)))
	return nil
}
