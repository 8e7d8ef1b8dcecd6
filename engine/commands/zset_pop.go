package commands

import (
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// zsetEnd is an end of a sorted set.
type zsetEnd bool

const (
	lowest  zsetEnd = false
	highest zsetEnd = true
)

func (e zsetEnd) popEvent() string {
	if e == highest {
		return "zpopmax"
	}
	return "zpopmin"
}

// pop takes n members, of which there are so many, from an end of z, and
// replies with them and their scores. The caller has begun the reply; write
// writes each member.
func (z *zsetKey) pop(e zsetEnd, n int, write func(member []byte, score float64)) {
	from, members := 0, z.Ascend(0)
	if e == highest {
		from, members = z.Len()-n, z.Descend(z.Len()-1)
	}
	left := n
	for member, score := range members {
		write(member, score)
		if left--; left == 0 {
			break
		}
	}
	z.write()
	z.DeleteRange(from, from+n)
	z.save(e.popEvent())
}

func zpopmin(c *call.Call) { zpop(c, lowest) }

func zpopmax(c *call.Call) { zpop(c, highest) }

// zpop takes members from an end: one, in a flat reply, or up to a count.
func zpop(c *call.Call, e zsetEnd) {
	if len(c.Args) > 3 {
		c.Fail(reply.ErrSyntax)
		return
	}
	n, counted := int64(1), len(c.Args) == 3
	if counted {
		var ok bool
		if n, ok = call.ParseInt(c.Args[2]); !ok || n < 0 {
			c.Fail(reply.ErrNotPositive)
			return
		}
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	n = min(n, int64(z.Len()))
	if n == 0 {
		c.Out.Array(0)
		return
	}
	if !counted {
		c.Out.Array(2)
		z.pop(e, 1, func(member []byte, score float64) {
			c.Out.Bulk(member)
			c.Out.Double(score)
		})
		return
	}
	replyMembers(c.Out, int(n), true)
	z.pop(e, int(n), func(member []byte, score float64) { replyMember(c.Out, member, score, true) })
}

// zmpop takes members from an end of the first sorted set that has any.
func zmpop(c *call.Call) {
	if keys, end, n, ok := parseZmpop(c, 1); ok && !zpopFirst(c, keys, end, n) {
		c.Out.NullArray()
	}
}

// zpopFirst takes at most n members from the first sorted set that is there, and
// reports whether it has replied: with them, or that a key holds none.
func zpopFirst(c *call.Call, keys [][]byte, end zsetEnd, n int64) bool {
	for _, key := range keys {
		z, ok := openZset(c, key)
		if !ok {
			return true
		}
		if !z.exists {
			continue
		}
		n = min(n, int64(z.Len()))
		c.Out.Array(2)
		c.Out.Bulk(key)
		c.Out.Array(int(n))
		z.pop(end, int(n), func(member []byte, score float64) {
			c.Out.Array(2)
			c.Out.Bulk(member)
			c.Out.Double(score)
		})
		if c.Followed() {
			c.Become(end.popEvent(), key, n)
		}
		return true
	}
	return false
}

// parseZmpop reads numkeys, keys, MIN or MAX and the options, from argument i on.
func parseZmpop(c *call.Call, i int) (keys [][]byte, end zsetEnd, n int64, ok bool) {
	numKeys, ok := call.ParseInt(c.Args[i])
	if !ok || numKeys < 1 {
		c.Fail(reply.ErrNumKeys)
		return nil, end, 0, false
	}
	i++
	if numKeys >= int64(len(c.Args)-i) {
		c.Fail(reply.ErrSyntax)
		return nil, end, 0, false
	}
	keys, i = c.Args[i:i+int(numKeys)], i+int(numKeys)
	switch {
	case c.Is(i, "MIN"):
		end = lowest
	case c.Is(i, "MAX"):
		end = highest
	default:
		c.Fail(reply.ErrSyntax)
		return nil, end, 0, false
	}
	n, ok = popCount(c, i+1)
	return keys, end, n, ok
}

// zrandmember replies with members chosen by chance, by their ranks: one, or a
// count of distinct ones, or a negative count of any.
func zrandmember(c *call.Call) {
	if len(c.Args) == 2 {
		z, ok := openZset(c, c.Args[1])
		switch {
		case !ok:
		case !z.exists:
			c.Out.Null()
		default:
			var digits [20]byte
			member, _ := z.At(randomRank(c.Rand, z.Len()), digits[:])
			c.Out.Bulk(member)
		}
		return
	}
	n, ok := c.IntIn(2, -math.MaxInt64, math.MaxInt64, reply.ErrCountRange)
	if !ok {
		return
	}
	withScores := len(c.Args) == 4 && c.Is(3, "WITHSCORES")
	switch {
	case len(c.Args) > 4 || len(c.Args) == 4 && !withScores:
		c.Fail(reply.ErrSyntax)
		return
	case withScores && (n < -math.MaxInt64/2 || n > math.MaxInt64/2):
		c.Fail(reply.ErrOutOfRange)
		return
	case n < -repeatsMax:
		c.Fail(errRepeats)
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	z.replyRandom(n, withScores)
}

// replyRandom writes n distinct members chosen by chance, all if there are not
// so many; a negative n takes -n members that may be the same.
func (z *zsetKey) replyRandom(n int64, withScores bool) {
	c := z.c
	size := z.Len()
	switch {
	case size == 0 || n == 0:
		c.Out.Array(0)
	case n >= int64(size):
		replyMembers(c.Out, size, withScores)
		for member, score := range z.Ascend(0) {
			replyMember(c.Out, member, score, withScores)
		}
	default:
		z.replyChosen(n, withScores)
	}
}

// replyChosen writes n members chosen by chance, of more than there are, or -n
// that may be the same.
func (z *zsetKey) replyChosen(n int64, withScores bool) {
	c := z.c
	var digits [20]byte
	write := func(rank int) {
		member, score := z.At(rank, digits[:])
		replyMember(c.Out, member, score, withScores)
	}
	if n < 0 {
		replyRepeats(c, int(-n), z.Len(), func(n int) { replyMembers(c.Out, n, withScores) }, write)
		return
	}
	replyMembers(c.Out, int(n), withScores)
	for _, rank := range randomRanks(c.Rand, int(n), z.Len()) {
		write(rank)
	}
}

// heldIntegersMax is up to where redis-server keeps the scores of small sets as integers if
// they are: half of the largest one.
const heldIntegersMax = 1 << 62

// appendHeldScore appends a score as ZSCAN shows it: as redis-server holds it, which in a
// small set may be the digits of an integer that others print with an exponent.
func appendHeldScore(dst []byte, score float64, small bool) []byte {
	if small && score == math.Trunc(score) && math.Abs(score) <= heldIntegersMax {
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return reply.AppendDouble(dst, score)
}

// zscan visits some members and replies with them, their scores and the cursor
// to go on with.
func zscan(c *call.Call) {
	cursor, ok := parseCursor(c, 2)
	if !ok {
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	var o scanOptions
	if z.exists && !o.parse(c, 3, nothingOnly) { // redis-server looks at no option without a key
		return
	}
	replyScan(c.Out, func() (next uint64, n int) {
		next = z.Scan(cursor, o.count, func(member []byte, score float64) {
			if !o.matches(member) {
				return
			}
			var digits [32]byte
			c.Out.Bulk(member)
			c.Out.Bulk(appendHeldScore(digits[:0], score, z.Object() == nil))
			n += 2
		})
		return next, n
	})
}
