package engine

import (
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// Commands that once were several times as slow as redis-server's; make bench-types has both.
func BenchmarkCommand(b *testing.B) {
	n := newNode()
	n.fillAll(1000)
	for i := range 1000 {
		n.do(0, "SADD", "ints", strconv.Itoa(i*3))
		n.do(0, "SET", "key:"+strconv.Itoa(i), strconv.Itoa(i))
	}
	n.do(0, "SETBIT", "long", "7999999", "1")
	n.do(0, "SETBIT", "long2", "7999999", "1")
	out := reply.NewWriter(reply.RESP2, nil)
	for _, line := range []string{
		"KEYS nothing", "RANDOMKEY", "SORT ints LIMIT 0 10", "SORT ints", "SORT list ALPHA LIMIT 0 10", "SORT list ALPHA", "BITOP AND d long long2", "BITOP NOT d long",
	} {
		args := words(strings.Fields(line)...)
		b.Run(line, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.index++
				n.Apply(func(s *Step) {
					out.Truncate(0)
					s.Entry(n.index, n.now)
					s.Do(0, args, false, out)
				})
			}
		})
	}
}
