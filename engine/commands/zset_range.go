package commands

import (
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/zset"
)

// rangeBy says what the ends of a range are.
type rangeBy int

const (
	byAny rangeBy = iota // not said: by rank
	byRank
	byScore
	byLex
)

// zsetRange is a part of a sorted set, as the commands of the ZRANGE family
// describe it.
type zsetRange struct {
	by         rangeBy
	reverse    bool
	withScores bool
	offset     int64 // members left out at the beginning; negative: all of them
	limit      int64 // members given at most; negative: no limit

	first, last int64 // by rank, -1 the last member; counted from the end if reverse
	scores      zset.ScoreRange
	lex         zset.LexRange
}

const noLimit = -1

// parseOptions reads the options from argument i on. What the command's name
// implies is set already, and may not be given again.
func (r *zsetRange) parseOptions(c *call.Call, i int, general, mayScores bool) bool {
	r.limit = noLimit
	for ; i < len(c.Args); i++ {
		switch {
		case mayScores && c.Is(i, "WITHSCORES"):
			r.withScores = true
		case c.Is(i, "LIMIT") && i+2 < len(c.Args):
			var ok bool
			if r.offset, ok = c.Int(i + 1); !ok {
				return false
			}
			if r.limit, ok = c.Int(i + 2); !ok {
				return false
			}
			i += 2
		case general && !r.reverse && c.Is(i, "REV"):
			r.reverse = true
		case general && r.by == byAny && c.Is(i, "BYLEX"):
			r.by = byLex
		case general && r.by == byAny && c.Is(i, "BYSCORE"):
			r.by = byScore
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
	}
	if r.by == byAny {
		r.by = byRank
	}
	switch {
	case r.limit != noLimit && r.by == byRank:
		c.Fail(reply.ErrLimitNeedsBy)
		return false
	case r.withScores && r.by == byLex:
		c.Fail(reply.ErrScoresByLex)
		return false
	}
	return true
}

// parseEnds reads the ends of the range from the arguments i and i+1. A
// reverse range of scores or members begins with its upper end.
func (r *zsetRange) parseEnds(c *call.Call, i int) bool {
	low, high := c.Args[i], c.Args[i+1]
	if r.reverse && r.by != byRank {
		low, high = high, low
	}
	var ok bool
	switch r.by {
	case byScore:
		if r.scores, ok = parseScoreRange(low, high); !ok {
			c.Fail(reply.ErrMinMaxNotFloat)
		}
	case byLex:
		if r.lex, ok = parseLexRange(low, high); !ok {
			c.Fail(reply.ErrMinMaxNotString)
		}
	default:
		if r.first, ok = c.Int(i); ok {
			r.last, ok = c.Int(i + 1)
		}
	}
	return ok
}

// ranks returns the ranks [from, to) of the members in the range.
func (r *zsetRange) ranks(z *zset.Zset) (from, to int) {
	switch r.by {
	case byScore:
		from, to = z.RanksByScore(r.scores)
	case byLex:
		from, to = z.RanksByLex(r.lex)
	default:
		from, to = indexRange(r.first, r.last, z.Len())
		if r.reverse {
			from, to = z.Len()-to, z.Len()-from
		}
		return from, to
	}
	n := int64(to - from)
	skip := min(uint64(r.offset), uint64(n)) // a negative offset leaves out all
	n -= int64(skip)
	if r.limit >= 0 {
		n = min(n, r.limit)
	}
	if r.reverse {
		to -= int(skip)
		return to - int(n), to
	}
	from += int(skip)
	return from, from + int(n)
}

// indexRange returns the half-open range that first and last mean for n
// elements; negative indexes count from the end.
func indexRange(first, last int64, n int) (from, to int) {
	length := int64(n)
	if first < 0 {
		first = max(first+length, 0)
	}
	if last < 0 {
		last += length
	}
	last = min(last, length-1)
	if first > last {
		return 0, 0
	}
	return int(first), int(last) + 1
}

// reply writes the members in the range.
func (r *zsetRange) reply(out *reply.Writer, z *zset.Zset) {
	from, to := r.ranks(z)
	replyMembers(out, to-from, r.withScores)
	if out.Discards() || from == to {
		return
	}
	left := to - from
	for member, score := range r.ordered(z, from, to) {
		replyMember(out, member, score, r.withScores)
		if left--; left == 0 {
			return
		}
	}
}

// ordered yields members in the order of the range [from, to) of ranks, from its
// first on, and does not stop at its end. Of an empty range it yields nothing.
func (r *zsetRange) ordered(z *zset.Zset, from, to int) iter.Seq2[[]byte, float64] {
	switch {
	case from == to:
		return func(func([]byte, float64) bool) {}
	case r.reverse:
		return z.Descend(to - 1)
	default:
		return z.Ascend(from)
	}
}

func parseScoreRange(low, high []byte) (r zset.ScoreRange, ok bool) {
	if r.Min, r.MinExclusive, ok = parseScoreEnd(low); !ok {
		return r, false
	}
	r.Max, r.MaxExclusive, ok = parseScoreEnd(high)
	return r, ok
}

func parseScoreEnd(b []byte) (score float64, exclusive, ok bool) {
	if len(b) > 0 && b[0] == '(' {
		b, exclusive = b[1:], true
	}
	score, ok = strtod(string(b))
	return score, exclusive, ok
}

// strtod reads a number as C's function of that name, to which redis-server
// leaves the ends of ranges: nothing is 0, spaces may precede, what is too
// large is infinite, a NUL is the end. It is no number if anything is left over.
func strtod(s string) (float64, bool) {
	if s, _, _ = strings.Cut(s, "\x00"); s == "" {
		return 0, true
	}
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	if isHex := strings.ContainsAny(s, "xX"); isHex && !strings.ContainsAny(s, "pP") {
		s += "p0"
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) || math.IsNaN(f) || strings.Contains(s, "_") {
		return 0, false
	}
	return f, true
}

func parseLexRange(low, high []byte) (r zset.LexRange, ok bool) {
	if r.Min, ok = parseLexEnd(low); !ok {
		return r, false
	}
	r.Max, ok = parseLexEnd(high)
	return r, ok
}

func parseLexEnd(b []byte) (zset.LexBound, bool) {
	switch {
	case len(b) == 0:
	case b[0] == '[':
		return zset.LexBound{Member: b[1:]}, true
	case b[0] == '(':
		return zset.LexBound{Member: b[1:], Exclusive: true}, true
	case len(b) > 1:
	case b[0] == '-':
		return zset.LexBound{Infinite: -1}, true
	case b[0] == '+':
		return zset.LexBound{Infinite: 1}, true
	}
	return zset.LexBound{}, false
}

// zrange replies with a part of a sorted set that the options describe.
func zrange(c *call.Call) { replyRange(c, zsetRange{}, true) }

func zrevrange(c *call.Call) { replyRange(c, zsetRange{by: byRank, reverse: true}, false) }

func zrangebyscore(c *call.Call) { replyRange(c, zsetRange{by: byScore}, false) }

func zrevrangebyscore(c *call.Call) { replyRange(c, zsetRange{by: byScore, reverse: true}, false) }

func zrangebylex(c *call.Call) { replyRange(c, zsetRange{by: byLex}, false) }

func zrevrangebylex(c *call.Call) { replyRange(c, zsetRange{by: byLex, reverse: true}, false) }

// replyRange carries out the command whose name implies what r says; general
// is ZRANGE, whose name says nothing.
func replyRange(c *call.Call, r zsetRange, general bool) {
	if !r.parseOptions(c, 4, general, true) || !r.parseEnds(c, 2) {
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	r.reply(c.Out, &z.Zset)
}

// zrangestore stores what ZRANGE would reply with, in the same order: as long as
// the target is small, -0 loses its sign.
func zrangestore(c *call.Call) {
	var r zsetRange
	if !r.parseOptions(c, 5, true, false) || !r.parseEnds(c, 3) {
		return
	}
	source, ok := openZset(c, c.Args[2])
	c.LookedUp(c.Args[2], source.exists || !ok)
	if !ok {
		return
	}
	from, to := r.ranks(&source.Zset)
	known := 0 // of the members, by redis-server, before it goes through them
	if r.by == byRank {
		known = to - from
	}
	target, limits := newZset(c, known, 0), zsetLimits(c)
	if target.Object() != nil {
		target.Fill(between(&source.Zset, from, to), limits) // in any order it is the same set
		replaceZset(c, c.Args[1], &target, "zrangestore")
		return
	}
	left := to - from
	for member, score := range r.ordered(&source.Zset, from, to) {
		if left == 0 {
			break
		}
		target.Add(member, score, limits)
		left--
	}
	replaceZset(c, c.Args[1], &target, "zrangestore")
}

// between yields the members with ranks in [from, to).
func between(z *zset.Zset, from, to int) iter.Seq2[[]byte, float64] {
	return func(yield func(member []byte, score float64) bool) {
		if from == to {
			return
		}
		for member, score := range z.Ascend(from) {
			if from++; !yield(member, score) || from == to {
				return
			}
		}
	}
}

func zcount(c *call.Call) { countRange(c, byScore) }

func zlexcount(c *call.Call) { countRange(c, byLex) }

// countRange replies with the number of members in a range.
func countRange(c *call.Call, by rangeBy) {
	r := zsetRange{by: by, limit: noLimit}
	if !r.parseEnds(c, 2) {
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	from, to := r.ranks(&z.Zset)
	c.Out.Int(int64(to - from))
}

func zremrangebyrank(c *call.Call) { removeRange(c, byRank, "zremrangebyrank") }

func zremrangebyscore(c *call.Call) { removeRange(c, byScore, "zremrangebyscore") }

func zremrangebylex(c *call.Call) { removeRange(c, byLex, "zremrangebylex") }

// removeRange removes the members in a range and replies with their number.
func removeRange(c *call.Call, by rangeBy, event string) {
	r := zsetRange{by: by, limit: noLimit}
	if !r.parseEnds(c, 2) {
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	from, to := r.ranks(&z.Zset)
	if from < to {
		z.write()
		z.DeleteRange(from, to)
	}
	z.save(event)
	c.Out.Int(int64(to - from))
}
