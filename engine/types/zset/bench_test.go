package zset

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	r := rand.New(rand.NewPCG(1, 1))
	members := make([][]byte, n)
	for i := range members {
		members[i] = fmt.Appendf(nil, "member:%07d", i)
	}
	pick := func() []byte { return members[r.IntN(n)] }
	z := NewLarge(testSeed)
	b.Run("AddNew", func(b *testing.B) {
		i := 0
		for b.Loop() {
			z.Add(members[i%n], r.Float64(), defaults)
			i++
		}
	})
	for _, m := range members {
		z.Add(m, r.Float64(), defaults)
	}
	b.Run("Score", func(b *testing.B) {
		for b.Loop() {
			z.Score(pick())
		}
	})
	b.Run("Rank", func(b *testing.B) {
		for b.Loop() {
			z.Rank(pick())
		}
	})
	b.Run("Change", func(b *testing.B) {
		for b.Loop() {
			z.Add(pick(), r.Float64(), defaults)
		}
	})
	b.ReportMetric(float64(z.Object().MemBytes())/n, "B/member")
}
