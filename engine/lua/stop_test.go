package lua

import (
	"errors"
	"sync/atomic"
	"testing"
)

// Steps that are dealt out in portions are as many as all at once, and end a script at the
// same place.
func TestPortionsAreTheSameInSum(t *testing.T) {
	for _, source := range []string{
		`local t = {} for i = 1, 500 do t[#t + 1] = i end return #t`,
		`return string.rep("x", 1000) .. table.concat({1, 2, 3}, ",")`,
		`local ok, err = pcall(error, "x") for i = 1, 50 do pcall(string.find, "aaaa", "a*b") end return ok`,
		`local co = coroutine.wrap(function() for i = 1, 50 do coroutine.yield(i) end end) for i = 1, 50 do co() end return 1`,
		`while true do end`,
		`table.sort({5, 2, 9, 1}, function(a, b) return a < b end) return tostring(1e10)`,
	} {
		c, err := Compile("test", source)
		if err != nil {
			t.Fatal(err)
		}
		run := func(steps, portion int64) (string, Limits) {
			vm := newSealed()
			vm.Begin(Limits{Steps: steps, Bytes: 1 << 20, Dear: true})
			vm.Seed(42)
			defer vm.End()
			if portion > 0 {
				vm.portion = portion
				vm.Heed(new(atomic.Bool))
			}
			vals, err := vm.Run(c)
			if err != nil {
				return err.Error(), vm.Used()
			}
			return vm.ToString(vals[0]), vm.Used()
		}
		for _, steps := range []int64{0, 1, 2, 7, 100, 999, 1000, 1001, 5000, 20000} {
			want, used := run(steps, 0)
			for _, portion := range []int64{1, 2, 7, 1000, stopSteps} {
				if got, u := run(steps, portion); got != want || u != used {
					t.Errorf("%s with %d steps in portions of %d: %q, used %+v; at once %q, used %+v", source, steps, portion, got, u, want, used)
				}
			}
		}
	}
}

// What is stopped ends soon, and can't catch it.
func TestStop(t *testing.T) {
	c, err := Compile("test", `while true do pcall(function() while true do end end) end`)
	if err != nil {
		t.Fatal(err)
	}
	vm := newSealed()
	vm.Begin(Limits{Steps: 1 << 40, Bytes: 1 << 20})
	defer vm.End()
	var stop atomic.Bool
	stop.Store(true)
	vm.Heed(&stop)
	var e *Error
	if _, err := vm.Run(c); !errors.As(err, &e) || e.Fatal != ErrStopped {
		t.Errorf("got %v", err)
	}
	if used := vm.Used().Steps; used > 2*stopSteps {
		t.Errorf("stopped after %d steps", used)
	}
}
