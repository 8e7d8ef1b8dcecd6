package script_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// BenchmarkEndless tells what scripts that never end cost by the default budgets, in
// milliseconds of one processor; the collector's own threads are not counted. It is for
// -benchtime 1x: each turn is a whole budget.
func BenchmarkEndless(b *testing.B) {
	for _, bc := range []struct{ name, source string }{
		{"loop", `while true do end`},
		{"arithmetic", `local a = 1 while true do a = a * 3 % 7 + 1 end`},
		{"calls", `local function f(x) return x end while true do f(1) end`},
		{"pcall", `while true do pcall(function() while true do end end) end`},
		{"pcall of error", `while true do pcall(error, "x") end`},
		{"tables", `while true do local t = {} for i = 1, 100 do t[i] = {i} end end`},
		{"string.rep small", `while true do local s = string.rep("x", 100) end`},
		{"string.rep large", `while true do local s = string.rep("x", 1000000) end`},
		{"concatenation", `local s = "" while true do s = s .. "x" end`},
		{"table.concat", `local t = {} for i = 1, 1000 do t[i] = "abc" end while true do local s = table.concat(t, ",") end`},
		{"table.sort", `local t = {} for i = 1, 10000 do t[i] = (i * 7919) % 10007 end while true do table.sort(t, function(a, b) return a < b end) table.sort(t, function(a, b) return a > b end) end`},
		{"table.insert", `local t = {} while true do table.insert(t, 1, 1) end`},
		{"string.find", `local s = string.rep("a", 10000) while true do s:find("a-b") end`},
		{"string.find plain", `local s, p = string.rep("a", 100000), string.rep("a", 50000) .. "b" while true do s:find(p, 1, true) end`},
		{"gsub", `local s = string.rep("ab", 1000) while true do s:gsub("a", "b") end`},
		{"string.format", `while true do local s = string.format("%5.3f %d %s", 1.5, 3, "x") end`},
		{"tostring", `while true do local s = tonumber(tostring(1.5)) end`},
		{"cjson", `local t = cjson.encode({1, 2, 3, {a = "b"}}) while true do cjson.encode(cjson.decode(t)) end`},
		{"cmsgpack", `local t = cmsgpack.pack({1, 2, 3, {a = "b"}}) while true do cmsgpack.pack(cmsgpack.unpack(t)) end`},
		{"struct", `while true do struct.unpack(">I4", struct.pack(">I4", 7)) end`},
		{"sha1hex", `local s = string.rep("x", 10000) while true do redis.sha1hex(s) end`},
		{"coroutines", `local f = coroutine.wrap(function() while true do coroutine.yield(1) end end) while true do f() end`},
		{"loadstring", `while true do loadstring("local a = 1 return a") end`},
		{"redis.call", `while true do redis.call("get", "k") end`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var spent time.Duration
			for range b.N {
				tg := newTarget(reply.RESP2)
				runtime.GC()
				before := threadTime()
				out, _ := tg.Do([][]byte{[]byte("EVAL"), []byte(bc.source), []byte("0")})
				spent += threadTime() - before
				if out[0] != '-' {
					b.Fatalf("ended with %.100q", out)
				}
			}
			b.ReportMetric(spent.Seconds()*1e3/float64(b.N), "cpu-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// threadTime returns what this thread has taken of a processor.
func threadTime() time.Duration {
	var u syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
