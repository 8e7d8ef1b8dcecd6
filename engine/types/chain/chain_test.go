package chain

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The function never changes: nodes of different releases must agree.
func TestVectors(t *testing.T) {
	var c Chain
	check := func(what, want string) {
		t.Helper()
		if got := c.Value().String(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("nothing", "00000000000000000000000000000000")
	c.Bytes(nil)
	check("an empty string", "e8c6f849ed11a9e2701b6abe500e4ed9")
	c.Words(1, 2)
	check("two words", "b2eb0b8e31c44a5de4f3db910a9a5777")
	c.Bytes([]byte("abc"))
	check("three bytes", "12a1daa31fa3b89f5c330ed164d43e54")
	c.String("sixteen bytes ..")
	check("sixteen bytes", "f00f6b36461bd4dfacf588293aad8bc1")
	c.Bytes(bytes.Repeat([]byte("0123456789"), 10))
	check("a hundred bytes", "cbd5fc4989b7ee94f97e1b206c2551dd")
	c.Note('a', 3, []byte("member"), []byte("value"))
	check("a note", "a54e555a19ff27f2892109bf06808fd0")
}

// TestEveryByteCounts: two strings of like or other length that differ anywhere
// lead to different values.
func TestEveryByteCounts(t *testing.T) {
	seen := make(map[Value]string)
	add := func(p []byte) {
		var c Chain
		c.Bytes(p)
		if other, ok := seen[c.Value()]; ok && other != string(p) {
			t.Errorf("%q and %q have one value", other, p)
		}
		seen[c.Value()] = string(p)
	}
	for n := range 70 {
		p := make([]byte, n)
		add(p)
		for i := range p {
			for _, b := range []byte{1, 0x80, 0xff} {
				p[i] = b
				add(p)
				p[i] = 0
			}
		}
	}
}

// TestDifferenceStays: whatever is mixed into two different chains alike, they
// stay different.
func TestDifferenceStays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a := Chain{rng.Uint64(), rng.Uint64()}
		b := a
		switch rng.IntN(3) {
		case 0:
			b.a ^= 1 << rng.IntN(64)
		case 1:
			b.b ^= 1 << rng.IntN(64)
		default:
			b = Chain{rng.Uint64(), rng.Uint64()}
		}
		for range 1000 {
			x, y := rng.Uint64()>>rng.IntN(64), rng.Uint64()
			a.Words(x, y)
			b.Words(x, y)
			if a == b {
				t.Fatal("two chains met")
			}
		}
	}
}

func TestValueGoesOn(t *testing.T) {
	var c Chain
	c.String("before")
	d := From(c.Value())
	c.String("after")
	d.String("after")
	if c != d {
		t.Error("a chain made from a value goes another way")
	}
}

func TestNoteOfNoChain(t *testing.T) {
	(*Chain)(nil).Note('a', 1, []byte("x"), nil) // must not panic
}

func BenchmarkBytes(b *testing.B) {
	for _, size := range []int{16, 64, 1024, 1 << 20} {
		p := make([]byte, size)
		b.Run(sizeName(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			var c Chain
			for range b.N {
				c.Bytes(p)
			}
		})
	}
}

func sizeName(n int) string {
	switch n {
	case 1024:
		return "1KiB"
	case 1 << 20:
		return "1MiB"
	case 16:
		return "16B"
	}
	return "64B"
}
