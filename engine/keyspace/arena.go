package keyspace

import "fmt"

// An arena hands out cells of bytes from slabs. A slab has cells of one size class; cells above cellMax bytes have
// a slab of their own. Freed cells are used again; a slab without live cells is given back, except the last one
// with room in its class, so that a key set and deleted in turns does not allocate.
//
// Invariant: a slab is in its class's list of slabs with room exactly when it has room and is not being emptied.
type arena struct {
	slabs paged[slab] // number 0 is never used
	spare []uint32    // numbers of slabs given back
	room  [classes]uint32
	count [classes]tally

	thin   uint8 // a class with many free cells, if isThin
	isThin bool

	live  int64 // bytes of cells in use
	total int64 // bytes of all slabs
}

// tally counts the cells of one class.
type tally struct{ cells, live int }

type slab struct {
	buf        []byte
	class      uint8
	linked     bool   // in the list of slabs with room
	emptying   bool   // chosen to be emptied: gets no new cells
	live       uint32 // cells in use
	carved     uint32 // cells [0, carved) were handed out at least once
	free       uint32 // first free cell below carved, plus one
	prev, next uint32 // in the list of slabs with room
}

// A ref is the place of a cell: slab number << unitBits | offset in 8-byte units. 0 is no place.
type ref uint64

const (
	slabBytes = 64 << 10
	unitBytes = 8
	unitBits  = 13
	refBits   = 40
	cellMax   = slabBytes / 8
	largeCell = classes // the class of a slab with one large cell
)

// Size classes: every 8 bytes up to 128, then eight a doubling.
const classes = 16 + 8*6

var (
	classBytes = cellSizes()
	classOf    = classTable() // by size in units, rounded up
)

func cellSizes() (sizes [classes]int) {
	size, step := 0, unitBytes
	for i := range sizes {
		if size >= 128 && size&(size-1) == 0 {
			step = size / 8
		}
		size += step
		sizes[i] = size
	}
	return sizes
}

func classTable() (table [cellMax/unitBytes + 1]uint8) {
	class := 0
	for units := range table {
		if units*unitBytes > classBytes[class] {
			class++
		}
		table[units] = uint8(class)
	}
	return table
}

// classFor returns the class of cells for n bytes, or largeCell.
func classFor(n int) int {
	if n > cellMax {
		return largeCell
	}
	return int(classOf[(n+unitBytes-1)/unitBytes])
}

// cell returns the cell at r with all its capacity.
func (a *arena) cell(r ref) record {
	s := a.slabs.at(uint32(r >> unitBits))
	return record(s.buf[(r&(1<<unitBits-1))*unitBytes:])
}

// size returns the length of the cell at r.
func (a *arena) size(r ref) int {
	s := a.slabs.at(uint32(r >> unitBits))
	if s.class == largeCell {
		return len(s.buf)
	}
	return classBytes[s.class]
}

// fits reports whether a record of n bytes belongs into the class of the cell at r.
func (a *arena) fits(r ref, n int) bool {
	class := classFor(n)
	return class != largeCell && int(a.slabs.at(uint32(r>>unitBits)).class) == class
}

// alloc returns a cell for n bytes, with whatever content.
func (a *arena) alloc(n int) (ref, record) {
	class := classFor(n)
	if class == largeCell {
		return a.allocLarge(n)
	}
	number := a.room[class]
	if number == 0 {
		number = a.addSlab(class, slabBytes)
		a.count[class].cells += slabBytes / classBytes[class]
		a.link(number)
	}
	s := a.slabs.at(number)
	size := classBytes[class]
	index := s.carved
	if s.free != 0 {
		index = s.free - 1
		s.free = uint32(record(s.buf[int(index)*size:]).word() >> versionBits)
	} else {
		s.carved++
	}
	s.live++
	a.count[class].live++
	a.live += int64(size)
	if int(s.live) == len(s.buf)/size {
		a.unlink(number)
	}
	at := int(index) * size
	return ref(number)<<unitBits | ref(at/unitBytes), record(s.buf[at:])
}

func (a *arena) allocLarge(n int) (ref, record) {
	number := a.addSlab(largeCell, n)
	s := a.slabs.at(number)
	s.live, s.carved = 1, 1
	a.live += int64(n)
	return ref(number) << unitBits, record(s.buf)
}

// release frees the cell at r.
func (a *arena) release(r ref) {
	number := uint32(r >> unitBits)
	s := a.slabs.at(number)
	if s.class == largeCell {
		a.live -= int64(len(s.buf))
		a.dropSlab(number)
		return
	}
	size := classBytes[s.class]
	at := int(r&(1<<unitBits-1)) * unitBytes
	record(s.buf[at:]).setWord(uint64(s.free)<<versionBits | uint64(typeFree))
	s.free = uint32(at/size) + 1
	s.live--
	a.count[s.class].live--
	a.live -= int64(size)
	a.noteThin(s.class)
	if !s.linked && !s.emptying {
		a.link(number)
	}
	if s.live == 0 && (s.emptying || a.room[s.class] != number || s.next != 0) {
		a.count[s.class].cells -= len(s.buf) / size
		a.dropSlab(number)
	}
}

func (a *arena) addSlab(class, bytes int) uint32 {
	var number uint32
	if n := len(a.spare); n > 0 {
		number = a.spare[n-1]
		a.spare = a.spare[:n-1]
	} else {
		if a.slabs.len == 0 {
			a.slabs.grow() // 0 stands for none
		}
		number = a.slabs.grow()
		if number >= 1<<(refBits-unitBits) {
			panic(fmt.Sprintf("keyspace: more than %d slabs", number))
		}
	}
	*a.slabs.at(number) = slab{buf: make([]byte, bytes), class: uint8(class)}
	a.total += int64(bytes)
	return number
}

func (a *arena) dropSlab(number uint32) {
	s := a.slabs.at(number)
	if s.linked {
		a.unlink(number)
	}
	a.total -= int64(len(s.buf))
	*s = slab{}
	a.spare = append(a.spare, number)
}

func (a *arena) link(number uint32) {
	s := a.slabs.at(number)
	s.linked, s.prev, s.next = true, 0, a.room[s.class]
	if s.next != 0 {
		a.slabs.at(s.next).prev = number
	}
	a.room[s.class] = number
}

func (a *arena) unlink(number uint32) {
	s := a.slabs.at(number)
	if s.prev != 0 {
		a.slabs.at(s.prev).next = s.next
	} else {
		a.room[s.class] = s.next
	}
	if s.next != 0 {
		a.slabs.at(s.next).prev = s.prev
	}
	s.linked, s.prev, s.next = false, 0, 0
}
