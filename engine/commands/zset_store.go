package commands

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/zset"
)

// zsetInput is a sorted set or a set as one of several that are combined; each
// member of a set has the score 1.
type zsetInput struct {
	zset   *zset.Zset // nil if it is a set
	set    *set.Set   // nil if it is a sorted set
	weight float64    // what scores are multiplied by
}

func (in *zsetInput) len() int {
	if in.zset != nil {
		return in.zset.Len()
	}
	return in.set.Len()
}

// score returns the member's score times the weight, which may be no number.
func (in *zsetInput) score(member []byte) (float64, bool) {
	if in.zset == nil {
		return in.weight, in.set.Has(member)
	}
	score, ok := in.zset.Score(member)
	return score * in.weight, ok
}

// weigh returns score times the weight; what is no number counts as 0.
func (in *zsetInput) weigh(score float64) float64 {
	score *= in.weight
	if math.IsNaN(score) {
		return 0
	}
	return score
}

// each yields the members with their weighted scores until yield returns false.
func (in *zsetInput) each(yield func(member []byte, score float64) bool) {
	if in.zset == nil {
		for member := range in.set.All() {
			if !yield(member, in.weigh(1)) {
				return
			}
		}
		return
	}
	for member, score := range in.zset.Ascend(0) {
		if !yield(member, in.weigh(score)) {
			return
		}
	}
}

// aggregate makes one score of two, of which b alone may be no number.
type aggregate func(a, b float64) float64

// sumScores adds scores; what is no number makes 0.
func sumScores(a, b float64) float64 {
	if s := a + b; !math.IsNaN(s) {
		return s
	}
	return 0
}

func minScore(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func maxScore(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// zsetOp is a way to combine sorted sets.
type zsetOp int

const (
	union zsetOp = iota
	intersection
	difference
)

func (op zsetOp) storeEvent() string {
	return [...]string{"zunionstore", "zinterstore", "zdiffstore"}[op]
}

// zsetCombination is what ZUNION and its kin are asked for.
type zsetCombination struct {
	op         zsetOp
	inputs     []zsetInput
	aggregate  aggregate
	withScores bool
	limit      int64 // of ZINTERCARD: count no further; 0 is no limit
}

// zsetAsks tells which options a command takes.
type zsetAsks int

const (
	toReply zsetAsks = iota // WEIGHTS, AGGREGATE, WITHSCORES
	toStore                 // WEIGHTS, AGGREGATE
	toCount                 // LIMIT
)

// parse reads numkeys, the keys and the options from argument i on, and looks
// the keys up before the options, so that redis-server's errors come first.
func (z *zsetCombination) parse(c *call.Call, i int, asks zsetAsks) bool {
	n, ok := c.Int(i)
	if !ok {
		return false
	}
	i++
	switch {
	case n < 1:
		c.Fail(reply.NoInputKeys(strings.ToLower(string(c.Args[0]))))
		return false
	case n > int64(len(c.Args)-i):
		c.Fail(reply.ErrSyntax)
		return false
	}
	for _, key := range c.Args[i : i+int(n)] {
		in, ok := openInput(c, key)
		if !ok {
			return false
		}
		z.inputs = append(z.inputs, in)
	}
	return z.parseOptions(c, i+int(n), asks)
}

// openInput returns the sorted set or set at key, or replies WRONGTYPE.
func openInput(c *call.Call, key []byte) (zsetInput, bool) {
	e, found := c.Get(key)
	c.LookedUp(key, found)
	switch {
	case !found || e.Type == keyspace.Zset:
		z := zsetOf(c, e, found)
		return zsetInput{zset: &z, weight: 1}, true
	case e.Type != keyspace.Set:
		c.Fail(reply.ErrWrongType)
		return zsetInput{}, false
	}
	var s set.Set
	if e.Object != nil {
		s = set.FromObject(keyspace.Unbox[*set.Large](e.Object))
	} else {
		s = set.FromPacked(c.Keyspace.Seed(), e.Packed)
	}
	return zsetInput{set: &s, weight: 1}, true
}

func (z *zsetCombination) parseOptions(c *call.Call, i int, asks zsetAsks) bool {
	z.aggregate = sumScores
	scored := asks != toCount && z.op != difference
	for i < len(c.Args) {
		left := len(c.Args) - i - 1 // arguments behind the option
		taken, ok := 1, true
		switch {
		case scored && left >= len(z.inputs) && c.Is(i, "WEIGHTS"):
			taken, ok = 1+len(z.inputs), z.parseWeights(c, i+1)
		case scored && left >= 1 && c.Is(i, "AGGREGATE"):
			taken, ok = 2, z.parseAggregate(c, i+1)
		case asks == toReply && c.Is(i, "WITHSCORES"):
			z.withScores = true
		case asks == toCount && left >= 1 && c.Is(i, "LIMIT"):
			taken = 2
			if z.limit, ok = call.ParseInt(c.Args[i+1]); !ok || z.limit < 0 {
				c.Fail(reply.ErrLimitNegative)
				return false
			}
		default:
			c.Fail(reply.ErrSyntax)
			return false
		}
		if !ok {
			return false
		}
		i += taken
	}
	return true
}

func (z *zsetCombination) parseWeights(c *call.Call, i int) bool {
	for j := range z.inputs {
		weight, ok := call.ParseFloat(c.Args[i+j])
		if !ok {
			c.Fail(reply.ErrWeightNotFloat)
			return false
		}
		z.inputs[j].weight = weight
	}
	return true
}

func (z *zsetCombination) parseAggregate(c *call.Call, i int) bool {
	switch {
	case c.Is(i, "SUM"):
		z.aggregate = sumScores
	case c.Is(i, "MIN"):
		z.aggregate = minScore
	case c.Is(i, "MAX"):
		z.aggregate = maxScore
	default:
		c.Fail(reply.ErrSyntax)
		return false
	}
	return true
}

// scored is a member of an outcome.
type scored struct {
	member []byte
	score  float64
}

// outcome collects what comes out of a combination. It keeps the sign of a zero,
// as redis-server does until a small outcome is stored.
type outcome struct {
	members []scored
	text    []byte // what members alias
}

func (o *outcome) add(member []byte, score float64) {
	from := len(o.text)
	o.text = append(o.text, member...)
	o.members = append(o.members, scored{o.text[from:len(o.text):len(o.text)], score})
}

// sort brings the members into the order of a sorted set.
func (o *outcome) sort() {
	slices.SortFunc(o.members, func(a, b scored) int {
		switch {
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return bytes.Compare(a.member, b.member)
	})
}

// inOrder yields members with their scores.
func inOrder(members []scored) iter.Seq2[[]byte, float64] {
	return func(yield func(member []byte, score float64) bool) {
		for _, m := range members {
			if !yield(m.member, m.score) {
				return
			}
		}
	}
}

// carryOut returns the outcome in order.
func (z *zsetCombination) carryOut() []scored {
	var out outcome
	switch z.op {
	case union:
		z.union(&out)
	case intersection:
		z.common(func(member []byte, score float64) bool {
			out.add(member, score)
			return true
		})
	case difference:
		z.difference(&out)
	}
	out.sort()
	return out.members
}

func (z *zsetCombination) union(out *outcome) {
	z.smallestFirst()
	if len(z.inputs) == 2 {
		unionOfTwo(&z.inputs[0], &z.inputs[1], z.aggregate, out)
		return
	}
	index := make(map[string]int) // of out.members by member
	for i := range z.inputs {
		z.inputs[i].each(func(member []byte, score float64) bool {
			if at, ok := index[string(member)]; ok {
				out.members[at].score = z.aggregate(out.members[at].score, score)
				return true
			}
			index[string(member)] = len(out.members)
			out.add(member, score)
			return true
		})
	}
}

// unionOfTwo looks each member up in the other input, which takes no memory.
func unionOfTwo(first, second *zsetInput, aggregate aggregate, out *outcome) {
	first.each(func(member []byte, score float64) bool {
		if other, ok := second.score(member); ok {
			if math.IsNaN(other) {
				other = 0
			}
			score = aggregate(score, other)
		}
		out.add(member, score)
		return true
	})
	second.each(func(member []byte, score float64) bool {
		if _, ok := first.score(member); !ok {
			out.add(member, score)
		}
		return true
	})
}

func (z *zsetCombination) difference(out *outcome) {
	others := z.inputs[1:]
	z.inputs[0].each(func(member []byte, score float64) bool {
		for i := range others {
			if _, ok := others[i].score(member); ok {
				return true
			}
		}
		out.add(member, score)
		return true
	})
}

// smallestFirst orders the inputs by size. Sums of scores depend on the order in
// their last digits; redis-server has this one.
func (z *zsetCombination) smallestFirst() {
	slices.SortStableFunc(z.inputs, func(a, b zsetInput) int { return a.len() - b.len() })
}

// common yields the members that all inputs have, until yield returns false.
func (z *zsetCombination) common(yield func(member []byte, score float64) bool) {
	z.smallestFirst()
	z.inputs[0].each(func(member []byte, score float64) bool {
		for i := range z.inputs[1:] {
			other, ok := z.inputs[i+1].score(member)
			if !ok {
				return true
			}
			score = z.aggregate(score, other)
		}
		return yield(member, score)
	})
}

func zunion(c *call.Call) { replyCombination(c, union) }

func zinter(c *call.Call) { replyCombination(c, intersection) }

func zdiff(c *call.Call) { replyCombination(c, difference) }

func replyCombination(c *call.Call, op zsetOp) {
	z := zsetCombination{op: op}
	if !z.parse(c, 1, toReply) {
		return
	}
	members := z.carryOut()
	replyMembers(c.Out, len(members), z.withScores)
	for _, m := range members {
		replyMember(c.Out, m.member, m.score, z.withScores)
	}
}

// zintercard replies with the number of members that all inputs have, or the
// limit if that is less.
func zintercard(c *call.Call) {
	z := zsetCombination{op: intersection}
	if !z.parse(c, 1, toCount) {
		return
	}
	n := int64(0)
	z.common(func([]byte, float64) bool {
		n++
		return n != z.limit
	})
	c.Out.Int(n)
}

func zunionstore(c *call.Call) { storeCombination(c, union) }

func zinterstore(c *call.Call) { storeCombination(c, intersection) }

func zdiffstore(c *call.Call) { storeCombination(c, difference) }

// copied returns the one input, if that is the outcome as it is and copying it costs nothing.
func (z *zsetCombination) copied(c *call.Call) (stored zset.Zset, ok bool) {
	if len(z.inputs) != 1 || z.inputs[0].zset == nil || z.inputs[0].weight != 1 {
		return zset.Zset{}, false
	}
	return z.inputs[0].zset.Copy(zsetLimits(c))
}

func storeCombination(c *call.Call, op zsetOp) {
	z := zsetCombination{op: op}
	if !z.parse(c, 2, toStore) {
		return
	}
	if stored, ok := z.copied(c); ok {
		replaceZset(c, c.Args[1], &stored, op.storeEvent())
		return
	}
	members := z.carryOut()
	longest := 0
	for _, m := range members {
		longest = max(longest, len(m.member))
	}
	stored, limits := newZset(c, len(members), longest), zsetLimits(c)
	stored.Fill(inOrder(members), limits)
	replaceZset(c, c.Args[1], &stored, op.storeEvent())
}
