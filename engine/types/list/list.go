// Package list keeps sequences of byte strings that are cheap at both ends.
//
// A short list is one listpack, small enough to lie inside a key's record. A
// long one is a [Chunked]: a Go object of many listpacks. [List] is either, and
// what a command works on; it is opened from what the key holds and, after a
// change, stored back from [List.Packed] or [List.Object].
//
// A list that became long stays long, so that no client can make it flap.
// Nothing a client sees depends on the form.
package list

import "github.com/quorate/quorate/engine/types/listpack"

// PackedBytesMax is the size in bytes up to which a list stays one listpack.
const PackedBytesMax = 1024

// Limits says when a listpack of a long list is full, and so how much one
// change may have to move.
type Limits struct {
	// ListpackSize is the setting list-max-listpack-size: -1 to -5 for 4, 8, 16,
	// 32 or 64 KiB, or, if positive, a number of elements in at most 8 KiB.
	ListpackSize int
}

// DefaultLimits are the limits of an unchanged configuration.
var DefaultLimits = Limits{ListpackSize: -2}

// sizes returns the bytes and elements that a listpack may have.
func (l Limits) sizes() (bytes, elements int) {
	const unlimited = 1 << 30
	if l.ListpackSize >= 0 {
		return 8 << 10, max(l.ListpackSize, 1)
	}
	return 2 << 10 << -max(l.ListpackSize, -5), unlimited
}

// List is a list in either form. The zero List is not usable.
type List struct {
	packed []byte   // nil exactly when long is not
	long   *Chunked // nil exactly when packed is not
	limits Limits
}

// Empty returns an empty list. It shares a listpack with all other empty lists:
// copy that before the first change, as for any packed list that is not one's own.
func Empty(limits Limits) List {
	return List{packed: emptyListpack, limits: limits}
}

var emptyListpack = listpack.New(0)

// FromPacked returns the list that the listpack lp is. Changes may be made in
// place, see package listpack; reading needs no copy.
func FromPacked(lp []byte, limits Limits) List {
	return List{packed: lp, limits: limits}
}

// FromObject returns the list that the object is. Changes go to the object.
func FromObject(c *Chunked) List {
	return List{long: c, limits: c.limits}
}

// Packed returns the listpack of a short list, or nil.
func (l *List) Packed() []byte { return l.packed }

// Object returns the object of a long list, or nil.
func (l *List) Object() *Chunked { return l.long }

// Len returns the number of elements.
func (l *List) Len() int {
	if l.long != nil {
		return l.long.count
	}
	return listpack.Len(l.packed)
}

// At returns a cursor on the element with the given index; negative ones count
// from the end. It is not Valid if there is none.
func (l *List) At(index int) Cursor {
	if l.long != nil {
		return l.long.At(index)
	}
	return Cursor{data: l.packed, pos: listpack.Seek(l.packed, index)}
}

// PushFront adds val as the first element.
func (l *List) PushFront(val []byte) {
	if l.makeRoom(val) {
		l.packed = listpack.Prepend(l.packed, val)
		return
	}
	l.long.PushFront(val)
}

// PushBack adds val as the last element.
func (l *List) PushBack(val []byte) {
	if l.makeRoom(val) {
		l.packed = listpack.Append(l.packed, val)
		return
	}
	l.long.PushBack(val)
}

// Set replaces the element with the given index and reports whether there is one.
func (l *List) Set(index int, val []byte) bool {
	if l.long == nil && listpack.Seek(l.packed, index) < 0 {
		return false
	}
	if l.makeRoom(val) {
		l.packed = listpack.Replace(l.packed, listpack.Seek(l.packed, index), val)
		return true
	}
	return l.long.Set(index, val)
}

// InsertBeside adds val before or after the first element that is pivot, and
// reports whether there is one.
func (l *List) InsertBeside(pivot, val []byte, after bool) bool {
	at := l.At(0)
	for at.Valid() && !at.Equal(pivot) {
		at.Next()
	}
	if !at.Valid() {
		return false
	}
	if l.long == nil && !l.makeRoom(val) {
		return l.InsertBeside(pivot, val, after)
	}
	switch {
	case l.long != nil:
		l.long.insertBeside(at, pivot, val, after)
	case after:
		l.packed = listpack.InsertAfter(l.packed, at.pos, val)
	default:
		l.packed = listpack.InsertBefore(l.packed, at.pos, val)
	}
	return true
}

// Remove deletes elements that are val and returns how many: the first count,
// or the last -count, or all if count is 0.
func (l *List) Remove(val []byte, count int) int {
	if l.long != nil {
		return l.long.Remove(val, count)
	}
	lp, removed := l.packed, 0
	if count < 0 {
		for p := listpack.Last(lp); p >= 0 && removed < -count; {
			prev := listpack.Prev(lp, p)
			if listpack.Equal(lp, p, val) {
				lp, _ = listpack.Delete(lp, p)
				removed++
			}
			p = prev
		}
	} else {
		for p := listpack.Find(lp, listpack.First(lp), val, 0); p >= 0 && (removed < count || count == 0); {
			lp, p = listpack.Delete(lp, p)
			removed++
			p = listpack.Find(lp, p, val, 0)
		}
	}
	l.packed = lp
	return removed
}

// Delete removes n elements from index on. They must exist.
func (l *List) Delete(index, n int) {
	if l.long != nil {
		l.long.Delete(index, n)
		return
	}
	l.packed = listpack.DeleteRange(l.packed, index, n)
}

// makeRoom reports whether val may be added to the packed form. If the list must
// become long for it, or is long, the answer is no and l.long is there.
func (l *List) makeRoom(val []byte) bool {
	if l.long != nil {
		return false
	}
	_, elements := l.limits.sizes()
	if len(l.packed)+len(val) <= PackedBytesMax-10 && listpack.Len(l.packed) < elements {
		return true
	}
	l.long = NewChunked(l.limits)
	if listpack.First(l.packed) >= 0 {
		l.long.AppendListpack(append([]byte(nil), l.packed...))
	}
	l.packed = nil
	return false
}
