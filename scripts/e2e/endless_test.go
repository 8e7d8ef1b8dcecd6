//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"
)

// Scripts that never end, or want all there is, end by their budgets on all nodes, while
// the node goes on: it tells how long each took, and how long another client of another
// node waited meanwhile at most. A budget is counted, so the times are the machine's.
func TestEndlessScripts(t *testing.T) {
	c := startCluster(t, 3)
	c.waitReady()
	ctx := context.Background()
	mine, other := c.nodes[0].client(), c.nodes[1].client()
	for _, tc := range []struct{ name, source string }{
		{"empty loop", `while true do end`},
		{"loop in pcall", `while true do pcall(function() while true do end end) end`},
		{"pcall of error", `while true do pcall(error, "x") end`},
		{"tables", `while true do local t = {} for i = 1, 100 do t[i] = {i} end end`},
		{"string.rep, small", `while true do local s = string.rep("x", 100) end`},
		{"string.rep, large", `while true do local s = string.rep("x", 1000000) end`},
		{"concatenation", `local s = "" while true do s = s .. "x" end`},
		{"table.concat", `local t = {} for i = 1, 1000 do t[i] = "abc" end while true do local s = table.concat(t, ",") end`},
		{"table.sort", `local t = {} for i = 1, 10000 do t[i] = (i * 7919) % 10007 end while true do table.sort(t, function(a, b) return a < b end) table.sort(t, function(a, b) return a > b end) end`},
		{"table.insert at the front", `local t = {} while true do table.insert(t, 1, 1) end`},
		{"string.find", `local s = string.rep("a", 10000) while true do s:find("a-b") end`},
		{"string.find, plain", `local s, p = string.rep("a", 100000), string.rep("a", 50000) .. "b" while true do s:find(p, 1, true) end`},
		{"gsub", `local s = string.rep("ab", 1000) while true do s:gsub("a", "b") end`},
		{"string.format", `while true do local s = string.format("%5.3f %d %s", 1.5, 3, "x") end`},
		{"tonumber and tostring", `while true do local s = tonumber(tostring(1.5)) end`},
		{"cjson", `local t = cjson.encode({1, 2, 3, {a = "b"}}) while true do cjson.encode(cjson.decode(t)) end`},
		{"cmsgpack", `local t = cmsgpack.pack({1, 2, 3, {a = "b"}}) while true do cmsgpack.pack(cmsgpack.unpack(t)) end`},
		{"sha1hex", `local s = string.rep("x", 10000) while true do redis.sha1hex(s) end`},
		{"GET", `while true do redis.call("get", KEYS[1]) end`},
		{"INCR", `while true do redis.call("incr", "n") end`},
		{"SADD", `local i = 0 while true do i = i + 1 redis.call("sadd", "s", i) end`},
		{"ZADD", `local i = 0 while true do i = i + 1 redis.call("zadd", "z", i, i) end`},
		{"errors of commands", `while true do redis.pcall("incr", "s") end`},
		{"a large reply", `redis.call("setrange", "large", 1000000, "x") while true do redis.call("get", "large") end`},
		{"many keys", `for i = 1, 1000 do redis.call("set", "k" .. i, i) end while true do redis.call("keys", "k*") end`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mine.FlushAll(ctx)
			longest, stop := make(chan time.Duration), make(chan struct{})
			go func() {
				var most time.Duration
				for {
					select {
					case <-stop:
						longest <- most
						return
					default:
					}
					began := time.Now()
					if err := other.Incr(ctx, "witness").Err(); err != nil {
						t.Errorf("another client: %v", err)
					}
					most = max(most, time.Since(began))
				}
			}()
			began := time.Now()
			err := mine.Eval(ctx, tc.source, []string{"k"}).Err()
			took := time.Since(began)
			close(stop)
			t.Logf("%-28s %6.0f ms, another client waited %6.0f ms: %.70v", tc.name, took.Seconds()*1e3, (<-longest).Seconds()*1e3, err)
			if err == nil || !strings.Contains(err.Error(), "budget") {
				t.Errorf("ended with %v", err)
			}
			if took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
	c.checkDigests()
}
