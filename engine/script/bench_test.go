package script_test

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// BenchmarkEvalSHA runs the scripts that applications run most, with commands that cost next to nothing.
func BenchmarkEvalSHA(b *testing.B) {
	for _, bc := range []struct {
		name, source string
		args         []string
	}{
		{"empty", `return 1`, []string{"0"}},
		{"compare and delete", `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`, []string{"1", "lock", "token"}},
		{"rate limiter", `local n = redis.call("incr", KEYS[1])
			if n == 1 then redis.call("expire", KEYS[1], ARGV[1]) end
			if n > tonumber(ARGV[2]) then return 0 end
			return 1`, []string{"1", "limit", "60", "100"}},
		{"arithmetic", `local s = 0 for i = 1, 1000 do s = s + i * 2 % 7 end return s`, []string{"0"}},
		{"json", `local t = cjson.decode(ARGV[1]) t.n = t.n + 1 return cjson.encode(t)`, []string{"0", `{"n":1,"name":"x","list":[1,2,3]}`}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			tg := newTarget(reply.RESP2)
			out, _ := tg.Do([][]byte{[]byte("script"), []byte("load"), []byte(bc.source)})
			sha, _, err := reply.Read(out)
			if err != nil {
				b.Fatal(err)
			}
			args := [][]byte{[]byte("evalsha"), sha.Text}
			for _, a := range bc.args {
				args = append(args, []byte(a))
			}
			b.ReportAllocs()
			for b.Loop() {
				if out, _ := tg.Do(args); out[0] == '-' {
					b.Fatalf("%s", out)
				}
			}
		})
	}
}

// BenchmarkFunction calls one function of a library of ten.
func BenchmarkFunction(b *testing.B) {
	tg := newTarget(reply.RESP2)
	code := "#!lua name=lib\n"
	for i := range 10 {
		code += fmt.Sprintf("local function helper%d(x) return x + %d end\n"+
			"redis.register_function{function_name='f%d', callback=function(keys, args) return helper%d(#args) end, flags={'no-writes'}}\n", i, i, i, i)
	}
	tg.do("function", "load", code)
	args := [][]byte{[]byte("fcall"), []byte("f3"), []byte("0"), []byte("a")}
	b.ReportAllocs()
	for b.Loop() {
		tg.Do(args)
	}
}
