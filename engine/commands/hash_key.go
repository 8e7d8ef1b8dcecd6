package commands

import (
	"sync"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/seed"
)

// hashKey is what a key holds or will hold, as a hash, while a command works on
// it: open, look, then write, change, save; or nothing after looking.
type hashKey struct {
	hash.Hash
	c       *call.Call
	key     []byte
	exists  bool
	writing bool
	buf     *[]byte // holds the packed form between write and save
}

// hashBuffers holds space for packed hashes under change.
var hashBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// emptyHash is read where there is no key.
var emptyHash = func() []byte {
	h := hash.New(seed.Seed{}, nil)
	return h.Packed()
}()

// openHash returns the hash at key for reading, an empty one if there is none.
// It replies WRONGTYPE itself, and then returns false.
func openHash(c *call.Call, key []byte) (h hashKey, ok bool) {
	e, found, failed := c.GetType(key, keyspace.Hash)
	if failed {
		return hashKey{}, false
	}
	h = hashKey{c: c, key: key, exists: found}
	switch {
	case !found:
		h.Hash = hash.FromPacked(c.Keyspace.Seed(), emptyHash)
	case e.Object != nil:
		h.Hash = hash.FromObject(keyspace.Unbox[*hash.Large](e.Object))
	default:
		h.Hash = hash.FromPacked(c.Keyspace.Seed(), e.Packed)
	}
	return h, true
}

// write makes the hash ready for changes, the first of which must follow. More
// calls do nothing.
func (h *hashKey) write() {
	if h.writing {
		return
	}
	h.writing = true
	if h.Object() != nil {
		h.c.DB.Edit(h.key, h.c.Now)
		return
	}
	h.buf = hashBuffers.Get().(*[]byte)
	h.Hash = hash.FromPacked(h.c.Keyspace.Seed(), append((*h.buf)[:0], h.Packed()...))
}

// set sets a field and reports whether it is new.
func (h *hashKey) set(field, value []byte) (added bool) {
	h.write()
	return h.Set(field, value, hash.Limits{
		Entries: h.c.Settings.HashMaxListpackEntries,
		Value:   h.c.Settings.HashMaxListpackValue,
	})
}

// save stores the hash if it was changed, or deletes the key of one that became
// empty, and tells of event.
func (h *hashKey) save(event string) {
	if !h.writing {
		return
	}
	c := h.c
	emptied := h.exists && h.Len() == 0
	switch {
	case emptied:
		c.DB.Delete(h.key)
	case !h.exists:
		c.DB.Put(h.key, hashValue(&h.Hash), keyspace.NoExpiry)
		c.Notify(call.EventNew, "new", h.key)
	case h.buf != nil: // was packed; an object that was one has changed in place
		c.DB.Replace(h.key, hashValue(&h.Hash))
	}
	if h.buf != nil {
		hashBuffers.Put(h.buf)
	}
	c.Notify(call.EventHash, event, h.key)
	if emptied {
		c.Notify(call.EventGeneric, "del", h.key)
	}
}

// hashValue returns h as what a key holds.
func hashValue(h *hash.Hash) keyspace.Value {
	if l := h.Object(); l != nil {
		return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.Hashtable, Object: keyspace.Box(l)}
	}
	return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.Listpack, Packed: h.Packed()}
}
