package keyspace

import "github.com/quorate/quorate/engine/types/hash"

// Versions are for WATCH: whoever noted a key's version sees by another one that the
// key may have changed. That it has another one without a change is allowed, that it
// has the same one after a change is not.
//
// A key that is there has the mutation counter of its last change, or of the last
// [Keyspace.Swap] if that was later.
//
// A key that is absent, due or deleted alike, has the counter of the last creation of
// any key in its bucket, one of [Buckets] by its hash, with a mark that no key that is
// there has. So what comes and goes is seen: by the mark while it is there, by the
// bucket when it is gone. What takes away keys changes nothing for an absent one, be
// it a deletion, its time or a flush; nor does a swap of databases, but for keys that
// it brings to where they were absent, which count as created.
//
// A change of a key that may be due counts as a creation, since the due key is absent
// for whoever looked before.
//
// Until semantic.Conversation is in force, the buckets have the counter of the last
// deletion instead, there is no mark, and a flush or swap raises the versions of all.

// absentVersion marks the versions of absent keys.
const absentVersion = 1 << 62

// dueVersion marks the version of a key of whose hash fields are due but not deleted
// yet: it differs from the versions before and after. With so many fields due as before
// it is the same.
const (
	dueVersion = 1 << 63
	dueSpread  = 0x9e3779b97f4a7c15 // odd, without a pattern
)

// swapLooks is the number of keys of a database up to which Swap raises their buckets
// alone.
const swapLooks = 1024

// MarkAbsent puts the rules of semantic.Conversation in force, or those before.
func (k *Keyspace) MarkAbsent(on bool) { k.marks = on }

// Version returns the number that changes with every change of the key, also of an
// absent one. It may change without one.
func (d *DB) Version(key []byte, now int64) uint64 {
	h, p, ok := d.find(key)
	if !ok {
		return d.absent(h)
	}
	version := max(p.rec.version(), d.floor)
	e := d.store.entry(p.rec)
	switch {
	case d.ks.marks && e.Expired(now):
		return d.absent(h)
	case e.keyDue(now):
		return version | dueVersion
	}
	if n := e.dueFields(now); n > 0 {
		return (version + uint64(n)*dueSpread) | dueVersion
	}
	return version
}

// absent returns the version of an absent key.
func (d *DB) absent(h uint64) uint64 {
	if d.ks.marks {
		return d.ks.buckets[h%Buckets] | absentVersion
	}
	return max(d.ks.buckets[h%Buckets], d.floor)
}

// created notes that a key with hash h is there and was absent, or may have been.
func (k *Keyspace) created(h, version uint64) {
	if k.marks {
		k.buckets[h%Buckets] = version
	}
}

// deleted notes that a key with hash h is gone.
func (k *Keyspace) deleted(h, version uint64) {
	if !k.marks {
		k.buckets[h%Buckets] = version
	}
}

// perishable tells whether a record may be due, or its whole hash.
func (s *store) perishable(rec record) bool {
	return rec.expireAt() != NoExpiry || s.firstField(rec) != hash.Never
}

// Swap exchanges the contents of two databases. The versions of all keys that are there
// at now rise, and those of keys that were absent where they are now.
func (k *Keyspace) Swap(i, j int, now int64) {
	if i == j {
		return
	}
	a, b := k.dbs[i], k.dbs[j]
	a.floor = k.mutate(&change{op: opSwap, db: i, other: j})
	b.floor = a.floor
	if k.marks {
		k.arrive(a.store, now, a.floor)
		k.arrive(b.store, now, a.floor)
	}
	a.store, b.store = b.store, a.store
}

// arrive notes that the keys of s that are there at now are so where they may have been
// absent. Of many keys it raises all buckets: it is not to take time that grows with
// the data.
func (k *Keyspace) arrive(s *store, now int64, version uint64) {
	if s.keys > swapLooks {
		for i := range k.buckets {
			k.buckets[i] = version
		}
		return
	}
	s.ascend(0, func(h uint64, rec record) bool {
		if e := s.entry(rec); !e.Expired(now) {
			k.created(h, version)
		}
		return true
	})
}
