package commands

import (
	"math"
	"math/big"
	"slices"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// Commands that wait. Each has two ways to its reply: its function, which looks at
// all keys and waits if there is nothing; and its Serve, which is called later for a
// key that something has happened to.

// blockingFlags are of those that scripts may not call; BLMPOP and BZMPOP they may.
const blockingFlags = command.Write | command.NoScript | command.Blocking

var blockingRows = []call.Row{
	{Spec: blockingSpec("blpop", -3, command.List, blockingFlags, command.Range(popFlags, 1, -2, 1)), Waits: always, Do: blpop, Serve: serveBlpop},
	{Spec: blockingSpec("brpop", -3, command.List, blockingFlags, command.Range(popFlags, 1, -2, 1)), Waits: always, Do: brpop, Serve: serveBrpop},
	{Spec: blockingSpec("blmove", 6, command.List, blockingFlags|command.DenyOOM, moveKeys...), Waits: always, Do: blmove, Serve: serveBlmove},
	{Spec: blockingSpec("brpoplpush", 4, command.List, blockingFlags|command.DenyOOM, moveKeys...), Waits: always, Do: brpoplpush, Serve: serveBrpoplpush},
	{Spec: blockingSpec("blmpop", -5, command.List, command.Write|command.Blocking, command.Counted(popFlags, 2)), Waits: always, Do: blmpop, Serve: serveBlmpop},
	{Spec: blockingSpec("bzpopmin", -3, command.SortedSet, blockingFlags|command.Fast, command.Range(popFlags, 1, -2, 1)), Waits: always, Do: bzpopmin, Serve: serveBzpopmin},
	{Spec: blockingSpec("bzpopmax", -3, command.SortedSet, blockingFlags|command.Fast, command.Range(popFlags, 1, -2, 1)), Waits: always, Do: bzpopmax, Serve: serveBzpopmax},
	{Spec: blockingSpec("bzmpop", -5, command.SortedSet, command.Write|command.Blocking, command.Counted(popFlags, 2)), Waits: always, Do: bzmpop, Serve: serveBzmpop},
}

func blockingSpec(name string, arity int, group command.Group, flags command.Flags, keys ...command.KeySpec) command.Spec {
	return command.Spec{Name: name, Group: group, Arity: arity, Flags: flags, Keys: keys, Semantic: semantic.Conversation}
}

func always([][]byte) bool { return true }

// timeoutArg returns argument i, seconds with a fraction, in milliseconds rounded up,
// or replies with an error. What no number can hold is a negative one, as in
// redis-server.
func timeoutArg(c *call.Call, i int) (ms int64, ok bool) {
	seconds, ok := parseLongDouble(c.Args[i])
	if !ok {
		c.Fail("ERR timeout is not a float or out of range")
		return 0, false
	}
	seconds.Mul(seconds, big.NewFloat(1000))
	ms, accuracy := seconds.Int64() // towards zero
	switch {
	case seconds.IsInf(), ms == math.MaxInt64, ms < 0:
		c.Fail(reply.ErrNegativeTimeout)
		return 0, false
	case accuracy == big.Below && seconds.Sign() > 0:
		ms++
	}
	return ms, true
}

// holds reports whether key holds a value of type t.
func holds(c *call.Call, key []byte, t keyspace.Type) bool {
	e, ok := c.Get(key)
	return ok && e.Type == t
}

// blpop is LPOP of the first of several lists that is there, and waits for one.
func blpop(c *call.Call) { blockingPop(c, head) }

// brpop is blpop at the other end.
func brpop(c *call.Call) { blockingPop(c, tail) }

func blockingPop(c *call.Call, end listEnd) {
	popOrWait(c, keyspace.List, func(key []byte) bool { return popFromList(c, key, end) })
}

// popOrWait has pop look at one key after the other, of those between the command and
// its timeout, until one answers the call; if none does, it waits for a value of type t
// at one of them.
func popOrWait(c *call.Call, t keyspace.Type, pop func(key []byte) (answered bool)) {
	last := len(c.Args) - 1
	timeout, ok := timeoutArg(c, last)
	if !ok {
		return
	}
	keys := c.Args[1:last]
	if !slices.ContainsFunc(keys, pop) && !c.Wait(t, keys, timeout, c.Args) {
		c.Out.NullArray()
	}
}

// popFromList takes an element of a list that is there. It reports whether the call is
// answered, by it or by what else the key holds.
func popFromList(c *call.Call, key []byte, end listEnd) (answered bool) {
	l, ok := openList(c, key)
	if ok && l.exists {
		l.popWithKey(end)
	}
	return !ok || l.exists
}

// popWithKey takes an element and replies with the key and it.
func (l *listKey) popWithKey(end listEnd) {
	l.write()
	l.c.Out.Array(2)
	l.c.Out.Bulk(l.key)
	replyElement(l.c, l, end.first())
	l.drop(end, 1)
	l.save(end.popEvent())
	if l.c.Followed() {
		l.c.Become(end.popEvent(), l.key)
	}
}

func serveBlpop(c *call.Call, key []byte) bool { return servePop(c, key, head) }

func serveBrpop(c *call.Call, key []byte) bool { return servePop(c, key, tail) }

func servePop(c *call.Call, key []byte, end listEnd) bool {
	return holds(c, key, keyspace.List) && popFromList(c, key, end)
}

// blmove is LMOVE, and waits for the source.
func blmove(c *call.Call) {
	if from, to, ok := moveEnds(c); ok {
		blockingMove(c, 5, from, to)
	}
}

// brpoplpush is BLMOVE ... RIGHT LEFT.
func brpoplpush(c *call.Call) { blockingMove(c, 3, tail, head) }

func blockingMove(c *call.Call, timeoutAt int, from, to listEnd) {
	timeout, ok := timeoutArg(c, timeoutAt)
	if !ok {
		return
	}
	source, ok := openList(c, c.Args[1])
	switch {
	case !ok:
	case source.exists:
		moveNow(c, from, to)
	case !c.Wait(keyspace.List, c.Args[1:2], timeout, c.Args):
		c.Out.Null()
	}
}

func serveBlmove(c *call.Call, key []byte) bool {
	from, to, _ := moveEnds(c)
	return serveMove(c, key, from, to)
}

func serveBrpoplpush(c *call.Call, key []byte) bool { return serveMove(c, key, tail, head) }

// serveMove may reply that the target is no list: the wait is over then.
func serveMove(c *call.Call, key []byte, from, to listEnd) bool {
	if !holds(c, key, keyspace.List) {
		return false
	}
	moveNow(c, from, to)
	return true
}

// moveNow moves an element, as the command's kin that does not wait does.
func moveNow(c *call.Call, from, to listEnd) {
	before := c.Keyspace.Mutations()
	moveElement(c, from, to)
	switch {
	case !c.Followed() || c.Keyspace.Mutations() == before:
	case len(c.Args) == 4:
		c.Become("rpoplpush", c.Args[1], c.Args[2])
	default:
		c.Become("lmove", c.Args[1], c.Args[2], c.Args[3], c.Args[4])
	}
}

// blmpop is LMPOP, and waits for one of the lists.
func blmpop(c *call.Call) {
	p, ok := parseLmpop(c, 2)
	if !ok {
		return
	}
	timeout, ok := timeoutArg(c, 1)
	if !ok || p.popFirst(c) {
		return
	}
	if !c.Wait(keyspace.List, p.keys, timeout, c.Args) {
		c.Out.NullArray()
	}
}

func serveBlmpop(c *call.Call, key []byte) bool {
	if !holds(c, key, keyspace.List) {
		return false
	}
	p, _ := parseLmpop(c, 2)
	p.keys = [][]byte{key}
	return p.popFirst(c)
}

// bzpopmin is ZPOPMIN of the first of several sorted sets that is there, and waits
// for one.
func bzpopmin(c *call.Call) { blockingZpop(c, lowest) }

// bzpopmax is bzpopmin at the other end.
func bzpopmax(c *call.Call) { blockingZpop(c, highest) }

func blockingZpop(c *call.Call, end zsetEnd) {
	popOrWait(c, keyspace.Zset, func(key []byte) bool { return popFromZset(c, key, end) })
}

// popFromZset is popFromList of a sorted set.
func popFromZset(c *call.Call, key []byte, end zsetEnd) (answered bool) {
	z, ok := openZset(c, key)
	if ok && z.exists {
		z.popWithKey(end)
	}
	return !ok || z.exists
}

// popWithKey takes a member and replies with the key, it and its score.
func (z *zsetKey) popWithKey(end zsetEnd) {
	out := z.c.Out
	out.Array(3)
	out.Bulk(z.key)
	z.pop(end, 1, func(member []byte, score float64) {
		out.Bulk(member)
		out.Double(score)
	})
	if z.c.Followed() {
		z.c.Become(end.popEvent(), z.key)
	}
}

func serveBzpopmin(c *call.Call, key []byte) bool { return serveZpop(c, key, lowest) }

func serveBzpopmax(c *call.Call, key []byte) bool { return serveZpop(c, key, highest) }

func serveZpop(c *call.Call, key []byte, end zsetEnd) bool {
	return holds(c, key, keyspace.Zset) && popFromZset(c, key, end)
}

// bzmpop is ZMPOP, and waits for one of the sorted sets.
func bzmpop(c *call.Call) {
	keys, end, n, ok := parseZmpop(c, 2)
	if !ok {
		return
	}
	timeout, ok := timeoutArg(c, 1)
	if !ok || zpopFirst(c, keys, end, n) {
		return
	}
	if !c.Wait(keyspace.Zset, keys, timeout, c.Args) {
		c.Out.NullArray()
	}
}

func serveBzmpop(c *call.Call, key []byte) bool {
	if !holds(c, key, keyspace.Zset) {
		return false
	}
	_, end, n, _ := parseZmpop(c, 2)
	return zpopFirst(c, [][]byte{key}, end, n)
}
