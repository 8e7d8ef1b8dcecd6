package resp

import (
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

// The two benchmarks belong to docs/adr/0001-front-end.md: what a command
// costs to parse here, in redcon, and in redcon behind a guard that has read
// it before.

func pipelined(args ...string) []byte {
	var b []byte
	for range 16 {
		b = redcon.AppendArray(b, len(args))
		for _, arg := range args {
			b = redcon.AppendBulkString(b, arg)
		}
	}
	return b
}

func BenchmarkParse(b *testing.B) {
	for _, input := range []struct {
		name string
		data []byte
	}{
		{"get", pipelined("GET", "key:000000000001")},
		{"set64", pipelined("SET", "key:000000000001", strings.Repeat("x", 64))},
		{"set64K", pipelined("SET", "key:000000000001", strings.Repeat("x", 64<<10))},
	} {
		report := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/command")
			b.ReportAllocs()
		}
		b.Run(input.name+"/own", func(b *testing.B) {
			r := NewReader(&endless{data: input.data}, fixed(testLimits))
			for n := 0; n < b.N; {
				batch, err := r.Next(true)
				if err != nil {
					b.Fatal(err)
				}
				n += len(batch)
			}
			report(b)
		})
		b.Run(input.name+"/redcon", func(b *testing.B) {
			r := redcon.NewReader(&endless{data: input.data})
			for range b.N {
				if _, err := r.ReadCommand(); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
		})
		b.Run(input.name+"/redcon-guarded", func(b *testing.B) {
			r := redcon.NewReader(&guard{reader: NewReader(&endless{data: input.data}, fixed(testLimits))})
			for range b.N {
				if _, err := r.ReadCommand(); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
		})
	}
}

// guard gives redcon only whole commands that it can't be hurt by.
type guard struct {
	reader *Reader
	ready  []byte
}

func (g *guard) Read(p []byte) (int, error) {
	if len(g.ready) == 0 {
		batch, err := g.reader.Next(true)
		if err != nil {
			return 0, err
		}
		g.ready = g.ready[:0]
		for _, args := range batch {
			g.ready = redcon.AppendArray(g.ready, len(args))
			for _, arg := range args {
				g.ready = redcon.AppendBulk(g.ready, arg)
			}
		}
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	return n, nil
}
