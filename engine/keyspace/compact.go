package keyspace

const (
	// tidyFree, tidyMoves and tidyLooks bound what one change does for the order of the arena: saved cells
	// freed, cells moved, cells looked at.
	tidyFree  = 4
	tidyMoves = 4
	tidyLooks = 32
	// sampleSlabs is how many slabs are compared when one is chosen to be emptied.
	sampleSlabs = 16
)

// tidy does a bounded piece of what deletions leave behind: it frees cells a snapshot no longer needs and moves cells out
// of thinly used slabs so that these can be given back. It runs after a change. What aliases a cell that has moved stays
// readable until cells are allocated again: only the word of the old cell is overwritten.
//
// A class is thin when more than a quarter of its cells, and more than four slabs' worth, are free. Each cell moved
// out of a slab that is three quarters full brings a third of a cell, so four moves a change keep up with deletions.
func (s *store) tidy() {
	for range min(tidyFree, len(s.reclaim)) {
		last := len(s.reclaim) - 1
		s.kept -= s.weigh(s.reclaim[last])
		s.free(s.reclaim[last])
		s.reclaim = s.reclaim[:last]
	}
	if s.frozen != nil || len(s.reclaim) > 0 {
		return // a snapshot refers to cells by place
	}
	if s.emptying == 0 {
		s.emptying, s.cursor = s.arena.thinnest(), 0
	}
	if s.emptying != 0 {
		s.evacuate()
	}
}

// thinnest takes a slab to be emptied out of the class that was last found thin, if there is one.
func (a *arena) thinnest() uint32 {
	if !a.isThin {
		return 0
	}
	a.isThin = false
	best := uint32(0)
	number := a.room[a.thin]
	for range sampleSlabs {
		if number == 0 {
			break
		}
		s := a.slabs.at(number)
		if s.live > 0 && (best == 0 || s.live < a.slabs.at(best).live) {
			best = number
		}
		number = s.next
	}
	if best != 0 {
		a.unlink(best)
		a.slabs.at(best).emptying = true
	}
	return best
}

// noteThin remembers the class if it is thin.
func (a *arena) noteThin(class uint8) {
	t := a.count[class]
	free := t.cells - t.live
	if free > t.live/3 && free > 4*slabBytes/classBytes[class] {
		a.thin, a.isThin = class, true
	}
}

// evacuate moves a few cells out of the slab that is being emptied.
func (s *store) evacuate() {
	g := s.arena.slabs.at(s.emptying)
	moves := 0
	for range tidyLooks {
		if !g.emptying || s.cursor == g.carved { // given back, perhaps in other use already
			s.emptying = 0
			return
		}
		size := classBytes[g.class]
		at := int(s.cursor) * size
		s.cursor++
		if g.buf[at]&typeMask == byte(typeFree) {
			continue
		}
		s.moveCell(ref(s.emptying)<<unitBits|ref(at/unitBytes), size)
		if moves++; moves == tidyMoves {
			return
		}
	}
}

func (s *store) moveCell(from ref, size int) {
	rec := s.arena.cell(from)
	h := s.seed.Hash(rec.key())
	g := s.table.segment(h)
	i := g.first(g.tag(h))
	for refOf(g.slots[i]) != from {
		if g.slots[i] == 0 {
			panic("keyspace: a live record is not in the table")
		}
		i++
	}
	to, cell := s.arena.alloc(size)
	copy(cell[:size], rec)
	g.slots[i] = g.slots[i]>>refBits<<refBits | uint64(to)
	s.arena.release(from)
}
