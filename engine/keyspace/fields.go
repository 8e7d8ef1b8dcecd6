package keyspace

import (
	"bytes"

	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/seed"
)

// Fields of hashes expire one by one. Package hash knows when, and takes them out;
// here is an index of the hashes by the time of their first field to expire, so that
// the due ones of all databases are found without a look at any other.
//
// The index follows from the content, as all does that decides what is deleted next:
// it has each hash of which a field expires once, with exactly that time. What is
// stored as a packed value tells it by itself; for an object, which changes in place,
// the handle table holds the time that the index has, and [DB.Settle] compares.
//
// A hash all of whose fields are due is no longer there, whatever is still stored of
// it: [Entry.Expired] tells so.

// Hash returns the hash that v holds, with all fields that are stored. The seed
// matters to who changes it.
func (v *Value) Hash(s seed.Seed) hash.Hash {
	switch {
	case v.Object != nil:
		return hash.FromObject(Unbox[*hash.Large](v.Object))
	case v.Enc == ListpackEx:
		return hash.FromTimed(s, v.Packed)
	}
	return hash.FromPacked(s, v.Packed)
}

// HashValue returns h as what a key holds.
func HashValue(h *hash.Hash) Value {
	switch {
	case h.Object() != nil:
		return Value{Type: Hash, Enc: Hashtable, Object: Box(h.Object())}
	case h.Timed():
		return Value{Type: Hash, Enc: ListpackEx, Packed: h.Packed()}
	}
	return Value{Type: Hash, Enc: Listpack, Packed: h.Packed()}
}

// mayExpire tells whether v may be a hash of which a field expires.
func (v *Value) mayExpire() bool {
	return v.Type == Hash && (v.Object != nil || v.Enc == ListpackEx)
}

// hollow tells whether v is a hash all of whose fields are due at now.
func (v *Value) hollow(now int64) bool {
	if !v.mayExpire() {
		return false
	}
	h := v.Hash(seed.Seed{})
	last := h.LastExpiry()
	return last != hash.Never && last <= now
}

// dueFields returns how many fields of a hash are due at now.
func (v *Value) dueFields(now int64) int {
	if !v.mayExpire() {
		return 0
	}
	h := v.Hash(seed.Seed{}).AsOf(now)
	return h.Stored() - h.Len()
}

// firstExpiry returns when the first field expires, if o is a hash, or hash.Never.
func firstExpiry(o Object) int64 {
	large, ok := o.(Boxed[*hash.Large])
	if !ok {
		return hash.Never
	}
	h := hash.FromObject(large.Of)
	return h.NextExpiry()
}

// firstField returns the time under which the index has a record, or hash.Never.
func (s *store) firstField(rec record) int64 {
	if rec.word()&typeMask != uint64(Hash) {
		return hash.Never
	}
	e := s.entry(rec)
	switch {
	case !e.mayExpire():
		return hash.Never
	case e.Object != nil:
		return s.handles.slots.at(uint32(rec.handle())).first
	}
	h := e.Hash(seed.Seed{})
	return h.NextExpiry()
}

// reindex changes the time under which the index has a record with hash h.
func (s *store) reindex(h uint64, old, at int64) {
	if old == at {
		return
	}
	if old != hash.Never {
		s.fields.remove(old, h)
	}
	if at != hash.Never {
		s.fields.add(at, h)
	}
}

// Settle is what a change of a hash in place ends with if it may have changed when
// fields expire.
func (d *DB) Settle(key []byte) {
	if h, p, ok := d.find(key); ok {
		d.store.settle(h, p.rec)
	}
}

func (s *store) settle(h uint64, rec record) {
	held := rec.handle()
	if held == 0 {
		return
	}
	slot := s.handles.slots.at(uint32(held))
	old := slot.first
	slot.first = firstExpiry(slot.object)
	s.reindex(h, old, slot.first)
}

// expireFields deletes at most limit due fields of the hash that the index has as
// first. If all its fields are due it goes as a whole, which counts as one. The key
// returned is valid until the next change.
func (d *DB) expireFields(first due, now int64, limit int) (key []byte, n int, loss Loss) {
	s := d.store
	p := s.indexed(first, s.firstField)
	e := s.entry(p.rec)
	key = bytes.Clone(e.Key)
	if e.hollow(now) {
		h := e.Hash(d.ks.seed)
		d.ks.fieldsDue += uint64(h.Stored())
		d.evict(first.hash, key, p)
		return key, 1, AllFieldsDue
	}
	if d.ks.fieldsLost != nil {
		h := e.Hash(d.ks.seed)
		d.ks.fieldsLost(d.index, key, h.Due(now, limit))
	}
	if e.Object != nil {
		d.beginEdit(first.hash, key, p)
		h := e.Hash(d.ks.seed)
		n = h.ExpireDue(now, limit)
		d.ks.fieldsDue += uint64(n)
		s.settle(first.hash, p.rec)
		return key, n, FieldsDue
	}
	e.Packed = bytes.Clone(e.Packed)
	h := e.Hash(d.ks.seed)
	n = h.ExpireDue(now, limit)
	d.ks.fieldsDue += uint64(n)
	v := HashValue(&h)
	d.replace(first.hash, p, &v, d.ks.mutate(&change{op: opReplace, db: d.index, key: key, value: &v}))
	return key, n, FieldsDue
}
