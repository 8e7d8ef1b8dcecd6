package commands

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// The part is what a plain sort puts there; all elements are still there.
func TestSortPartAgainstSort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	for range 2_000 {
		s := make([]int, 1+r.IntN(300))
		for i := range s {
			s[i] = r.IntN(1 + r.IntN(300))
		}
		want := slices.Sorted(slices.Values(s))
		from := r.IntN(len(s) + 1)
		to := from + r.IntN(len(s)-from+1)
		sortPart(s, from, to, func(a, b *int) int { return cmp.Compare(*a, *b) })
		if !slices.Equal(s[from:to], want[from:to]) {
			t.Fatalf("%d to %d: %v, want %v", from, to, s[from:to], want[from:to])
		}
		if slices.Sort(s); !slices.Equal(s, want) {
			t.Fatalf("have %v, want %v", s, want)
		}
	}
}

// An order that is made up to lead a quicksort astray ends in time: the adversary of
// M. D. McIlroy, "A Killer Adversary for Quicksort", 1999.
func TestSortPartBesideItsAdversary(t *testing.T) {
	const n = 20_000
	gas := n // above all that are known
	value := make([]int, n)
	s := make([]int, n)
	for i := range s {
		s[i], value[i] = i, gas
	}
	solid, candidate, compared := 0, 0, 0
	freeze := func(x int) {
		value[x] = solid
		solid++
	}
	sortPart(s, 0, n-1, func(a, b *int) int {
		compared++
		if value[*a] == gas && value[*b] == gas {
			if *a == candidate {
				freeze(*a)
			} else {
				freeze(*b)
			}
		}
		if value[*a] == gas {
			candidate = *a
		} else if value[*b] == gas {
			candidate = *b
		}
		return cmp.Compare(value[*a], value[*b])
	})
	if limit := 2 * partDepthMax * n; compared > limit {
		t.Errorf("%d elements took %d comparisons, want at most %d", n, compared, limit)
	}
	t.Logf("%d comparisons", compared)
}

// A part of elements that are ordered by themselves is that of the whole sort, whether ties end at a NUL or not.
func TestSortOfAPartIsThatOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 6))
	for range 500 {
		o := sortOptions{alpha: r.IntN(2) == 0, desc: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			o.store = []byte("to")
		}
		letters := "abc"
		if o.alpha && r.IntN(2) == 0 {
			letters = "ab\x00"
		}
		var elements []sortElement
		for range 1 + r.IntN(200) {
			text := make([]byte, r.IntN(4))
			for i := range text {
				text[i] = letters[r.IntN(len(letters))]
			}
			elements = append(elements, sortElement{text: text, score: float64(len(text))})
		}
		all, part := slices.Clone(elements), slices.Clone(elements)
		slices.SortStableFunc(all, func(a, b sortElement) int { return o.compare(&a, &b) })
		from := r.IntN(len(elements))
		to := from + r.IntN(len(elements)-from)
		o.sort(part, from, to)
		for i := from; i < to; i++ {
			if string(part[i].text) != string(all[i].text) {
				t.Fatalf("%+v, place %d: %q, want %q", o, i, part[i].text, all[i].text)
			}
		}
	}
}
