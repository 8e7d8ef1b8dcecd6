package engine

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// BenchmarkApply is what one SET of 64 bytes costs the engine: an entry with one
// command, over a hundred thousand keys.
func BenchmarkApply(b *testing.B) {
	n := newNode()
	const keys = 1 << 17
	args := make([][][]byte, keys)
	for i := range args {
		args[i] = [][]byte{[]byte("SET"), fmt.Appendf(nil, "key:%012d", i), bytes.Repeat([]byte("v"), 64)}
	}
	out := new(reply.Writer)
	apply := func(i int) {
		n.Apply(func(s *Step) {
			s.Entry(uint64(i)+1, n.now+int64(i/100))
			s.ExpireDue(256)
			s.Do(0, args[i*7919%keys], false, out)
		})
	}
	for i := range keys {
		apply(i)
	}
	b.ResetTimer()
	for i := range b.N {
		apply(i)
	}
}
