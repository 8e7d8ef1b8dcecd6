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

func TestByWordsIsByBytes(t *testing.T) {
	for n := range 40 {
		dst, src, want := make([]byte, 40), make([]byte, n), make([]byte, 40)
		for i := range dst {
			dst[i] = byte(i * 37)
			want[i] = dst[i]
			if i < n {
				src[i] = byte(i*91 + 5)
				want[i] ^= src[i]
			}
		}
		byWords(dst, src, func(x, y uint64) uint64 { return x ^ y })
		if string(dst) != string(want) {
			t.Errorf("%d bytes: got %x, want %x", n, dst, want)
		}
	}
}
