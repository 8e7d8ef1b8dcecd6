package tree

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

// inner is what an inner node knows of its children, in parallel slices.
//
// Invariants: bounds[i-1] > every key below kids[i-1] and bounds[i-1] <= every
// key below kids[i], for i >= 1, where bounds[0] stands for nothing and is kept
// for the parallel only; heads[i] == headOf(bounds[i]); counts[i] ==
// kids[i].count() > 0.
type inner struct {
	heads  []uint64 // what find looks at first: one cache line holds eight
	counts []int
	kids   []*node
	bounds []string
}

// headOf returns the first eight bytes of key as a number, so that
// headOf(a) < headOf(b) implies a < b.
func headOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// find returns the index of the child where key is or would be; head is the
// key's.
func (in *inner) find(head uint64, key []byte) int {
	low, high := 1, len(in.heads)
	for low < high {
		mid := int(uint(low+high) >> 1)
		h := in.heads[mid]
		if h < head || h == head && in.bounds[mid] <= string(key) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// insert adds a child at index i.
func (in *inner) insert(i int, bound string, kid *node) {
	in.heads = slices.Insert(in.heads, i, headOf([]byte(bound)))
	in.counts = slices.Insert(in.counts, i, kid.count())
	in.kids = slices.Insert(in.kids, i, kid)
	in.bounds = slices.Insert(in.bounds, i, bound)
}

// remove drops the children [from, to).
func (in *inner) remove(from, to int) {
	in.heads = slices.Delete(in.heads, from, to)
	in.counts = slices.Delete(in.counts, from, to)
	in.kids = slices.Delete(in.kids, from, to)
	in.bounds = slices.Delete(in.bounds, from, to)
}

// take returns a copy of the children [from, to).
func (in *inner) take(from, to int) *inner {
	return &inner{
		heads:  slices.Clone(in.heads[from:to]),
		counts: slices.Clone(in.counts[from:to]),
		kids:   slices.Clone(in.kids[from:to]),
		bounds: slices.Clone(in.bounds[from:to]),
	}
}

// extend adds the children of next, whose lower bound is bound.
func (in *inner) extend(bound string, next *inner) {
	first := len(in.kids)
	in.heads = append(in.heads, next.heads...)
	in.counts = append(in.counts, next.counts...)
	in.kids = append(in.kids, next.kids...)
	in.bounds = append(in.bounds, next.bounds...)
	in.bounds[first] = bound
	in.heads[first] = headOf([]byte(bound))
}

func (in *inner) clone() *inner { return in.take(0, len(in.kids)) }

// bytes returns the memory that in holds, the bounds' text included.
func (in *inner) bytes() int {
	const kid = int(unsafe.Sizeof(uint64(0)) + unsafe.Sizeof(int(0)) + unsafe.Sizeof((*node)(nil)) + unsafe.Sizeof(""))
	n := innerBytes + cap(in.kids)*kid
	for _, b := range in.bounds {
		n += len(b)
	}
	return n
}

// boundBetween returns the shortest string that is greater than left and not
// greater than right. left must be less than right.
func boundBetween(left, right []byte) string {
	i := 0
	for i < len(left) && left[i] == right[i] {
		i++
	}
	return string(right[:i+1])
}
