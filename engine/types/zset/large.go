package zset

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/tree"
)

// Large is the form of a large sorted set.
//
// Invariant: byScore and byMember have the same members with the same scores.
type Large struct {
	// byScore is a set of (score as eight bytes that sort like it, member). Its
	// values are empty, but for a score of negative zero: it sorts as zero, and
	// a value of one byte keeps its sign.
	byScore *tree.Tree
	// byMember has each member's score as the eight bytes of its bits.
	byMember *byhash.Map
	joined   *chain.Chain // of the state that it belongs to, if any
}

const (
	scoreBytes = 8
	largeBytes = 24 // of a Large itself
	memberRoom = 120
)

var negativeZero = []byte{1}

func newLarge(s seed.Seed) *Large {
	return &Large{byScore: tree.New(), byMember: byhash.New(s)}
}

// MemBytes returns the number of bytes that the sorted set holds, in constant
// time.
func (l *Large) MemBytes() int {
	return largeBytes + l.byScore.MemBytes() + l.byMember.MemBytes()
}

// Freeze returns a copy of the sorted set as it is now, in constant time;
// afterwards both may be read and changed independently.
func (l *Large) Freeze() *Large {
	return &Large{byScore: l.byScore.Freeze(), byMember: l.byMember.Freeze()}
}

// Join makes the sorted set part of a state: changes are mixed into c from now on.
func (l *Large) Join(c *chain.Chain) { l.joined = c }

// Mix mixes all members with their scores into c.
func (l *Large) Mix(c *chain.Chain) {
	c.Words('z', uint64(l.byScore.Len()))
	for it := l.byScore.SeekRank(0); it.Valid(); it.Next() {
		member, score := entry(it.Key(), it.Value())
		c.Words('z', math.Float64bits(score))
		c.Bytes(member)
	}
}

// sortable returns a number that orders scores as unsigned integers, both zeros
// alike. It is never the largest one.
func sortable(score float64) uint64 {
	bits := math.Float64bits(score + 0) // -0 + 0 is 0
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

func unsortable(u uint64) float64 {
	if u>>63 != 0 {
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

// appendPlace appends the key of byScore.
func appendPlace(dst []byte, score float64, member []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, sortable(score))
	return append(dst, member...)
}

// signOf returns the value of byScore.
func signOf(score float64) []byte {
	if score == 0 && math.Signbit(score) {
		return negativeZero
	}
	return nil
}

// entry takes an entry of byScore apart.
func entry(place, value []byte) (member []byte, score float64) {
	score = unsortable(binary.BigEndian.Uint64(place))
	if len(value) != 0 {
		score = math.Copysign(0, -1)
	}
	return place[scoreBytes:], score
}

func (l *Large) score(member []byte) (score float64, ok bool) {
	stored, ok := l.byMember.Get(member)
	if !ok {
		return 0, false
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(stored)), true
}

func (l *Large) add(member []byte, score float64) (added bool) {
	old, had := l.score(member)
	if had && old == score {
		return false
	}
	var room [scoreBytes + memberRoom]byte
	if had {
		l.byScore.Delete(appendPlace(room[:0], old, member))
	}
	l.byScore.Put(appendPlace(room[:0], score, member), signOf(score))
	l.putMember(member, score)
	l.joined.Note('a', math.Float64bits(score), member, nil)
	return !had
}

func (l *Large) remove(member []byte) bool {
	score, had := l.score(member)
	if !had {
		return false
	}
	var room [scoreBytes + memberRoom]byte
	l.byScore.Delete(appendPlace(room[:0], score, member))
	l.joined.Note('d', math.Float64bits(score), member, nil)
	return l.byMember.Delete(member)
}

// deleteRange removes the members with ranks in [from, to). Where few are left it
// looks up those, and not all the others.
func (l *Large) deleteRange(from, to int) {
	fewLeft := (l.byScore.Len()-(to-from))*4 < to-from
	it := l.byScore.SeekRank(from)
	for range to - from {
		l.joined.Note('d', 0, it.Key(), it.Value())
		if !fewLeft {
			l.byMember.Delete(it.Key()[scoreBytes:])
		}
		it.Next()
	}
	l.byScore.DeleteRange(from, to)
	if fewLeft {
		l.indexMembers()
	}
}

// fill adds members that come in order, none of which is there, to an empty
// sorted set that is part of no state yet.
func (l *Large) fill(members iter.Seq2[[]byte, float64]) {
	var room [scoreBytes + memberRoom]byte
	for member, score := range members {
		l.byScore.Put(appendPlace(room[:0], score, member), signOf(score))
	}
	l.indexMembers()
}

// indexMembers makes byMember anew of what byScore holds. In the order of hashes
// that takes a fraction of the time of adding one member after the other: each
// finds the memory that it needs at hand.
func (l *Large) indexMembers() {
	type place struct {
		hash   uint64
		member []byte
		score  float64
	}
	order := l.byMember.Seed()
	places := make([]place, 0, l.byScore.Len())
	for it := l.byScore.SeekRank(0); it.Valid(); it.Next() {
		member, score := entry(it.Key(), it.Value())
		places = append(places, place{order.Hash(member), member, score})
	}
	slices.SortFunc(places, func(a, b place) int { return byhash.Compare(a.hash, a.member, b.hash, b.member) })
	l.byMember = byhash.New(order)
	for _, p := range places {
		l.putMember(p.member, p.score)
	}
}

// putMember keeps the score of a member.
func (l *Large) putMember(member []byte, score float64) {
	var bits [scoreBytes]byte
	binary.LittleEndian.PutUint64(bits[:], math.Float64bits(score))
	l.byMember.Put(member, bits[:])
}

func (l *Large) rank(member []byte) (rank int, ok bool) {
	score, had := l.score(member)
	if !had {
		return 0, false
	}
	var room [scoreBytes + memberRoom]byte
	return l.byScore.Rank(appendPlace(room[:0], score, member))
}

func (l *Large) at(rank int) (member []byte, score float64) {
	return entry(l.byScore.At(rank))
}

func (l *Large) ascend(rank int, yield func([]byte, float64) bool) {
	for it := l.byScore.SeekRank(rank); it.Valid(); it.Next() {
		if !yield(entry(it.Key(), it.Value())) {
			return
		}
	}
}

func (l *Large) descend(rank int, yield func([]byte, float64) bool) {
	for it := l.byScore.SeekRank(rank); it.Valid(); it.Prev() {
		if !yield(entry(it.Key(), it.Value())) {
			return
		}
	}
}

func (l *Large) scan(cursor uint64, count int, visit func([]byte, float64)) uint64 {
	return l.byMember.Scan(cursor, count, func(member, stored []byte) {
		visit(member, math.Float64frombits(binary.LittleEndian.Uint64(stored)))
	})
}

// below returns the number of members with scores less than score, or not
// greater if orEqual is set.
func (l *Large) below(score float64, orEqual bool) int {
	u := sortable(score)
	if orEqual {
		u++
	}
	var place [scoreBytes]byte
	binary.BigEndian.PutUint64(place[:], u)
	rank, _ := l.byScore.Rank(place[:])
	return rank
}

// belowMember is below in the order of members, where all have the first one's
// score.
func (l *Large) belowMember(member []byte, orEqual bool) int {
	if l.byScore.Len() == 0 {
		return 0
	}
	var room [scoreBytes + memberRoom]byte
	_, score := l.at(0)
	rank, found := l.byScore.Rank(appendPlace(room[:0], score, member))
	if found && orEqual {
		rank++
	}
	return rank
}
