package commands

import (
	"bytes"
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

var (
	readSet  = command.One(command.RO | command.Access)
	readSets = command.All(command.RO | command.Access)
	moveSet  = []command.KeySpec{
		command.Range(command.RW|command.Access|command.Delete, 1, 0, 1),
		command.Range(command.RW|command.Insert, 2, 0, 1),
	}
	storeSets = []command.KeySpec{
		command.Range(command.OW|command.Update, 1, 0, 1),
		command.Range(command.RO|command.Access, 2, -1, 1),
	}
	// storeInter differs for no reason but that COMMAND INFO SINTERSTORE does.
	storeInter = []command.KeySpec{
		command.Range(command.RW|command.Update, 1, 0, 1),
		command.Range(command.RO|command.Access, 2, -1, 1),
	}
	countSets = []command.KeySpec{command.Counted(command.RO|command.Access, 1)}
)

var setRows = []call.Row{
	{Spec: command.Spec{Name: "sadd", Group: command.Set, Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, Keys: command.One(command.RW | command.Insert)}, Do: sadd},
	{Spec: command.Spec{Name: "srem", Group: command.Set, Arity: -3, Flags: command.Write | command.Fast, Keys: command.One(command.RW | command.Delete)}, Do: srem},
	{Spec: command.Spec{Name: "smove", Group: command.Set, Arity: 4, Flags: command.Write | command.Fast, Keys: moveSet}, Do: smove},
	{Spec: command.Spec{Name: "sismember", Group: command.Set, Arity: 3, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: sismember},
	{Spec: command.Spec{Name: "smismember", Group: command.Set, Arity: -3, Flags: command.ReadOnly | command.Fast, Keys: readSet}, Do: smismember},
	{Spec: command.Spec{Name: "scard", Group: command.Set, Arity: 2, Flags: command.ReadOnly | command.Fast, Keys: command.One(command.RO)}, Do: scard},
	{Spec: command.Spec{Name: "smembers", Group: command.Set, Arity: 2, Flags: command.ReadOnly, Keys: readSet, Tips: anyOrder}, Do: smembers},
	{Spec: command.Spec{Name: "spop", Group: command.Set, Arity: -2, Flags: command.Write | command.Fast, Keys: command.One(popFlags), Tips: anyOutput}, Do: spop},
	{Spec: command.Spec{Name: "srandmember", Group: command.Set, Arity: -2, Flags: command.ReadOnly, Keys: readSet, Tips: anyOutput}, Do: srandmember},
	{Spec: command.Spec{Name: "sscan", Group: command.Set, Arity: -3, Flags: command.ReadOnly, Keys: readSet, Tips: anyOutput}, Do: sscan},
	{Spec: command.Spec{Name: "sinter", Group: command.Set, Arity: -2, Flags: command.ReadOnly, Keys: readSets, Tips: anyOrder}, Do: sinter},
	{Spec: command.Spec{Name: "sintercard", Group: command.Set, Arity: -3, Flags: command.ReadOnly, Keys: countSets}, Do: sintercard},
	{Spec: command.Spec{Name: "sinterstore", Group: command.Set, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: storeInter}, Do: sinterstore},
	{Spec: command.Spec{Name: "sunion", Group: command.Set, Arity: -2, Flags: command.ReadOnly, Keys: readSets, Tips: anyOrder}, Do: sunion},
	{Spec: command.Spec{Name: "sunionstore", Group: command.Set, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: storeSets}, Do: sunionstore},
	{Spec: command.Spec{Name: "sdiff", Group: command.Set, Arity: -2, Flags: command.ReadOnly, Keys: readSets, Tips: anyOrder}, Do: sdiff},
	{Spec: command.Spec{Name: "sdiffstore", Group: command.Set, Arity: -3, Flags: command.Write | command.DenyOOM, Keys: storeSets}, Do: sdiffstore},
}

// sadd adds members and replies with the number of new ones.
func sadd(c *call.Call) {
	s, ok := openSet(c, c.Args[1])
	if !ok {
		return
	}
	added := int64(0)
	for _, member := range c.Args[2:] {
		if s.add(member) {
			added++
		}
	}
	s.save("sadd")
	c.Out.Int(added)
}

// srem removes members and replies how many were there.
func srem(c *call.Call) {
	s, ok := openSet(c, c.Args[1])
	if !ok {
		return
	}
	removed := int64(0)
	for _, member := range c.Args[2:] {
		if s.remove(member) {
			removed++
		}
	}
	s.save("srem")
	c.Out.Int(removed)
}

// smove moves a member to another set, and replies whether it was there.
func smove(c *call.Call) {
	source, target, member := c.Args[1], c.Args[2], c.Args[3]
	s, ok := openSet(c, source)
	if !ok {
		return
	}
	if !s.exists {
		c.Out.Int(0)
		return
	}
	sets, ok := openSets(c, [][]byte{source, target})
	if !ok {
		return
	}
	s = sets[0]
	if string(source) == string(target) {
		c.Out.Flag(s.Has(member))
		return
	}
	if !s.remove(member) {
		c.Out.Int(0)
		return
	}
	s.save("srem")
	t, _ := openSet(c, target) // anew: the change of the source may have moved it
	t.add(member)
	t.save("sadd")
	c.Out.Int(1)
}

// sismember replies whether there is a member.
func sismember(c *call.Call) {
	if s, ok := openSet(c, c.Args[1]); ok {
		c.Out.Flag(s.Has(c.Args[2]))
	}
}

// smismember replies for several members whether they are there.
func smismember(c *call.Call) {
	s, ok := openSet(c, c.Args[1])
	if !ok {
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		c.Out.Flag(s.Has(member))
	}
}

// scard replies with the number of members.
func scard(c *call.Call) {
	if s, ok := openSet(c, c.Args[1]); ok {
		c.Out.Int(int64(s.Len()))
	}
}

// smembers replies with all members.
func smembers(c *call.Call) {
	if s, ok := openSet(c, c.Args[1]); ok {
		s.reply()
	}
}

// spop removes a member chosen by chance, or several, and replies with it.
func spop(c *call.Call) {
	switch len(c.Args) {
	case 2:
		popMember(c)
	case 3:
		popMembers(c)
	default:
		c.Fail(reply.ErrSyntax)
	}
}

func popMember(c *call.Call) {
	s, ok := openSet(c, c.Args[1])
	if !ok {
		return
	}
	if !s.exists {
		c.Out.Null()
		return
	}
	s.write()
	s.popRandom(1, func(member []byte) {
		if c.Followed() {
			c.Become("SREM", c.Args[1], member)
		}
	})
	s.save("spop")
}

// popRandom removes n members, less than all unless it is one, and writes them, and hands each to popped. The set must
// be ready for writing.
func (s *setKey) popRandom(n int, popped func(member []byte)) {
	s.Take(n, func(left int) int { return randomRank(s.c.Rand, left) }, func(member []byte) {
		s.c.Out.Bulk(member)
		popped(member)
	})
}

func popMembers(c *call.Call) {
	count, ok := call.ParseInt(c.Args[2])
	if !ok || count < 0 {
		c.Fail(reply.ErrNotPositive)
		return
	}
	s, ok := openSet(c, c.Args[1])
	switch {
	case !ok:
		return
	case !s.exists || count == 0:
		c.Out.Set(0)
		return
	case count >= int64(s.Len()):
		s.reply()
		c.DB.Delete(s.key)
		becomeDel(c, s.key)
		c.Notify(call.EventSet, "spop", s.key)
		c.Notify(call.EventGeneric, "del", s.key)
		return
	}
	c.Out.Set(int(count))
	s.write()
	gone := []any{"SREM", s.key}
	s.popRandom(int(count), func(member []byte) {
		if c.Followed() {
			gone = append(gone, bytes.Clone(member))
		}
	})
	if c.Followed() {
		c.Become(gone...)
	}
	if !s.IsIntset() && int64(s.Len())*popAnew <= count {
		s.renew()
	}
	s.save("spop")
}

// popAnew is how many times more members than it leaves SPOP has to take for
// redis-server to move those that are left to a new set, which may be an intset.
const popAnew = 5

// renew gives the members the form that they get when they are added to a new
// set. The set must be ready for writing.
func (s *setKey) renew() {
	anew := newSet(s.c)
	for member := range s.All() {
		anew.Add(member, setLimits(s.c))
	}
	if s.Object() != nil {
		s.c.DB.Replace(s.key, setValue(&anew))
	}
	s.Set = anew
}

// srandmember replies with a member chosen by chance, or with several.
func srandmember(c *call.Call) {
	if len(c.Args) == 2 {
		randomMember(c)
		return
	}
	if len(c.Args) > 3 {
		c.Fail(reply.ErrSyntax)
		return
	}
	n, ok := parseRandomCount(c)
	if !ok {
		return
	}
	if s, ok := openSet(c, c.Args[1]); ok {
		s.replyRandom(n)
	}
}

func randomMember(c *call.Call) {
	s, ok := openSet(c, c.Args[1])
	switch {
	case !ok:
	case !s.exists:
		c.Out.Null()
	default:
		s.replyAt(randomRank(c.Rand, s.Len()))
	}
}

// replyRandom writes n distinct members chosen by chance, all if there are not
// so many; a negative n takes -n members that may be the same.
func (s *setKey) replyRandom(n int64) {
	out, size := s.c.Out, s.Len()
	switch {
	case size == 0 || n == 0:
		out.Array(0)
	case n < 0:
		replyRepeats(s.c, int(-n), size, out.Array, s.replyAt)
	case n < int64(size):
		out.Array(int(n))
		for _, rank := range randomRanks(s.c.Rand, int(n), size) {
			s.replyAt(rank)
		}
	default:
		out.Array(size)
		s.replyMembers()
	}
}

// sscan replies with some members and the cursor to go on with.
func sscan(c *call.Call) {
	cursor, ok := parseCursor(c, 2)
	if !ok {
		return
	}
	s, ok := openSet(c, c.Args[1])
	if !ok {
		return
	}
	var o scanOptions
	if s.exists && !o.parse(c, 3, nothingOnly) { // redis-server looks at no option without a key
		return
	}
	replyScan(c.Out, func() (next uint64, n int) {
		next = s.Scan(cursor, o.count, func(member []byte) {
			if o.matches(member) {
				c.Out.Bulk(member)
				n++
			}
		})
		return next, n
	})
}

// sintercard replies with the number of members that several sets share, or with
// a limit that it reaches.
func sintercard(c *call.Call) {
	keys, ok := call.ParseInt(c.Args[1])
	switch {
	case !ok || keys < 1:
		c.Fail("ERR numkeys should be greater than 0")
		return
	case keys > int64(len(c.Args)-2):
		c.Fail("ERR Number of keys can't be greater than number of args")
		return
	}
	limit := int64(0)
	for i := 2 + int(keys); i < len(c.Args); i += 2 {
		if !c.Is(i, "LIMIT") || i+1 == len(c.Args) {
			c.Fail(reply.ErrSyntax)
			return
		}
		if limit, ok = call.ParseInt(c.Args[i+1]); !ok || limit < 0 {
			c.Fail("ERR LIMIT can't be negative")
			return
		}
	}
	if limit == 0 {
		limit = math.MaxInt64
	}
	sets, ok := openSets(c, c.Args[2:2+keys])
	if !ok {
		return
	}
	shared := int64(0)
	for range sharedBy(sets) {
		if shared++; shared == limit {
			break
		}
	}
	c.Out.Int(shared)
}
