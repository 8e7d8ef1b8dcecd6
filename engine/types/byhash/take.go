package byhash

// Taking many entries by chance, each by its rank among those that are left: one after the other each costs a way down
// the tree to find it and another one to delete it. If most are taken, it is cheaper to find them all in the tree as it
// was and to cut out what lies between those that stay. What a rank among those left was in the beginning is told by a
// Fenwick tree (P. M. Fenwick, "A New Data Structure for Cumulative Frequency Tables", 1994).

// Take removes n entries, fewer than there are. One after the other it takes, of those left, the one with the rank that
// choose returns, which is told their number, and hands its key to taken, for which it is valid while Take runs.
// It makes a list of all keys, 2^31-1 at most, and is meant for an n of most of them.
func (m *Map) Take(n int, choose func(left int) int, taken func(key []byte)) {
	keys := make([][]byte, 0, m.Len())
	for key := range m.All() {
		keys = append(keys, key)
	}
	left := allLeft(len(keys))
	for i := range n {
		rank := left.take(choose(len(keys) - i))
		taken(keys[rank])
		keys[rank] = nil
	}
	for to := len(keys); to > 0; {
		from := to
		for from > 0 && keys[from-1] == nil {
			from--
		}
		m.t.DeleteRange(from, to)
		to = from
		for to > 0 && keys[to-1] != nil {
			to--
		}
	}
}

// leftovers count, of some things in a row, those that are left: sums[i-1] of those in [i - lowest bit of i, i).
type leftovers struct {
	sums []int32
	top  int // the largest power of two that is not above their number
}

func allLeft(n int) leftovers {
	l := leftovers{sums: make([]int32, n), top: 1}
	for i := range l.sums {
		l.sums[i] = int32((i + 1) & -(i + 1))
	}
	for l.top*2 <= n {
		l.top *= 2
	}
	return l
}

// take takes the one with the given rank among those left, and returns its place in the row.
func (l *leftovers) take(rank int) (place int) {
	for step := l.top; step > 0; step /= 2 {
		next := place + step
		if next > len(l.sums) {
			continue
		}
		if sum := &l.sums[next-1]; int(*sum) <= rank {
			rank -= int(*sum)
			place = next
		} else {
			*sum--
		}
	}
	return place
}
