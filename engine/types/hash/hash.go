// Package hash holds the value of a hash: fields with their values, and the times
// at which some of the fields expire.
//
// A small hash is a listpack in the order in which its fields came; a large one
// is kept in the order of the fields' hashes under the cluster's seed. Both
// orders are the same on every node.
//
// # Fields that expire
//
// A field whose expiry time has come is due: nobody who looks at the hash as of
// then ([Hash.AsOf]) sees it, though it stays in memory until [Hash.ExpireDue]
// takes it out. Finding those that are due must not take a look at all fields:
//
//   - A small hash of which a field expires has the times in its listpack, behind
//     the values, and those that expire stand first, the earliest at the front
//     (packed.go). So it stays one block of bytes, which is also what redis-server
//     7.4 keeps and writes to its files, and the due ones are its head.
//   - A large one stores the time before the value, and has an index of (time,
//     field) beside (large.go). One without such fields has no index.
//
// When the last time goes, by HPERSIST say, a hash looks as one that never had
// any. So its form follows from its content.
package hash

import (
	"bytes"
	"iter"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

// Limits say how long a hash stays small. Fields that are due count until they are
// taken out.
type Limits struct {
	Entries int // hash-max-listpack-entries: the most fields
	Value   int // hash-max-listpack-value: the longest field or value in bytes
}

const (
	// Never is the expiry time of a field that does not expire.
	Never int64 = 0

	// ExpiryMax is the last possible expiry time of a field: in the year 4199.
	ExpiryMax int64 = 1<<46 - 1
)

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
	packed []byte // nil exactly when large is not
	timed  bool   // packed has expiry times
	large  *Large
	now    int64 // fields that expire by then are absent
}

// New returns an empty hash that uses the capacity of buf.
func New(s seed.Seed, buf []byte) Hash {
	return Hash{seed: s, packed: listpack.AppendEmpty(buf[:0])}
}

// NewLarge returns an empty hash that is large from the start, because one says
// so that was saved.
func NewLarge(s seed.Seed) Hash {
	return Hash{seed: s, large: newLarge(s)}
}

// FromPacked returns the hash that Packed has returned the bytes of, when it was
// not Timed. A hash that will be changed takes the bytes over. A listpack of Redis
// is taken as it is.
func FromPacked(s seed.Seed, packed []byte) Hash {
	return Hash{seed: s, packed: packed}
}

// FromTimed is FromPacked for a hash that was Timed.
func FromTimed(s seed.Seed, packed []byte) Hash {
	return Hash{seed: s, packed: packed, timed: true}
}

// FromObject returns the hash that Object has returned l of.
func FromObject(l *Large) Hash {
	return Hash{seed: l.fields.Seed(), large: l}
}

// AsOf returns the hash in which fields are absent that expire by now, in Unix
// milliseconds. Without it all are there.
func (h Hash) AsOf(now int64) Hash {
	h.now = now
	return h
}

// Own copies the packed bytes of a small hash to buf[:0], so that it may be changed.
func (h *Hash) Own(buf []byte) { h.packed = append(buf[:0], h.packed...) }

// Packed returns the bytes of a small hash, nil of a large one.
func (h *Hash) Packed() []byte { return h.packed }

// Object returns the large form of a hash that has it, else nil.
func (h *Hash) Object() *Large { return h.large }

// Timed reports whether any field expires.
func (h *Hash) Timed() bool {
	if h.large != nil {
		return h.large.timed()
	}
	return h.timed
}

// isDue tells of a field's expiry time whether the field is absent.
func (h *Hash) isDue(at int64) bool { return at != Never && at <= h.now }

// Stored returns the number of fields, due ones included.
func (h *Hash) Stored() int {
	if h.large != nil {
		return h.large.fields.Len()
	}
	return listpack.Len(h.packed) / h.width()
}

// Len returns the number of fields.
func (h *Hash) Len() int { return h.Stored() - h.due() }

// due returns the number of fields that are due.
func (h *Hash) due() int {
	switch {
	case h.large != nil:
		return h.large.due(h.now)
	case h.timed:
		return h.duePacked(h.Stored())
	}
	return 0
}

// Get returns the value of field. An integer is written to buf[:0].
func (h *Hash) Get(field, buf []byte) (value []byte, ok bool) {
	if h.large != nil {
		value, at, ok := h.large.get(field)
		if !ok || h.isDue(at) {
			return nil, false
		}
		return value, true
	}
	at := h.find(field)
	if at < 0 {
		return nil, false
	}
	return listpack.Text(h.packed, listpack.Next(h.packed, at), buf), true
}

// Has reports whether there is the field.
func (h *Hash) Has(field []byte) bool {
	_, ok := h.Expiry(field)
	return ok
}

// Expiry returns when a field expires, or Never, and whether there is the field.
func (h *Hash) Expiry(field []byte) (at int64, ok bool) {
	if h.large != nil {
		_, at, ok := h.large.get(field)
		if !ok || h.isDue(at) {
			return Never, false
		}
		return at, true
	}
	pos := h.find(field)
	if pos < 0 {
		return Never, false
	}
	return h.expiryAt(pos), true
}

// Set sets the value of field, which then never expires, and reports whether the
// field is new.
func (h *Hash) Set(field, value []byte, limits Limits) (added bool) {
	return h.SetUntil(field, value, Never, limits)
}

// SetUntil sets the value and the expiry time of field, and reports whether the
// field is new.
func (h *Hash) SetUntil(field, value []byte, at int64, limits Limits) (added bool) {
	if h.large == nil && !h.fits(field, value, at, limits) {
		h.grow()
	}
	if h.large != nil {
		return h.large.set(field, value, at, h.now)
	}
	added = h.setPacked(field, value, at)
	if h.Stored() > limits.Entries {
		h.grow()
	}
	return added
}

// fits reports whether a small hash stays small with the field in it, the number
// of fields apart.
func (h *Hash) fits(field, value []byte, at int64, limits Limits) bool {
	if len(field) > limits.Value || len(value) > limits.Value {
		return false
	}
	const overhead = 48 // at least what three elements take beside their text
	return listpack.Fits(h.packed, len(field)+len(value)+overhead+h.timesBytes(at))
}

// grow makes a small hash large, due fields included.
func (h *Hash) grow() {
	large := newLarge(h.seed)
	everything := h.AsOf(0)
	everything.Each(func(field, value []byte, at int64) bool {
		large.put(field, value, at)
		return true
	})
	h.packed, h.timed, h.large = nil, false, large
}

// Expire sets the expiry time of field, which must be there; Never takes it away.
func (h *Hash) Expire(field []byte, at int64) {
	if h.large == nil && !listpack.Fits(h.packed, h.timesBytes(at)) {
		h.grow()
	}
	if h.large != nil {
		h.large.expire(field, at)
		return
	}
	h.expirePacked(field, at)
}

// Delete deletes field and reports whether it was there.
func (h *Hash) Delete(field []byte) bool {
	if h.large != nil {
		return h.Has(field) && h.large.remove(field)
	}
	pos := h.find(field)
	if pos < 0 {
		return false
	}
	h.removePacked(pos, 1)
	return true
}

// ExpireDue takes out at most limit fields that expire by now, the earliest first,
// and returns how many it were. It takes O(log n) a field of a large hash.
func (h *Hash) ExpireDue(now int64, limit int) int {
	if h.large != nil {
		return h.large.expireDue(now, limit)
	}
	there := h.AsOf(now)
	n := min(limit, there.due())
	if n > 0 {
		h.removePacked(listpack.First(h.packed), n)
	}
	return n
}

// Due returns the fields that ExpireDue would take out, copied.
func (h *Hash) Due(now int64, limit int) (fields [][]byte) {
	if h.large != nil {
		return h.large.dueFields(now, limit)
	}
	there := h.AsOf(now)
	pos := listpack.First(h.packed)
	for range min(limit, there.due()) {
		var digits [20]byte
		fields = append(fields, bytes.Clone(listpack.Text(h.packed, pos, digits[:])))
		pos = h.next(pos)
	}
	return fields
}

// NextExpiry returns when the first field expires, or Never.
func (h *Hash) NextExpiry() int64 {
	switch {
	case h.large != nil:
		return h.large.nextExpiry()
	case h.timed:
		return h.expiryAt(listpack.First(h.packed))
	}
	return Never
}

// LastExpiry returns when the last field expires, and so the hash is empty, or
// Never.
func (h *Hash) LastExpiry() int64 {
	switch {
	case h.large != nil:
		return h.large.lastExpiry()
	case h.timed:
		at, _ := listpack.Int(h.packed, listpack.Last(h.packed))
		return at
	}
	return Never
}

// At returns the field with the given rank among all that are stored, in the
// hash's order, and its value. The rank must be in [0, Stored()); where Ranks
// returns some, only they are of fields that are not due. Integers are written to
// fieldBuf[:0] and valueBuf[:0].
func (h *Hash) At(rank int, fieldBuf, valueBuf []byte) (field, value []byte) {
	if h.large != nil {
		field, stored := h.large.fields.At(rank)
		value, _ := split(stored)
		return field, value
	}
	at := listpack.Seek(h.packed, h.width()*rank)
	field = listpack.Text(h.packed, at, fieldBuf)
	return field, listpack.Text(h.packed, listpack.Next(h.packed, at), valueBuf)
}

// Ranks returns the ranks of the fields that are not due, or nil when none is due.
// It takes O(n) while there are due ones.
func (h *Hash) Ranks() []int {
	if h.due() == 0 {
		return nil
	}
	ranks := make([]int, 0, h.Len())
	rank, everything := 0, h.AsOf(0)
	everything.Each(func(_, _ []byte, at int64) bool {
		if !h.isDue(at) {
			ranks = append(ranks, rank)
		}
		rank++
		return true
	})
	return ranks
}

// All yields all fields with their values in the hash's order. The hash must not
// be changed meanwhile; field and value are valid until the next ones.
func (h *Hash) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(field, value []byte) bool) {
		h.Each(func(field, value []byte, _ int64) bool { return yield(field, value) })
	}
}

// Each is All with the fields' expiry times, until visit returns false.
func (h *Hash) Each(visit func(field, value []byte, at int64) bool) {
	if h.large == nil {
		h.eachPacked(visit)
		return
	}
	for field, stored := range h.large.fields.All() {
		value, at := split(stored)
		if !h.isDue(at) && !visit(field, value, at) {
			return
		}
	}
}

// Scan visits at least count fields (if there are so many left) from the cursor
// on, and returns the cursor to go on with; 0 begins, and 0 returned is the end.
// Fields that are due count, but are not visited. Every field that is there from
// the first call to the last is visited. A small hash is visited at once.
func (h *Hash) Scan(cursor uint64, count int, visit func(field, value []byte)) uint64 {
	if h.large != nil {
		return h.large.fields.Scan(cursor, count, func(field, stored []byte) {
			if value, at := split(stored); !h.isDue(at) {
				visit(field, value)
			}
		})
	}
	for field, value := range h.All() {
		visit(field, value)
	}
	return 0
}

// newLarge returns an empty large hash.
func newLarge(s seed.Seed) *Large { return &Large{fields: byhash.New(s)} }
