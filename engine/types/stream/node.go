package stream

import (
	"math"
	"slices"

	"github.com/quorate/quorate/engine/types/listpack"
)

// A node's listpack begins with a master entry:
//
//	entries | deleted | fields | field ... field | 0
//
// that is: how many of its entries are alive and how many marked deleted; the
// fields of the first entry; and a zero. Then each entry:
//
//	flags | ms - node ms | seq - node seq | value ... value         | elements
//	flags | ms - node ms | seq - node seq | fields | field value ... | elements
//
// The first form has the master's fields (flagSameFields). The last element tells
// how many the entry has before it, for walking backwards.
//
// The IDs of entries alive ascend. Those of deleted ones need not: XSETID may take
// the last ID back to before them, and what is added then stands behind them.
const (
	flagDeleted    = 1
	flagSameFields = 2
)

// entry is the place of an entry in a node.
type entry struct {
	at     int // position of its flags
	flags  int64
	id     ID
	fields int // pairs
	body   int // position of the first field, or with flagSameFields value
}

func (e *entry) deleted() bool    { return e.flags&flagDeleted != 0 }
func (e *entry) sameFields() bool { return e.flags&flagSameFields != 0 }

// newNode returns a node of one entry. size is the sum of the pairs' lengths.
func newNode(id ID, pairs [][]byte, size int) node {
	const overhead = 12 // of an element at most
	lp := listpack.New(listpack.EmptySize + size + (8+len(pairs))*overhead/4)
	lp = listpack.AppendInt(lp, 1)
	lp = listpack.AppendInt(lp, 0)
	lp = listpack.AppendInt(lp, int64(len(pairs)/2))
	for i := 0; i < len(pairs); i += 2 {
		lp = listpack.Append(lp, pairs[i])
	}
	lp = listpack.AppendInt(lp, 0)
	n := node{id: id, lp: lp}
	n.appendEntry(id, pairs, true)
	return n
}

// full reports whether an entry of the given size goes into a new node.
func (n *node) full(size int, limits Limits) bool {
	bytes := limits.NodeBytes
	if bytes == 0 || bytes > EntryBytesMax {
		bytes = EntryBytesMax
	}
	if len(n.lp)+size >= bytes {
		return true
	}
	return limits.NodeEntries > 0 && n.entries()+n.deletedEntries() >= limits.NodeEntries
}

// add appends an entry.
func (n *node) add(id ID, pairs [][]byte, size int, limits Limits) {
	const overheadMax = 60 // of an entry with its fixed elements, most often
	if need := len(n.lp) + size + overheadMax; cap(n.lp) < need {
		room := max(need, min(2*need, limits.NodeBytes)) - len(n.lp)
		n.lp = slices.Grow(n.lp, room)
	}
	n.count(1, 0)
	n.appendEntry(id, pairs, n.hasFields(pairs))
}

// hasFields reports whether the master entry's fields are those of pairs.
func (n *node) hasFields(pairs [][]byte) bool {
	fields, p := n.master()
	if fields != len(pairs)/2 {
		return false
	}
	for i := 0; i < len(pairs); i += 2 {
		if !listpack.Equal(n.lp, p, pairs[i]) {
			return false
		}
		p = listpack.Next(n.lp, p)
	}
	return true
}

func (n *node) appendEntry(id ID, pairs [][]byte, sameFields bool) {
	lp, flags, elements := n.lp, int64(0), 3+len(pairs)/2
	if sameFields {
		flags = flagSameFields
	}
	lp = listpack.AppendInt(lp, flags)
	lp = listpack.AppendInt(lp, int64(id.Ms-n.id.Ms))
	lp = listpack.AppendInt(lp, int64(id.Seq-n.id.Seq))
	if !sameFields {
		lp = listpack.AppendInt(lp, int64(len(pairs)/2))
		elements += 1 + len(pairs)/2
	}
	for i := 0; i < len(pairs); i += 2 {
		if !sameFields {
			lp = listpack.Append(lp, pairs[i])
		}
		lp = listpack.Append(lp, pairs[i+1])
	}
	n.lp = listpack.AppendInt(lp, int64(elements))
}

// entries returns the number of entries alive.
func (n *node) entries() int { return integer(n.lp, listpack.First(n.lp)) }

// deletedEntries returns the number of entries marked deleted.
func (n *node) deletedEntries() int {
	return integer(n.lp, listpack.Next(n.lp, listpack.First(n.lp)))
}

// count adds to the numbers of entries alive and deleted.
func (n *node) count(alive, deleted int) {
	p := listpack.First(n.lp)
	n.lp = listpack.ReplaceInt(n.lp, p, int64(integer(n.lp, p)+alive))
	if deleted == 0 {
		return
	}
	p = listpack.Next(n.lp, p)
	n.lp = listpack.ReplaceInt(n.lp, p, int64(integer(n.lp, p)+deleted))
}

// mark marks an entry deleted, without counting it. Positions stay.
func (n *node) mark(e entry) {
	n.lp = listpack.ReplaceInt(n.lp, e.at, e.flags|flagDeleted)
}

// master returns the number of the master entry's fields and the position of the
// first, or of the zero after it.
func (n *node) master() (fields, pos int) {
	p := listpack.First(n.lp)
	p = listpack.Next(n.lp, p)
	p = listpack.Next(n.lp, p)
	return integer(n.lp, p), listpack.Next(n.lp, p)
}

// first returns the position of the first entry; there is always one.
func (n *node) first() int {
	fields, p := n.master()
	return forward(n.lp, p, fields+1)
}

// entryAt reads the entry at a position; fields is the master entry's.
func (n *node) entryAt(at, fields int) entry {
	e := entry{at: at, fields: fields}
	_, e.flags = listpack.Get(n.lp, at)
	p := listpack.Next(n.lp, at)
	_, ms := listpack.Get(n.lp, p)
	p = listpack.Next(n.lp, p)
	_, seq := listpack.Get(n.lp, p)
	p = listpack.Next(n.lp, p)
	e.id = ID{n.id.Ms + uint64(ms), n.id.Seq + uint64(seq)}
	if !e.sameFields() {
		e.fields = integer(n.lp, p)
		p = listpack.Next(n.lp, p)
	}
	e.body = p
	return e
}

// after returns the position of the entry after e, or -1.
func (n *node) after(e *entry) int {
	elements := e.fields
	if !e.sameFields() {
		elements *= 2
	}
	return forward(n.lp, e.body, elements+1)
}

// endingAt returns the position of the entry whose last element is at pos, or -1
// if that is the end of the master entry.
func (n *node) endingAt(pos int) int {
	for k := integer(n.lp, pos); k > 0; k-- {
		pos = listpack.Prev(n.lp, pos)
		if k == 1 {
			return pos
		}
	}
	return -1
}

// lastID returns the ID of the last entry in the node, which may be deleted.
func (n *node) lastID() ID {
	fields, _ := n.master()
	e := n.entryAt(n.endingAt(listpack.Last(n.lp)), fields)
	return e.id
}

// find returns the entry with the given ID if it is there and alive.
func (n *node) find(id ID) (entry, bool) {
	fields, _ := n.master()
	for p := n.first(); p >= 0; {
		e := n.entryAt(p, fields)
		if c := e.id.Compare(id); c == 0 && !e.deleted() {
			return e, true
		} else if c > 0 && !e.deleted() {
			break
		}
		p = n.after(&e)
	}
	return entry{}, false
}

// forward goes k elements on; -1 is the end.
func forward(lp []byte, pos, k int) int {
	for ; k > 0 && pos >= 0; k-- {
		pos = listpack.Next(lp, pos)
	}
	return pos
}

// integer returns an element that is one by the layout, clipped to sane counts.
func integer(lp []byte, pos int) int {
	_, n := listpack.Get(lp, pos)
	return int(min(max(n, 0), math.MaxInt32))
}
