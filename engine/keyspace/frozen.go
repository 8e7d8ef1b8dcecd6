package keyspace

// A point-in-time view without a copy.
//
// The naive ways are to copy everything at once, or to fork. Here the keyspace goes on changing while one goroutine
// reads it in hash order, and whoever changes a record that the reader has not come to yet keeps its old form aside:
//
//  1. Freeze notes the mutation counter and the stores; it copies nothing but the versions of absent keys.
//  2. A record belongs to the view if its version is not above the noted counter.
//  3. Before the first change of such a record at or above the reader's position, its cell is put on the saved list
//     instead of being freed, and the change goes to a new cell. An object that changes in place gives a frozen copy.
//  4. The reader takes from each stretch of hashes the records of the table that belong to the view, then the saved
//     ones of that stretch, and moves its position, all within one read lock.
//  5. Saved cells are freed by later changes, a few each.
//
// So begin and end take constant time, a change costs one cell more at worst, and what is kept aside is only what
// changed before the reader came by.

// A Frozen is a view of the keyspace as it was when Freeze was called.
type Frozen struct {
	ks     *Keyspace
	state  State
	stores []*frozenStore
	db     int // database that is being read
}

// frozenStore is the part of a view that concerns one store.
type frozenStore struct {
	store   *store
	version uint64 // the mutation counter at the view's moment
	keys    int
	expires int

	position uint64 // hashes below it were read
	done     bool   // all were read
	bits     uint8  // saved is indexed by that many top bits of the hash
	saved    [][]savedRecord
}

type savedRecord struct {
	hash uint64
	ref  ref
}

const (
	// A batch ends when it has batchKeys entries or batchBytes bytes of them, or when batchSegments were looked at.
	batchKeys     = 512
	batchBytes    = 256 << 10
	batchSegments = 64
	savedBitsMax  = 12
)

// Freeze opens a point-in-time view in time independent of the number of keys. It needs the write lock. Only one
// view can be open.
func (k *Keyspace) Freeze() (*Frozen, error) {
	if k.frozen != nil {
		return nil, ErrFrozen
	}
	f := &Frozen{ks: k, state: k.State()}
	for _, d := range k.dbs {
		s := d.store
		bits := min(s.table.depth, savedBitsMax)
		s.frozen = &frozenStore{
			store:   s,
			version: k.mutations,
			keys:    s.keys,
			expires: s.expiry.len,
			bits:    bits,
			saved:   make([][]savedRecord, 1<<bits),
		}
		f.stores = append(f.stores, s.frozen)
	}
	k.frozen = f
	return f, nil
}

// State returns the state of versions at the view's moment.
func (f *Frozen) State() State { return f.state }

// Keys returns how many keys, and how many with an expiry time, database db had at the view's moment.
func (f *Frozen) Keys(db int) (keys, expires int) { return f.stores[db].keys, f.stores[db].expires }

// Next fills b with the next keys of the view, database by database, and reports whether it came to some; b can be
// empty then. It needs the read lock and holds it for a bounded time. The batch is used without a lock, until the
// next call with it.
func (f *Frozen) Next(b *Batch) bool {
	b.Entries, b.buf = b.Entries[:0], b.buf[:0]
	for ; f.db < len(f.stores); f.db++ {
		if !f.stores[f.db].done {
			b.DB = f.db
			f.stores[f.db].read(b)
			return true
		}
	}
	return false
}

// Close ends the view, read to its end or not. It needs the write lock.
func (f *Frozen) Close() {
	if f.ks.frozen != f {
		return
	}
	f.ks.frozen = nil
	for _, fs := range f.stores {
		for _, bucket := range fs.saved {
			for _, saved := range bucket {
				fs.store.reclaim = append(fs.store.reclaim, saved.ref)
			}
		}
		fs.store.frozen = nil
	}
}

// wants reports whether a record must be saved before it changes.
func (f *frozenStore) wants(h, version uint64) bool {
	return f != nil && version <= f.version && h >= f.position && !f.done
}

// save takes over a cell that is in the table no longer.
func (f *frozenStore) save(h uint64, r ref) {
	i := h >> (64 - f.bits)
	f.saved[i] = append(f.saved[i], savedRecord{h, r})
	f.store.kept += f.store.weigh(r)
}

// read adds the next stretch of hashes to b.
func (f *frozenStore) read(b *Batch) {
	s := f.store
	for range batchSegments {
		from := f.position
		g := s.table.segment(from)
		to, more := s.table.end(from)
		last := uint64(1) << tagBits // no tag
		for i := g.first(g.tag(from)); i < len(g.slots); i++ {
			w := g.slots[i]
			if w == 0 {
				continue
			}
			if tag := w >> refBits; tag != last {
				if b.full() {
					to, more = g.start(tag, from), true
					break
				}
				last = tag
			}
			if rec := s.arena.cell(refOf(w)); rec.version() <= f.version {
				b.add(s, rec, true)
			}
		}
		f.addSaved(b, from, to, more)
		f.position, f.done = to, !more
		if f.done || b.full() {
			return
		}
	}
}

// addSaved adds the saved records of [from, to), or from from on if there is no end, to b.
func (f *frozenStore) addSaved(b *Batch, from, to uint64, bounded bool) {
	last := ^uint64(0)
	if bounded {
		last = to - 1
	}
	for i := from >> (64 - f.bits); i <= last>>(64-f.bits); i++ {
		kept := f.saved[i][:0]
		for _, saved := range f.saved[i] {
			if saved.hash < from || saved.hash > last {
				kept = append(kept, saved)
				continue
			}
			b.add(f.store, f.store.arena.cell(saved.ref), false)
			f.store.reclaim = append(f.store.reclaim, saved.ref)
		}
		f.saved[i] = kept
	}
}

// start returns the first hash with the given tag in the segment that hash lies in.
func (g *segment) start(tag, hash uint64) uint64 {
	return hash>>(64-g.shift)<<(64-g.shift) | tag<<(refBits-g.shift)
}

// A Batch is a run of keys of one database, copied out of a view.
type Batch struct {
	DB      int
	Entries []Entry

	buf []byte // what Entries alias
}

func (b *Batch) full() bool { return len(b.Entries) >= batchKeys || len(b.buf) >= batchBytes }

// add adds a copy of a record. The object of a live one is frozen.
func (b *Batch) add(s *store, rec record, live bool) {
	e := s.entry(rec)
	e.Key = b.copy(e.Key)
	held := rec.handle()
	if held == 0 {
		e.Packed = b.copy(e.Packed)
		b.Entries = append(b.Entries, e)
		return
	}
	o := s.handles.object(held)
	if live {
		o = o.Freeze()
	}
	e.setObject(o)
	b.Entries = append(b.Entries, e)
}

func (b *Batch) copy(p []byte) []byte {
	n := len(b.buf)
	b.buf = append(b.buf, p...)
	return b.buf[n:len(b.buf):len(b.buf)]
}
