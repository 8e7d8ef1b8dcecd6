package stream

import "github.com/quorate/quorate/engine/types/listpack"

// Iter walks over the entries of a range of IDs, deleted ones left out. A change
// of the stream ends its use.
//
//	for it := s.Range(from, to, false); it.Next(); { ... }
type Iter struct {
	s        *Stream
	from, to ID
	reverse  bool

	ci, ni int
	node   *node // nil before the first step
	fields int   // of the master entry
	pos    int   // forwards, the next entry; backwards, the last element of the one before; -1 at the node's edge
	cur    entry
	done   bool
}

// Range returns an Iter over the entries from one ID to another, both included,
// from the smallest on or, in reverse, from the largest.
func (s *Stream) Range(from, to ID, reverse bool) Iter {
	return Iter{s: s, from: from, to: to, reverse: reverse}
}

// Next moves to the next entry and reports whether there is one.
func (it *Iter) Next() bool {
	for !it.done && it.step() {
		if it.cur.deleted() { // its ID need not be in order
			continue
		}
		if it.reverse && it.cur.id.Less(it.from) || !it.reverse && it.to.Less(it.cur.id) {
			break
		}
		if !it.cur.id.Less(it.from) && !it.to.Less(it.cur.id) {
			return true
		}
	}
	it.done = true
	return false
}

// step moves to the entry before or after, whatever it is.
func (it *Iter) step() bool {
	for it.node == nil || it.pos < 0 {
		if !it.turn() {
			return false
		}
	}
	at := it.pos
	if it.reverse {
		at = it.node.endingAt(it.pos)
		if at < 0 {
			it.pos = -1
			return it.step()
		}
	}
	it.cur = it.node.entryAt(at, it.fields)
	if it.reverse {
		it.pos = listpack.Prev(it.node.lp, at)
	} else {
		it.pos = it.node.after(&it.cur)
	}
	return true
}

// turn goes to the next node in the direction of the walk, at first to the one
// where the range begins.
func (it *Iter) turn() bool {
	switch {
	case it.node == nil && !it.reverse:
		it.ci, it.ni, _ = it.s.findNode(it.from)
		if len(it.s.chunks) == 0 {
			return false
		}
	case it.node == nil:
		var ok bool
		if it.ci, it.ni, ok = it.s.findNode(it.to); !ok {
			return false
		}
	case !it.advance():
		return false
	}
	it.node = &it.s.chunks[it.ci].nodes[it.ni]
	it.fields, _ = it.node.master()
	if it.reverse {
		it.pos = listpack.Last(it.node.lp)
	} else {
		it.pos = it.node.first()
	}
	return true
}

// advance moves ci and ni by one node.
func (it *Iter) advance() bool {
	if it.reverse {
		if it.ni--; it.ni < 0 {
			if it.ci--; it.ci < 0 {
				return false
			}
			it.ni = len(it.s.chunks[it.ci].nodes) - 1
		}
		return true
	}
	if it.ni++; it.ni >= len(it.s.chunks[it.ci].nodes) {
		it.ci, it.ni = it.ci+1, 0
	}
	return it.ci < len(it.s.chunks)
}

// ID returns the ID of the entry.
func (it *Iter) ID() ID { return it.cur.id }

// NumFields returns the number of the entry's fields.
func (it *Iter) NumFields() int { return it.cur.fields }

// Each calls f for each field of the entry with its value. Both are valid during
// the call only.
func (it *Iter) Each(f func(field, value []byte)) {
	var fieldBuf, valueBuf [20]byte
	lp, p := it.node.lp, it.cur.body
	_, name := it.node.master()
	for range it.cur.fields {
		if !it.cur.sameFields() {
			name = p
			p = listpack.Next(lp, p)
		}
		f(listpack.Text(lp, name, fieldBuf[:]), listpack.Text(lp, p, valueBuf[:]))
		name = listpack.Next(lp, name)
		p = listpack.Next(lp, p)
	}
}
