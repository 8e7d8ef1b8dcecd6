package engine

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// BenchmarkSnapshot writes and restores a million keys, which it tells a second
// and a key. Redis 7.0.15 beside it: see the commit.
func BenchmarkSnapshot(b *testing.B) {
	for _, kind := range []string{"string", "hash"} {
		n := newNode()
		const keys = 1_000_000
		var discard reply.Writer
		n.Apply(func(s *Step) {
			for i := range keys {
				s.Entry(uint64(i+1), n.now)
				if kind == "string" {
					s.Do(0, [][]byte{[]byte("SET"), fmt.Appendf(nil, "key:%012d", i), fmt.Appendf(nil, "%040d", i*7919)}, false, &discard)
				} else {
					s.Do(0, [][]byte{[]byte("HSET"), fmt.Appendf(nil, "key:%012d", i), []byte("name"), fmt.Appendf(nil, "n%d", i), []byte("age"), []byte("17"), []byte("mail"), fmt.Appendf(nil, "n%d@example.org", i)}, false, &discard)
				}
			}
		})
		file := n.snapshot(b)
		perSecond := func(b *testing.B) {
			b.ReportMetric(float64(keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
			b.ReportMetric(float64(len(file))/keys, "bytes/key")
		}
		b.Run(kind+"/write", func(b *testing.B) {
			for range b.N {
				s, err := n.Freeze(nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.WriteRDB(io.Discard); err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
			perSecond(b)
		})
		b.Run(kind+"/restore", func(b *testing.B) {
			r := newNode()
			for range b.N {
				if err := r.Restore(bytes.NewReader(file), nil); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b)
		})
		b.Run(kind+"/digest", func(b *testing.B) {
			for range b.N {
				n.Digest()
			}
			perSecond(b)
		})
	}
}
