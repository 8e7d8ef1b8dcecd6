package commands

import (
	"math/rand/v2"
	"testing"
)

// Words find what single bits find.
func TestBitsAreFoundByWords(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		b := make([]byte, 1+r.IntN(40))
		bit := byte(r.IntN(2))
		if bit == 0 {
			for i := range b {
				b[i] = 0xff
			}
		}
		for range r.IntN(3) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		n := int64(len(b)) * 8
		from := r.Int64N(n + 1)
		limit := from + r.Int64N(n-from+1)
		want := from
		for want < limit && bitAt(b, want) != bit {
			want++
		}
		if got := findBit(b, bit, from, limit); got != want {
			t.Fatalf("%d in %x from %d to %d: got %d, want %d", bit, b, from, limit, got, want)
		}
	}
}

// Folding by words is folding bit by bit.
func TestFoldingByWords(t *testing.T) {
	ops := map[string]func(x, y byte) byte{
		"AND": func(x, y byte) byte { return x & y },
		"OR":  func(x, y byte) byte { return x | y },
		"XOR": func(x, y byte) byte { return x ^ y },
		"NOT": func(x, _ byte) byte { return ^x },
	}
	for _, o := range bitFolds {
		for n := range 100 {
			dst, src, want := make([]byte, 100), make([]byte, n), make([]byte, 100)
			for i := range dst {
				dst[i] = byte(i * 37)
				want[i] = dst[i]
				if i >= n {
					continue
				}
				if src[i] = byte(i*91 + 5); o.name == "NOT" {
					src[i] = dst[i]
				}
				want[i] = ops[o.name](dst[i], src[i])
			}
			o.fold.bytes(dst, src)
			if string(dst) != string(want) {
				t.Errorf("%s of %d bytes: got %x, want %x", o.name, n, dst, want)
			}
		}
	}
}
