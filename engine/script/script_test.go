package script_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/script"
)

// do runs a command and returns its reply as bytes on the wire.
func (t *target) do(args ...string) string {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	out, _ := t.Do(raw)
	return string(out)
}

// TestRestore carries the scripts over to another engine.
func TestRestore(t *testing.T) {
	tg := newTarget(reply.RESP2)
	tg.do("eval", "return 1", "0")
	tg.do("script", "load", "return 2")
	tg.do("eval", "return 3", "0")
	tg.do("script", "load", "return 3") // stays where it is, but as loaded
	want := []script.Body{{Text: "return 1"}, {Text: "return 2", Loaded: true}, {Text: "return 3", Loaded: true}}
	bodies := tg.scripts.Bodies()
	if fmt.Sprint(bodies) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", bodies, want)
	}
	other := newTarget(reply.RESP2)
	other.do("eval", "return 4", "0")
	if err := other.scripts.Restore(bodies, nil); err != nil {
		t.Fatal(err)
	}
	if got := other.scripts.Bodies(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for sha, want := range map[string]string{
		"7f923f79fe76194c868d7e1d0820de36700eb649": ":2\r\n",
		"05c1ba17dd1c4a5bb70b4e9a5c7f1e8f0f4c6f36": "-NOSCRIPT No matching script. Please use EVAL.\r\n",
	} {
		if got := other.do("evalsha", sha, "0"); got != want {
			t.Errorf("%s: got %q, want %q", sha, got, want)
		}
	}
	if err := other.scripts.Restore([]script.Body{{Text: "return return"}}, nil); err == nil {
		t.Error("a script that does not compile was restored")
	}
	if n, _ := other.scripts.Count(); n != 3 {
		t.Errorf("a failed restore left %d scripts", n)
	}
}

// TestEvalScriptsGo checks that scripts of EVAL make room for newer ones, and those of SCRIPT LOAD do not.
func TestEvalScriptsGo(t *testing.T) {
	tg := newTarget(reply.RESP2)
	tg.do("script", "load", "return 'loaded'")
	for i := range 600 {
		tg.do("eval", fmt.Sprintf("return %d", i), "0")
	}
	bodies := tg.scripts.Bodies()
	if len(bodies) != 501 || bodies[0].Text != "return 'loaded'" || bodies[1].Text != "return 100" {
		t.Errorf("%d scripts, from %v", len(bodies), bodies[:2])
	}
}

// TestLoadedScriptsAreBounded fills the cache.
func TestLoadedScriptsAreBounded(t *testing.T) {
	tg := newTarget(reply.RESP2)
	for i := range 17 {
		got := tg.do("script", "load", "--"+strings.Repeat("x", 4<<20-10)+fmt.Sprint(i))
		if refused := strings.HasPrefix(got, "-ERR the cache"); refused != (i == 16) {
			t.Fatalf("script %d: %q", i, got)
		}
	}
}

// TestReadersRunAtOnce runs read-only scripts on several goroutines, as the engine does under its lock for
// reading.
func TestReadersRunAtOnce(t *testing.T) {
	tg := newTarget(reply.RESP2)
	tg.do("set", "k", "v")
	source := `local t = {} for i = 1, 50 do t[i] = redis.call("get", KEYS[1]) .. i end
		return #table.concat(t) .. cjson.encode(t[50]) .. math.random(100)`
	var want []byte
	row, _, _ := tg.table.Find([][]byte{[]byte("eval_ro")})
	run := func() []byte {
		out := reply.NewWriter(reply.RESP2, nil)
		row.Do(&call.Call{
			Env: &tg.env, Args: [][]byte{[]byte("eval_ro"), []byte(source), []byte("1"), []byte("k")},
			DB: tg.env.Keyspace.DB(0), Rand: call.NewRand(1, 1), Out: out,
		})
		return out.Bytes()
	}
	want = run()
	if want[0] != '$' {
		t.Fatalf("%q", want)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if got := run(); !bytes.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
	if n, _ := tg.scripts.Count(); n != 0 {
		t.Errorf("reading left %d scripts in the state", n)
	}
}

// TestFollowersDoTheSame runs scripts where nobody reads the reply.
func TestFollowersDoTheSame(t *testing.T) {
	leader, follower := newTarget(reply.RESP3), newTarget(reply.Discard)
	for _, source := range []string{
		`redis.call("set", "a", math.random(1e6)) return redis.call("get", "a")`,
		`local t = {} for k in pairs({x = 1, y = 2, z = 3, [t or 1] = 4}) do t[#t + 1] = tostring(k) end redis.call("set", "b", table.concat(t))`,
		`redis.setresp(3) redis.call("hset", "h", "f", "v") redis.call("set", "c", redis.call("hgetall", "h").map.f)`,
		`redis.call("set", "d", "written") local t = {("x"):rep(1e6)} for i = 2, 300 do t[i] = t[1] end return t`,
		`redis.call("set", "e", tostring({}) .. tostring(next) .. collectgarbage("count"))`,
	} {
		leader.do("eval", source, "0")
		follower.do("eval", source, "0")
	}
	if l, f := fmt.Sprint(leader.strings), fmt.Sprint(follower.strings); l != f || len(leader.strings) != 5 {
		t.Errorf("leader %s\nfollower %s", l, f)
	}
}

// TestPanicInCommand checks that a command's panic gets out, and that scripts run after it.
func TestPanicInCommand(t *testing.T) {
	tg := newTarget(reply.RESP2)
	tg.broken = true
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not get out")
			}
		}()
		tg.do("eval", `coroutine.wrap(function() pcall(redis.call, "get", "k") end)()`, "0")
	}()
	tg.broken = false
	if got := tg.do("eval", "return 1", "0"); got != ":1\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestCallsOfFunctionsAreAlike calls functions again and again, of libraries that keep something and of such that do
// not. Each call is as if it were the first, in a runner that has called others before as in a new one.
func TestCallsOfFunctionsAreAlike(t *testing.T) {
	const show = `function(keys, args)
		count(args)
		local order, out = {[count] = 1, [args] = 2, [helper] = 3, [show or args] = 4}, {}
		for _, v in pairs(order) do out[#out + 1] = v end
		return {out, tostring(count), tostring(helper), tostring(out), collectgarbage('count'), math.random(100), tostring(helper())}
	end`
	for name, library := range map[string]string{
		"keeps nothing":      "local function helper() return 1 end local function count() return helper() end local show redis.register_function('f', " + show + ")",
		"keeps a number":     "local n = 0 local function helper() return n end local function count() n = n + 1 end local show redis.register_function('f', " + show + ")",
		"keeps in a closure": "local function helper() return 1 end local count do local n = 0 count = function() local function inner() n = n + 1 end inner() end end local show redis.register_function('f', " + show + ")",
		"keeps a table":      "local all = {} local function helper() return ('x'):rep(#all) end local function count(x) all[#all + 1] = x end local show redis.register_function('f', " + show + ")",
		"keeps an iterator":  "local next = ('abc'):gmatch('.') local function helper() return next() end local function count() return helper() end local show redis.register_function('f', " + show + ")",
		"keeps redis":        "local lib = redis local function helper() return lib.REDIS_VERSION end local function count() return helper() end local show redis.register_function{callback=" + show + ", function_name='f'}",
		"deep":               "local function helper() return 1 end local function a() return helper() end local function b() return a() end local function count() return b() end local show = function() end redis.register_function('f', " + show + ")",
	} {
		t.Run(name, func(t *testing.T) {
			call := func(tg *target) string {
				tg.calls = 7 // so that chance is the same
				return tg.do("fcall", "f", "0", "a")
			}
			open := func() *target {
				tg := newTarget(reply.RESP2)
				tg.do("function", "load", "#!lua name=other\nlocal function x() return {} end redis.register_function('g', function() return tostring(x) .. tostring(x()) end)")
				if got := tg.do("function", "load", "#!lua name=lib\n"+library); got != "$3\r\nlib\r\n" {
					t.Fatalf("%q", got)
				}
				return tg
			}
			want := call(open())
			if want[0] != '*' {
				t.Fatalf("%q", want)
			}
			tg := open()
			for range 5 {
				tg.do("fcall", "g", "0")
				if got := call(tg); got != want {
					t.Fatalf("got  %q\nwant %q", got, want)
				}
			}
		})
	}
}
