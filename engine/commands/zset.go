package commands

import (
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

const (
	zsetReads  = command.RO | command.Access
	zsetPops   = command.RW | command.Access | command.Delete
	zsetStores = command.OW | command.Update
)

var (
	zsetInputs = []command.KeySpec{command.Counted(zsetReads, 1)}
	zsetStored = []command.KeySpec{command.Range(zsetStores, 1, 0, 1), command.Counted(zsetReads, 2)}
	zsetScans  = []string{"nondeterministic_output"}
)

var zsetRows = []call.Row{
	{Spec: command.Spec{Name: "zadd", Group: command.SortedSet, Arity: -4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Update)}, Do: zadd},
	{Spec: command.Spec{Name: "zincrby", Group: command.SortedSet, Arity: 4, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Access | command.Update)}, Do: zincrby},
	{Spec: command.Spec{Name: "zscore", Group: command.SortedSet, Arity: 3, Flags: command.ReadOnly | command.Fast, Keys: command.One(zsetReads)}, Do: zscore},
	{Spec: command.Spec{Name: "zmscore", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly | command.Fast, Keys: command.One(zsetReads)}, Do: zmscore},
	{Spec: command.Spec{Name: "zcard", Group: command.SortedSet, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: zcard},
	{Spec: command.Spec{Name: "zrank", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly | command.Fast, Keys: command.One(zsetReads)}, Do: zrank},
	{Spec: command.Spec{Name: "zrevrank", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly | command.Fast, Keys: command.One(zsetReads)}, Do: zrevrank},
	{Spec: command.Spec{Name: "zrem", Group: command.SortedSet, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(command.RW | command.Delete)}, Do: zrem},

	{Spec: command.Spec{Name: "zrange", Group: command.SortedSet, Arity: -4, Flags: command.ReadOnly, Keys: command.One(zsetReads)}, Do: zrange},
	{Spec: command.Spec{Name: "zrevrange", Group: command.SortedSet, Arity: -4, Flags: command.ReadOnly, Keys: command.One(zsetReads)}, Do: zrevrange},
	{Spec: command.Spec{Name: "zrangebyscore", Group: command.SortedSet, Arity: -4, Flags: command.ReadOnly, Keys: command.One(zsetReads)}, Do: zrangebyscore},
	{Spec: command.Spec{Name: "zrevrangebyscore", Group: command.SortedSet, Arity: -4, Flags: command.ReadOnly, Keys: command.One(zsetReads)}, Do: zrevrangebyscore},
	{Spec: command.Spec{Name: "zrangebylex", Group: command.SortedSet, Arity: -4, Flags: command.ReadOnly, Keys: command.One(zsetReads)}, Do: zrangebylex},
	{Spec: command.Spec{Name: "zrevrangebylex", Group: command.SortedSet, Arity: -4, Flags: command.ReadOnly, Keys: command.One(zsetReads)}, Do: zrevrangebylex},
	{Spec: command.Spec{Name: "zrangestore", Group: command.SortedSet, Arity: -5, Flags: command.Write | command.DenyOOM, Keys: []command.KeySpec{command.Range(zsetStores, 1, 0, 1), command.Range(zsetReads, 2, 0, 1)}}, Do: zrangestore},
	{Spec: command.Spec{Name: "zcount", Group: command.SortedSet, Arity: 4, Flags: command.ReadOnly | command.Fast, Keys: command.One(zsetReads)}, Do: zcount},
	{Spec: command.Spec{Name: "zlexcount", Group: command.SortedSet, Arity: 4, Flags: command.ReadOnly | command.Fast, Keys: command.One(zsetReads)}, Do: zlexcount},
	{Spec: command.Spec{Name: "zremrangebyrank", Group: command.SortedSet, Arity: 4, Flags: command.Write, Keys: command.One(command.RW | command.Delete)}, Do: zremrangebyrank},
	{Spec: command.Spec{Name: "zremrangebyscore", Group: command.SortedSet, Arity: 4, Flags: command.Write, Keys: command.One(command.RW | command.Delete)}, Do: zremrangebyscore},
	{Spec: command.Spec{Name: "zremrangebylex", Group: command.SortedSet, Arity: 4, Flags: command.Write, Keys: command.One(command.RW | command.Delete)}, Do: zremrangebylex},

	{Spec: command.Spec{Name: "zpopmin", Group: command.SortedSet, Arity: -2, Flags: command.Write | command.Fast, Keys: command.One(zsetPops)}, Do: zpopmin},
	{Spec: command.Spec{Name: "zpopmax", Group: command.SortedSet, Arity: -2, Flags: command.Write | command.Fast, Keys: command.One(zsetPops)}, Do: zpopmax},
	{Spec: command.Spec{Name: "zmpop", Group: command.SortedSet, Arity: -4, Flags: command.Write, Keys: []command.KeySpec{command.Counted(zsetPops, 1)}}, Do: zmpop},
	{Spec: command.Spec{Name: "zrandmember", Group: command.SortedSet, Arity: -2, Flags: command.ReadOnly, Keys: command.One(zsetReads), Tips: zsetScans}, Do: zrandmember},
	{Spec: command.Spec{Name: "zscan", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly, Keys: command.One(zsetReads), Tips: zsetScans}, Do: zscan},

	{Spec: command.Spec{Name: "zunion", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly, Keys: zsetInputs}, Do: zunion},
	{Spec: command.Spec{Name: "zinter", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly, Keys: zsetInputs}, Do: zinter},
	{Spec: command.Spec{Name: "zdiff", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly, Keys: zsetInputs}, Do: zdiff},
	{Spec: command.Spec{Name: "zintercard", Group: command.SortedSet, Arity: -3, Flags: command.ReadOnly, Keys: zsetInputs}, Do: zintercard},
	{Spec: command.Spec{Name: "zunionstore", Group: command.SortedSet, Arity: -4, Flags: command.Write | command.DenyOOM, Keys: zsetStored}, Do: zunionstore},
	{Spec: command.Spec{Name: "zinterstore", Group: command.SortedSet, Arity: -4, Flags: command.Write | command.DenyOOM, Keys: zsetStored}, Do: zinterstore},
	{Spec: command.Spec{Name: "zdiffstore", Group: command.SortedSet, Arity: -4, Flags: command.Write | command.DenyOOM, Keys: zsetStored}, Do: zdiffstore},
}

// zaddOptions are the options of ZADD.
type zaddOptions struct {
	nx, xx, gt, lt bool
	ch, incr       bool
}

// parse reads the options and returns the index of the first score.
func (o *zaddOptions) parse(c *call.Call) (first int, ok bool) {
	i := 2
options:
	for ; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "NX"):
			o.nx = true
		case c.Is(i, "XX"):
			o.xx = true
		case c.Is(i, "GT"):
			o.gt = true
		case c.Is(i, "LT"):
			o.lt = true
		case c.Is(i, "CH"):
			o.ch = true
		case c.Is(i, "INCR"):
			o.incr = true
		default:
			break options
		}
	}
	n := len(c.Args) - i
	switch {
	case n == 0 || n%2 != 0:
		c.Fail(reply.ErrSyntax)
	case o.nx && o.xx:
		c.Fail(reply.ErrNXAndXX)
	case o.gt && o.nx || o.lt && o.nx || o.gt && o.lt:
		c.Fail(reply.ErrGTLTAndNX)
	case o.incr && n > 2:
		c.Fail(reply.ErrIncrOnePair)
	default:
		return i, true
	}
	return 0, false
}

// permit reports whether the options let a member go from a score to another;
// isMember tells whether it has a score so far.
func (o *zaddOptions) permit(isMember bool, from, to float64) bool {
	switch {
	case !isMember:
		return !o.xx
	case o.nx, o.gt && to <= from, o.lt && to >= from:
		return false
	}
	return true
}

// zadd adds members or changes their scores, and replies with the number of
// new ones; with CH, of new and changed ones; with INCR, with the new score.
func zadd(c *call.Call) {
	var o zaddOptions
	first, ok := o.parse(c)
	if !ok {
		return
	}
	var space [16]float64 // enough for most calls
	scores := space[:0]
	for i := first; i < len(c.Args); i += 2 {
		score, ok := c.Float(i)
		if !ok {
			return
		}
		scores = append(scores, score)
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	if o.incr {
		z.incr(c.Args[first+1], scores[0], o)
		return
	}
	z.addAll(o, scores, first+1, 2)
}

// addAll adds members with these scores, or changes theirs; every step-th argument
// from first on is one. It replies with the number of new ones, or as CH says.
func (z *zsetKey) addAll(o zaddOptions, scores []float64, first, step int) {
	var added, changed int64
	c := z.c
	limits := zsetLimits(c)
	for i, score := range scores {
		member := c.Args[first+i*step]
		old, isMember := z.Score(member)
		if !o.permit(isMember, old, score) || isMember && old == score {
			continue
		}
		z.write()
		z.Add(member, score, limits)
		if isMember {
			changed++
		} else {
			added++
		}
	}
	z.save("zadd")
	if o.ch {
		added += changed
	}
	c.Out.Int(added)
}

// incr adds by to the score of member, if the options permit, and replies with
// the outcome or null.
func (z *zsetKey) incr(member []byte, by float64, o zaddOptions) {
	c := z.c
	old, isMember := z.Score(member)
	score := by
	if isMember {
		score += old
	}
	switch {
	case !isMember && o.xx, isMember && o.nx:
		c.Out.Null()
		return
	case math.IsNaN(score):
		c.Fail(reply.ErrScoreNaN)
		return
	case !o.permit(isMember, old, score):
		c.Out.Null()
		return
	}
	if !isMember || old != score {
		z.write()
		z.Add(member, score, zsetLimits(c))
	}
	z.save("zincr")
	c.Out.Double(score)
}

// zincrby adds to the score of a member and replies with the outcome.
func zincrby(c *call.Call) {
	// Redis takes ZADD's options here too, and then misses a score or a member.
	if _, ok := new(zaddOptions).parse(c); !ok {
		return
	}
	by, ok := c.Float(2)
	if !ok {
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	z.incr(c.Args[3], by, zaddOptions{})
}

// zscore replies with the member's score, or null.
func zscore(c *call.Call) {
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	z.replyScore(c.Args[2])
}

// zmscore replies with the scores of members, null where there is none.
func zmscore(c *call.Call) {
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		z.replyScore(member)
	}
}

func (z *zsetKey) replyScore(member []byte) {
	score, ok := z.Score(member)
	if !ok {
		z.c.Out.Null()
		return
	}
	z.c.Out.Double(score)
}

// zcard replies with the number of members.
func zcard(c *call.Call) {
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.Int(int64(z.Len()))
}

func zrank(c *call.Call) { replyRank(c, "zrank", false) }

func zrevrank(c *call.Call) { replyRank(c, "zrevrank", true) }

// replyRank replies with the number of members before one, and with its score
// if WITHSCORE asks for it, or null.
func replyRank(c *call.Call, name string, reverse bool) {
	withScore := len(c.Args) == 4
	switch {
	case len(c.Args) > 3 && c.TooNew(semantic.Geo, reply.ErrScriptArity):
		return
	case len(c.Args) > 4:
		c.Fail(reply.WrongArgs(name))
		return
	case withScore && !c.Is(3, "WITHSCORE"):
		c.Fail(reply.ErrSyntax)
		return
	}
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	rank, ok := z.Rank(c.Args[2])
	switch {
	case !ok && withScore:
		c.Out.NullArray()
		return
	case !ok:
		c.Out.Null()
		return
	}
	if reverse {
		rank = z.Len() - 1 - rank
	}
	if !withScore {
		c.Out.Int(int64(rank))
		return
	}
	score, _ := z.Score(c.Args[2])
	c.Out.Array(2)
	c.Out.Int(int64(rank))
	c.Out.Double(score)
}

// zrem removes members and replies with how many there were.
func zrem(c *call.Call) {
	z, ok := openZset(c, c.Args[1])
	if !ok {
		return
	}
	removed := int64(0)
	for _, member := range c.Args[2:] {
		if _, isMember := z.Score(member); !isMember {
			continue
		}
		z.write()
		z.Remove(member)
		removed++
	}
	z.save("zrem")
	c.Out.Int(removed)
}
