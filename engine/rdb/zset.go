package rdb

import (
	"bytes"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/zset"
)

func (d *decoder) zset(valueType byte) keyspace.Value {
	limits := zset.Limits{Entries: d.build.Settings.ZsetMaxListpackEntries, Value: d.build.Settings.ZsetMaxListpackValue}
	var z zset.Zset
	switch valueType {
	case typeZsetListpack:
		z = d.packedZset(d.listpack(d.block[:0], 2), limits.Entries)
	case typeZsetZiplist:
		z = d.packedZset(d.ziplist(d.block[:0], 2), limits.Entries)
	default:
		z = d.plainZset(valueType, limits)
	}
	if d.err != nil {
		return keyspace.Value{}
	}
	if l := z.Object(); l != nil {
		return keyspace.Value{Type: keyspace.Zset, Enc: keyspace.Skiplist, Object: keyspace.Box(l)}
	}
	d.block = z.Packed()
	return d.packed(keyspace.Zset, keyspace.Listpack)
}

// plainZset reads a sorted set that is written member by member. It is large on
// the way, as in Redis, for a listpack would make 0 of -0.
func (d *decoder) plainZset(valueType byte, limits zset.Limits) zset.Zset {
	z := zset.NewLarge(d.build.Seed)
	longest := 0
	for n := d.count(); n > 0 && d.err == nil; n-- {
		d.text = d.string(d.text[:0])
		var score float64
		if valueType == typeZset2 {
			score = d.double()
		} else {
			score = d.scoreText()
		}
		longest = max(longest, len(d.text))
		switch {
		case d.err != nil:
		case math.IsNaN(score):
			d.fail("score of member %.64q is not a number", d.text)
		case !z.Add(d.text, score, limits):
			d.fail("member %.64q twice", d.text)
		}
	}
	if !d.build.Derive || z.Len() > limits.Entries || longest > limits.Value || d.err != nil {
		return z
	}
	packed := zset.New(d.build.Seed, d.block)
	for member, score := range z.Ascend(0) {
		packed.Add(member, score, limits)
	}
	return packed
}

// packedZset returns the sorted set in a listpack. Redis looks at the number of
// its members alone when it loads one.
func (d *decoder) packedZset(lp []byte, entries int) zset.Zset {
	if d.err == nil {
		d.distinct(lp, 2)
		d.ordered(lp)
	}
	if d.err != nil {
		return zset.Zset{}
	}
	z := zset.FromPacked(d.build.Seed, lp)
	if d.build.Derive && z.Len() > entries {
		return largeZset(d.build.Seed, &z)
	}
	return z
}

// largeZset returns z in the large form.
func largeZset(s seed.Seed, z *zset.Zset) zset.Zset {
	large := zset.NewLarge(s)
	for member, score := range z.Ascend(0) {
		large.Add(member, score, zset.Limits{})
	}
	return large
}

// ordered checks that the pairs of a listpack are members and scores in their
// order.
func (d *decoder) ordered(lp []byte) {
	var digits [20]byte
	var lastMember []byte
	lastScore := math.Inf(-1)
	for p := listpack.First(lp); p >= 0 && d.err == nil; {
		d.text2 = append(d.text2[:0], listpack.Text(lp, p, digits[:])...)
		p = listpack.Next(lp, p)
		score := d.score(listpack.Text(lp, p, digits[:]))
		p = listpack.Next(lp, p)
		switch {
		case d.err != nil:
		case math.IsNaN(score):
			d.fail("score of member %.64q is not a number", d.text2)
		case score < lastScore || score == lastScore && lastMember != nil && bytes.Compare(lastMember, d.text2) >= 0:
			d.fail("member %.64q is out of order", d.text2)
		}
		lastMember = append(lastMember[:0], d.text2...)
		lastScore = score
	}
}

// scoreText reads a score of the oldest form.
func (d *decoder) scoreText() float64 {
	n := d.byte()
	switch n {
	case scoreNaN:
		return math.NaN()
	case scoreInf:
		return math.Inf(1)
	case scoreMinusInf:
		return math.Inf(-1)
	}
	d.text2 = d.append(d.text2[:0], uint64(n))
	if d.err != nil {
		return 0
	}
	return d.score(d.text2)
}

// score returns the number that a score's text means.
func (d *decoder) score(text []byte) float64 {
	score, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(score, 0) {
		d.fail("score %.64q", text)
		return 0
	}
	return score
}
