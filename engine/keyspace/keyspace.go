package keyspace

import (
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/engine/heat"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
)

// Buckets is the number of buckets that hold the versions of absent keys.
const Buckets = 4096

// ErrFrozen is returned by Freeze while another point-in-time view is open.
var ErrFrozen = errors.New("keyspace: a snapshot is already in progress")

// Options say what a new Keyspace looks like.
type Options struct {
	Seed      seed.Seed // the cluster's hash seed: the same on all nodes
	Databases int       // number of databases, at least 1
}

// A Keyspace is a fixed number of databases with one mutation counter.
type Keyspace struct {
	seed      seed.Seed
	dbs       []*DB
	mutations uint64
	chain     chain.Chain // of all changes
	expired   uint64
	lazy      uint64   // of Stats; no part of the state
	fieldsDue uint64   // likewise
	evicted   uint64   // likewise
	buckets   []uint64 // the counter at the last creation of a key, by its hash; see versions.go
	marks     bool     // versions of absent keys are marked; see versions.go
	frozen    *Frozen  // the open view
	watch     *Watch
	heat      *heat.Map // when keys were used; nil: nobody wants to know; no part of this state
	awaited   *Awaited  // nil: nobody waits; no part of this state

	fieldsLost func(db int, key []byte, fields [][]byte) // see OnFieldsLost
}

// New returns an empty keyspace.
func New(o Options) *Keyspace {
	k := &Keyspace{seed: o.Seed, buckets: make([]uint64, Buckets), watch: new(Watch)}
	for i := range max(1, o.Databases) {
		k.dbs = append(k.dbs, &DB{ks: k, index: i, store: newStore(o.Seed, &k.chain)})
	}
	return k
}

// SetHeat has m note when keys are used by Use, and when they are new.
func (k *Keyspace) SetHeat(m *heat.Map) { k.heat = m }

// Keys returns the number of keys of all databases.
func (k *Keyspace) Keys() (n int) {
	for _, d := range k.dbs {
		n += d.store.keys
	}
	return n
}

// Databases returns the number of databases.
func (k *Keyspace) Databases() int { return len(k.dbs) }

// DB returns the i-th database; i must be in [0, Databases()).
func (k *Keyspace) DB(i int) *DB { return k.dbs[i] }

// FlushAll deletes all keys of all databases and returns how many there were.
func (k *Keyspace) FlushAll() int {
	n := 0
	for _, d := range k.dbs {
		n += d.Flush()
	}
	return n
}

// OnFieldsLost has f told by ExpireDue which fields hashes are about to lose; nil: nobody.
func (k *Keyspace) OnFieldsLost(f func(db int, key []byte, fields [][]byte)) { k.fieldsLost = f }

// ExpireDue deletes keys and fields of hashes that are due at now, at most limit of them, and tells of each key what
// it has lost; the key is valid during the call. They go in the order of their time, or of the time of the hash's
// first field, then database, keys before fields, hash and key. All that is due of a hash goes at once. It returns how
// many it deleted.
func (k *Keyspace) ExpireDue(now int64, limit int, tell func(db int, key []byte, loss Loss)) int {
	var key []byte
	for n := 0; n < limit; {
		next := k.nextDue()
		if next.db == nil || next.at > now {
			return n
		}
		deleted, loss := 1, KeyDue
		if next.fields {
			key, deleted, loss = next.db.expireFields(next.due, now, limit-n)
		} else {
			p := next.db.store.indexed(next.due, record.expireAt)
			key = append(key[:0], p.rec.key()...)
			next.db.evict(next.hash, key, p)
		}
		n += deleted
		if tell != nil {
			tell(next.db.index, key, loss)
		}
	}
	return limit
}

// nextDue is the earliest due of all databases.
type nextDue struct {
	due
	db     *DB  // nil if there is none
	fields bool // it is of a hash's first field
}

func (k *Keyspace) nextDue() (next nextDue) {
	for _, d := range k.dbs {
		if m, ok := d.store.expiry.min(); ok && (next.db == nil || m.at < next.at) {
			next = nextDue{m, d, false}
		}
		if m, ok := d.store.fields.min(); ok && (next.db == nil || m.at < next.at) {
			next = nextDue{m, d, true}
		}
	}
	return next
}

// NextExpiry returns the earliest expiry time of all keys and fields, or NoExpiry.
func (k *Keyspace) NextExpiry() int64 {
	next := k.nextDue()
	if next.db == nil {
		return NoExpiry
	}
	return next.at
}

// NextExpiryAfter returns the earliest expiry time of all keys and fields that is after
// now, or NoExpiry. Of a hash it knows the first field's alone.
func (k *Keyspace) NextExpiryAfter(now int64) int64 {
	next := NoExpiry
	for _, d := range k.dbs {
		for _, x := range []*expiryIndex{&d.store.expiry, &d.store.fields} {
			if at, ok := x.after(now); ok && (next == NoExpiry || at < next) {
				next = at
			}
		}
	}
	return next
}

// State is what a snapshot holds beside the keys, so that versions go on.
type State struct {
	Mutations uint64      // the mutation counter
	Expired   uint64      // keys deleted because they were due
	Buckets   []uint64    // versions of absent keys, Buckets of them
	Chain     chain.Chain // of all changes so far
	Floors    []uint64    // by database: no key that is there has a lower version
}

// State returns the present state of versions. It is a read.
func (k *Keyspace) State() State {
	s := State{Mutations: k.mutations, Chain: k.chain, Expired: k.expired, Buckets: slices.Clone(k.buckets)}
	for _, d := range k.dbs {
		s.Floors = append(s.Floors, d.floor)
	}
	return s
}

// SetState sets the state of versions: the last step of loading a snapshot. A state with fewer floors than there
// are databases leaves the others at 0.
func (k *Keyspace) SetState(s State) error {
	if len(s.Buckets) != Buckets || len(s.Floors) > len(k.dbs) {
		return fmt.Errorf("keyspace: state of %d buckets and %d databases does not fit %d and %d",
			len(s.Buckets), len(s.Floors), Buckets, len(k.dbs))
	}
	k.mutations, k.expired, k.chain = s.Mutations, s.Expired, s.Chain
	copy(k.buckets, s.Buckets)
	for i, floor := range s.Floors {
		k.dbs[i].floor = floor
	}
	return nil
}

// Mutations returns the mutation counter.
func (k *Keyspace) Mutations() uint64 { return k.mutations }

// Chain returns the chain of all changes, for whoever has others to mix into it.
func (k *Keyspace) Chain() *chain.Chain { return &k.chain }

// Stats are sizes and counters of a keyspace.
type Stats struct {
	Keys       int    // keys, due ones that are not deleted yet included
	Expires    int    // keys with an expiry time
	ArenaLive  int64  // bytes of cells in use
	ArenaFree  int64  // bytes of slabs beside
	ArenaTotal int64  // bytes of slabs: ArenaLive + ArenaFree
	Objects    int64  // bytes of values outside the slabs
	Table      int64  // bytes of directories and segments
	Expiry     int64  // bytes of the expiry indexes, those of fields too
	Expired    uint64 // keys deleted because they were due
	Fields     uint64 // fields of hashes deleted because they were due, since the node has this state
	Mutations  uint64 // the mutation counter
	Lazy       uint64 // values that FreedLazily was told of
	Kept       int64  // bytes of what is gone and still there for an open view, or until later changes free it
	Vacant     int64  // bytes, among Objects, of places for large values that none has
	Evicted    uint64 // keys deleted by EvictKey, since the node has this state
}

// FreedLazily counts n values whose memory is given back behind the back of the client that deleted them.
func (k *Keyspace) FreedLazily(n int) { k.lazy += uint64(n) }

// Bytes returns what the data occupies in all.
func (s Stats) Bytes() int64 { return s.ArenaTotal + s.Objects + s.Table + s.Expiry }

// Used returns what the keys that are there occupy: what deleting keys makes less. It is the same on two nodes but
// for what their histories have left: how full tables are, and how much room large values have to spare.
func (s Stats) Used() int64 { return s.ArenaLive + s.Objects + s.Table + s.Expiry - s.Kept - s.Vacant }

// Stats returns sizes and counters. It is a read.
func (k *Keyspace) Stats() Stats {
	st := Stats{Expired: k.expired, Mutations: k.mutations, Lazy: k.lazy, Fields: k.fieldsDue, Evicted: k.evicted}
	for _, d := range k.dbs {
		s := d.store
		st.Keys += s.keys
		st.Expires += s.expiry.len
		st.ArenaLive += s.arena.live
		st.ArenaTotal += s.arena.total
		st.Objects += s.handles.bytes()
		st.Table += s.table.bytes()
		st.Kept += s.kept
		st.Vacant += int64(len(s.handles.free)) * slotBytes
		st.Expiry += s.expiry.bytes() + s.fields.bytes()
	}
	st.ArenaFree = st.ArenaTotal - st.ArenaLive
	return st
}
