// Package listpack reads and edits listpacks: short sequences of strings and
// integers in one block of bytes, laid out exactly as Redis 7 lays them out.
//
// A listpack is a plain []byte:
//
//	| bytes uint32 LE | elements uint16 LE | element ... element | 0xFF |
//
// where an element is its encoding and data followed by its "back length", a
// varint that lets the list be walked from the end. Because the layout is
// Redis', a block can be stored in an RDB file or a DUMP payload as it is.
//
// # Positions
//
// A position is the byte offset of an element. [First], [Last], [Next], [Prev],
// [Seek] and [Find] return -1 where there is no such element, so a walk is
//
//	for p := listpack.First(lp); p >= 0; p = listpack.Next(lp, p) { ... }
//
// Any edit invalidates all positions but those it returns and those before the
// place that it changed.
//
// # Ownership
//
// Functions that read never write to the block, not even to its header, so any
// number of goroutines may read one. Functions that edit take the block over:
// they change it in place when its capacity allows, or else copy it, and return
// the result; the argument must not be used afterwards. To keep the old block
// unchanged hand in a copy. To keep an edit from writing past the end of a block
// that is part of something larger, hand in lp[:len(lp):len(lp)]; bytes below
// len(lp) may still be changed in place. Values handed in must not alias the
// block.
//
// All functions but [Validate] trust the block. Check blocks from outside with
// Validate before anything else.
package listpack

import (
	"encoding/binary"
	"slices"
)

const (
	headerSize = 6
	endByte    = 0xFF

	// EmptySize is the length in bytes of a listpack without elements.
	EmptySize = headerSize + 1

	// MaxSize is the length in bytes that a listpack must not exceed. Callers
	// that cannot exclude it ask [Fits] first; edits that would pass it panic.
	MaxSize = 1 << 30

	// countUnknown in the header means: more elements than the field can hold,
	// or perhaps no longer so; count them.
	countUnknown = 0xFFFF
)

// New returns an empty listpack with room for capacity bytes in all.
func New(capacity int) []byte {
	lp := make([]byte, EmptySize, max(capacity, EmptySize))
	setHeader(lp, 0)
	lp[headerSize] = endByte
	return lp
}

// Len returns the number of elements. It takes constant time up to 65534
// elements and counts beyond.
func Len(lp []byte) int {
	if n := headerCount(lp); n != countUnknown {
		return n
	}
	n := 0
	for p := headerSize; lp[p] != endByte; p = skip(lp, p) {
		n++
	}
	return n
}

// Fits reports whether a listpack may grow by add bytes and stay within [MaxSize].
func Fits(lp []byte, add int) bool {
	return len(lp)+add <= MaxSize
}

// First returns the position of the first element, or -1.
func First(lp []byte) int {
	return orNone(lp, headerSize)
}

// Last returns the position of the last element, or -1.
func Last(lp []byte) int {
	return before(lp, len(lp)-1)
}

// Next returns the position of the element after the one at pos, or -1.
func Next(lp []byte, pos int) int {
	return orNone(lp, skip(lp, pos))
}

// Prev returns the position of the element before the one at pos, or -1.
func Prev(lp []byte, pos int) int {
	return before(lp, pos)
}

// Seek returns the position of the element with the given index; negative ones
// count from the end, -1 being the last. It returns -1 if there is none. The
// walk starts from the nearer end.
func Seek(lp []byte, index int) int {
	n := headerCount(lp)
	if n == countUnknown {
		return seekUncounted(lp, index)
	}
	if index < 0 {
		index += n
	}
	if index < 0 || index >= n {
		return -1
	}
	if index > n/2 {
		p := before(lp, len(lp)-1)
		for i := n - 1; i > index; i-- {
			p = before(lp, p)
		}
		return p
	}
	p := headerSize
	for range index {
		p = skip(lp, p)
	}
	return p
}

func seekUncounted(lp []byte, index int) int {
	if index >= 0 {
		p := First(lp)
		for ; index > 0 && p >= 0; index-- {
			p = Next(lp, p)
		}
		return p
	}
	p := Last(lp)
	for ; index < -1 && p >= 0; index++ {
		p = Prev(lp, p)
	}
	return p
}

// Find returns the position of the first element at or after pos whose text is
// val, or -1. Between two elements that it compares it leaves out skipped: 1
// looks at the fields of a field-value sequence only. A pos of -1 finds nothing.
func Find(lp []byte, pos int, val []byte, skipped int) int {
	if pos < 0 {
		return -1
	}
	n, isInt := ParseInt(val)
	for lp[pos] != endByte {
		if s, m := Get(lp, pos); s != nil {
			if string(s) == string(val) {
				return pos
			}
		} else if isInt && m == n {
			return pos
		}
		pos = skip(lp, pos)
		for i := 0; i < skipped && lp[pos] != endByte; i++ {
			pos = skip(lp, pos)
		}
	}
	return -1
}

// Append adds val at the end. Text that is the canonical decimal form of an
// int64 is stored as an integer; [Get] tells which it became.
func Append(lp, val []byte) []byte {
	return splice(lp, len(lp)-1, len(lp)-1, encode(val), 1)
}

// AppendInt adds n at the end.
func AppendInt(lp []byte, n int64) []byte {
	return splice(lp, len(lp)-1, len(lp)-1, encodeInt(n), 1)
}

// Prepend adds val at the front.
func Prepend(lp, val []byte) []byte {
	return splice(lp, headerSize, headerSize, encode(val), 1)
}

// InsertBefore adds val before the element at pos, and so at position pos.
func InsertBefore(lp []byte, pos int, val []byte) []byte {
	return splice(lp, pos, pos, encode(val), 1)
}

// InsertAfter adds val after the element at pos.
func InsertAfter(lp []byte, pos int, val []byte) []byte {
	at := skip(lp, pos)
	return splice(lp, at, at, encode(val), 1)
}

// Replace puts val in the place of the element at pos, which keeps its position.
func Replace(lp []byte, pos int, val []byte) []byte {
	return splice(lp, pos, skip(lp, pos), encode(val), 0)
}

// ReplaceInt puts n in the place of the element at pos, which keeps its position.
func ReplaceInt(lp []byte, pos int, n int64) []byte {
	return splice(lp, pos, skip(lp, pos), encodeInt(n), 0)
}

// Delete removes the element at pos. It also returns the position of the element
// that followed it, which is pos again, or -1 if it was the last.
func Delete(lp []byte, pos int) ([]byte, int) {
	lp = splice(lp, pos, skip(lp, pos), element{}, -1)
	return lp, orNone(lp, pos)
}

// DeleteN removes up to n elements from pos on, and returns the position of the
// one after them, or -1.
func DeleteN(lp []byte, pos, n int) ([]byte, int) {
	end, removed := pos, 0
	for removed < n && lp[end] != endByte {
		end = skip(lp, end)
		removed++
	}
	lp = splice(lp, pos, end, element{}, -removed)
	return lp, orNone(lp, pos)
}

// DeleteRange removes up to n elements from the one with the given index on;
// negative indexes count from the end. An index outside removes nothing.
func DeleteRange(lp []byte, index, n int) []byte {
	pos := Seek(lp, index)
	if pos < 0 || n <= 0 {
		return lp
	}
	lp, _ = DeleteN(lp, pos, n)
	return lp
}

// Concat adds all elements of tail to the end of lp. It leaves tail alone.
func Concat(lp, tail []byte) []byte {
	n, m := headerCount(lp), headerCount(tail)
	body := tail[headerSize:]
	checkSize(len(lp) + len(body) - 1)
	lp = append(lp[:len(lp)-1], body...)
	if n == countUnknown || m == countUnknown {
		setHeader(lp, countUnknown)
	} else {
		setHeader(lp, n+m)
	}
	return lp
}

// Split moves the elements from pos on into a new block, and returns what stays
// and what moved. The new block shares no memory with the old.
func Split(lp []byte, pos int) (head, tail []byte) {
	kept := 0
	for p := headerSize; p < pos; p = skip(lp, p) {
		kept++
	}
	moved := Len(lp) - kept
	tail = make([]byte, headerSize+len(lp)-pos)
	copy(tail[headerSize:], lp[pos:])
	setHeader(tail, moved)
	head = lp[:pos+1]
	head[pos] = endByte
	setHeader(head, kept)
	return head, tail
}

// splice puts e in the place of the bytes [from, to) and adjusts the header.
func splice(lp []byte, from, to int, e element, added int) []byte {
	size, grow := len(lp), e.size()-(to-from)
	if grow > 0 {
		checkSize(size + grow)
		lp = slices.Grow(lp, grow)
	}
	lp = lp[:max(size, size+grow)]
	if grow != 0 {
		copy(lp[to+grow:], lp[to:size])
	}
	lp = lp[:size+grow]
	e.put(lp[from:])
	n := headerCount(lp)
	if n != countUnknown {
		n += added
	}
	setHeader(lp, n)
	return lp
}

func checkSize(n int) {
	if n > MaxSize {
		panic("listpack: block would exceed 1 GiB")
	}
}

func headerCount(lp []byte) int {
	return int(binary.LittleEndian.Uint16(lp[4:]))
}

// setHeader writes the block's length and its number of elements.
func setHeader(lp []byte, n int) {
	binary.LittleEndian.PutUint32(lp, uint32(len(lp)))
	binary.LittleEndian.PutUint16(lp[4:], uint16(min(n, countUnknown)))
}

// orNone returns pos, or -1 if pos is where the list ends.
func orNone(lp []byte, pos int) int {
	if lp[pos] == endByte {
		return -1
	}
	return pos
}
