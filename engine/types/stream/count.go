package stream

// EntriesReadAt returns how many entries had been added to the stream when the
// one with the given ID was, deleted ones included: what a group that has read up
// to it has read. It returns [EntriesReadUnknown] where deletions hide the answer.
func (s *Stream) EntriesReadAt(id ID) int64 {
	if s.EntriesAdded == 0 {
		return 0 // nothing was ever added
	}
	if s.length == 0 && id.Compare(s.LastID) < 1 {
		return int64(s.EntriesAdded) // all are gone, and id is among or before them
	}
	switch c := id.Compare(s.LastID); {
	case c == 0:
		return int64(s.EntriesAdded)
	case c > 0:
		return EntriesReadUnknown // an ID of the future
	}
	front, tombstone := id.Compare(s.FirstID), s.MaxDeletedID.Compare(s.FirstID)
	if s.MaxDeletedID.IsZero() || tombstone < 0 {
		// No holes from the first entry on.
		if front < 0 {
			return int64(s.EntriesAdded) - int64(s.length)
		}
		if front == 0 {
			return int64(s.EntriesAdded) - int64(s.length) + 1
		}
	}
	return EntriesReadUnknown
}

// HasTombstone reports whether an entry from the given ID on was deleted by its
// ID while entries before it may still be there.
func (s *Stream) HasTombstone(from ID) bool {
	if s.length == 0 || s.MaxDeletedID.IsZero() || s.MaxDeletedID.Less(s.FirstID) {
		return false
	}
	return from.Compare(s.MaxDeletedID) <= 0
}

// Lag returns how many entries the group has still to read; false if that can't
// be told.
func (s *Stream) Lag(g *Group) (int64, bool) {
	if s.EntriesAdded == 0 {
		return 0, true
	}
	if g.EntriesRead != EntriesReadUnknown && !s.HasTombstone(g.LastID) {
		return int64(s.EntriesAdded) - g.EntriesRead, true
	}
	if read := s.EntriesReadAt(g.LastID); read != EntriesReadUnknown {
		return int64(s.EntriesAdded) - read, true
	}
	return 0, false
}

// RadixNodeCount returns how many nodes a compressed radix tree of the nodes' IDs
// has, as Redis keeps one and XINFO shows: XINFO's radix-tree-nodes. It takes time
// linear in the number of nodes.
func (s *Stream) RadixNodeCount() int {
	keys := make([][16]byte, 0, s.nodes)
	s.Nodes(func(id ID, _ []byte) bool {
		keys = append(keys, id.Key())
		return true
	})
	if len(keys) == 0 {
		return 1
	}
	return radixNodes(keys, 0)
}

// radixNodes counts the nodes for sorted keys that agree in their first depth
// bytes: one for what more they have in common, one for where they part, and
// those below.
func radixNodes(keys [][16]byte, depth int) int {
	first, last, common := &keys[0], &keys[len(keys)-1], depth
	for common < len(first) && first[common] == last[common] {
		common++
	}
	n := 1
	if common > depth {
		n++
	}
	if common == len(first) {
		return n
	}
	for from := 0; from < len(keys); {
		to := from + 1
		for to < len(keys) && keys[to][common] == keys[from][common] {
			to++
		}
		n += radixNodes(keys[from:to], common+1)
		from = to
	}
	return n
}
