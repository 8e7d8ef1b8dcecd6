package tree

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

const benchEntries = 1_000_000

// benchKey is a sorted set's: a score in eight bytes, then the member.
func benchKey(buf []byte, i uint64) []byte {
	h := i * 0x9e3779b97f4a7c15
	h ^= h >> 31
	buf = append(buf[:0], key8(h)...)
	return fmt.Appendf(buf, "member:%07d", i)
}

func filled(n int) (*Tree, [][]byte) {
	tr := New()
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = benchKey(nil, uint64(i))
		tr.Put(keys[i], nil)
	}
	return tr, keys
}

func BenchmarkInsertMillion(b *testing.B) {
	keys := make([][]byte, benchEntries)
	for i := range keys {
		keys[i] = benchKey(nil, uint64(i))
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		tr := New()
		for _, k := range keys {
			tr.Put(k, nil)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchEntries), "ns/insert")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchEntries, "heapB/entry")
		b.ReportMetric(float64(tr.MemBytes())/benchEntries, "accountedB/entry")
		runtime.KeepAlive(tr)
	}
}

func BenchmarkMillion(b *testing.B) {
	tr, keys := filled(benchEntries)
	r := rand.New(rand.NewPCG(1, 1))
	pick := func() []byte { return keys[r.IntN(len(keys))] }
	b.Run("Get", func(b *testing.B) {
		for b.Loop() {
			tr.Get(pick())
		}
	})
	b.Run("Rank", func(b *testing.B) {
		for b.Loop() {
			tr.Rank(pick())
		}
	})
	b.Run("RangeOfTen", func(b *testing.B) {
		for b.Loop() {
			it := tr.SeekRank(r.IntN(tr.Len() - 10))
			for range 10 {
				it.Key()
				it.Next()
			}
		}
	})
	b.Run("DeleteInsert", func(b *testing.B) {
		for b.Loop() {
			k := pick()
			tr.Delete(k)
			tr.Put(k, nil)
		}
	})
	b.Run("PutAfterFreeze", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			tr.Freeze()
			b.StartTimer()
			tr.Put(pick(), nil)
		}
	})
}
