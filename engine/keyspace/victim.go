package keyspace

import "github.com/quorate/quorate/engine/heat"

// A Victim is a key that may be deleted to make room.
type Victim struct {
	DB       int
	Key      []byte // aliases the keyspace's memory until the next change
	Hash     uint64 // under which package heat remembers it
	ExpireAt int64
	Bytes    int64 // what deleting it frees at least: tables and indexes become smaller now and then
}

// victimTries is how often a place is chosen that may be empty.
const victimTries = 64

// AnyKey returns a key chosen by chance: each is as likely as any other. It is a read, as are all functions here. It
// returns false if there is none.
func (d *DB) AnyKey(chance func() uint64) (Victim, bool) {
	if d.store.keys == 0 {
		return Victim{}, false
	}
	var point uint64
	for range victimTries {
		point = chance()
		g := d.store.table.segment(point)
		if w := g.slots[int(uint32(chance()))%len(g.slots)]; w != 0 {
			return d.victim(refOf(w)), true
		}
	}
	return d.nextKey(point), true // after most keys were deleted: few are left in a table of many
}

// nextKey returns the first key at or after point in hash order, around the end. There must be one.
func (d *DB) nextKey(point uint64) (v Victim) {
	take := func(_ uint64, rec record) bool {
		_, p, _ := d.find(rec.key())
		v = d.victim(p.ref)
		return false
	}
	if d.store.ascend(point, take) {
		d.store.ascend(0, take)
	}
	return v
}

// AnyExpiring is AnyKey of a key with an expiry time.
func (d *DB) AnyExpiring(chance func() uint64) (Victim, bool) {
	x := &d.store.expiry
	if x.len == 0 {
		return Victim{}, false
	}
	for range victimTries {
		l := &x.leaves[int(uint32(chance()))%len(x.leaves)]
		if i := int(uint32(chance()) % leafMax); i < len(l.dues) {
			return d.victim(d.store.indexed(l.dues[i], record.expireAt).ref), true
		}
	}
	return d.victim(d.store.indexed(x.leaves[0].dues[0], record.expireAt).ref), true
}

// Victims calls visit for all keys, or those with an expiry time alone, in the order of hashes or of time, until it
// returns false.
func (d *DB) Victims(expiring bool, visit func(Victim) bool) {
	if !expiring {
		d.store.ascend(0, func(_ uint64, rec record) bool {
			_, p, _ := d.find(rec.key())
			return visit(d.victim(p.ref))
		})
		return
	}
	for i := range d.store.expiry.leaves {
		for _, x := range d.store.expiry.leaves[i].dues {
			if !visit(d.victim(d.store.indexed(x, record.expireAt).ref)) {
				return
			}
		}
	}
}

// Lookup returns a key as a victim, if it is there.
func (d *DB) Lookup(key []byte) (Victim, bool) {
	_, p, ok := d.find(key)
	if !ok {
		return Victim{}, false
	}
	return d.victim(p.ref), true
}

func (d *DB) victim(r ref) Victim {
	rec := d.store.arena.cell(r)
	v := Victim{DB: d.index, Key: rec.key(), ExpireAt: rec.expireAt(), Bytes: int64(d.store.arena.size(r))}
	v.Hash = heat.Of(d.index, d.ks.seed.Hash(v.Key))
	if held := rec.handle(); held != 0 {
		v.Bytes += slotBytes + int64(d.store.handles.object(held).MemBytes())
	}
	return v
}

// EvictKey deletes a key to make room, due or not, and reports whether it was there.
func (d *DB) EvictKey(key []byte) bool {
	if !d.Delete(key) {
		return false
	}
	d.ks.evicted++
	return true
}
