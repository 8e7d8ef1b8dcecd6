package keyspace

import (
	"fmt"

	"github.com/quorate/quorate/engine/heat"
)

// A DB is one numbered database of a Keyspace.
type DB struct {
	ks    *Keyspace
	index int
	store *store
	floor uint64 // the counter at the last swap; no version of a key that is there is lower
}

// Index returns the database's number.
func (d *DB) Index() int { return d.index }

// Len returns the number of keys, due ones that are not deleted yet included.
func (d *DB) Len() int { return d.store.keys }

// Expires returns the number of keys with an expiry time.
func (d *DB) Expires() int { return d.store.expiry.len }

// MeanTTL estimates for how many milliseconds from now on keys with an expiry time live.
func (d *DB) MeanTTL(now int64) int64 { return d.store.expiry.meanTTL(now) }

// Overhead returns the bytes of the table of keys and of the expiry index.
func (d *DB) Overhead() (table, expiry int64) { return d.store.table.bytes(), d.store.expiry.bytes() }

func (d *DB) find(key []byte) (h uint64, p place, ok bool) {
	h = d.ks.seed.Hash(key)
	p, ok = d.store.find(h, key)
	return h, p, ok
}

// Get returns the key's entry; a key that is due at now is absent. It is a read.
func (d *DB) Get(key []byte, now int64) (Entry, bool) {
	_, p, ok := d.find(key)
	if !ok {
		return Entry{}, false
	}
	e := d.store.entry(p.rec)
	if e.Expired(now) {
		return Entry{}, false
	}
	return e, true
}

// Use is Get for somebody who uses the key. It notes that and is a read all the same.
func (d *DB) Use(key []byte, now int64) (Entry, bool) {
	h, p, ok := d.find(key)
	if !ok {
		return Entry{}, false
	}
	e := d.store.entry(p.rec)
	if e.Expired(now) {
		return Entry{}, false
	}
	if d.ks.heat != nil {
		d.ks.heat.Touch(heat.Of(d.index, h))
	}
	return e, true
}

// Stored is Get of whatever is stored, due or not.
func (d *DB) Stored(key []byte) (Entry, bool) {
	_, p, ok := d.find(key)
	if !ok {
		return Entry{}, false
	}
	return d.store.entry(p.rec), true
}

// Put creates or overwrites a key. expireAt may be NoExpiry.
func (d *DB) Put(key []byte, v Value, expireAt int64) {
	version := d.ks.mutate(&change{op: opPut, db: d.index, key: key, value: &v, expireAt: expireAt})
	d.place(d.ks.seed.Hash(key), key, &v, expireAt, version)
	d.store.tidy()
}

// place creates or overwrites a key at a version.
func (d *DB) place(h uint64, key []byte, v *Value, expireAt int64, version uint64) {
	before := d.store.keys
	if d.store.put(h, key, v, expireAt, version) {
		d.ks.created(h, version)
	}
	switch {
	case d.ks.heat == nil:
	case d.store.keys > before:
		d.ks.heat.Created(heat.Of(d.index, h))
	default:
		d.ks.heat.Overwritten(heat.Of(d.index, h))
	}
}

// Heat returns the hash under which package heat remembers a key.
func (d *DB) Heat(key []byte) uint64 { return heat.Of(d.index, d.ks.seed.Hash(key)) }

// cool notes that a key with hash h is gone.
func (d *DB) cool(h uint64) {
	if d.ks.heat != nil {
		d.ks.heat.Forget(heat.Of(d.index, h))
	}
}

// Replace gives an existing key another value and keeps its expiry time. It reports whether there was such a key;
// a due one counts, so writers call Evict first.
func (d *DB) Replace(key []byte, v Value) bool {
	h, p, ok := d.find(key)
	if !ok {
		return false
	}
	d.replace(h, p, &v, d.ks.mutate(&change{op: opReplace, db: d.index, key: key, value: &v}))
	return true
}

// Announce is Edit for a change of a packed value that the caller makes in a copy of its own, tells the chain of
// piece by piece, and ends with ReplaceAnnounced and the version returned, or with Delete. The key must exist.
func (d *DB) Announce(key []byte) (version uint64) {
	return d.ks.mutate(&change{op: opEdit, db: d.index, key: key})
}

// ReplaceAnnounced is Replace with a value whose change was announced. It is no more a change of its own.
func (d *DB) ReplaceAnnounced(key []byte, v Value, version uint64) {
	h, p, ok := d.find(key)
	if !ok {
		panic(fmt.Sprintf("keyspace: %.64q is gone between announcement and change", key))
	}
	d.replace(h, p, &v, version)
}

func (d *DB) replace(h uint64, p place, v *Value, version uint64) {
	c := content{typ: v.Type, enc: v.Enc, expireAt: p.rec.expireAt(), version: version, key: p.rec.key()}
	c.value, c.object = d.store.body(v)
	if d.store.perishable(p.rec) {
		d.ks.created(h, version)
	}
	d.store.overwrite(h, p, &c)
	d.store.tidy()
}

// Splice writes data at byte off of an existing key's packed value, with zero bytes before it where the value is
// shorter, sets the encoding, and returns the new length. Data must not alias the keyspace. Appending to a long
// value costs what data costs.
func (d *DB) Splice(key []byte, off int, data []byte, enc Encoding) int {
	h, p, ok := d.find(key)
	if !ok || d.store.entry(p.rec).Object != nil {
		panic(fmt.Sprintf("keyspace: splice of %.64q, which holds no packed value", key))
	}
	version := d.ks.mutate(&change{op: opSplice, db: d.index, key: key, value: &Value{Enc: enc, Packed: data}, other: off})
	n := d.store.splice(h, p, off, data, enc, version)
	d.store.tidy()
	return n
}

// Edit returns the entry for a change of its Object in place, which must follow before anything else is changed: it
// saves the old content for an open snapshot and raises the version. A key that is due at now is absent.
func (d *DB) Edit(key []byte, now int64) (Entry, bool) {
	h, p, ok := d.find(key)
	if !ok {
		return Entry{}, false
	}
	if e := d.store.entry(p.rec); e.Expired(now) {
		return Entry{}, false
	}
	d.beginEdit(h, key, p)
	return d.store.entry(p.rec), true
}

// beginEdit prepares for a change in place of the key at p.
func (d *DB) beginEdit(h uint64, key []byte, p place) {
	version := d.ks.mutate(&change{op: opEdit, db: d.index, key: key})
	d.store.preserve(h, p)
	p.rec.setVersion(version)
	if held := p.rec.handle(); held != 0 {
		d.store.handles.changing(held)
	}
}

// Move gives the value and expiry time of key to newKey in database to, over what was there, and deletes key. It
// does not copy long values: it is how an Object changes its key. It reports whether there was such a key; source and
// target must differ.
func (d *DB) Move(key []byte, to *DB, newKey []byte) bool {
	h, p, ok := d.find(key)
	if !ok {
		return false
	}
	s := d.store
	version := d.ks.mutate(&change{op: opMove, db: d.index, key: key, value: &Value{Packed: newKey}, other: to.index})
	c := p.rec.content()
	v := Value{Type: c.typ, Enc: c.enc, Packed: c.value}
	if c.object {
		s.preserve(h, p)
		p.rec.setVersion(version) // saved: nothing more to save when it goes
		v.Packed, v.Object = nil, s.handles.object(p.rec.handle())
	}
	to.place(d.ks.seed.Hash(newKey), newKey, &v, c.expireAt, version)
	p, _ = s.find(h, key) // put may have moved it in the table
	s.remove(h, p)
	if d.ks.heat != nil {
		d.ks.heat.Moved(heat.Of(d.index, h), heat.Of(to.index, d.ks.seed.Hash(newKey)))
	}
	d.ks.deleted(h, version)
	s.tidy()
	return true
}

// Copy gives newKey in database to, over what was there, the value and expiry time of key. It does not copy long
// values: an Object is cloned. It reports whether there was such a key; source and target must differ.
func (d *DB) Copy(key []byte, to *DB, newKey []byte) bool {
	_, p, ok := d.find(key)
	if !ok {
		return false
	}
	e := d.store.entry(p.rec)
	version := d.ks.mutate(&change{op: opCopy, db: d.index, key: key, value: &Value{Packed: newKey}, other: to.index})
	if e.Object != nil {
		e.Object = Clone(e.Object)
	}
	to.place(d.ks.seed.Hash(newKey), newKey, &e.Value, e.ExpireAt, version)
	to.store.tidy()
	return true
}

// Delete deletes a key and reports whether it was there, due or not.
func (d *DB) Delete(key []byte) bool {
	h, p, ok := d.find(key)
	if !ok {
		return false
	}
	d.ks.deleted(h, d.ks.mutate(&change{op: opDelete, db: d.index, key: key}))
	d.store.remove(h, p)
	d.cool(h)
	d.store.tidy()
	return true
}

// Evict deletes the key if it is due at now, or all fields of the hash that it holds, and tells which. What entries of
// other keys alias stays good, so that a command can look at several keys one after the other.
func (d *DB) Evict(key []byte, now int64) Loss {
	h, p, ok := d.find(key)
	if !ok {
		return Nothing
	}
	e := d.store.entry(p.rec)
	switch {
	case e.keyDue(now):
		d.evict(h, key, p)
		return KeyDue
	case e.hollow(now):
		d.evict(h, key, p)
		return AllFieldsDue
	}
	return Nothing
}

// evict deletes the due key at p.
func (d *DB) evict(h uint64, key []byte, p place) {
	d.ks.deleted(h, d.ks.mutate(&change{op: opEvict, db: d.index, key: key}))
	d.ks.expired++
	d.store.remove(h, p)
	d.cool(h)
	d.store.tidy()
}

// SetExpire sets a key's expiry time, or takes it away with NoExpiry, and reports whether there was such a key.
func (d *DB) SetExpire(key []byte, at int64) bool {
	h, p, ok := d.find(key)
	if !ok {
		return false
	}
	c := p.rec.content()
	c.expireAt = at
	c.version = d.ks.mutate(&change{op: opExpire, db: d.index, key: key, expireAt: at})
	if d.store.perishable(p.rec) {
		d.ks.created(h, c.version)
	}
	d.store.overwrite(h, p, &c)
	d.store.tidy()
	return true
}

// Scan calls visit for at least count keys (if so many are left) from the cursor on, in hash order, due ones
// included, and returns the cursor to go on with; 0 begins, and 0 returned is the end. Every key that is there from
// the first call to the last is visited, whatever happens between the calls and on whatever node they run. Cursors
// are below 2^53, which every client can hold. visit must not change the keyspace.
func (d *DB) Scan(cursor uint64, count int, visit func(Entry)) uint64 {
	if cursor > 1<<53-1 {
		return 0
	}
	const unseen = 64 - 53 // hash bits that a cursor leaves out: keys that differ only there go together
	var next, last uint64
	n := 0
	d.store.ascend(cursor<<unseen, func(h uint64, rec record) bool {
		position := h >> unseen
		if n >= max(1, count) && position != last {
			next = position
			return false
		}
		visit(d.store.entry(rec))
		n++
		last = position
		return true
	})
	return next
}

// randomLooks is how many due keys Random passes over before it gives up, and randomChoice how many others it
// chooses from: the first one after a point alone would be a key as often as the gap before it in hash order is wide,
// one of two keys perhaps one time in a hundred.
const (
	randomLooks  = 1024
	randomChoice = 32
)

// Random returns one of the first keys at or after point in hash order, around the end, that are not due at now; which
// of them, the low bits of point say. It gives up after a fixed number of due keys.
func (d *DB) Random(point uint64, now int64) (e Entry, found bool) {
	if d.store.anyDue(now) {
		return d.randomPassing(point, now)
	}
	n := min(randomChoice, d.store.keys)
	if n == 0 {
		return Entry{}, false
	}
	var chosen record
	left := int(uint32(point) % uint32(n))
	take := func(rec record) bool {
		chosen = rec
		left--
		return left >= 0
	}
	if d.store.walk(point, take) {
		d.store.walk(0, take)
	}
	return d.store.entry(chosen), true
}

// randomPassing is Random where keys are due, which it passes over.
func (d *DB) randomPassing(point uint64, now int64) (e Entry, found bool) {
	var choice [randomChoice]record
	n, looks, seen := 0, 0, 0
	take := func(rec record) bool {
		seen++
		if d.due(rec, now) {
			looks++
		} else {
			choice[n] = rec
			n++
		}
		return n < randomChoice && looks < randomLooks && seen < d.store.keys
	}
	if d.store.walk(point, take) {
		d.store.walk(0, take) // up to point: not more than there are
	}
	if n == 0 {
		return Entry{}, false
	}
	return d.store.entry(choice[uint32(point)%uint32(n)]), true
}

func (d *DB) due(rec record, now int64) bool {
	e := d.store.entry(rec)
	return e.Expired(now)
}

// Names calls visit for the name of every key that is not due at now, in hash order. visit must not change the keyspace.
func (d *DB) Names(now int64, visit func(key []byte)) {
	anyDue := d.store.anyDue(now)
	d.store.walk(0, func(rec record) bool {
		if !anyDue || !d.due(rec, now) {
			visit(rec.key())
		}
		return true
	})
}

// Flush deletes all keys and returns how many there were.
func (d *DB) Flush() int {
	n := d.store.keys
	version := d.ks.mutate(&change{op: opFlush, db: d.index})
	if n > 0 && !d.ks.marks { // else no key changes, and whoever watches an absent one has nothing to fear
		d.floor = version
	}
	d.store = newStore(d.ks.seed, &d.ks.chain)
	if d.ks.heat != nil && n > 0 && d.ks.Keys() == 0 {
		d.ks.heat.Clear() // what it knows is of keys that are gone
	}
	return n
}

// Load adds a key that is not there yet with a known version: how snapshots are loaded.
func (d *DB) Load(key []byte, v Value, expireAt int64, version uint64) error {
	h, _, ok := d.find(key)
	if ok {
		return fmt.Errorf("keyspace: key %.64q is there twice", key)
	}
	d.store.put(h, key, &v, expireAt, version)
	return nil
}
