package stream

import "math/bits"

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
// linear in the number of nodes, some nanoseconds of each.
func (s *Stream) RadixNodeCount() int {
	var path radixPath
	var last ID
	s.Nodes(func(id ID, _ []byte) bool {
		if path.len > 0 {
			path.part(commonBytes(last, id))
		}
		path.push(radixLeaf)
		last = id
		return true
	})
	if path.len == 0 {
		return 1
	}
	path.part(-1)
	return path.nodes
}

// radixLeaf is the depth of a leaf: the length of an ID as a key.
const radixLeaf = 16

// radixPath is the way from the root of a radix tree to the key that was added
// last, in the order of keys: the depths, in bytes, of where keys part, and of
// the leaf. nodes counts those that are no longer on it: what comes later has
// nothing more in common with them.
type radixPath struct {
	depths [radixLeaf + 1]int
	len    int
	nodes  int
}

func (p *radixPath) push(depth int) {
	p.depths[p.len] = depth
	p.len++
}

// part leaves the path where the next key has only its first common bytes in
// common with the last one, -1 at the end. Each depth that is left was a node, and
// another one for the bytes that all keys below it have in common, if there are any.
func (p *radixPath) part(common int) {
	for p.len > 0 && p.depths[p.len-1] > common {
		depth := p.depths[p.len-1]
		p.len--
		above := common
		if p.len > 0 {
			above = max(above, p.depths[p.len-1])
		}
		p.nodes++
		if depth > above+1 {
			p.nodes++
		}
	}
	if common >= 0 && (p.len == 0 || p.depths[p.len-1] < common) {
		p.push(common)
	}
}

// commonBytes returns how many bytes two different IDs have in common as keys.
func commonBytes(a, b ID) int {
	if a.Ms != b.Ms {
		return bits.LeadingZeros64(a.Ms^b.Ms) / 8
	}
	return 8 + bits.LeadingZeros64(a.Seq^b.Seq)/8
}
