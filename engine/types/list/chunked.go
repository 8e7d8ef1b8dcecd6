package list

import (
	"slices"
	"unsafe"

	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/listpack"
)

// Chunked is a long list: a sequence of chunks, each a sequence of nodes, each a
// listpack or, for an element too large for one, that element plain.
//
// Chunks and nodes count their elements, so an index is found by adding up
// chunks, then nodes, from the nearer end. Pushing and popping touch the outer
// node only. Two levels suffice: with chunks of chunkNodesMax nodes of 8 KiB a
// list of 10 GB has 10,000 chunks.
//
// Freeze is O(1). Afterwards the original copies the directory of chunks, a
// chunk, or a node before its first change to it. What belongs to whom is told
// by generations: a part may be changed in place exactly when its generation is
// the list's, and freezing raises the list's.
//
// Invariants: no node and no chunk is empty; every count is the sum of those
// below it; data of a plain node never changes.
type Chunked struct {
	chunks  []*chunk
	count   int    // elements
	bytes   int    // sum of cap(data) over all nodes
	gen     uint64 // generation of parts that are ours alone
	dirGen  uint64 // generation of the slice chunks
	limits  Limits
	maxSize int          // bytes of a listpack, from limits
	maxLen  int          // elements of a listpack, from limits
	joined  *chain.Chain // of the state that it belongs to, if any
}

type chunk struct {
	nodes []node
	count int // elements
	gen   uint64
}

type node struct {
	data  []byte
	gen   uint64 // of data
	count int32  // elements
	plain bool   // data is one element, not a listpack
}

// chunkNodesMax bounds the nodes of a chunk: what an insertion moves and what
// the first change of a chunk after Freeze copies (5 KiB).
const chunkNodesMax = 128

// NewChunked returns an empty long list.
func NewChunked(limits Limits) *Chunked {
	l := &Chunked{limits: limits}
	l.maxSize, l.maxLen = limits.sizes()
	return l
}

// Len returns the number of elements.
func (l *Chunked) Len() int { return l.count }

// MemBytes returns about how many bytes the list takes in memory.
func (l *Chunked) MemBytes() int {
	const chunkBytes = chunkNodesMax*int(unsafe.Sizeof(node{})) + int(unsafe.Sizeof(chunk{})) + 8
	return int(unsafe.Sizeof(*l)) + len(l.chunks)*chunkBytes + l.bytes
}

// Freeze returns a copy for reading that later changes of l leave alone. Another
// goroutine may read it while l is changed. The copy itself must not be changed.
func (l *Chunked) Freeze() *Chunked {
	frozen := *l
	l.gen++
	return &frozen
}

// Join makes the list part of a state: changes are mixed into c from now on.
func (l *Chunked) Join(c *chain.Chain) { l.joined = c }

// Mix mixes all elements, and what says how long listpacks get, into c.
func (l *Chunked) Mix(c *chain.Chain) {
	c.Words('l', uint64(l.count))
	c.Words('l', uint64(int64(l.limits.ListpackSize)))
	var buf [20]byte
	for at := l.At(0); at.Valid(); at.Next() {
		c.Bytes(at.Text(buf[:]))
	}
}

// Nodes calls yield for each node in order until it returns false: with a
// listpack, or, if plain, with an element. The data must not be changed.
func (l *Chunked) Nodes(yield func(data []byte, plain bool) bool) {
	for _, c := range l.chunks {
		for i := range c.nodes {
			if !yield(c.nodes[i].data, c.nodes[i].plain) {
				return
			}
		}
	}
}

// AppendListpack adds the elements of lp, which must be some, as the last node.
// It takes lp over.
func (l *Chunked) AppendListpack(lp []byte) {
	l.appendNode(node{data: lp, count: int32(listpack.Len(lp))})
}

// AppendPlain adds val as the last node, whatever its size. It takes val over.
func (l *Chunked) AppendPlain(val []byte) {
	l.appendNode(node{data: val, count: 1, plain: true})
}

func (l *Chunked) appendNode(n node) {
	if len(l.chunks) == 0 {
		l.insertNode(0, 0, n)
		return
	}
	last := len(l.chunks) - 1
	l.insertNode(last, len(l.chunks[last].nodes), n)
}

// At returns a cursor on the element with the given index; negative ones count
// from the end.
func (l *Chunked) At(index int) Cursor {
	if index < 0 {
		index += l.count
	}
	if index < 0 || index >= l.count {
		return Cursor{pos: -1}
	}
	ci, before := l.findChunk(index)
	ni, inNode := l.chunks[ci].findNode(index - before)
	c := Cursor{list: l, chunk: ci, node: ni}
	c.load()
	if !c.plain {
		c.pos = listpack.Seek(c.data, inNode)
	}
	return c
}

// findChunk returns the chunk that holds the element index, and how many
// elements stand before that chunk. The search starts from the nearer end.
func (l *Chunked) findChunk(index int) (ci, before int) {
	if index > l.count/2 {
		ci = len(l.chunks) - 1
		before = l.count - l.chunks[ci].count
		for index < before {
			ci--
			before -= l.chunks[ci].count
		}
		return ci, before
	}
	for index >= before+l.chunks[ci].count {
		before += l.chunks[ci].count
		ci++
	}
	return ci, before
}

// findNode returns the node that holds the chunk's element index, and the
// element's index in it.
func (c *chunk) findNode(index int) (ni, inNode int) {
	if index > c.count/2 {
		ni = len(c.nodes) - 1
		before := c.count - int(c.nodes[ni].count)
		for index < before {
			ni--
			before -= int(c.nodes[ni].count)
		}
		return ni, index - before
	}
	for index >= int(c.nodes[ni].count) {
		index -= int(c.nodes[ni].count)
		ni++
	}
	return ni, index
}

// ownDirectory makes the slice of chunks ours to change.
func (l *Chunked) ownDirectory() {
	if l.dirGen != l.gen {
		l.chunks = slices.Clone(l.chunks)
		l.dirGen = l.gen
	}
}

// ownChunk makes the slice of nodes of a chunk ours to change.
func (l *Chunked) ownChunk(ci int) *chunk {
	c := l.chunks[ci]
	if c.gen == l.gen {
		return c
	}
	l.ownDirectory()
	c = &chunk{nodes: slices.Clone(c.nodes), count: c.count, gen: l.gen}
	l.chunks[ci] = c
	return c
}

// edit changes the listpack of a node of an own chunk by f, which returns the
// result as the functions of package listpack do; added is the change of the
// number of elements. room is how many bytes f may add.
//
// It grows by doubling up to the size of a full listpack: an append of its own
// would leave more unused.
func (l *Chunked) edit(c *chunk, ni, room, added int, f func(lp []byte) []byte) {
	n := &c.nodes[ni]
	l.bytes -= cap(n.data)
	need := len(n.data) + room
	if n.gen != l.gen || cap(n.data) < need {
		size := need
		if room > 0 {
			size = max(need, min(2*need, l.maxSize))
		}
		grown := make([]byte, len(n.data), size)
		copy(grown, n.data)
		n.data, n.gen = grown, l.gen
	}
	n.data = f(n.data)
	n.count += int32(added)
	c.count += added
	l.count += added
	l.bytes += cap(n.data)
}

// insertNode puts n before node ni of chunk ci, splitting a full chunk, and
// returns where it is now.
func (l *Chunked) insertNode(ci, ni int, n node) (atChunk, atNode int) {
	n.gen = l.gen
	if ci < len(l.chunks) && len(l.chunks[ci].nodes) >= chunkNodesMax {
		ci, ni = l.splitChunk(ci, ni)
	}
	if ci == len(l.chunks) {
		l.ownDirectory()
		l.chunks = append(l.chunks, &chunk{gen: l.gen})
	}
	c := l.ownChunk(ci)
	c.nodes = slices.Insert(c.nodes, ni, n)
	c.count += int(n.count)
	l.count += int(n.count)
	l.bytes += cap(n.data)
	return ci, ni
}

// splitChunk makes room in the full chunk ci for a node before ni, and returns
// where it goes now. At an end of the chunk a new chunk is opened rather than
// two half full ones left, so that lists that grow at their ends stay dense.
func (l *Chunked) splitChunk(ci, ni int) (newChunk, newNode int) {
	l.ownDirectory()
	old := l.chunks[ci]
	switch {
	case ni == len(old.nodes):
		l.chunks = slices.Insert(l.chunks, ci+1, &chunk{gen: l.gen})
		return ci + 1, 0
	case ni == 0:
		l.chunks = slices.Insert(l.chunks, ci, &chunk{gen: l.gen})
		return ci, 0
	}
	half := len(old.nodes) / 2
	head := &chunk{nodes: slices.Clone(old.nodes[:half]), gen: l.gen}
	tail := &chunk{nodes: slices.Clone(old.nodes[half:]), gen: l.gen}
	for i := range head.nodes {
		head.count += int(head.nodes[i].count)
	}
	tail.count = old.count - head.count
	l.chunks[ci] = head
	l.chunks = slices.Insert(l.chunks, ci+1, tail)
	if ni > half {
		return ci + 1, ni - half
	}
	return ci, ni
}

// removeNode takes a node out of a chunk, and the chunk out of the list if it was
// the last one.
func (l *Chunked) removeNode(ci, ni int) {
	c := l.ownChunk(ci)
	n := &c.nodes[ni]
	c.count -= int(n.count)
	l.count -= int(n.count)
	l.bytes -= cap(n.data)
	c.nodes = slices.Delete(c.nodes, ni, ni+1)
	if len(c.nodes) == 0 {
		l.ownDirectory()
		l.chunks = slices.Delete(l.chunks, ci, ci+1)
	}
}
