package hash

import (
	"strconv"

	"github.com/quorate/quorate/engine/types/listpack"
)

// The small form is a listpack of groups: field and value, or, when it is timed,
// field, value and expiry time in Unix milliseconds, 0 for none. What expires stands
// before what does not, in ascending order, and fields that expire at the same time
// in the order in which they were told so. The others stand in the order in which
// they came, or lost their time.
//
// Invariant: it is timed if, and only if, the first group has a time.

// textMax is the length of the longest text of an integer.
const textMax = 20

// width returns the number of elements of a group.
func (h *Hash) width() int {
	if h.timed {
		return 3
	}
	return 2
}

// timesBytes returns by how many bytes a small hash may grow when a field gets the
// expiry time at.
func (h *Hash) timesBytes(at int64) int {
	const zero, time = 2, 11 // as elements
	switch {
	case at == Never:
		return 0
	case h.timed:
		return time
	}
	return zero*h.Stored() + time
}

// stored returns where the group of a field is, due or not, or -1.
func (h *Hash) stored(field []byte) int {
	return listpack.Find(h.packed, listpack.First(h.packed), field, h.width()-1)
}

// find returns where the group of a field is, or -1.
func (h *Hash) find(field []byte) int {
	pos := h.stored(field)
	if pos >= 0 && h.timed && h.isDue(h.expiryAt(pos)) {
		return -1
	}
	return pos
}

// expiryAt returns the expiry time of the group at pos.
func (h *Hash) expiryAt(pos int) int64 {
	if !h.timed {
		return Never
	}
	at, _ := listpack.Int(h.packed, listpack.Next(h.packed, listpack.Next(h.packed, pos)))
	return at
}

// next returns where the group after the one at pos is, or -1.
func (h *Hash) next(pos int) int {
	for range h.width() {
		pos = listpack.Next(h.packed, pos)
	}
	return pos
}

// duePacked returns how many of n groups are due: they are the first ones.
func (h *Hash) duePacked(n int) int {
	pos := listpack.First(h.packed)
	for i := range n {
		if !h.isDue(h.expiryAt(pos)) {
			return i
		}
		pos = h.next(pos)
	}
	return n
}

func (h *Hash) eachPacked(visit func(field, value []byte, at int64) bool) {
	var fieldBuf, valueBuf [textMax]byte
	for pos := listpack.First(h.packed); pos >= 0; {
		field := listpack.Text(h.packed, pos, fieldBuf[:])
		pos = listpack.Next(h.packed, pos)
		value := listpack.Text(h.packed, pos, valueBuf[:])
		pos = listpack.Next(h.packed, pos)
		at := Never
		if h.timed {
			at, _ = listpack.Int(h.packed, pos)
			pos = listpack.Next(h.packed, pos)
		}
		if !h.isDue(at) && !visit(field, value, at) {
			return
		}
	}
}

// setPacked is SetUntil of a small hash that stays small.
func (h *Hash) setPacked(field, value []byte, at int64) (added bool) {
	pos := h.stored(field)
	if pos < 0 {
		h.insert(field, value, at)
		return true
	}
	old := h.expiryAt(pos)
	if old == at {
		h.packed = listpack.Replace(h.packed, listpack.Next(h.packed, pos), value)
	} else {
		h.packed, _ = listpack.DeleteN(h.packed, pos, h.width())
		h.insert(field, value, at)
		h.settle()
	}
	return h.isDue(old)
}

// expirePacked is Expire of a small hash that stays small.
func (h *Hash) expirePacked(field []byte, at int64) {
	pos := h.stored(field)
	if h.expiryAt(pos) == at {
		return
	}
	var room [64]byte
	value := listpack.AppendElement(room[:0], h.packed, listpack.Next(h.packed, pos))
	h.packed, _ = listpack.DeleteN(h.packed, pos, h.width())
	h.insert(field, value, at)
	h.settle()
}

// insert adds the group of a field that has none, at its place.
func (h *Hash) insert(field, value []byte, at int64) {
	if at != Never && !h.timed {
		h.regroup(true)
	}
	var digits [textMax]byte
	pos := h.placeOf(at)
	if pos >= 0 {
		h.packed = listpack.InsertBefore(h.packed, pos, strconv.AppendInt(digits[:0], at, 10))
		h.packed = listpack.InsertBefore(h.packed, pos, value)
		h.packed = listpack.InsertBefore(h.packed, pos, field)
		return
	}
	h.packed = listpack.Append(h.packed, field)
	h.packed = listpack.Append(h.packed, value)
	if h.timed {
		h.packed = listpack.AppendInt(h.packed, at)
	}
}

// placeOf returns where the group is that one with the given expiry time goes
// before, or -1: the end.
func (h *Hash) placeOf(at int64) int {
	if at == Never {
		return -1
	}
	pos := listpack.First(h.packed)
	for pos >= 0 {
		if other := h.expiryAt(pos); other == Never || other > at {
			break
		}
		pos = h.next(pos)
	}
	return pos
}

// removePacked removes n groups from the one at pos on.
func (h *Hash) removePacked(pos, n int) {
	h.packed, _ = listpack.DeleteN(h.packed, pos, n*h.width())
	h.settle()
}

// settle takes the times out when none is left.
func (h *Hash) settle() {
	if !h.timed {
		return
	}
	if first := listpack.First(h.packed); first < 0 || h.expiryAt(first) == Never {
		h.regroup(false)
	}
}

// regroup rebuilds the listpack with times, none yet, or without.
func (h *Hash) regroup(timed bool) {
	lp := listpack.New(len(h.packed) + 2*h.Stored())
	everything := h.AsOf(0)
	everything.eachPacked(func(field, value []byte, _ int64) bool {
		lp = listpack.Append(listpack.Append(lp, field), value)
		if timed {
			lp = listpack.AppendInt(lp, Never)
		}
		return true
	})
	h.packed, h.timed = lp, timed
}
