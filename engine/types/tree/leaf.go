package tree

import (
	"bytes"
	"encoding/binary"
	"math"
)

const (
	// pageMax is the size in bytes past which a leaf of several entries is split.
	// A larger page makes for fewer leaves and more bytes to move at an insertion.
	pageMax = 2048
	// pageLow is the size in bytes below which a leaf is joined with a neighbour,
	// if both together fill a page to at most pageJoined.
	pageLow    = pageMax / 4
	pageJoined = pageMax * 3 / 4
	// largeEntry is the size in bytes from which an entry gets a leaf of its own.
	largeEntry = pageMax / 2

	slotBytes = 2
)

// leaf holds entries in ascending order in one block.
//
//	| entry 0 | entry 1 | ... | free | ... | slot 1 | slot 0 |
//
// An entry is the length of its key (uvarint), key and value. Slot i, two bytes
// at the end of the page, is the offset of entry i. Entries lie in order without
// gaps, so an entry ends where the next one begins.
//
// Invariant: used + n*slotBytes <= len(page), and all offsets are at most
// math.MaxUint16: an entry that would push others further stands last or alone.
type leaf struct {
	page []byte
	used int // bytes of entries
	n    int // entries
}

func entrySize(key, value []byte) int {
	return uvarintSize(len(key)) + len(key) + len(value)
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// start returns the offset of entry i; of entry n, where it would begin.
func (l *leaf) start(i int) int {
	if i == l.n {
		return l.used
	}
	return int(binary.LittleEndian.Uint16(l.page[len(l.page)-slotBytes*(i+1):]))
}

func (l *leaf) setStart(i, offset int) {
	if offset > math.MaxUint16 {
		panic("tree: entry begins past the reach of its slot")
	}
	binary.LittleEndian.PutUint16(l.page[len(l.page)-slotBytes*(i+1):], uint16(offset))
}

// key returns the key of entry i.
func (l *leaf) key(i int) []byte {
	at := l.start(i)
	size := int(l.page[at])
	if size < 0x80 {
		return l.page[at+1 : at+1+size : at+1+size]
	}
	long, width := binary.Uvarint(l.page[at:])
	end := at + width + int(long)
	return l.page[at+width : end : end]
}

// value returns the value of entry i.
func (l *leaf) value(i int) []byte {
	at, end := l.start(i), l.start(i+1)
	size, width := binary.Uvarint(l.page[at:end])
	return l.page[at+width+int(size) : end : end]
}

// search returns the index of the first entry whose key is not less than key,
// and whether it is equal.
func (l *leaf) search(key []byte) (i int, found bool) {
	low, high := 0, l.n
	for low < high {
		mid := int(uint(low+high) >> 1)
		switch c := bytes.Compare(l.key(mid), key); {
		case c < 0:
			low = mid + 1
		case c > 0:
			high = mid
		default:
			return mid, true
		}
	}
	return low, false
}

// fits reports whether an entry of the given size may join the leaf.
func (l *leaf) fits(size int) bool {
	return l.n == 0 || l.used+size+(l.n+1)*slotBytes <= pageMax
}

// reserve makes room for one more entry of the given size, and returns by how
// many bytes the page grew.
func (l *leaf) reserve(size int) int {
	need := l.used + size + (l.n+1)*slotBytes
	if need <= len(l.page) {
		return 0
	}
	room := need
	if need < pageMax {
		room = min(need+need/8, pageMax)
	}
	return l.resize(room)
}

// trim gives back memory if less than half of the page is in use, and returns by
// how many bytes the page grew (at most 0).
func (l *leaf) trim() int {
	need := l.used + l.n*slotBytes
	if need*2 >= len(l.page) {
		return 0
	}
	return l.resize(need + need/8)
}

// resize moves the entries to a page of at least size bytes, and returns the
// difference to the old.
func (l *leaf) resize(size int) int {
	// Appending to nothing rounds up to what the allocator hands out anyway.
	page := append([]byte(nil), make([]byte, size)...)
	page = page[:cap(page)]
	copy(page, l.page[:l.used])
	slots := l.n * slotBytes
	copy(page[len(page)-slots:], l.page[len(l.page)-slots:])
	grown := len(page) - cap(l.page)
	l.page = page
	return grown
}

// insert adds an entry at index i. There must be room (reserve).
func (l *leaf) insert(i int, key, value []byte) {
	size, at := entrySize(key, value), l.start(i)
	copy(l.page[at+size:], l.page[at:l.used])
	end := len(l.page)
	copy(l.page[end-slotBytes*(l.n+1):], l.page[end-slotBytes*l.n:end-slotBytes*i])
	l.n++
	l.used += size
	l.setStart(i, at)
	for j := i + 1; j < l.n; j++ {
		l.setStart(j, l.start(j)+size)
	}
	width := binary.PutUvarint(l.page[at:], uint64(len(key)))
	copy(l.page[at+width:], key)
	copy(l.page[at+width+len(key):], value)
}

// replace sets the value of entry i if it has the same length, and reports
// whether it did.
func (l *leaf) replace(i int, value []byte) bool {
	old := l.value(i)
	if len(old) != len(value) {
		return false
	}
	copy(old, value)
	return true
}

// remove deletes the entries [from, to).
func (l *leaf) remove(from, to int) {
	at, end := l.start(from), l.start(to)
	copy(l.page[at:], l.page[end:l.used])
	for j := to; j < l.n; j++ {
		l.setStart(from+j-to, l.start(j)-(end-at))
	}
	l.n -= to - from
	l.used -= end - at
}

// take returns a new leaf with the entries [from, to), without spare room.
func (l *leaf) take(from, to int) leaf {
	at, end := l.start(from), l.start(to)
	var part leaf
	part.resize(end - at + (to-from)*slotBytes)
	copy(part.page, l.page[at:end])
	part.used = end - at
	part.n = to - from
	for i := range part.n {
		part.setStart(i, l.start(from+i)-at)
	}
	return part
}

// extend adds the entries of next, which follow those of l. There must be room.
func (l *leaf) extend(next *leaf) {
	copy(l.page[l.used:], next.page[:next.used])
	base, first := l.used, l.n
	l.used += next.used
	l.n += next.n
	for i := range next.n {
		l.setStart(first+i, base+next.start(i))
	}
}

func (l *leaf) clone() leaf {
	c := *l
	c.page = append([]byte(nil), l.page...)
	if cap(c.page) != len(c.page) {
		c.page = c.page[:len(c.page):len(c.page)]
	}
	return c
}
