package commands

import (
	"sync"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/zset"
)

// zsetKey is what a key holds or will hold, as a sorted set, while a command
// works on it: open, look, then write, change, save; or nothing after looking.
type zsetKey struct {
	zset.Zset
	c       *call.Call
	key     []byte
	exists  bool
	writing bool
	buf     *[]byte // holds the packed form between write and save
}

// zsetBuffers holds space for packed sorted sets under change.
var zsetBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// emptyZset is read where there is no key.
var emptyZset = listpack.New(0)

// openZset returns the sorted set at key for reading, an empty one if there is
// none. It replies WRONGTYPE itself, and then returns false.
func openZset(c *call.Call, key []byte) (z zsetKey, ok bool) {
	e, found, failed := c.GetType(key, keyspace.Zset)
	if failed {
		return zsetKey{}, false
	}
	return zsetKey{Zset: zsetOf(c, e, found), c: c, key: key, exists: found}, true
}

// zsetOf returns the sorted set that e holds, or an empty one for reading.
func zsetOf(c *call.Call, e keyspace.Entry, found bool) zset.Zset {
	switch {
	case !found:
		return zset.FromPacked(c.Keyspace.Seed(), emptyZset)
	case e.Object != nil:
		return zset.FromObject(keyspace.Unbox[*zset.Large](e.Object))
	}
	return zset.FromPacked(c.Keyspace.Seed(), e.Packed)
}

// zsetLimits returns how long a sorted set stays small.
func zsetLimits(c *call.Call) zset.Limits {
	return zset.Limits{Entries: c.Settings.ZsetMaxListpackEntries, Value: c.Settings.ZsetMaxListpackValue}
}

// newZset returns an empty sorted set of the form that suits n members of at
// most longest bytes, so that it need not change on the way.
func newZset(c *call.Call, n, longest int) zset.Zset {
	limits := zsetLimits(c)
	if n > limits.Entries || longest > limits.Value {
		return zset.NewLarge(c.Keyspace.Seed())
	}
	return zset.New(c.Keyspace.Seed(), nil)
}

// zsetValue returns z as what a key holds.
func zsetValue(z *zset.Zset) keyspace.Value {
	if l := z.Object(); l != nil {
		return keyspace.Value{Type: keyspace.Zset, Enc: keyspace.Skiplist, Object: keyspace.Box(l)}
	}
	return keyspace.Value{Type: keyspace.Zset, Enc: keyspace.Listpack, Packed: z.Packed()}
}

// write makes the sorted set ready for changes, the first of which must follow.
// More calls do nothing.
func (z *zsetKey) write() {
	if z.writing {
		return
	}
	z.writing = true
	if z.Object() != nil {
		z.c.DB.Edit(z.key, z.c.Now)
		return
	}
	z.buf = zsetBuffers.Get().(*[]byte)
	z.Zset = zset.FromPacked(z.c.Keyspace.Seed(), append((*z.buf)[:0], z.Packed()...))
}

// save stores the sorted set if it was changed, or deletes the key of one that
// became empty, and tells of event.
func (z *zsetKey) save(event string) {
	if !z.writing {
		return
	}
	c := z.c
	emptied := z.exists && z.Len() == 0
	switch {
	case emptied:
		c.DB.Delete(z.key)
	case !z.exists:
		c.DB.Put(z.key, zsetValue(&z.Zset), keyspace.NoExpiry)
		c.Notify(call.EventNew, "new", z.key)
	case z.buf != nil: // was packed; an object that was one has changed in place
		c.DB.Replace(z.key, zsetValue(&z.Zset))
	}
	if z.buf != nil {
		zsetBuffers.Put(z.buf)
	}
	c.Notify(call.EventZset, event, z.key)
	if emptied {
		c.Notify(call.EventGeneric, "del", z.key)
	}
}

// replaceZset puts z at key in the place of what was there, replies with the
// number of its members, and tells of event. An empty one leaves no key.
func replaceZset(c *call.Call, key []byte, z *zset.Zset, event string) {
	_, existed := c.Get(key)
	switch {
	case z.Len() > 0:
		c.DB.Put(key, zsetValue(z), keyspace.NoExpiry)
		if !existed {
			c.Notify(call.EventNew, "new", key)
		}
		c.Notify(call.EventZset, event, key)
	case existed:
		c.DB.Delete(key)
		c.Notify(call.EventGeneric, "del", key)
	}
	c.Out.Int(int64(z.Len()))
}

// replyMembers begins a reply of n members with their scores: pairs in RESP3, a
// flat list in RESP2. replyMember writes each.
func replyMembers(out *reply.Writer, n int, withScores bool) {
	if withScores && out.Proto() == reply.RESP2 {
		n *= 2
	}
	out.Array(n)
}

// replyMember writes one of the members that replyMembers has begun.
func replyMember(out *reply.Writer, member []byte, score float64, withScores bool) {
	if !withScores {
		out.Bulk(member)
		return
	}
	if out.Proto() == reply.RESP3 {
		out.Array(2)
	}
	out.Bulk(member)
	out.Double(score)
}
