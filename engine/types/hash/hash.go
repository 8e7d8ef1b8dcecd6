// Package hash holds the value of a hash: fields with their values.
//
// A small hash is a listpack in the order in which its fields came; a large one
// is kept in the order of the fields' hashes under the cluster's seed. Both
// orders are the same on every node.
package hash

import (
	"iter"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

// Limits say how long a hash stays small.
type Limits struct {
	Entries int // hash-max-listpack-entries: the most fields
	Value   int // hash-max-listpack-value: the longest field or value in bytes
}

// Hash is a hash in hand, small or large. It goes from small to large, never
// back: a client could make it flap.
//
// Reading does not change a Hash, so that any number of goroutines may each read
// the same packed bytes or Large. Setting and deleting edits the packed bytes in
// place where their capacity allows; afterwards the caller stores what Packed or
// Object returns.
//
// Fields and values that a Hash hands out are valid until its next change; those
// handed in must not alias it.
type Hash struct {
	seed   seed.Seed
	packed []byte // a listpack of field, value, field, value ...; nil exactly when large is not
	large  *Large
}

// Large is the form of a large hash.
//
// A value is stored behind a byte that tells the layout of what follows, of
// which there is one so far: the value alone.
type Large struct {
	fields *byhash.Map
	joined *chain.Chain // of the state that it belongs to, if any
}

const layoutPlain = 0

// MemBytes returns the number of bytes that the hash holds, in constant time.
func (l *Large) MemBytes() int { return l.fields.MemBytes() }

// Freeze returns a copy of the hash as it is now, in constant time; afterwards
// both may be read and changed independently.
func (l *Large) Freeze() *Large { return &Large{fields: l.fields.Freeze()} }

// Join makes the hash part of a state: changes are mixed into c from now on.
func (l *Large) Join(c *chain.Chain) { l.joined = c }

// Mix mixes all fields and values into c.
func (l *Large) Mix(c *chain.Chain) {
	c.Words('h', uint64(l.fields.Len()))
	for field, stored := range l.fields.All() {
		c.Bytes(field)
		c.Bytes(plain(stored))
	}
}

// New returns an empty hash that uses the capacity of buf.
func New(s seed.Seed, buf []byte) Hash {
	return Hash{seed: s, packed: listpack.AppendEmpty(buf[:0])}
}

// NewLarge returns an empty hash that is large from the start, because one says
// so that was saved.
func NewLarge(s seed.Seed) Hash {
	return Hash{seed: s, large: &Large{fields: byhash.New(s)}}
}

// FromPacked returns the hash that Packed has returned the bytes of. A hash that
// will be changed takes the bytes over. A listpack of Redis is taken as it is.
func FromPacked(s seed.Seed, packed []byte) Hash {
	return Hash{seed: s, packed: packed}
}

// FromObject returns the hash that Object has returned l of.
func FromObject(l *Large) Hash {
	return Hash{seed: l.fields.Seed(), large: l}
}

// Packed returns the bytes of a small hash, nil of a large one.
func (h *Hash) Packed() []byte { return h.packed }

// Object returns the large form of a hash that has it, else nil.
func (h *Hash) Object() *Large { return h.large }

// Len returns the number of fields.
func (h *Hash) Len() int {
	if h.large != nil {
		return h.large.fields.Len()
	}
	return listpack.Len(h.packed) / 2
}

// find returns where the value of a small hash's field is, or -1.
func (h *Hash) find(field []byte) int {
	at := listpack.Find(h.packed, listpack.First(h.packed), field, 1)
	if at < 0 {
		return -1
	}
	return listpack.Next(h.packed, at)
}

// Get returns the value of field. An integer is written to buf[:0].
func (h *Hash) Get(field, buf []byte) (value []byte, ok bool) {
	if h.large != nil {
		stored, ok := h.large.fields.Get(field)
		if !ok {
			return nil, false
		}
		return plain(stored), true
	}
	at := h.find(field)
	if at < 0 {
		return nil, false
	}
	return listpack.Text(h.packed, at, buf), true
}

// plain returns the value in what a large hash stores.
func plain(stored []byte) []byte {
	if stored[0] != layoutPlain {
		panic("hash: value of unknown layout")
	}
	return stored[1:]
}

// Has reports whether there is the field.
func (h *Hash) Has(field []byte) bool {
	if h.large != nil {
		return h.large.fields.Has(field)
	}
	return h.find(field) >= 0
}

// Set sets the value of field and reports whether the field is new.
func (h *Hash) Set(field, value []byte, limits Limits) (added bool) {
	if h.large == nil && !h.fits(field, value, limits) {
		h.grow()
	}
	if h.large != nil {
		return h.large.set(field, value)
	}
	if at := h.find(field); at >= 0 {
		h.packed = listpack.Replace(h.packed, at, value)
		return false
	}
	h.packed = listpack.Append(h.packed, field)
	h.packed = listpack.Append(h.packed, value)
	if h.Len() > limits.Entries {
		h.grow()
	}
	return true
}

// fits reports whether a small hash stays small with the field in it, the number
// of fields apart.
func (h *Hash) fits(field, value []byte, limits Limits) bool {
	if len(field) > limits.Value || len(value) > limits.Value {
		return false
	}
	const overhead = 32 // at least what two elements take beside their text
	return listpack.Fits(h.packed, len(field)+len(value)+overhead)
}

// set stores a field. The byte before the value costs a copy of it.
func (l *Large) set(field, value []byte) (added bool) {
	l.joined.Note('s', 0, field, value)
	var room [128]byte
	stored := append(append(room[:0], layoutPlain), value...)
	return l.fields.Put(field, stored)
}

func (l *Large) remove(field []byte) bool {
	if !l.fields.Delete(field) {
		return false
	}
	l.joined.Note('d', 0, field, nil)
	return true
}

// grow makes a small hash large.
func (h *Hash) grow() {
	large := &Large{fields: byhash.New(h.seed)}
	for field, value := range h.All() {
		large.set(field, value)
	}
	h.packed, h.large = nil, large
}

// Delete deletes field and reports whether it was there.
func (h *Hash) Delete(field []byte) bool {
	if h.large != nil {
		return h.large.remove(field)
	}
	at := listpack.Find(h.packed, listpack.First(h.packed), field, 1)
	if at < 0 {
		return false
	}
	h.packed, _ = listpack.DeleteN(h.packed, at, 2)
	return true
}

// At returns the field with the given rank in the hash's order, which must be in
// [0, Len()), and its value. Integers are written to fieldBuf[:0] and valueBuf[:0].
func (h *Hash) At(rank int, fieldBuf, valueBuf []byte) (field, value []byte) {
	if h.large != nil {
		field, stored := h.large.fields.At(rank)
		return field, plain(stored)
	}
	at := listpack.Seek(h.packed, 2*rank)
	field = listpack.Text(h.packed, at, fieldBuf)
	return field, listpack.Text(h.packed, listpack.Next(h.packed, at), valueBuf)
}

// All yields all fields with their values in the hash's order. The hash must not
// be changed meanwhile; field and value are valid until the next ones.
func (h *Hash) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(field, value []byte) bool) {
		if h.large != nil {
			for field, stored := range h.large.fields.All() {
				if !yield(field, plain(stored)) {
					return
				}
			}
			return
		}
		var fieldBuf, valueBuf [20]byte
		for at := listpack.First(h.packed); at >= 0; {
			field := listpack.Text(h.packed, at, fieldBuf[:])
			at = listpack.Next(h.packed, at)
			value := listpack.Text(h.packed, at, valueBuf[:])
			at = listpack.Next(h.packed, at)
			if !yield(field, value) {
				return
			}
		}
	}
}

// Scan visits at least count fields (if there are so many left) from the cursor
// on, and returns the cursor to go on with; 0 begins, and 0 returned is the end.
// Every field that is there from the first call to the last is visited. A small
// hash is visited at once.
func (h *Hash) Scan(cursor uint64, count int, visit func(field, value []byte)) uint64 {
	if h.large != nil {
		return h.large.fields.Scan(cursor, count, func(field, stored []byte) { visit(field, plain(stored)) })
	}
	for field, value := range h.All() {
		visit(field, value)
	}
	return 0
}
