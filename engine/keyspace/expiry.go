package keyspace

import "slices"

// due is one key in the expiry index: when it expires, and the hash of its name.
type due struct {
	at   int64
	hash uint64
}

func (d due) compare(e due) int {
	switch {
	case d.at != e.at && d.at < e.at, d.at == e.at && d.hash < e.hash:
		return -1
	case d == e:
		return 0
	}
	return 1
}

// An expiryIndex is a multiset of dues in order: a list of leaves of bounded size, which hold no pointers. Two
// levels are enough: ten million keys are some fifty thousand leaves.
//
// Invariant: no leaf is empty, and all dues are in ascending order through the leaves.
type expiryIndex struct {
	leaves []leaf
	len    int
}

type leaf struct {
	first due // dues[0], here to spare the search a look at the leaf
	dues  []due
}

const leafMax = 256

// add adds one due.
func (x *expiryIndex) add(at int64, hash uint64) {
	d := due{at, hash}
	x.len++
	if len(x.leaves) == 0 {
		x.leaves = []leaf{{d, append(make([]due, 0, 16), d)}}
		return
	}
	i := x.leafOf(d)
	l := &x.leaves[i]
	if len(l.dues) == leafMax {
		i = x.split(i, d)
		l = &x.leaves[i]
	}
	at2, _ := slices.BinarySearchFunc(l.dues, d, due.compare)
	l.dues = slices.Insert(l.dues, at2, d)
	l.first = l.dues[0]
}

// remove takes away one due, which must be there.
func (x *expiryIndex) remove(at int64, hash uint64) {
	d := due{at, hash}
	i := x.leafOf(d)
	l := &x.leaves[i]
	j, ok := slices.BinarySearchFunc(l.dues, d, due.compare)
	if !ok {
		panic("keyspace: a key with an expiry time is not in the expiry index")
	}
	x.len--
	l.dues = slices.Delete(l.dues, j, j+1)
	if len(l.dues) == 0 {
		x.drop(i)
		return
	}
	l.first = l.dues[0]
	if len(l.dues) < leafMax/4 && i+1 < len(x.leaves) && len(l.dues)+len(x.leaves[i+1].dues) <= leafMax*3/4 {
		l.dues = append(l.dues, x.leaves[i+1].dues...)
		x.drop(i + 1)
	}
}

// min returns the earliest due.
func (x *expiryIndex) min() (due, bool) {
	if len(x.leaves) == 0 {
		return due{}, false
	}
	return x.leaves[0].first, true
}

// after returns the earliest time after now.
func (x *expiryIndex) after(now int64) (at int64, ok bool) {
	if len(x.leaves) == 0 {
		return 0, false
	}
	from := due{now + 1, 0}
	for i := x.leafOf(from); i < len(x.leaves); i++ {
		dues := x.leaves[i].dues
		if j, _ := slices.BinarySearchFunc(dues, from, due.compare); j < len(dues) {
			return dues[j].at, true
		}
	}
	return 0, false
}

// meanTTL estimates for how long from now on keys live on average: by the middle of some
// leaves, evenly chosen.
func (x *expiryIndex) meanTTL(now int64) int64 {
	const looks = 128
	sum, n := 0.0, 0
	for i := 0; i < len(x.leaves); i += 1 + len(x.leaves)/looks {
		dues := x.leaves[i].dues
		sum += float64(max(dues[len(dues)/2].at-now, 0)) * float64(len(dues))
		n += len(dues)
	}
	if n == 0 {
		return 0
	}
	return int64(sum / float64(n))
}

func (x *expiryIndex) bytes() int64 {
	if len(x.leaves) == 1 {
		return int64(cap(x.leaves[0].dues)) * 16
	}
	return int64(len(x.leaves)) * (40 + leafMax*16)
}

// leafOf returns the last leaf that begins at or before d, or the first leaf.
func (x *expiryIndex) leafOf(d due) int {
	i, found := slices.BinarySearchFunc(x.leaves, d, func(l leaf, d due) int { return l.first.compare(d) })
	if found || i == 0 {
		return i
	}
	return i - 1
}

// split makes room in full leaf i and returns the leaf that d belongs into. What is appended at the very end, as
// keys with a common time to live are, leaves full leaves behind.
func (x *expiryIndex) split(i int, d due) int {
	l := &x.leaves[i]
	middle := leafMax / 2
	if i == len(x.leaves)-1 && d.compare(l.dues[leafMax-1]) > 0 {
		x.leaves = append(x.leaves, leaf{d, make([]due, 0, leafMax)})
		return i + 1
	}
	upper := append(make([]due, 0, leafMax), l.dues[middle:]...)
	l.dues = l.dues[:middle]
	x.leaves = slices.Insert(x.leaves, i+1, leaf{upper[0], upper})
	if d.compare(upper[0]) < 0 {
		return i
	}
	return i + 1
}

func (x *expiryIndex) drop(i int) {
	if i == 0 {
		x.leaves[0] = leaf{}
		x.leaves = x.leaves[1:]
		return
	}
	x.leaves = slices.Delete(x.leaves, i, i+1)
}
