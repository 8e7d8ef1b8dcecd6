package script_test

import (
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
