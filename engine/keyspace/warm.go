package keyspace

// Looking a key up costs two visits to memory that no cache holds: the slot of
// the table and the record. Done for one command after the other, the processor
// waits for each of them. A Warmer makes the visits for many keys at once,
// before their commands run: the visits do not depend on each other, so the
// processor has several on their way at a time.
//
// It changes nothing and may be wrong: a key that another command moves or
// deletes is looked up again by whoever wants it.

// WarmMax is how many keys a Warmer takes. Their slots and records stay in the
// first-level cache until their commands run.
const WarmMax = 64

// A Warmer holds the keys that are soon looked up. Its zero value is ready.
type Warmer struct {
	n    int
	keys [WarmMax]warming
	seen uint64 // depends on every byte visited, so that no visit is optimised away
}

type warming struct {
	store *store
	hash  uint64
	seg   *segment
	home  int
}

// Add notes a key of d and reports whether there is room for another one.
func (w *Warmer) Add(d *DB, key []byte) bool {
	w.keys[w.n] = warming{store: d.store, hash: d.ks.seed.Hash(key)}
	w.n++
	return w.n < WarmMax
}

// Visit visits the slots, and then the records, of the keys noted, and forgets
// them. The keyspace must not be changed meanwhile.
func (w *Warmer) Visit() {
	keys := w.keys[:w.n]
	w.n = 0
	defer clear(keys) // holds no store that is flushed later
	if len(keys) == 1 {
		return // its command does the same
	}
	seen := w.seen
	for i := range keys {
		k := &keys[i]
		k.seg = k.store.table.segment(k.hash)
		k.home = k.seg.home(k.seg.tag(k.hash))
		seen += k.seg.slots[k.home]
	}
	for i := range keys {
		k := &keys[i]
		tag := k.seg.tag(k.hash)
		for _, word := range k.seg.slots[k.home:] {
			if word == 0 || word>>refBits > tag {
				break
			}
			if word>>refBits == tag {
				seen += touch(k.store.arena.cell(refOf(word)))
				break
			}
		}
	}
	w.seen = seen
}

// touch visits the cache lines in which the head and the key of most records
// are.
func touch(rec record) uint64 {
	const line = 64
	seen := uint64(rec[0])
	if len(rec) > line {
		seen += uint64(rec[line])
	}
	return seen
}
