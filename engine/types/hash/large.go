package hash

import (
	"bytes"
	"encoding/binary"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/tree"
)

// Large is the form of a large hash.
//
// A value is stored behind a byte that tells the layout of what follows: the value
// alone, or its expiry time and the value.
//
// Invariant: dues has an entry for every field that is stored with an expiry time,
// and no other.
type Large struct {
	fields *byhash.Map
	dues   *tree.Tree   // (time as eight bytes that sort like it, field), values empty; nil before the first
	joined *chain.Chain // of the state that it belongs to, if any
}

const (
	layoutPlain    = 0
	layoutExpiring = 1

	timeBytes = 8
	fieldRoom = 120 // how long fields may be for a change that allocates nothing
)

// MemBytes returns the number of bytes that the hash holds, in constant time.
func (l *Large) MemBytes() int {
	if l.dues == nil {
		return l.fields.MemBytes()
	}
	return l.fields.MemBytes() + l.dues.MemBytes()
}

// Freeze returns a copy of the hash as it is now, in constant time; afterwards
// both may be read and changed independently.
func (l *Large) Freeze() *Large {
	frozen := &Large{fields: l.fields.Freeze()}
	if l.timed() {
		frozen.dues = l.dues.Freeze()
	}
	return frozen
}

// Join makes the hash part of a state: changes are mixed into c from now on.
func (l *Large) Join(c *chain.Chain) { l.joined = c }

// Mix mixes all fields, values and expiry times into c.
func (l *Large) Mix(c *chain.Chain) {
	c.Words('h', uint64(l.fields.Len()))
	for field, stored := range l.fields.All() {
		value, at := split(stored)
		c.Bytes(field)
		c.Bytes(value)
		if at != Never {
			c.Words('e', uint64(at))
		}
	}
}

// split takes apart what is stored of a field.
func split(stored []byte) (value []byte, at int64) {
	switch stored[0] {
	case layoutPlain:
		return stored[1:], Never
	case layoutExpiring:
		return stored[1+timeBytes:], int64(binary.BigEndian.Uint64(stored[1:]))
	}
	panic("hash: value of unknown layout")
}

func appendStored(dst, value []byte, at int64) []byte {
	if at == Never {
		return append(append(dst, layoutPlain), value...)
	}
	dst = binary.BigEndian.AppendUint64(append(dst, layoutExpiring), uint64(at))
	return append(dst, value...)
}

// appendPlace appends the key of dues.
func appendPlace(dst []byte, at int64, field []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(at)), field...)
}

// timed reports whether any field expires.
func (l *Large) timed() bool { return l.dues != nil && l.dues.Len() > 0 }

// get returns what is stored of a field, due or not.
func (l *Large) get(field []byte) (value []byte, at int64, ok bool) {
	stored, ok := l.fields.Get(field)
	if !ok {
		return nil, Never, false
	}
	value, at = split(stored)
	return value, at, true
}

// set stores a field and reports whether there was none that expires after now.
func (l *Large) set(field, value []byte, at, now int64) (added bool) {
	l.joined.Note('s', uint64(at), field, value)
	old, had := l.put(field, value, at)
	return !had || old != Never && old <= now
}

// put stores a field, which the chain was told of. It returns the expiry time that
// the field had, if it was there. What is stored before the value costs a copy of it.
func (l *Large) put(field, value []byte, at int64) (old int64, had bool) {
	var room [128]byte
	stored := appendStored(room[:0], value, at)
	if l.timed() {
		_, old, had = l.get(field)
		l.reindex(field, old, at)
		l.fields.Put(field, stored)
		return old, had
	}
	l.reindex(field, Never, at)
	return Never, !l.fields.Put(field, stored)
}

// reindex changes the expiry time of a field in the index.
func (l *Large) reindex(field []byte, old, at int64) {
	if old == at {
		return
	}
	var room [timeBytes + fieldRoom]byte
	if old != Never {
		l.dues.Delete(appendPlace(room[:0], old, field))
	}
	if at == Never {
		return
	}
	if l.dues == nil {
		l.dues = tree.New()
	}
	l.dues.Put(appendPlace(room[:0], at, field), nil)
}

// expire sets the expiry time of a field that is there.
func (l *Large) expire(field []byte, at int64) {
	value, old, _ := l.get(field)
	l.joined.Note('e', uint64(at), field, nil)
	l.reindex(field, old, at)
	var room [128]byte
	l.fields.Put(field, appendStored(room[:0], value, at))
}

// remove deletes a field, due or not.
func (l *Large) remove(field []byte) bool {
	if l.timed() {
		_, old, _ := l.get(field)
		l.reindex(field, old, Never)
	}
	if !l.fields.Delete(field) {
		return false
	}
	l.joined.Note('d', 0, field, nil)
	return true
}

// due returns the number of fields that are due at now.
func (l *Large) due(now int64) int {
	if !l.timed() || now <= 0 {
		return 0
	}
	var place [timeBytes]byte
	rank, _ := l.dues.Rank(appendPlace(place[:0], now+1, nil))
	return rank
}

// expireDue removes at most limit fields that are due at now.
func (l *Large) expireDue(now int64, limit int) int {
	var room [fieldRoom]byte
	for n := range limit {
		at := l.nextExpiry()
		if at == Never || at > now {
			return n
		}
		place, _ := l.dues.At(0)
		l.remove(append(room[:0], place[timeBytes:]...))
	}
	return limit
}

// dueFields returns copies of at most limit fields that are due at now.
func (l *Large) dueFields(now int64, limit int) (fields [][]byte) {
	if !l.timed() {
		return nil
	}
	for i := range min(limit, l.dues.Len()) {
		place, _ := l.dues.At(i)
		if int64(binary.BigEndian.Uint64(place)) > now {
			break
		}
		fields = append(fields, bytes.Clone(place[timeBytes:]))
	}
	return fields
}

// nextExpiry returns when the first field expires, or Never.
func (l *Large) nextExpiry() int64 {
	if !l.timed() {
		return Never
	}
	place, _ := l.dues.At(0)
	return int64(binary.BigEndian.Uint64(place))
}

// lastExpiry returns when the last field expires, or Never.
func (l *Large) lastExpiry() int64 {
	if !l.timed() || l.dues.Len() < l.fields.Len() {
		return Never
	}
	place, _ := l.dues.At(l.dues.Len() - 1)
	return int64(binary.BigEndian.Uint64(place))
}
