package script_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// TestBounds runs scripts that want too much. Each has to end with an error, soon, and without having taken
// much more memory than its budget.
func TestBounds(t *testing.T) {
	const (
		budgetSteps = 1_000_000
		budgetBytes = 32 << 20

		seconds = 20 // a fiftieth of one, on a machine that does nothing else
		bytes   = 4 * budgetBytes
	)
	const budget = "budget" // of steps or of memory, whichever ends first
	for _, tc := range []struct{ name, source, want string }{
		{"endless loop", `while true do end`, budget},
		{"endless repeat", `repeat until false`, budget},
		{"endless for", `for i=1,math.huge do end`, budget},
		{"for of step zero", `for i=2,1,0 do end`, budget},
		{"loop in pcall", `while true do pcall(function() while true do end end) end`, budget},
		{"loop in xpcall", `xpcall(function() while true do end end, function() while true do end end)`, budget},
		{"loop in coroutine", `coroutine.wrap(function() while true do end end)()`, budget},
		{"endless tail calls", `local function f() return f() end f()`, budget},
		{"recursion", `local function f() return 1 + f() end f()`, "stack overflow"},
		{"recursion of arguments", `local function f(...) return 1 + f(1, ...) end f()`, budget},
		{"recursion by metatable", `local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]`, "C stack overflow"},
		{"recursion by pcall", `local function f() local ok, e = pcall(f) error(e, 0) end f()`, "C stack overflow"},
		{"recursion of tostring", `local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) tostring(t)`, "C stack overflow"},
		{"recursive coroutines", `local function f() return coroutine.wrap(f)() end f()`, ""},
		{"many coroutines", `local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() coroutine.yield() end) coroutine.resume(t[i]) end`, budget},
		{"long string", `return string.rep("x", 2^30)`, budget},
		{"longest string", `return string.rep("xx", 2^31-1)`, budget},
		{"doubled string", `local s = "x" while true do s = s .. s end`, budget},
		{"strings kept", `local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end`, budget},
		{"concat", `local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1e6) end return table.concat(t)`, budget},
		{"concat of one", `local s, t = ("x"):rep(1e6), {} for i = 1, 1000 do t[i] = s end return table.concat(t)`, budget},
		{"gsub", `return (("x"):rep(1e6):gsub("x", ("y"):rep(1e6)))`, budget},
		{"format", `local s = ("x"):rep(1e6) return (("%s"):rep(1000)):format(unpack((function() local t = {} for i = 1, 1000 do t[i] = s end return t end)()))`, budget},
		{"table of 1e9", `local t = {} for i = 1, 1e9 do t[i] = i end`, ""},
		{"sparse table", `local t = {} for i = 1, 1e9 do t[i * 1000] = i end`, ""},
		{"one far index", `local t = {} for i = 1, 1e7 do t = {} t[60000000] = 1 end`, budget},
		{"small tables", `local t = {} for i = 1, 1e9 do t[i] = {a = 1} end`, budget},
		{"closures", `local t = {} for i = 1, 1e9 do t[i] = function() return i end end`, budget},
		{"length of holes", `local t = {} for i = 1, 1e6 do t[i] = i end for i = 1, 1e6 - 1 do t[i] = nil end while true do local n = #t end`, budget},
		{"next over holes", `local t = {} for i = 1, 1e6 do t[i] = i end for i = 1, 1e6 - 1 do t[i] = nil end while true do next(t) end`, budget},
		{"insert at the front", `local t = {} while true do table.insert(t, 1, 1) end`, budget},
		{"insert far away", `table.insert({}, -2^31, 1)`, budget},
		{"unpack", `return unpack({}, 1, 2^31-1)`, "too many results"},
		{"concat of nothing", `local t = setmetatable({}, {}) return table.concat(t, "", 1, 2^31-1)`, "invalid value"},
		{"sort", `local t = {} for i = 1, 1e5 do t[i] = i % 2 end while true do table.sort(t) end`, budget},
		{"sort that contradicts itself", `local t = {} for i = 1, 1e4 do t[i] = i end table.sort(t, function() return true end)`, "invalid order"},
		{"long strings compared", `local a, b = ("x"):rep(1e7) .. "a", ("x"):rep(1e7) .. "a" while a == b do end`, budget},
		{"long strings ordered", `local a, b = ("x"):rep(1e7) .. "a", ("x"):rep(1e7) .. "b" while a < b do end`, budget},
		{"long strings as keys", `local t, s = {}, ("x"):rep(1e6) while true do t[s .. "x"] = 1 end`, budget},
		{"pattern of options", `return (("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30))`, budget},
		{"pattern of stars", `return (("a"):rep(100)):match(("a*"):rep(20) .. "b")`, budget},
		{"pattern of laziness", `return (("a"):rep(1000)):match(("a-"):rep(20) .. "b")`, budget},
		{"pattern of balance", `return (("("):rep(1e6)):find("%b()")`, budget},
		{"pattern set", `local s, p = ("x"):rep(1e6), "[" .. ("abcdefgh"):rep(1e5) .. "]" return s:find(p)`, budget},
		{"deep pattern", `return (("a"):rep(1e6)):find(("a?"):rep(1e6))`, "pattern too complex"},
		{"plain search", `local s, p = ("a"):rep(1e6), ("a"):rep(5e5) .. "b" while true do s:find(p, 1, true) end`, budget},
		{"json of itself", `local t = {} t[1] = t return cjson.encode(t)`, "excessive nesting"},
		{"json of one string", `local s, t = ("x"):rep(1e6), {} for i = 1, 1000 do t[i] = s end return cjson.encode(t)`, budget},
		{"json as a tree", `local t = {} for i = 1, 40 do t = {t, t} end return cjson.encode(t)`, ""},
		{"json text", `return cjson.decode(("["):rep(1e6))`, "nested"},
		{"json numbers", `local s = "[" .. ("1,"):rep(1e6) .. "1]" while true do cjson.decode(s) end`, ""},
		{"msgpack as a tree", `local t = {} for i = 1, 15 do local u = {} for j = 1, 20 do u[j] = t end t = u end return cmsgpack.pack(t)`, ""},
		{"msgpack text", `return cmsgpack.unpack(("\145"):rep(1e6))`, "stack overflow"},
		{"msgpack array", `return cmsgpack.unpack("\221\255\255\255\255")`, "Missing bytes"},
		{"struct", `local s = ("x"):rep(1e6) return struct.pack(("s"):rep(1000), unpack((function() local t = {} for i = 1, 1000 do t[i] = s end return t end)()))`, budget},
		{"struct padding", `return struct.pack("!1073741824" .. ("bi32"):rep(1e6))`, "number expected"},
		{"reply as a tree", `local t = {1} for i = 1, 40 do t = {t, t} end return t`, ""},
		{"reply of one string", `local s, t = ("x"):rep(1e6), {} for i = 1, 1000 do t[i] = s end return t`, budget},
		{"reply of itself", `local t = {} t[1] = t t[2] = t return t`, ""},
		{"arguments of one string", `local s = ("x"):rep(1e6) local t = {} for i = 1, 1000 do t[i] = s end redis.call("rpush", "k", unpack(t))`, budget},
		{"calls", `while true do redis.call("ping") end`, ""},
		{"sums", `local s = ("x"):rep(1e7) while true do redis.sha1hex(s) end`, ""},
		{"chunks", `while true do loadstring(("local a = 1 "):rep(1000)) end`, ""},
		{"nested brackets", `return assert(loadstring("return " .. ("("):rep(1e5)))`, "too many syntax levels"},
		{"error messages", `local s = ("x"):rep(1e7) while true do pcall(error, s) end`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tg := newTarget(reply.RESP2)
			tg.settings.LuaInstructionsMax, tg.settings.LuaBytesMax = budgetSteps, budgetBytes
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			out, _ := tg.Do([][]byte{[]byte("EVAL"), []byte(tc.source), []byte("0")})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if took > seconds*time.Second {
				t.Errorf("took %v", took)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > bytes {
				t.Errorf("allocated %d MB", n>>20)
			}
			if text := string(out[:min(len(out), 300)]); out[0] != '-' || !strings.Contains(text, tc.want) {
				t.Errorf("replied %q, want an error with %q", text, tc.want)
			}
		})
	}
}

// A script's reply is bounded by lua-result-max: the bytes of its texts, and 16 for each element.
func TestResultBudget(t *testing.T) {
	for _, tc := range []struct{ name, source, want string }{
		{"a text that fits", `return ("x"):rep(984)`, "$984"},
		{"a text", `return ("x"):rep(985)`, "-ERR script exceeded its result budget"},
		{"a status", `return {ok = ("x"):rep(1000)}`, "-ERR script exceeded its result budget"},
		{"an error", `return {err = ("x"):rep(1000)}`, "-ERR script exceeded its result budget"},
		{"elements that fit", `local t = {} for i = 1, 60 do t[i] = i end return t`, "*60"},
		{"elements", `local t = {} for i = 1, 70 do t[i] = i end return t`, "-ERR script exceeded its result budget"},
		{"a map", `redis.setresp(3) local t = {} for i = 1, 40 do t[i] = i end return {map = t}`, "-ERR script exceeded its result budget"},
		{"what a command replied", `return redis.call("lrange", "l", 0, -1)`, "-ERR script exceeded its result budget"},
		{"what is not replied", `local s = ("x"):rep(1e6) return #s`, ":1000000"},
		{"after a write", `redis.call("set", "k", "written") return ("x"):rep(2000)`, "-ERR script exceeded its result budget"},
		{"what that wrote", `return redis.call("get", "k")`, "$7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tg := newTarget(reply.RESP2)
			tg.settings.LuaResultMax = 1000
			tg.do("RPUSH", "l", strings.Repeat("v", 500), strings.Repeat("v", 500))
			tg.do("SET", "k", "written")
			out, _ := tg.Do([][]byte{[]byte("EVAL"), []byte(tc.source), []byte("0")})
			if !strings.HasPrefix(string(out), tc.want) {
				t.Errorf("replied %.100q, want %q", out, tc.want)
			}
			tg.env.Semantic = semantic.Fields
			out, _ = tg.Do([][]byte{[]byte("EVAL"), []byte(tc.source), []byte("0")})
			if strings.HasPrefix(string(out), "-ERR script exceeded") {
				t.Errorf("before it was there: replied %.100q", out)
			}
		})
	}
}
