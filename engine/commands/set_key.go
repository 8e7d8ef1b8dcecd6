package commands

import (
	"sync"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
)

// setKey is what a key holds or will hold, as a set, while a command works on it:
// open, look, then write, change, save; or nothing after looking.
type setKey struct {
	set.Set
	c       *call.Call
	key     []byte
	exists  bool
	writing bool
	buf     *[]byte // holds the packed form between write and save
	version uint64  // announced for the packed form of a key that exists
}

// setBuffers holds space for packed sets under change.
var setBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// emptySet is read where there is no key.
var emptySet = func() []byte {
	s := set.New(seed.Seed{}, nil)
	return s.Packed()
}()

// openSet returns the set at key for reading, an empty one if there is none. It
// replies WRONGTYPE itself, and then returns false.
func openSet(c *call.Call, key []byte) (s setKey, ok bool) {
	e, found, failed := c.GetType(key, keyspace.Set)
	if failed {
		return setKey{}, false
	}
	s = setKey{c: c, key: key, exists: found}
	switch {
	case !found:
		s.Set = set.FromPacked(c.Keyspace.Seed(), emptySet)
	case e.Object != nil:
		s.Set = set.FromObject(keyspace.Unbox[*set.Large](e.Object))
	default:
		s.Set = set.FromPacked(c.Keyspace.Seed(), e.Packed)
	}
	return s, true
}

// openSets opens the sets at several keys for reading.
func openSets(c *call.Call, keys [][]byte) (sets []setKey, ok bool) {
	if c.MayWrite {
		// Looking at an expired key deletes it, which moves what earlier ones hold.
		for _, key := range keys {
			c.Peek(key)
		}
	}
	sets = make([]setKey, len(keys))
	for i, key := range keys {
		if sets[i], ok = openSet(c, key); !ok {
			return nil, false
		}
	}
	return sets, true
}

// write makes the set ready for changes, the first of which must follow. More
// calls do nothing.
func (s *setKey) write() {
	if s.writing {
		return
	}
	s.writing = true
	if s.Object() != nil {
		s.c.DB.Edit(s.key, s.c.Now)
		return
	}
	s.buf = setBuffers.Get().(*[]byte)
	s.Set = set.FromPacked(s.c.Keyspace.Seed(), append((*s.buf)[:0], s.Packed()...))
	if s.exists {
		s.version = s.c.DB.Announce(s.key)
		s.Join(s.c.Keyspace.Chain())
	}
}

// add adds a member and reports whether it is new.
func (s *setKey) add(member []byte) bool {
	if s.Has(member) {
		return false
	}
	s.write()
	return s.Add(member, setLimits(s.c))
}

// remove removes a member and reports whether it was there.
func (s *setKey) remove(member []byte) bool {
	if !s.Has(member) {
		return false
	}
	s.write()
	return s.Remove(member)
}

// save stores the set if it was changed, or deletes the key of one that became
// empty, and tells of event.
func (s *setKey) save(event string) {
	if !s.writing {
		return
	}
	c := s.c
	emptied := s.exists && s.Len() == 0
	switch {
	case emptied:
		c.DB.Delete(s.key)
	case !s.exists:
		c.DB.Put(s.key, setValue(&s.Set), keyspace.NoExpiry)
		c.Notify(call.EventNew, "new", s.key)
	case s.buf != nil: // was packed; an object that was one has changed in place
		c.DB.ReplaceAnnounced(s.key, setValue(&s.Set), s.version)
	}
	if s.buf != nil {
		setBuffers.Put(s.buf)
	}
	c.Notify(call.EventSet, event, s.key)
	if emptied {
		c.Notify(call.EventGeneric, "del", s.key)
	}
}

// reply writes all members as a set.
func (s *setKey) reply() {
	s.c.Out.Set(s.Len())
	s.replyMembers()
}

func (s *setKey) replyMembers() {
	if s.c.Out.Discards() {
		return
	}
	for member := range s.All() {
		s.c.Out.Bulk(member)
	}
}

// replyAt writes the member with the given rank.
func (s *setKey) replyAt(rank int) {
	var digits [20]byte
	s.c.Out.Bulk(s.At(rank, digits[:]))
}

func setLimits(c *call.Call) set.Limits {
	return set.Limits{IntsetEntries: c.Settings.SetMaxIntsetEntries}
}

// setValue returns s as what a key holds.
func setValue(s *set.Set) keyspace.Value {
	v := keyspace.Value{Type: keyspace.Set, Enc: keyspace.Hashtable, Packed: s.Packed()}
	switch l := s.Object(); {
	case l != nil:
		v.Object = keyspace.Box(l)
	case s.IsIntset():
		v.Enc = keyspace.Intset
	}
	return v
}
