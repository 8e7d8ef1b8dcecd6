// Package set holds the value of a set: distinct byte strings without an order
// of their own.
//
// What clients see of an order (SMEMBERS, SSCAN, random members by rank) follows
// from the members and the encoding alone: integers ascend in an intset; in all
// other sets members stand in the order of their hashes under the cluster's
// seed, whether the set is small and compact or large.
package set

import (
	"iter"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/intset"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

// Limits say how long a set stays in a small form.
type Limits struct {
	IntsetEntries int // set-max-intset-entries: more members are no intset
}

// Set is a set in hand, in one of three forms. Intsets and small sets of other
// members are packed bytes; large ones are a Large. A set goes from intset to
// compact to large and never back.
//
// Reading does not change a Set, so that any number of goroutines may each read
// the same packed bytes or Large. Adding and removing edits the packed bytes in
// place where their capacity allows; afterwards the caller stores what Packed
// or Object returns.
//
// Members that a Set hands out are valid until its next change; those handed in
// must not alias it.
type Set struct {
	seed   seed.Seed
	packed []byte // nil exactly when large is not
	large  *Large
	joined *chain.Chain // of the state that the set belongs to, if any
}

// Large is the form of a large set.
type Large struct {
	members *byhash.Map
	joined  *chain.Chain // of the state that it belongs to, if any
}

// MemBytes returns the number of bytes that the set holds, in constant time.
func (l *Large) MemBytes() int { return l.members.MemBytes() }

// Freeze returns a copy of the set as it is now, in constant time; afterwards
// both may be read and changed independently.
func (l *Large) Freeze() *Large { return &Large{members: l.members.Freeze()} }

// Join makes the set part of a state: changes to it, by way of a Set in hand, are
// mixed into c from now on.
func (l *Large) Join(c *chain.Chain) { l.joined = c }

// Mix mixes all members into c.
func (l *Large) Mix(c *chain.Chain) {
	s := FromObject(l)
	Mix(c, &s)
}

// Mix mixes all members of a set, whatever its form, into c.
func Mix(c *chain.Chain, s *Set) {
	c.Words('t', uint64(s.Len()))
	for m := range s.All() {
		c.Bytes(m)
	}
}

// New returns an empty set, an intset so far, that uses the capacity of buf.
func New(s seed.Seed, buf []byte) Set {
	return Set{seed: s, packed: intset.Append(buf[:0])}
}

// NewHashtable is New for a set that shall not be an intset, whatever its
// members, because one says so that was saved.
func NewHashtable(s seed.Seed, buf []byte) Set {
	return Set{seed: s, packed: appendCompact(buf[:0])}
}

// FromPacked returns the set that Packed has returned the bytes of. A set that
// will be changed takes the bytes over. An intset of Redis is taken as it is.
func FromPacked(s seed.Seed, packed []byte) Set {
	return Set{seed: s, packed: packed}
}

// FromObject returns the set that Object has returned l of.
func FromObject(l *Large) Set {
	return Set{seed: l.members.Seed(), large: l, joined: l.joined}
}

// Join makes a set in a small form part of a state, as Large.Join does: whatever
// form a set has, and whether it leaves it, the same members make the same
// history. A small set that is read back from a file may have been a large one.
func (s *Set) Join(c *chain.Chain) { s.joined = c }

// Packed returns the bytes of a set in a small form, nil of a large one.
func (s *Set) Packed() []byte { return s.packed }

// Object returns the large form of a set that has it, else nil.
func (s *Set) Object() *Large { return s.large }

// IsIntset reports whether the encoding is intset; else it is hashtable.
func (s *Set) IsIntset() bool { return s.large == nil && !isCompact(s.packed) }

// Len returns the number of members.
func (s *Set) Len() int {
	switch {
	case s.large != nil:
		return s.large.members.Len()
	case isCompact(s.packed):
		return compactLen(s.packed)
	}
	return intset.Len(s.packed)
}

// Has reports whether m is a member.
func (s *Set) Has(m []byte) bool {
	switch {
	case s.large != nil:
		return s.large.members.Has(m)
	case isCompact(s.packed):
		_, found := compactFind(s.packed, s.seed, s.seed.Hash(m), m)
		return found
	}
	n, isInt := listpack.ParseInt(m)
	if !isInt {
		return false
	}
	_, found := intset.Find(s.packed, n)
	return found
}

// Add adds m and reports whether it is new.
func (s *Set) Add(m []byte, limits Limits) bool {
	if !s.add(m, limits) {
		return false
	}
	s.joined.Note('a', 0, m, nil)
	return true
}

func (s *Set) add(m []byte, limits Limits) bool {
	if s.IsIntset() {
		n, isInt := listpack.ParseInt(m)
		if isInt {
			return s.addInt(n, limits)
		}
		s.leaveIntset()
	}
	if s.large == nil && !compactFits(s.packed, m) {
		if s.Has(m) {
			return false
		}
		s.grow()
	}
	if s.large != nil {
		return s.large.members.Put(m, nil)
	}
	var added bool
	s.packed, added = compactAdd(s.packed, s.seed, m)
	return added
}

func (s *Set) addInt(n int64, limits Limits) bool {
	var added bool
	s.packed, added = intset.Add(s.packed, n)
	if added && intset.Len(s.packed) > limits.IntsetEntries {
		s.leaveIntset()
	}
	return added
}

// leaveIntset gives an intset the form of a set of any members.
func (s *Set) leaveIntset() {
	old := *s
	s.packed = appendCompact(make([]byte, 0, 2*len(old.packed)))
	for m := range old.All() {
		s.add(m, Limits{})
	}
}

// grow gives a compact set the large form.
func (s *Set) grow() {
	members := byhash.New(s.seed)
	for m := range s.All() {
		members.Put(m, nil)
	}
	s.packed, s.large = nil, &Large{members: members}
}

// Remove removes m and reports whether it was a member.
func (s *Set) Remove(m []byte) bool {
	if !s.remove(m) {
		return false
	}
	s.joined.Note('d', 0, m, nil)
	return true
}

func (s *Set) remove(m []byte) bool {
	var removed bool
	switch {
	case s.large != nil:
		return s.large.members.Delete(m)
	case isCompact(s.packed):
		s.packed, removed = compactRemove(s.packed, s.seed, m)
		return removed
	}
	n, isInt := listpack.ParseInt(m)
	if !isInt {
		return false
	}
	s.packed, removed = intset.Remove(s.packed, n)
	return removed
}

// Copy returns a copy in constant time; both sets may be changed independently afterwards. It is had of a large set that
// is larger than any small form may be, so that its members, added to a new set one by one, would make just that one.
func (s *Set) Copy(limits Limits) (copied Set, ok bool) {
	if s.large == nil || s.Len() <= max(compactMembers, limits.IntsetEntries) {
		return Set{}, false
	}
	return FromObject(s.large.Freeze()), true
}

// takeMin is how many members Take takes at least before it is worth a list of all.
const takeMin = 1000

// Take removes n members, fewer than there are. One after the other it takes, of those left, the one with the rank
// that choose returns, which is told their number, and hands it to taken, for which it is valid until that returns. choose
// may be some calls ahead of taken.
func (s *Set) Take(n int, choose func(left int) int, taken func(m []byte)) {
	if s.large != nil && n >= takeMin && n > s.Len()/2 && s.Len() <= math.MaxInt32 {
		s.large.members.Take(n, choose, func(m []byte) {
			taken(m)
			s.joined.Note('d', 0, m, nil)
		})
		return
	}
	var digits [20]byte
	var m []byte
	for range n {
		m = append(m[:0], s.At(choose(s.Len()), digits[:])...) // it may alias the set
		taken(m)
		s.Remove(m)
	}
}

// At returns the member with the given rank in the set's order, which must be in
// [0, Len()). An integer is written to buf[:0].
func (s *Set) At(rank int, buf []byte) []byte {
	switch {
	case s.large != nil:
		m, _ := s.large.members.At(rank)
		return m
	case isCompact(s.packed):
		return compactAt(s.packed, rank)
	}
	return strconv.AppendInt(buf[:0], intset.At(s.packed, rank), 10)
}

// All yields all members in the set's order. The set must not be changed
// meanwhile; a member is valid until the next one.
func (s *Set) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		switch {
		case s.large != nil:
			for m := range s.large.members.All() {
				if !yield(m) {
					return
				}
			}
		case isCompact(s.packed):
			compactAll(s.packed, yield)
		default:
			var digits [20]byte
			for i := range intset.Len(s.packed) {
				if !yield(strconv.AppendInt(digits[:0], intset.At(s.packed, i), 10)) {
					return
				}
			}
		}
	}
}

// Scan visits at least count members (if there are so many left) from the cursor
// on, and returns the cursor to go on with; 0 begins, and 0 returned is the end.
// Every member that is there from the first call to the last is visited, also
// when the set changes its form in between. An intset is visited at once.
func (s *Set) Scan(cursor uint64, count int, visit func(m []byte)) uint64 {
	switch {
	case s.large != nil:
		return s.large.members.Scan(cursor, count, func(m, _ []byte) { visit(m) })
	case isCompact(s.packed):
		return compactScan(s.packed, s.seed, cursor, count, visit)
	}
	for m := range s.All() {
		visit(m)
	}
	return 0
}
