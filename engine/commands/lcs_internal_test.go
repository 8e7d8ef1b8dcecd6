package commands

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// naiveLCS returns the length of the longest common subsequence, and the one that
// is found by going back from the ends, up where that is longer, else to the left.
func naiveLCS(a, b []byte) []byte {
	at := make([][]int, len(a)+1)
	for i := range at {
		at[i] = make([]int, len(b)+1)
	}
	for i := range a {
		for j := range b {
			at[i+1][j+1] = max(at[i][j+1], at[i+1][j])
			if a[i] == b[j] {
				at[i+1][j+1] = at[i][j] + 1
			}
		}
	}
	var s []byte
	for i, j := len(a), len(b); i > 0 && j > 0; {
		switch {
		case a[i-1] == b[j-1]:
			s = append([]byte{a[i-1]}, s...)
			i, j = i-1, j-1
		case at[i-1][j] > at[i][j-1]:
			i--
		default:
			j--
		}
	}
	return s
}

// The bits say what the table of all lengths says, whichever string is longer.
func TestLCSIsThatOfTheWholeTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() []byte {
		s := make([]byte, r.IntN(70))
		for i := range s {
			s[i] = "abcd"[r.IntN(4)]
		}
		return s
	}
	for range 3000 {
		a, b := text(), text()
		table, ok := newLCSTable(a, b, 1<<20)
		if !ok {
			t.Fatal("refused")
		}
		if got, want := table.common(), naiveLCS(a, b); !bytes.Equal(got, want) || table.len() != len(want) {
			t.Fatalf("%s and %s: got %s (%d), want %s", a, b, got, table.len(), want)
		}
	}
}

// Redis refuses by the size of its own table.
func TestLCSEndsWhereRedisEnds(t *testing.T) {
	if _, ok := newLCSTable(make([]byte, 99), make([]byte, 99), 40000); !ok {
		t.Error("100 x 100 numbers of four bytes are 40000")
	}
	if _, ok := newLCSTable(make([]byte, 99), make([]byte, 100), 40000); ok {
		t.Error("100 x 101 numbers are more")
	}
}
