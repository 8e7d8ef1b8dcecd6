package byhash

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkTake is taking all but one of a million entries by chance.
func BenchmarkTake(b *testing.B) {
	const n = 1_000_000
	for range b.N {
		b.StopTimer()
		m := New(testSeed)
		for i := range n {
			m.Put(fmt.Appendf(nil, "element:%d", i), nil)
		}
		r := rand.New(rand.NewPCG(1, 2))
		sum := 0
		b.StartTimer()
		m.Take(n-1, r.IntN, func(key []byte) { sum += len(key) })
	}
}
