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
	timed   bool    // fields expired when write was called
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
	if !found {
		h.Hash = hash.FromPacked(c.Keyspace.Seed(), emptyHash)
		return h, true
	}
	h.Hash = e.Hash(c.Keyspace.Seed()).AsOf(c.Now)
	return h, true
}

// write makes the hash ready for changes, the first of which must follow. More
// calls do nothing.
func (h *hashKey) write() {
	if h.writing {
		return
	}
	h.writing, h.timed = true, h.Timed()
	if h.Object() != nil {
		h.c.DB.Edit(h.key, h.c.Now)
		return
	}
	h.buf = hashBuffers.Get().(*[]byte)
	h.Own(*h.buf)
}

// set sets a field, which then never expires, and reports whether it is new.
func (h *hashKey) set(field, value []byte) (added bool) {
	return h.setUntil(field, value, hash.Never)
}

// change sets a field that keeps its expiry time, if it is there and has one.
func (h *hashKey) change(field, value []byte) {
	at, _ := h.Expiry(field)
	h.setUntil(field, value, at)
}

func (h *hashKey) setUntil(field, value []byte, at int64) (added bool) {
	h.write()
	return h.SetUntil(field, value, at, hash.Limits{
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
		if h.Stored() > 0 { // what was due goes too
			c.Notify(call.EventHash, "hexpired", h.key)
		}
	case !h.exists:
		c.DB.Put(h.key, keyspace.HashValue(&h.Hash), keyspace.NoExpiry)
		c.Notify(call.EventNew, "new", h.key)
	case h.buf != nil: // was packed; an object that was one has changed in place
		c.DB.Replace(h.key, keyspace.HashValue(&h.Hash))
	case h.timed || h.Timed():
		c.DB.Settle(h.key)
	}
	if h.buf != nil {
		hashBuffers.Put(h.buf)
	}
	c.Notify(call.EventHash, event, h.key)
	if emptied {
		c.Notify(call.EventGeneric, "del", h.key)
	}
}
