// Package zset holds the value of a sorted set: distinct members in the order of
// their scores, those of one score in the order of their bytes.
package zset

import (
	"iter"
	"math"

	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

// Limits say how long a sorted set stays small.
type Limits struct {
	Entries int // zset-max-listpack-entries: the most members
	Value   int // zset-max-listpack-value: the longest member in bytes
}

// Zset is a sorted set in hand, small or large. It goes from small to large,
// never back: a client could make it flap.
//
// Reading does not change a Zset, so that any number of goroutines may each read
// the same packed bytes or Large. Changes edit the packed bytes in place where
// their capacity allows; afterwards the caller stores what Packed or Object
// returns.
//
// Members that a Zset hands out are valid until its next change; those handed in
// must not alias it. Scores are never NaN. Ranks count from the lowest score, 0.
type Zset struct {
	seed   seed.Seed
	packed []byte // a listpack of member, score, member, score ... in order; nil exactly when large is not
	large  *Large
}

// New returns an empty sorted set that uses the capacity of buf.
func New(s seed.Seed, buf []byte) Zset {
	return Zset{seed: s, packed: listpack.AppendEmpty(buf[:0])}
}

// NewLarge returns an empty sorted set that is large from the start, because one
// says so that was saved.
func NewLarge(s seed.Seed) Zset {
	return Zset{seed: s, large: newLarge(s)}
}

// FromPacked returns the sorted set that Packed has returned the bytes of. A set
// that will be changed takes the bytes over. A listpack of Redis is taken as it
// is.
func FromPacked(s seed.Seed, packed []byte) Zset {
	return Zset{seed: s, packed: packed}
}

// FromObject returns the sorted set that Object has returned l of.
func FromObject(l *Large) Zset {
	return Zset{seed: l.byMember.Seed(), large: l}
}

// Copy returns a copy in constant time; both may be changed independently afterwards. It is had of a large sorted set of
// more members than a small one may have, so that its members, filled into a new one, would make just that one.
func (z *Zset) Copy(limits Limits) (copied Zset, ok bool) {
	if z.large == nil || z.Len() <= limits.Entries {
		return Zset{}, false
	}
	return FromObject(z.large.Freeze()), true
}

// Packed returns the bytes of a small sorted set, nil of a large one.
func (z *Zset) Packed() []byte { return z.packed }

// Object returns the large form of a sorted set that has it, else nil.
func (z *Zset) Object() *Large { return z.large }

// Len returns the number of members.
func (z *Zset) Len() int {
	if z.large != nil {
		return z.large.byScore.Len()
	}
	return listpack.Len(z.packed) / 2
}

// Score returns the score of member.
func (z *Zset) Score(member []byte) (score float64, ok bool) {
	if z.large != nil {
		return z.large.score(member)
	}
	at := z.find(member)
	if at < 0 {
		return 0, false
	}
	return scoreAt(z.packed, listpack.Next(z.packed, at)), true
}

// Add gives member the score, and reports whether the member is new. A score
// equal to the one it has changes nothing, not even the sign of a zero.
func (z *Zset) Add(member []byte, score float64, limits Limits) (added bool) {
	if math.IsNaN(score) {
		panic("zset: score is not a number")
	}
	if z.large != nil {
		return z.large.add(member, score)
	}
	if at := z.find(member); at >= 0 {
		if scoreAt(z.packed, listpack.Next(z.packed, at)) != score {
			z.packed, _ = listpack.DeleteN(z.packed, at, 2)
			z.packed = insertPair(z.packed, member, score)
		}
		return false
	}
	if !z.fits(member, limits) {
		z.grow()
		return z.large.add(member, score)
	}
	z.packed = insertPair(z.packed, member, score)
	return true
}

// Fill adds members that come in the order of the set, each once, to an empty set
// that no key holds yet. Many are added faster than one after the other.
func (z *Zset) Fill(members iter.Seq2[[]byte, float64], limits Limits) {
	if z.large != nil {
		z.large.fill(members)
		return
	}
	for member, score := range members {
		z.Add(member, score, limits)
	}
}

// fits reports whether a small sorted set stays small with one more member.
func (z *Zset) fits(member []byte, limits Limits) bool {
	const overhead = 64 // at least what a pair takes beside the member's text
	return z.Len() < limits.Entries && len(member) <= limits.Value && listpack.Fits(z.packed, len(member)+overhead)
}

// grow makes a small sorted set large.
func (z *Zset) grow() {
	large := newLarge(z.seed)
	for member, score := range z.Ascend(0) {
		large.add(member, score)
	}
	z.packed, z.large = nil, large
}

// Remove removes member and reports whether it was there.
func (z *Zset) Remove(member []byte) bool {
	if z.large != nil {
		return z.large.remove(member)
	}
	at := z.find(member)
	if at < 0 {
		return false
	}
	z.packed, _ = listpack.DeleteN(z.packed, at, 2)
	return true
}

// DeleteRange removes the members with ranks in [from, to), which must be within
// [0, Len()].
func (z *Zset) DeleteRange(from, to int) {
	switch {
	case from >= to:
	case z.large != nil:
		z.large.deleteRange(from, to)
	default:
		z.packed = listpack.DeleteRange(z.packed, 2*from, 2*(to-from))
	}
}

// Rank returns the rank of member.
func (z *Zset) Rank(member []byte) (rank int, ok bool) {
	if z.large != nil {
		return z.large.rank(member)
	}
	at := z.find(member)
	if at < 0 {
		return 0, false
	}
	for p := listpack.First(z.packed); p != at; p = nextPair(z.packed, p) {
		rank++
	}
	return rank, true
}

// At returns the member with the given rank, which must be in [0, Len()), and
// its score. An integer is written to buf[:0].
func (z *Zset) At(rank int, buf []byte) (member []byte, score float64) {
	if z.large != nil {
		return z.large.at(rank)
	}
	at := listpack.Seek(z.packed, 2*rank)
	return listpack.Text(z.packed, at, buf), scoreAt(z.packed, listpack.Next(z.packed, at))
}

// Ascend yields the members from the given rank on, with their scores; none if
// the rank is not in [0, Len()). The sorted set must not be changed meanwhile; a
// member is valid until the next one.
func (z *Zset) Ascend(rank int) iter.Seq2[[]byte, float64] {
	return func(yield func(member []byte, score float64) bool) {
		if z.large != nil {
			z.large.ascend(rank, yield)
			return
		}
		if rank < 0 {
			return
		}
		var buf [20]byte
		for at := listpack.Seek(z.packed, 2*rank); at >= 0; at = nextPair(z.packed, at) {
			if !yield(listpack.Text(z.packed, at, buf[:]), scoreAt(z.packed, listpack.Next(z.packed, at))) {
				return
			}
		}
	}
}

// Descend yields the members from the given rank down to 0, as Ascend does.
func (z *Zset) Descend(rank int) iter.Seq2[[]byte, float64] {
	return func(yield func(member []byte, score float64) bool) {
		if z.large != nil {
			z.large.descend(rank, yield)
			return
		}
		if rank < 0 {
			return
		}
		var buf [20]byte
		for at := listpack.Seek(z.packed, 2*rank); at >= 0; at = prevPair(z.packed, at) {
			if !yield(listpack.Text(z.packed, at, buf[:]), scoreAt(z.packed, listpack.Next(z.packed, at))) {
				return
			}
		}
	}
}

// Scan visits at least count members (if there are so many left) from the cursor
// on, and returns the cursor to go on with; 0 begins, and 0 returned is the end.
// Every member that is there from the first call to the last is visited. A small
// sorted set is visited at once, in its order; a large one in the order of its
// members' hashes.
func (z *Zset) Scan(cursor uint64, count int, visit func(member []byte, score float64)) uint64 {
	if z.large != nil {
		return z.large.scan(cursor, count, visit)
	}
	for member, score := range z.Ascend(0) {
		visit(member, score)
	}
	return 0
}
