package hll

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// registersOf returns the registers of a HyperLogLog that must be right.
func registersOf(t testing.TB, b []byte) []byte {
	t.Helper()
	if !Is(b) {
		t.Fatalf("no HyperLogLog: %.40q", b)
	}
	var u Union
	if err := u.Merge(b); err != nil {
		t.Fatal(err)
	}
	if IsDense(b) {
		for i := range u {
			if got := Register(b, i); got != u[i] {
				t.Fatalf("register %d is %d, merged it is %d", i, got, u[i])
			}
		}
	}
	return u[:]
}

// same compares a HyperLogLog with plain registers.
func same(t testing.TB, b []byte, want *Union) {
	t.Helper()
	got := registersOf(t, b)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("register %d is %d, want %d", i, got[i], want[i])
		}
	}
	n, err := Count(b)
	if err != nil || n != want.Count() {
		t.Fatalf("count %d, %v; want %d", n, err, want.Count())
	}
}

// Registers raised at random, clustered so that runs of all kinds come about, are
// those of a plain array.
func TestRandomWalkAgainstArray(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		sparseMax := []int{0, 20, 100, 3000, 40000}[seed%5]
		e := Edit(Append(nil), sparseMax)
		var want Union
		same(t, e.Bytes(), &want)
		center := 0
		for step := range 2000 {
			if r.IntN(50) == 0 {
				center = r.IntN(Registers)
			}
			index, rank := (center+r.IntN(20))%Registers, byte(1+r.IntN(5))
			if r.IntN(1000) == 0 && sparseMax == 40000 && step > 1000 {
				rank = sparseRankMax + 1
			}
			wasSparse := !IsDense(e.Bytes())
			raised, err := e.Raise(index, rank)
			if err != nil || raised != (want[index] < rank) {
				t.Fatalf("seed %d: Raise(%d, %d) = %v, %v; it was %d", seed, index, rank, raised, err, want[index])
			}
			want[index] = max(want[index], rank)
			if b := e.Bytes(); wasSparse && !IsDense(b) && raised && len(b) > max(sparseMax, headLen+2) {
				t.Fatalf("seed %d: sparse with %d bytes", seed, len(b))
			}
			if step%100 == 0 {
				same(t, e.Bytes(), &want)
			}
		}
		same(t, e.Bytes(), &want)
		dense, err := Dense(e.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		same(t, dense, &want)
	}
}

// An Editor that goes on where it was makes the same bytes as one that searches
// from the beginning.
func TestHintChangesNothing(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		e := Edit(Append(nil), 40000)
		b := Append(nil)
		index, dense := 0, 1+r.IntN(40)
		for range 1500 {
			index += r.IntN(dense)
			if r.IntN(100) == 0 {
				index = r.IntN(Registers)
			}
			index %= Registers
			rank := byte(1 + r.IntN(3))
			if _, err := e.Raise(index, rank); err != nil {
				t.Fatal(err)
			}
			fresh := Edit(b, 40000)
			if _, err := fresh.Raise(index, rank); err != nil {
				t.Fatal(err)
			}
			b = fresh.Bytes()
		}
		if !bytes.Equal(e.Bytes(), b) {
			t.Fatalf("seed %d: bytes differ", seed)
		}
	}
}

func TestCachedCount(t *testing.T) {
	b := Append(nil)
	if n, ok := CachedCount(b); n != 0 || !ok {
		t.Errorf("a new one counts %d, %v", n, ok)
	}
	count := Fresh(77)
	copy(b[CountAt:], count[:])
	if n, ok := CachedCount(b); n != 77 || !ok {
		t.Errorf("cached count %d, %v", n, ok)
	}
	count = Stale(b)
	copy(b[CountAt:], count[:])
	if _, ok := CachedCount(b); ok {
		t.Error("a stale count is believed")
	}
	if !Is(b) || IsDense(b) {
		t.Error("the header is spoilt")
	}
}

// redis-server put these elements there.
func TestPlace(t *testing.T) {
	for element, want := range map[string]struct {
		index int
		rank  byte
	}{
		"":                             {5938, 2},
		"a":                            {12711, 2},
		"hello":                        {9216, 1},
		"12345678":                     {10579, 3},
		"0123456789abcdef0":            {16236, 1},
		strings.Repeat("\x00\xff", 11): {14598, 1},
	} {
		index, rank := Place([]byte(element))
		if index != want.index || rank != want.rank {
			t.Errorf("%q: register %d, rank %d; want %d, %d", element, index, rank, want.index, want.rank)
		}
	}
}

// redis-server made these values of as many elements, and counted them so.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file     string
		elements int
		count    uint64
	}{
		{"sparse.hll", 700, 703},
		{"dense.hll", 20000, 19988},
	} {
		want, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := Count(want); err != nil || n != c.count {
			t.Errorf("%s: %d, %v; want %d", c.file, n, err, c.count)
		}
		if n, ok := CachedCount(want); !ok || n != c.count {
			t.Errorf("%s: cached %d, %v; want %d", c.file, n, ok, c.count)
		}
		e := Edit(Append(nil), 3000)
		for i := range c.elements {
			if _, err := e.Add(fmt.Appendf(nil, "element %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		count := Fresh(c.count)
		copy(e.Bytes()[CountAt:], count[:])
		if !bytes.Equal(e.Bytes(), want) {
			t.Errorf("%s: other bytes", c.file)
		}
	}
}

func TestCountIsNearTheTruth(t *testing.T) {
	e := Edit(Append(nil), 3000)
	for n := 1; n <= 100_000; n++ {
		if _, err := e.Add(fmt.Appendf(nil, "element %d", n)); err != nil {
			t.Fatal(err)
		}
		if n != 10 && n != 1000 && n != 100_000 {
			continue
		}
		got, err := Count(e.Bytes())
		if err != nil || got < uint64(n)*98/100 || got > uint64(n)*102/100 {
			t.Errorf("%d elements count as %d, %v", n, got, err)
		}
	}
}

// What no elements have made counts as redis-server counts it.
func TestCountOfTheImpossible(t *testing.T) {
	var u Union
	for i := range u {
		u[i] = registerMask
	}
	if n := u.Count(); n != 1<<63 {
		t.Errorf("all registers full count %d", n)
	}
	for i := range u {
		u[i] = rankMax
	}
	if n := u.Count(); n != 1<<63 {
		t.Errorf("all registers at the largest rank count %d", n)
	}
}

func TestCorrupt(t *testing.T) {
	whole := Append(nil)
	cases := map[string][]byte{
		"no registers":     whole[:headLen],
		"half a run":       whole[:headLen+1],
		"too many":         append(slices.Clone(whole), 0),
		"too few":          append(slices.Clone(whole[:headLen]), 0x7f, 0xfe),
		"longer than ever": append(slices.Clone(whole), make([]byte, 1<<20)...),
	}
	for name, b := range cases {
		if _, err := Count(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Count: %v", name, err)
		}
		if err := new(Union).Merge(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Merge: %v", name, err)
		}
		if _, err := Dense(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Dense: %v", name, err)
		}
	}
}

func TestSelfTest(t *testing.T) {
	if err := SelfTest(3000); err != nil {
		t.Error(err)
	}
}

// Whatever bytes are taken for a HyperLogLog, nothing panics or grows without
// bound, and an edit of what was right leaves it right.
func FuzzEdit(f *testing.F) {
	f.Add(Append(nil), []byte("abc"), 3000)
	dense, _ := Dense(Append(nil))
	f.Add(dense, []byte("abcd"), 0)
	f.Add(append(Append(nil), 0x84), []byte("xy"), 20)
	f.Fuzz(func(t *testing.T, b, ranks []byte, sparseMax int) {
		if !Is(b) {
			b = append(Append(nil)[:headLen], b...)
		}
		_, wrong := Count(b)
		text, err := AppendOpcodes(nil, b)
		if len(text) > 20*len(b) || err == nil && len(b) > denseLen+sparseLenMax {
			t.Errorf("%d bytes as %d bytes of text", len(b), len(text))
		}
		var want Union
		if wrong == nil {
			copy(want[:], registersOf(t, b))
		}
		e := Edit(slices.Clone(b), sparseMax)
		for i := 0; i+2 < len(ranks); i += 3 {
			index, rank := (int(ranks[i])<<8|int(ranks[i+1]))%Registers, 1+ranks[i+2]%rankMax
			raised, err := e.Raise(index, rank)
			if wrong == nil && (err != nil || raised != (want[index] < rank)) {
				t.Fatalf("Raise(%d, %d) = %v, %v; it was %d", index, rank, raised, err, want[index])
			}
			want[index] = max(want[index], rank)
		}
		if wrong == nil {
			same(t, e.Bytes(), &want)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	for name, n := range map[string]int{"sparse": 500, "dense": 100_000} {
		e := Edit(Append(nil), 3000)
		for i := range n {
			e.Add(fmt.Appendf(nil, "element %d", i)) //nolint:errcheck // it is right
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Count(e.Bytes()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for b.Loop() {
		if err := SelfTest(3000); err != nil {
			b.Fatal(err)
		}
	}
}
