package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
)

// A recount is a hash of all keys with all that they hold, to the last version
// and expiry time, and of the libraries of functions. It does not depend on the order of keys, nor on forms that a
// snapshot does not tell. The chain says that two nodes did the same; the recount
// that what came of it is still there.
//
// Unlike DEBUG DIGEST it covers everything, and takes a fraction of the time.
type recount struct{ low, high uint64 }

// add counts a key in. Keys are hashed one by one, and the hashes added up.
func (r *recount) add(db int, e *keyspace.Entry) {
	var c chain.Chain
	c.Words(uint64(db)<<16|uint64(e.Type)<<8|uint64(e.Enc), e.Version)
	c.Words(uint64(e.ExpireAt), 0)
	c.Bytes(e.Key)
	switch {
	case e.Object != nil:
		e.Object.Mix(&c)
	case e.Type == keyspace.Set && e.Enc == keyspace.Hashtable:
		mixCompact(&c, e.Packed)
	default:
		c.Bytes(e.Packed)
	}
	r.mix(&c)
}

// mix adds the hash of one key or library.
func (r *recount) mix(c *chain.Chain) {
	v := c.Value()
	var carry uint64
	r.low, carry = bits.Add64(r.low, binary.LittleEndian.Uint64(v[:]), 0)
	r.high, _ = bits.Add64(r.high, binary.LittleEndian.Uint64(v[8:]), carry)
}

// library counts the code of a library of functions in.
func (r *recount) library(code string) {
	var c chain.Chain
	c.Words(libraryWord, 0)
	c.String(code)
	r.mix(&c)
}

// libraryWord stands where a key has its database, type and form.
const libraryWord = 1 << 63

// counted returns the recount of what there is beside the keys.
func (s *state) counted() recount {
	var r recount
	for _, code := range s.libraries {
		r.library(code)
	}
	return r
}

// mixCompact mixes a small set as set.Large mixes itself: a large one of which
// little is left comes back from a snapshot as a small one.
func mixCompact(c *chain.Chain, packed []byte) {
	s := set.FromPacked(seed.Seed{}, packed) // only read, which needs no seed
	set.Mix(c, &s)
}

// value returns the recount as bytes.
func (r *recount) value() chain.Value {
	var v chain.Value
	binary.LittleEndian.PutUint64(v[:], r.low)
	binary.LittleEndian.PutUint64(v[8:], r.high)
	return v
}

// auxRecount is the field of a snapshot, behind all keys, that holds the recount
// of what was written. Releases that have none ignore it.
const auxRecount = "quorate-engine-recount"

// ErrRecount means that a snapshot's keys are not those that were written, though
// every byte of the file may be: memory was wrong on the way.
var ErrRecount = errors.New("the snapshot's recount is wrong")

// checkRecount compares what was read with what was written.
func (l *loader) checkRecount() error {
	if !l.recounted || l.wrote == l.read.value() {
		return nil
	}
	return fmt.Errorf("%w: %v was written, %v was read", ErrRecount, l.wrote, l.read.value())
}

// Recount counts the keys of a snapshot that is not written. It holds the lock for
// reading a bounded time now and then, and gives up once stop says so.
func (s *Snapshot) Recount(stop func() bool) (count chain.Value, ok bool) {
	var batch keyspace.Batch
	r := s.state.counted()
	for s.next(&batch) {
		if stop() {
			return chain.Value{}, false
		}
		for i := range batch.Entries {
			r.add(batch.DB, &batch.Entries[i])
		}
	}
	return r.value(), true
}

// Freeze begins a snapshot at this place of the log; see Engine.Freeze.
func (s *Step) Freeze() (*Snapshot, error) { return s.engine.freezeLocked(nil) }
