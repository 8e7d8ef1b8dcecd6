package keyspace

import (
	"errors"

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
type Keyspace struct{}

// A DB is one numbered database of a Keyspace.
type DB struct{}

// A Frozen is a view of the keyspace as it was at one moment.
type Frozen struct{}

// Stats are sizes and counters of a keyspace.
type Stats struct {
	Keys       int   // keys, due ones that are not deleted yet included
	Expires    int   // keys with an expiry time
	ArenaLive  int64 // bytes of records in use
	ArenaFree  int64 // bytes of slabs that wait for new records
	ArenaTotal int64 // bytes of all slabs
	Objects    int64 // bytes of values outside the slabs
	Table      int64 // bytes of directories and segments
	Expiry     int64 // bytes of the expiry indexes
	Expired    uint64 // keys deleted because they were due
	Mutations  uint64 // the mutation counter
}

// New returns an empty keyspace.
func New(o Options) *Keyspace { return nil }

// Databases returns the number of databases.
func (k *Keyspace) Databases() int { return 0 }

// DB returns the i-th database; i must be in [0, Databases()).
func (k *Keyspace) DB(i int) *DB { return nil }

// FlushAll deletes all keys of all databases and returns how many there were.
func (k *Keyspace) FlushAll() int { return 0 }

// Swap exchanges the contents of two databases. Every key of both gets a new version.
func (k *Keyspace) Swap(i, j int) {}

// ExpireDue deletes at most limit keys that are due at now, in the order of expiry time, database and hash, and
// tells deleted for each. It returns how many it deleted.
func (k *Keyspace) ExpireDue(now int64, limit int, deleted func(db int, key []byte)) int { return 0 }

// NextExpiry returns the earliest expiry time of all keys, or NoExpiry.
func (k *Keyspace) NextExpiry() int64 { return NoExpiry }

// Stats returns sizes and counters. It is a read.
func (k *Keyspace) Stats() Stats { return Stats{} }

// State is what a snapshot holds beside the keys for versions to go on.
type State struct {
	Mutations uint64   // the mutation counter
	Expired   uint64   // keys deleted because they were due
	Buckets   []uint64 // version of absent keys by bucket; len is Buckets
	Floors    []uint64 // by database: no key or absent key has a lower version
}

// State returns the present state of versions. It is a read.
func (k *Keyspace) State() State { return State{} }

// SetState sets it, as the last step of loading a snapshot.
func (k *Keyspace) SetState(s State) error { return nil }

// Freeze opens a point-in-time view in time independent of the number of keys. It needs the write lock.
func (k *Keyspace) Freeze() (*Frozen, error) { return nil, ErrFrozen }

// State returns the state of versions at the view's moment.
func (f *Frozen) State() State { return State{} }

// Keys returns how many keys, and how many with an expiry time, database db had at the view's moment.
func (f *Frozen) Keys(db int) (keys, expires int) { return 0, 0 }

// Next fills b with the next keys of the view and reports whether there were any. It needs the read lock, and
// holds it for a bounded time; b is then used without a lock, until the next call.
func (f *Frozen) Next(b *Batch) bool { return false }

// Close ends the view. It needs the write lock.
func (f *Frozen) Close() {}

// A Batch is a run of keys of one database, copied out of a Frozen.
type Batch struct {
	DB      int
	Entries []Entry
}
