// Package stream keeps append-only logs of entries, each a list of fields and
// values under an ascending ID, with the consumer groups that read them.
//
// Entries lie in nodes of about a hundred: listpacks laid out exactly as Redis
// 7 lays them out, so that they go into RDB files as they are and trimming by
// whole nodes cuts where Redis cuts. See node.go for the layout.
package stream

import (
	"errors"
	"slices"
	"sort"
	"unsafe"

	"github.com/quorate/quorate/engine/types/chain"
)

// Limits says when a node is full.
type Limits struct {
	NodeBytes   int // stream-node-max-bytes; 0 is no limit
	NodeEntries int // stream-node-max-entries, deleted ones included; 0 is no limit
}

// DefaultLimits are the limits of an unchanged configuration.
var DefaultLimits = Limits{NodeBytes: 4096, NodeEntries: 100}

// EntryBytesMax is the size in bytes that the fields and values of one entry may
// have together.
const EntryBytesMax = 1 << 30

// ErrTooLarge is returned by [Stream.Add] for an entry beyond [EntryBytesMax].
var ErrTooLarge = errors.New("stream: entry too large")

// Meta is what a stream knows beside its entries.
type Meta struct {
	LastID       ID     // the largest ID ever added
	MaxDeletedID ID     // the largest ID deleted by XDEL; 0-0 if none
	FirstID      ID     // the first entry's; 0-0 in an empty stream
	EntriesAdded uint64 // entries ever added
}

// Stream is a log of entries. The zero Stream is not usable.
//
// Nodes stand in chunks, both in order of their first IDs. Freeze is O(1):
// afterwards the original copies the directory of chunks, a chunk, a node, a
// group or a consumer before its first change to it; a part may be changed in
// place exactly when its generation is the stream's.
//
// Invariants: no chunk is empty; a node's ID is that of the first entry it was
// made for and is not larger than any ID in it; IDs ascend over all nodes; length
// is the number of entries not marked deleted.
type Stream struct {
	Meta
	chunks []*chunk
	length int
	bytes  int    // sum of cap(lp) over all nodes
	nodes  int    // number of nodes
	gen    uint64 // generation of parts that are ours alone
	dirGen uint64 // generation of the slice chunks

	groups    []*Group // by name
	groupsGen uint64   // generation of the slice groups

	joined *chain.Chain // of the state that it belongs to, if any
}

type chunk struct {
	nodes []node
	gen   uint64
}

type node struct {
	id  ID
	lp  []byte
	gen uint64 // of lp
}

// chunkNodesMax bounds what the first change of a chunk after Freeze copies
// (6 KiB), and what an insertion moves.
const chunkNodesMax = 128

// New returns an empty stream.
func New() *Stream { return new(Stream) }

// Len returns the number of entries.
func (s *Stream) Len() int { return s.length }

// NodeCount returns the number of nodes, XINFO's radix-tree-keys.
func (s *Stream) NodeCount() int { return s.nodes }

// MemBytes returns about how many bytes the stream takes in memory.
func (s *Stream) MemBytes() int {
	n := int(unsafe.Sizeof(*s)) + s.bytes + s.nodes*int(unsafe.Sizeof(node{}))
	for _, g := range s.groups {
		n += g.memBytes()
	}
	return n
}

// Freeze returns a copy for reading that later changes of s leave alone. Another
// goroutine may read it while s is changed. The copy itself must not be changed.
func (s *Stream) Freeze() *Stream {
	frozen := *s
	s.gen++
	return &frozen
}

// Nodes calls yield for each node in order until it returns false: with the ID
// that the IDs in it are relative to, and its listpack, which must not be
// changed.
func (s *Stream) Nodes(yield func(id ID, lp []byte) bool) {
	for _, c := range s.chunks {
		for i := range c.nodes {
			if !yield(c.nodes[i].id, c.nodes[i].lp) {
				return
			}
		}
	}
}

// AppendNode adds a node after all others and takes lp over: how streams are
// loaded. It checks everything, also listpacks from untrusted sources. LastID and
// FirstID follow; the rest of Meta is the caller's to set.
func (s *Stream) AppendNode(id ID, lp []byte) error {
	entries, last, err := validateNode(id, lp)
	if err != nil {
		return err
	}
	if n := s.lastNode(); n != nil && (id.Compare(n.id) <= 0 || id.Compare(s.LastID) <= 0) {
		return errOrder
	}
	s.append(node{id: id, lp: lp})
	s.length += entries
	if entries > 0 {
		s.LastID = last
	}
	if s.FirstID.IsZero() && entries > 0 {
		s.FirstID = s.Edge(false)
	}
	return nil
}

// Add appends an entry of alternating fields and values, at least one pair. Its
// ID must be larger than LastID.
func (s *Stream) Add(id ID, pairs [][]byte, limits Limits) error {
	size := 0
	for _, b := range pairs {
		size += len(b)
	}
	if size > EntryBytesMax {
		return ErrTooLarge
	}
	if n := s.lastNode(); n == nil || n.full(size, limits) {
		s.append(newNode(id, pairs, size))
	} else {
		s.edit(len(s.chunks)-1, len(s.chunks[len(s.chunks)-1].nodes)-1, func(n *node) {
			n.add(id, pairs, size, limits)
		})
	}
	s.noteID('a', id, nil)
	for _, b := range pairs {
		s.joined.Note('p', 0, b, nil)
	}
	s.length++
	s.EntriesAdded++
	s.LastID = id
	if s.length == 1 {
		s.FirstID = id
	}
	return nil
}

// Delete removes the entry with the given ID and reports whether it was there.
func (s *Stream) Delete(id ID) bool {
	ci, ni, ok := s.findNode(id)
	if !ok {
		return false
	}
	n := &s.chunks[ci].nodes[ni]
	e, ok := n.find(id)
	if !ok {
		return false
	}
	if n.entries() == 1 {
		s.removeNode(ci, ni)
	} else {
		s.edit(ci, ni, func(n *node) {
			n.mark(e)
			n.count(-1, 1)
		})
	}
	s.noteID('d', id, nil)
	s.length--
	if id.Compare(s.MaxDeletedID) > 0 {
		s.MaxDeletedID = id
	}
	switch {
	case s.length == 0:
		s.FirstID = ID{}
	case id == s.FirstID:
		s.FirstID = s.Edge(false)
	}
	return true
}

// Edge returns the ID of the first or the last entry. Without any it is
// [MaxID] for the first and 0-0 for the last.
func (s *Stream) Edge(last bool) ID {
	it := s.Range(ID{}, MaxID, last)
	switch {
	case it.Next():
		return it.ID()
	case last:
		return ID{}
	}
	return MaxID
}

// findNode returns the node that holds id if any does: the last one whose ID is
// not larger.
func (s *Stream) findNode(id ID) (ci, ni int, ok bool) {
	ci = sort.Search(len(s.chunks), func(i int) bool { return id.Less(s.chunks[i].nodes[0].id) }) - 1
	if ci < 0 {
		return 0, 0, false
	}
	nodes := s.chunks[ci].nodes
	ni = sort.Search(len(nodes), func(i int) bool { return id.Less(nodes[i].id) }) - 1
	return ci, ni, true
}

func (s *Stream) lastNode() *node {
	if len(s.chunks) == 0 {
		return nil
	}
	nodes := s.chunks[len(s.chunks)-1].nodes
	return &nodes[len(nodes)-1]
}

// append adds n as the last node. The node before it will not grow any more, so
// room that it did not need is given back.
func (s *Stream) append(n node) {
	if last := s.lastNode(); last != nil && last.gen == s.gen && cap(last.lp)-len(last.lp) > len(last.lp)/8 {
		s.edit(len(s.chunks)-1, len(s.chunks[len(s.chunks)-1].nodes)-1, func(n *node) {
			n.lp = slices.Clone(n.lp)
		})
	}
	if len(s.chunks) == 0 || len(s.chunks[len(s.chunks)-1].nodes) >= chunkNodesMax {
		s.ownDirectory()
		s.chunks = append(s.chunks, &chunk{gen: s.gen})
	}
	c := s.ownChunk(len(s.chunks) - 1)
	n.gen = s.gen
	c.nodes = append(c.nodes, n)
	s.bytes += cap(n.lp)
	s.nodes++
}

// edit changes a node after making its listpack ours.
func (s *Stream) edit(ci, ni int, f func(n *node)) {
	n := &s.ownChunk(ci).nodes[ni]
	s.bytes -= cap(n.lp)
	if n.gen != s.gen {
		n.lp, n.gen = slices.Clone(n.lp), s.gen
	}
	f(n)
	s.bytes += cap(n.lp)
}

func (s *Stream) removeNode(ci, ni int) {
	c := s.ownChunk(ci)
	s.bytes -= cap(c.nodes[ni].lp)
	s.nodes--
	c.nodes = slices.Delete(c.nodes, ni, ni+1)
	if len(c.nodes) == 0 {
		s.ownDirectory()
		s.chunks = slices.Delete(s.chunks, ci, ci+1)
	}
}

func (s *Stream) ownDirectory() {
	if s.dirGen != s.gen {
		s.chunks = slices.Clone(s.chunks)
		s.dirGen = s.gen
	}
}

func (s *Stream) ownChunk(ci int) *chunk {
	c := s.chunks[ci]
	if c.gen == s.gen {
		return c
	}
	s.ownDirectory()
	c = &chunk{nodes: slices.Clone(c.nodes), gen: s.gen}
	s.chunks[ci] = c
	return c
}
