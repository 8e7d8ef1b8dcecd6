package byhash

import (
	"math"
	"math/bits"
)

// Taking many entries by chance, each by its rank among those that are left: one after the other each costs a way down
// the tree to find it and another one to delete it. If most are taken, it is cheaper to find them all in the tree as it
// was and to cut out what lies between those that stay. What a rank among those left was in the beginning is told by a
// Fenwick tree (P. M. Fenwick, "A New Data Structure for Cumulative Frequency Tables", 1994).

// Take removes n entries, fewer than there are. One after the other it takes, of those left, the one with the rank that
// choose returns, which is told their number, and hands its key to taken, for which it is valid while Take runs. choose is
// some calls ahead of taken.
// It makes a list of all keys, 2^31-1 at most, and is meant for an n of most of them.
func (m *Map) Take(n int, choose func(left int) int, taken func(key []byte)) {
	keys := make([][]byte, 0, m.Len())
	for key := range m.All() {
		keys = append(keys, key)
	}
	left := allLeft(len(keys))
	var places [takeTogether]int
	for i := 0; i < n; {
		some := places[:min(len(places), n-i)]
		for j := range some {
			some[j] = left.take(choose(len(keys) - i))
			i++
		}
		visit(keys, some)
		for _, place := range some {
			taken(keys[place])
		}
	}
	for to := len(keys); to > 0; {
		from := to
		for from > 0 && !left.has(from-1) {
			from--
		}
		m.t.DeleteRange(from, to)
		to = from
		for to > 0 && left.has(to-1) {
			to--
		}
	}
}

// takeTogether is how many keys are visited before they are taken.
const takeTogether = 64

// visit reads a byte of each key at places. No cache holds the keys, and the visits do not depend on each other: the
// processor has several on their way at a time. What it returns keeps them from being optimised away.
//
//go:noinline
func visit(keys [][]byte, places []int) (seen byte) {
	for _, place := range places {
		if key := keys[place]; len(key) > 0 {
			seen ^= key[0]
		}
	}
	return seen
}

// leftovers tells, of some things in a row, which are left. It is small enough to stay in the processor's caches.
type leftovers struct {
	bits []uint64 // by 64 in a row
	sums []int32  // a Fenwick tree over the words: sums[i-1] are left in those from i - lowest bit of i on, below i
	top  int      // the largest power of two that is not above the number of words
}

func allLeft(n int) leftovers {
	words := (n + 63) / 64
	l := leftovers{bits: make([]uint64, words), sums: make([]int32, words), top: 1}
	for l.top*2 <= words {
		l.top *= 2
	}
	for i := range words {
		l.bits[i] = math.MaxUint64
		l.sums[i] = int32(64 * ((i + 1) & -(i + 1)))
	}
	if rest := n % 64; rest != 0 {
		l.bits[words-1] = 1<<rest - 1
		for i := words; i <= words; i += i & -i {
			l.sums[i-1] -= int32(64 - rest)
		}
	}
	return l
}

func (l *leftovers) has(place int) bool { return l.bits[place/64]>>(place%64)&1 != 0 }

// take takes the one with the given rank among those left, and returns its place in the row.
func (l *leftovers) take(rank int) (place int) {
	word := 0
	for step := l.top; step > 0; step /= 2 {
		next := word + step
		if next > len(l.sums) {
			continue
		}
		if sum := &l.sums[next-1]; int(*sum) <= rank {
			rank -= int(*sum)
			word = next
		} else {
			*sum--
		}
	}
	bit := bitOf(l.bits[word], rank)
	l.bits[word] &^= 1 << bit
	return word*64 + bit
}

// bitOf returns the place of the one with the given rank among those of w.
func bitOf(w uint64, rank int) (place int) {
	for half := 32; half >= 8; half /= 2 {
		if low := bits.OnesCount64(w & (1<<half - 1)); rank >= low {
			rank -= low
			w >>= half
			place += half
		}
	}
	for ; rank > 0; rank-- {
		w &= w - 1
	}
	return place + bits.TrailingZeros64(w)
}
