package zset

import (
	"bytes"

	"github.com/quorate/quorate/engine/types/listpack"
)

// ScoreRange is a range of scores; its ends belong to it unless they are
// exclusive.
type ScoreRange struct {
	Min, Max                   float64
	MinExclusive, MaxExclusive bool
}

// Empty reports whether no score can be in r.
func (r *ScoreRange) Empty() bool {
	return r.Min > r.Max || r.Min == r.Max && (r.MinExclusive || r.MaxExclusive)
}

func (r *ScoreRange) reaches(score float64) bool {
	return score > r.Min || score == r.Min && !r.MinExclusive
}

func (r *ScoreRange) passes(score float64) bool {
	return score > r.Max || score == r.Max && r.MaxExclusive
}

// RanksByScore returns the ranks [from, to) of the members whose scores are in r.
func (z *Zset) RanksByScore(r ScoreRange) (from, to int) {
	if r.Empty() {
		return 0, 0
	}
	if z.large != nil {
		return z.large.below(r.Min, r.MinExclusive), z.large.below(r.Max, !r.MaxExclusive)
	}
	return z.smallRanks(
		func(at int) bool { return r.reaches(scoreAt(z.packed, listpack.Next(z.packed, at))) },
		func(at int) bool { return r.passes(scoreAt(z.packed, listpack.Next(z.packed, at))) },
	)
}

// smallRanks returns the ranks from the first pair of a small sorted set that
// reaches the range to the first one after it that passes its end.
func (z *Zset) smallRanks(reaches, passes func(at int) bool) (from, to int) {
	at := listpack.First(z.packed)
	for ; at >= 0 && !reaches(at); at = nextPair(z.packed, at) {
		from++
	}
	to = from
	for ; at >= 0 && !passes(at); at = nextPair(z.packed, at) {
		to++
	}
	return from, to
}

// LexBound is an end of a range of members.
type LexBound struct {
	Member    []byte
	Exclusive bool
	// Infinite is -1 for the bound before all members, 1 for the one after all,
	// and 0 for one at Member.
	Infinite int
}

// compare tells on which side of the bound member lies: -1 before, 0 at, 1 after.
func (b *LexBound) compare(member []byte) int {
	if b.Infinite != 0 {
		return -b.Infinite
	}
	return bytes.Compare(member, b.Member)
}

// LexRange is a range of members in the order of their bytes.
type LexRange struct{ Min, Max LexBound }

// Empty reports whether no member can be in r.
func (r *LexRange) Empty() bool {
	if r.Min.Infinite != 0 || r.Max.Infinite != 0 {
		return r.Min.Infinite > r.Max.Infinite || r.Min.Infinite == r.Max.Infinite
	}
	c := bytes.Compare(r.Min.Member, r.Max.Member)
	return c > 0 || c == 0 && (r.Min.Exclusive || r.Max.Exclusive)
}

func (r *LexRange) reaches(member []byte) bool {
	c := r.Min.compare(member)
	return c > 0 || c == 0 && !r.Min.Exclusive
}

func (r *LexRange) passes(member []byte) bool {
	c := r.Max.compare(member)
	return c > 0 || c == 0 && r.Max.Exclusive
}

// RanksByLex returns the ranks [from, to) of the members in r. It makes sense
// only where all members have one score; else what it returns is valid, and for a small
// set what redis-server finds, which looks at both ends before it goes through the members.
func (z *Zset) RanksByLex(r LexRange) (from, to int) {
	if r.Empty() {
		return 0, 0
	}
	var buf [20]byte
	if n := z.Len(); n > 0 {
		first, _ := z.At(0, buf[:])
		if r.passes(first) {
			return 0, 0
		}
		last, _ := z.At(n-1, buf[:])
		if !r.reaches(last) {
			return 0, 0
		}
	}
	if z.large != nil {
		return z.large.ranksByLex(&r)
	}
	return z.smallRanks(
		func(at int) bool { return r.reaches(listpack.Text(z.packed, at, buf[:])) },
		func(at int) bool { return r.passes(listpack.Text(z.packed, at, buf[:])) },
	)
}

func (l *Large) ranksByLex(r *LexRange) (from, to int) {
	from, to = 0, l.byScore.Len()
	if r.Min.Infinite == 0 {
		from = l.belowMember(r.Min.Member, r.Min.Exclusive)
	}
	if r.Max.Infinite == 0 {
		to = l.belowMember(r.Max.Member, !r.Max.Exclusive)
	}
	return from, to
}
