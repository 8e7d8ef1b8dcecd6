package stream

// Trim says which entries [Stream.Trim] removes from the front.
type Trim struct {
	ByID   bool
	MaxLen int // without ByID: how many entries may stay
	MinID  ID  // with ByID: entries before it go

	// Approx removes whole nodes only.
	Approx bool
	// Limit stops before the removal of more than so many entries, whole nodes
	// taken one by one; 0 is no limit.
	Limit int
}

// Trim removes entries from the front and returns how many. It does not change
// MaxDeletedID.
func (s *Stream) Trim(t Trim) int {
	removed := 0
	for len(s.chunks) > 0 {
		if !t.ByID && s.length <= t.MaxLen {
			break
		}
		n := &s.chunks[0].nodes[0]
		entries := n.entries()
		if t.Limit > 0 && removed+entries > t.Limit {
			break
		}
		if t.coversNode(s.length, n) {
			s.removeNode(0, 0)
			s.length -= entries
			removed += entries
			continue
		}
		if !t.Approx {
			removed += s.trimFirstNode(t)
		}
		break
	}
	if removed > 0 {
		s.joined.Note('t', uint64(removed), nil, nil)
	}
	switch {
	case s.length == 0:
		s.FirstID = ID{}
	case removed > 0:
		s.FirstID = s.Edge(false)
	}
	return removed
}

// coversNode reports whether the whole first node of a stream of the given length
// may go.
func (t *Trim) coversNode(length int, n *node) bool {
	if t.ByID {
		return n.lastID().Less(t.MinID)
	}
	return length-n.entries() >= t.MaxLen
}

// trimFirstNode marks entries of the first node deleted.
func (s *Stream) trimFirstNode(t Trim) int {
	removed := 0
	s.edit(0, 0, func(n *node) {
		fields, _ := n.master()
		for p := n.first(); p >= 0; {
			e := n.entryAt(p, fields)
			if t.ByID && !e.id.Less(t.MinID) || !t.ByID && s.length <= t.MaxLen {
				break
			}
			p = n.after(&e)
			if !e.deleted() {
				n.mark(e)
				s.length--
				removed++
			}
		}
		n.count(-removed, removed)
	})
	return removed
}
