package lua

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

var testLimits = Limits{Steps: 2_000_000, Bytes: 32 << 20}

// newSealed returns a VM as programs use it.
func newSealed() *VM {
	vm := New()
	vm.Seal()
	return vm
}

// outcome runs a script and shows all that came of it, what it used included.
func outcome(vm *VM, source string) (text string, used Limits) {
	c, err := Compile("test", source)
	if err != nil {
		return err.Error(), Limits{}
	}
	vm.Begin(testLimits)
	vm.Seed(42)
	defer vm.End()
	vals, err := vm.Run(c)
	if err != nil {
		return "error: " + err.Error(), vm.Used()
	}
	var b strings.Builder
	for _, v := range vals {
		b.WriteString(vm.ToString(v) + "\n")
	}
	return b.String(), vm.Used()
}

// probe shows what one run could leave to the next.
const probe = `
	local out = {}
	for k, v in pairs(_G) do out[#out + 1] = k .. tostring(v) end
	for k, v in pairs(string) do out[#out + 1] = k .. tostring(v) end
	for _, v in ipairs({math.random(), tostring({}), tostring(print), tostring(function() end), cjson.encode_max_depth(),
		tostring(cjson.encode_sparse_array()), cjson.encode_number_precision(), collectgarbage("count"),
		tostring(coroutine.running()), tostring(getmetatable("").__index)}) do out[#out + 1] = tostring(v) end
	local order = {[{}] = 1, [function() end] = 2, [coroutine.create(function() end)] = 3}
	for _, v in pairs(order) do out[#out + 1] = v end
	return table.concat(out, " ")`

// TestNothingIsLeft runs scripts that leave what they can, and then looks for it.
func TestNothingIsLeft(t *testing.T) {
	fresh, freshUsed := outcome(newSealed(), probe)
	for _, dirty := range []string{
		`cjson.encode_max_depth(3) cjson.encode_sparse_array(true) cjson.encode_number_precision(2)`,
		`math.randomseed(7) for i = 1, 100 do math.random() end`,
		`for i = 1, 1000 do tostring({}) tostring(string) end`,
		`local co = coroutine.wrap(function() while true do coroutine.yield() end end) co() co()`,
		`local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) error("x")`,
		`coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()`,
		`local function f() return 1 + f() end f()`,
		`local t = {} for i = 1, 1e9 do t[i] = {} end`,
		`pcall(function() string.x = 1 end) pcall(rawset, _G, "x", 1) pcall(setmetatable, string, {}) x = 1`,
		`getmetatable("").__index = nil`,
		`return (("x"):rep(1000):gsub(".", function(c) error(c) end))`,
		`table.sort({3, 2, 1}, function() error("x") end)`,
		`return unpack({}, 1, 7000)`,
	} {
		vm := newSealed()
		outcome(vm, dirty)
		if got, used := outcome(vm, probe); got != fresh || used != freshUsed {
			t.Errorf("after %s\ngot  %v %.300s\nwant %v %.300s", dirty, used, got, freshUsed, fresh)
		}
	}
}

// TestCoroutinesEnd counts goroutines after scripts that abandon coroutines.
func TestCoroutinesEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	vm := newSealed()
	for range 20 {
		outcome(vm, `for i = 1, 20 do
			local co = coroutine.wrap(function() coroutine.wrap(function() coroutine.yield() end)() coroutine.yield() end) co() end`)
	}
	for range 100 { // a goroutine that has told its end still has to return
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond) // a poll, bounded
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// TestUsedIsFixed states what some scripts cost. A change of these figures changes which scripts fail: nodes
// of two versions must not run together then without the cluster's version being raised.
func TestUsedIsFixed(t *testing.T) {
	for _, tc := range []struct {
		source string
		want   Limits
	}{
		{`return 1`, Limits{Steps: 4, Bytes: 0}},
		{`local s = 0 for i = 1, 100 do s = s + i end return s`, Limits{Steps: 509, Bytes: 0}},
		{`local t = {} for i = 1, 100 do t[i] = tostring(i) end return table.concat(t, ",")`, Limits{Steps: 1052, Bytes: 11564}},
		{`return cjson.encode(cjson.decode('{"a":[1,2,3]}'))`, Limits{Steps: 44, Bytes: 622}},
		{`return (("hello world"):gsub("o", "0"))`, Limits{Steps: 25, Bytes: 763}},
	} {
		if _, used := outcome(newSealed(), tc.source); used != tc.want {
			t.Errorf("%s\nused %v, want %v", tc.source, used, tc.want)
		}
	}
}

// FuzzRun runs any script on two machines, which have to agree on everything.
func FuzzRun(f *testing.F) {
	for _, s := range []string{
		probe, `return 1 + "2" .. 3`, `local t = {} for i = 1, 10 do t[i] = i * i end return #t, unpack(t)`,
		`for k, v in pairs({a = 1, b = 2, [3] = 4}) do return k, v end`, `return pcall(error, {})`,
		`local co = coroutine.wrap(function(...) coroutine.yield(...) end) return co(1, 2)`,
		`return ("x"):rep(10):gsub("x*", "%0")`, `return string.format("%5.2f %q %s", 1, "a", {})`,
		`local function f(...) return select("#", ...), arg end return f(1, 2)`, `goto x`, `x = = 1`,
		`return struct.unpack("<I4c0s!8d", "abcdefgh")`, `return cmsgpack.unpack(cmsgpack.pack({1, {a = 1}}))`,
		`return cjson.decode("[1,2,{\"a\":null}]")`, `return setmetatable({}, {__index = function(t, k) return t end}).a.b`,
		`local a = {} ; a[a] = a ; repeat local b = a until b ; while a do break end`, `return bit.tohex(-1, 4)`,
		"return [==[\n]==]\n", "--[[", "return '\\065\\n", `return table.sort({3, 1, 2}, function(a, b) return a > b end)`,
	} {
		f.Add(s)
	}
	one, two := newSealed(), newSealed()
	f.Fuzz(func(t *testing.T, source string) {
		text, used := outcome(one, source)
		again, usedAgain := outcome(two, source)
		if text != again || used != usedAgain {
			t.Errorf("%q\n%q %v\n%q %v", source, text, used, again, usedAgain)
		}
	})
}
