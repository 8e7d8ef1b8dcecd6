// Package byhash keeps large maps of byte strings in the order of their keys'
// hashes under the cluster's seed.
//
// That order follows from the content alone. So a scan's cursor is a position in
// it that any node understands, a random choice is a rank that means the same
// entry everywhere, and both survive a restart.
package byhash

import (
	"bytes"
	"encoding/binary"
	"iter"

	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/tree"
)

// Map is a map from byte strings to byte strings.
//
// Slices that it hands out are read only and valid until the next change; slices
// handed in are copied. Any number of goroutines may read it while none changes
// it.
type Map struct {
	seed seed.Seed
	t    *tree.Tree // of hash (big endian) and key, so in the order of hashes
}

const (
	hashBytes = 8
	mapBytes  = 24 // of a Map itself

	// positionBits is how much of a hash makes a cursor: what every client can
	// hold exactly, those that keep numbers as doubles too.
	positionBits = 53

	// keyRoom is how long keys may be for a look-up that allocates nothing.
	keyRoom = 120
)

// New returns an empty map.
func New(s seed.Seed) *Map { return &Map{seed: s, t: tree.New()} }

// Seed returns the seed that orders the map.
func (m *Map) Seed() seed.Seed { return m.seed }

// Len returns the number of entries.
func (m *Map) Len() int { return m.t.Len() }

// MemBytes returns the number of bytes that the map holds, in constant time.
func (m *Map) MemBytes() int { return mapBytes + m.t.MemBytes() }

// Freeze returns a copy of the map as it is now, in constant time. Both may be
// read and changed independently. Others may read the map meanwhile.
func (m *Map) Freeze() *Map { return &Map{seed: m.seed, t: m.t.Freeze()} }

// appendPlace appends the tree's key for key.
func (m *Map) appendPlace(dst, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, m.seed.Hash(key))
	return append(dst, key...)
}

// Get returns the value of key.
func (m *Map) Get(key []byte) (value []byte, ok bool) {
	var room [hashBytes + keyRoom]byte
	return m.t.Get(m.appendPlace(room[:0], key))
}

// Has reports whether there is an entry with key.
func (m *Map) Has(key []byte) bool {
	_, ok := m.Get(key)
	return ok
}

// Put sets the value of key, and reports whether the key is new.
func (m *Map) Put(key, value []byte) (added bool) {
	var room [hashBytes + keyRoom]byte
	return m.t.Put(m.appendPlace(room[:0], key), value)
}

// Delete removes key, and reports whether it was there.
func (m *Map) Delete(key []byte) bool {
	var room [hashBytes + keyRoom]byte
	return m.t.Delete(m.appendPlace(room[:0], key))
}

// At returns the entry with the given rank in the order of hashes; it must be in
// [0, Len()).
func (m *Map) At(rank int) (key, value []byte) {
	place, value := m.t.At(rank)
	return place[hashBytes:], value
}

// All yields all entries in the order of hashes. The map must not be changed
// meanwhile.
func (m *Map) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for it := m.t.SeekRank(0); it.Valid(); it.Next() {
			if !yield(it.Key()[hashBytes:], it.Value()) {
				return
			}
		}
	}
}

// Scan visits at least count entries (at least one, if there are so many left)
// from the cursor on, and returns the cursor to go on with; 0 begins, and 0
// returned is the end. Every entry that is there from the first call to the last
// is visited, whatever changes between the calls and on whatever node they run.
// visit must not change the map.
func (m *Map) Scan(cursor uint64, count int, visit func(key, value []byte)) uint64 {
	if cursor>>positionBits != 0 {
		return 0
	}
	var first [hashBytes]byte
	binary.BigEndian.PutUint64(first[:], cursor<<(64-positionBits))
	it, n, last := m.t.Seek(first[:]), 0, uint64(0)
	for ; it.Valid(); it.Next() {
		place := it.Key()
		position := Position(binary.BigEndian.Uint64(place))
		// Entries of one position go together: a cursor can't tell them apart.
		if n >= max(1, count) && position != last {
			return position
		}
		visit(place[hashBytes:], it.Value())
		n++
		last = position
	}
	return 0
}

// Position returns the cursor that begins with entries of the given hash.
func Position(hash uint64) uint64 { return hash >> (64 - positionBits) }

// Compare orders keys a and b, whose hashes are ha and hb, as a Map does.
func Compare(ha uint64, a []byte, hb uint64, b []byte) int {
	switch {
	case ha < hb:
		return -1
	case ha > hb:
		return 1
	}
	return bytes.Compare(a, b)
}
