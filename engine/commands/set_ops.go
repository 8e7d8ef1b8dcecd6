package commands

import (
	"cmp"
	"iter"
	"slices"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/set"
)

// sinter replies with the members that all sets share.
func sinter(c *call.Call) {
	sets, ok := openSets(c, c.Args[1:])
	if !ok {
		return
	}
	mark, n := c.Out.Mark(), 0
	for member := range sharedBy(sets) {
		c.Out.Bulk(member)
		n++
	}
	c.Out.EndSet(mark, n)
}

// openSources is openSets for a command that stores what it makes of them.
func openSources(c *call.Call, keys [][]byte) (sets []setKey, ok bool) {
	sets, ok = openSets(c, keys)
	for i := range sets {
		c.LookedUp(keys[i], sets[i].exists)
	}
	return sets, ok
}

// sinterstore stores the members that all sets share.
func sinterstore(c *call.Call) {
	sets, ok := openSources(c, c.Args[2:])
	if !ok {
		return
	}
	result, copied := newSet(c), false
	if len(sets) == 1 {
		result, copied = beginCopy(c, &sets[0])
	}
	if !copied {
		for member := range sharedBy(sets) {
			result.Add(member, setLimits(c))
		}
	}
	replaceSet(c, c.Args[1], &result, "sinterstore")
}

// beginCopy returns a copy of a set, if it costs nothing, else an empty set. It is for commands that write: those that
// read a set beside each other must not copy it so.
func beginCopy(c *call.Call, s *setKey) (result set.Set, copied bool) {
	if c.MayWrite {
		if result, copied = s.Copy(setLimits(c)); copied {
			return result, true
		}
	}
	return newSet(c), false
}

// sunion replies with the members of any of the sets.
func sunion(c *call.Call) { replyCombined(c, unionOf) }

// sunionstore stores the members of any of the sets.
func sunionstore(c *call.Call) { storeCombined(c, unionOf, "sunionstore") }

// sdiff replies with the members of the first set that are in no other one.
func sdiff(c *call.Call) { replyCombined(c, differenceOf) }

// sdiffstore stores the members of the first set that are in no other one.
func sdiffstore(c *call.Call) { storeCombined(c, differenceOf, "sdiffstore") }

func newSet(c *call.Call) set.Set { return set.New(c.Keyspace.Seed(), nil) }

func replyCombined(c *call.Call, combine func(*call.Call, []setKey) set.Set) {
	sets, ok := openSets(c, c.Args[1:])
	if !ok {
		return
	}
	result := setKey{c: c, Set: combine(c, sets)}
	result.reply()
}

func storeCombined(c *call.Call, combine func(*call.Call, []setKey) set.Set, event string) {
	sets, ok := openSources(c, c.Args[2:])
	if !ok {
		return
	}
	result := combine(c, sets)
	replaceSet(c, c.Args[1], &result, event)
}

// replaceSet puts s at key in the place of what was there, replies with the
// number of its members, and tells of event. An empty one leaves no key.
func replaceSet(c *call.Call, key []byte, s *set.Set, event string) {
	_, existed := c.Get(key)
	switch {
	case s.Len() > 0:
		c.DB.Put(key, setValue(s), keyspace.NoExpiry)
		if !existed {
			c.Notify(call.EventNew, "new", key)
		}
		c.Notify(call.EventSet, event, key)
	case existed:
		c.DB.Delete(key)
		c.Notify(call.EventGeneric, "del", key)
	}
	c.Out.Int(int64(s.Len()))
}

// sharedBy yields the members of the smallest set that are in all others.
func sharedBy(sets []setKey) iter.Seq[[]byte] {
	sets = slices.Clone(sets)
	slices.SortStableFunc(sets, bySize)
	return func(yield func([]byte) bool) {
		for member := range sets[0].All() {
			if inAll(sets[1:], member) && !yield(member) {
				return
			}
		}
	}
}

func bySize(a, b setKey) int { return cmp.Compare(a.Len(), b.Len()) }

func inAll(sets []setKey, member []byte) bool {
	for i := range sets {
		if !sets[i].Has(member) {
			return false
		}
	}
	return true
}

func inAny(sets []setKey, member []byte) bool {
	for i := range sets {
		if sets[i].Has(member) {
			return true
		}
	}
	return false
}

// unionOf begins with a copy of the largest set.
func unionOf(c *call.Call, sets []setKey) set.Set {
	largest := 0
	for i := range sets {
		if sets[i].Len() > sets[largest].Len() {
			largest = i
		}
	}
	result, copied := beginCopy(c, &sets[largest])
	for i := range sets {
		if copied && (i == largest || sets[i].Object() == sets[largest].Object()) {
			continue
		}
		for member := range sets[i].All() {
			result.Add(member, setLimits(c))
		}
	}
	return result
}

// differenceOf takes the cheaper of two ways: looking up each member of the first
// set in all others, or taking the members of all others out of a copy of it.
// The estimate is Redis', because it shows: a copy that held more than integers
// is no intset, whatever remains.
func differenceOf(c *call.Call, sets []setKey) set.Set {
	lookUps, copied, others := 0, 0, 0
	for i := range sets {
		if sets[i].exists {
			lookUps += sets[0].Len()
			copied += sets[i].Len()
		}
		if i > 0 {
			others += sets[i].Len()
		}
	}
	if others > 0 && lookUps/2 <= copied {
		result := newSet(c)
		others := slices.Clone(sets[1:])
		slices.SortStableFunc(others, func(a, b setKey) int { return bySize(b, a) })
		for member := range sets[0].All() {
			if !inAny(others, member) {
				result.Add(member, setLimits(c))
			}
		}
		return result
	}
	result, whole := beginCopy(c, &sets[0])
	if !whole {
		for member := range sets[0].All() {
			result.Add(member, setLimits(c))
		}
	}
	for i := 1; i < len(sets) && result.Len() > 0; i++ {
		for member := range sets[i].All() {
			result.Remove(member)
		}
	}
	return result
}
