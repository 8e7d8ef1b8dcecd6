package intset

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// same compares a block with its sorted members.
func same(t *testing.T, b []byte, want []int64) {
	t.Helper()
	if err := Validate(b); err != nil {
		t.Fatal(err)
	}
	if Len(b) != len(want) {
		t.Fatalf("Len %d, want %d", Len(b), len(want))
	}
	for i, v := range want {
		if At(b, i) != v {
			t.Fatalf("member %d is %d, want %d", i, At(b, i), v)
		}
	}
}

func apply(t *testing.T, b []byte, want []int64, add bool, v int64) ([]byte, []int64) {
	t.Helper()
	i, had := slices.BinarySearch(want, v)
	if rank, found := Find(b, v); rank != i || found != had {
		t.Fatalf("Find(%d) = %d, %v, want %d, %v", v, rank, found, i, had)
	}
	var changed bool
	if add {
		b, changed = Add(b, v)
		if !had {
			want = slices.Insert(want, i, v)
		}
	} else {
		b, changed = Remove(b, v)
		if had {
			want = slices.Delete(want, i, i+1)
		}
	}
	if changed != (had != add) {
		t.Fatalf("change of %d reported %v", v, changed)
	}
	return b, want
}

func TestRandomWalkAgainstSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := Append(nil)
		var want []int64
		bits := 8
		for i := range 400 {
			if i%100 == 99 {
				bits = min(bits+18, 64)
			}
			v := int64(r.Uint64()) >> (64 - bits)
			b, want = apply(t, b, want, r.IntN(3) > 0, v)
		}
		same(t, b, want)
	}
}

// The blocks are what redis-server 7.0.15 puts into DUMP payloads after SADD.
func TestLayoutIsRedis(t *testing.T) {
	for _, c := range []struct {
		name    string
		members []int64
		block   string
	}{
		{"two bytes", []int64{3, -1, 2}, "0200000003000000ffff02000300"},
		{"widened to four", []int64{1, 32768}, "04000000020000000100000000800000"},
		{"widened to eight", []int64{1, -2147483649}, "0800000002000000ffffff7fffffffff0100000000000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := Append(nil)
			for _, v := range c.members {
				b, _ = Add(b, v)
			}
			if got := hex.EncodeToString(b); got != c.block {
				t.Errorf("got %s, want %s", got, c.block)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	b, want := Append(nil), []int64(nil)
	for _, v := range []int64{
		0, math.MaxInt16, math.MinInt16, math.MaxInt16 + 1, math.MinInt16 - 1,
		math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64,
	} {
		b, want = apply(t, b, want, true, v)
		same(t, b, want)
	}
}

func TestEditLeavesRestOfLargerBufferAlone(t *testing.T) {
	b := Append(nil)
	b, _ = Add(b, 7)
	buf := append(slices.Clone(b), "tail"...)
	Add(buf[:len(b):len(b)], 8)
	if string(buf[len(b):]) != "tail" {
		t.Error("an edit wrote past the end of its block")
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":       {},
		"short header":  {2, 0, 0, 0, 0, 0, 0},
		"width 3":       {3, 0, 0, 0, 0, 0, 0, 0},
		"count too big": {2, 0, 0, 0, 2, 0, 0, 0, 1, 0},
		"out of order":  {2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0},
		"twice":         {2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 2, 0},
	} {
		if err := Validate(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzIntset(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 1, 0, 0, 0, 5, 0}, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{3}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 128})
	f.Fuzz(func(t *testing.T, b, edits []byte) {
		if Validate(b) != nil {
			b = Append(nil)
		}
		var want []int64
		for i := range Len(b) {
			want = append(want, At(b, i))
		}
		for len(edits) >= 9 {
			b, want = apply(t, b, want, edits[0]&1 == 0, int64(binary.LittleEndian.Uint64(edits[1:])))
			edits = edits[9:]
		}
		same(t, b, want)
	})
}
