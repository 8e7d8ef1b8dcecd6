package list

import (
	"bytes"
	"slices"

	"github.com/quorate/quorate/engine/types/listpack"
)

// overhead is the most that an element takes beside its text where that fits a
// listpack: two or five bytes of head and up to four of back length.
const overhead = 9

// tooLarge reports whether val gets a plain node of its own.
func (l *Chunked) tooLarge(val []byte) bool {
	return listpack.EmptySize+overhead+len(val) > l.maxSize
}

// fits reports whether val may be added to the node.
func (l *Chunked) fits(n *node, val []byte) bool {
	return !n.plain && int(n.count) < l.maxLen && len(n.data)+overhead+len(val) <= l.maxSize
}

// newNode returns a node of val alone.
func (l *Chunked) newNode(val []byte) node {
	if l.tooLarge(val) {
		return node{data: bytes.Clone(val), count: 1, plain: true}
	}
	return node{data: listpack.Append(listpack.New(listpack.EmptySize+listpack.Size(val)), val), count: 1}
}

// PushFront adds val as the first element.
func (l *Chunked) PushFront(val []byte) {
	l.joined.Note('f', 0, val, nil)
	if l.count == 0 || !l.fits(&l.chunks[0].nodes[0], val) {
		l.insertNode(0, 0, l.newNode(val))
		return
	}
	l.edit(l.ownChunk(0), 0, overhead+len(val), 1, func(lp []byte) []byte {
		return listpack.Prepend(lp, val)
	})
}

// PushBack adds val as the last element.
func (l *Chunked) PushBack(val []byte) {
	l.joined.Note('b', 0, val, nil)
	if l.count == 0 {
		l.appendNode(l.newNode(val))
		return
	}
	ci := len(l.chunks) - 1
	ni := len(l.chunks[ci].nodes) - 1
	if !l.fits(&l.chunks[ci].nodes[ni], val) {
		l.appendNode(l.newNode(val))
		return
	}
	l.edit(l.ownChunk(ci), ni, overhead+len(val), 1, func(lp []byte) []byte {
		return listpack.Append(lp, val)
	})
}

// Set replaces the element with the given index, negative from the end, and
// reports whether there is one.
func (l *Chunked) Set(index int, val []byte) bool {
	at := l.At(index)
	if !at.Valid() {
		return false
	}
	if index < 0 {
		index += l.count
	}
	l.joined.Note('s', uint64(index), val, nil)
	if l.fitsInPlace(at, val) {
		l.edit(l.ownChunk(at.chunk), at.node, overhead+len(val), 0, func(lp []byte) []byte {
			return listpack.Replace(lp, at.pos, val)
		})
		return true
	}
	l.insert(at, val, false)
	l.Delete(index+1, 1)
	return true
}

// fitsInPlace reports whether val may take the place of the element under the
// cursor in its node.
func (l *Chunked) fitsInPlace(at Cursor, val []byte) bool {
	if at.plain {
		return false
	}
	var buf [20]byte
	freed := listpack.Size(at.Text(buf[:]))
	return len(at.data)-freed+listpack.Size(val) <= l.maxSize
}

// insertBeside is insert at the first element that is pivot.
func (l *Chunked) insertBeside(at Cursor, pivot, val []byte, after bool) {
	side := byte('<')
	if after {
		side = '>'
	}
	l.joined.Note(side, uint64(l.count), pivot, val)
	l.insert(at, val, after)
}

// insert adds val before or after the element under the cursor.
func (l *Chunked) insert(at Cursor, val []byte, after bool) {
	n := &l.chunks[at.chunk].nodes[at.node]
	if !l.fits(n, val) {
		l.insertBetween(at, val, after)
		return
	}
	l.edit(l.ownChunk(at.chunk), at.node, overhead+len(val), 1, func(lp []byte) []byte {
		if after {
			return listpack.InsertAfter(lp, at.pos, val)
		}
		return listpack.InsertBefore(lp, at.pos, val)
	})
}

// insertBetween adds val beside the element under the cursor where it does not
// fit into that element's node: the node is split there if need be, and val goes
// into a neighbour with room or gets a node of its own.
func (l *Chunked) insertBetween(at Cursor, val []byte, after bool) {
	n := &l.chunks[at.chunk].nodes[at.node]
	split := at.pos // in n: what stands from here on follows val
	if after {
		split = len(n.data) - 1
		if !n.plain {
			if next := listpack.Next(n.data, at.pos); next >= 0 {
				split = next
			}
		}
	}
	switch {
	case n.plain && !after, !n.plain && split == listpack.First(n.data):
		l.insertNode(at.chunk, at.node, l.newNode(val))
		return
	case n.plain, split == len(n.data)-1:
		l.insertNode(at.chunk, at.node+1, l.newNode(val))
		return
	}
	c := l.ownChunk(at.chunk)
	var tail node
	l.edit(c, at.node, 0, 0, func(lp []byte) []byte {
		lp, tail.data = listpack.Split(lp, split)
		return lp
	})
	tail.count = int32(listpack.Len(tail.data))
	n = &c.nodes[at.node]
	n.count -= tail.count
	c.count -= int(tail.count)
	l.count -= int(tail.count)
	if l.fits(n, val) {
		l.edit(c, at.node, overhead+len(val), 1, func(lp []byte) []byte {
			return listpack.Append(lp, val)
		})
		l.insertNode(at.chunk, at.node+1, tail)
		return
	}
	ci, ni := l.insertNode(at.chunk, at.node+1, tail)
	l.insertNode(ci, ni, l.newNode(val))
}

// Delete removes n elements from index on. They must exist.
func (l *Chunked) Delete(index, n int) {
	l.noteDelete(index, n)
	for n > 0 {
		ci, before := l.findChunk(index)
		ni, inNode := l.chunks[ci].findNode(index - before)
		count := int(l.chunks[ci].nodes[ni].count)
		k := min(n, count-inNode)
		if k == count {
			l.removeNode(ci, ni)
		} else {
			l.edit(l.ownChunk(ci), ni, 0, -k, func(lp []byte) []byte {
				return listpack.DeleteRange(lp, inNode, k)
			})
			l.mergeNode(ci, ni)
		}
		n -= k
	}
}

// Remove deletes elements that are val and returns how many: the first count, or
// the last -count, or all if count is 0.
func (l *Chunked) Remove(val []byte, count int) int {
	if count < 0 {
		return l.removeLast(val, -count)
	}
	removed, index := 0, 0
	for at := l.At(0); at.Valid() && (removed < count || count == 0); {
		if !at.Equal(val) {
			at.Next()
			index++
			continue
		}
		l.Delete(index, 1)
		removed++
		at = l.At(index)
	}
	return removed
}

func (l *Chunked) removeLast(val []byte, count int) int {
	removed, index := 0, l.count-1
	for at := l.At(-1); at.Valid() && removed < count; index-- {
		if !at.Equal(val) {
			at.Prev()
			continue
		}
		l.Delete(index, 1)
		removed++
		if index == 0 {
			break
		}
		at = l.At(index - 1)
	}
	return removed
}

// noteDelete mixes what is about to be deleted: where, and the first element, which
// tells of a list that is not what it should be.
func (l *Chunked) noteDelete(index, n int) {
	if l.joined == nil || n <= 0 {
		return
	}
	var buf [20]byte
	at := l.At(index)
	l.joined.Note('d', uint64(index), at.Text(buf[:]), nil)
	l.joined.Words('n', uint64(n))
}

// mergeNode joins a node that lost elements with a neighbour in its chunk if both
// together fill half a listpack at most, and its chunk with the next likewise: so
// deletions in the middle leave no trail of tiny nodes.
func (l *Chunked) mergeNode(ci, ni int) {
	c := l.chunks[ci]
	first := -1
	switch {
	case ni+1 < len(c.nodes) && l.mergeable(&c.nodes[ni], &c.nodes[ni+1]):
		first = ni
	case ni > 0 && l.mergeable(&c.nodes[ni-1], &c.nodes[ni]):
		first = ni - 1
	default:
		return
	}
	c = l.ownChunk(ci)
	second := c.nodes[first+1]
	l.removeNode(ci, first+1)
	l.edit(c, first, len(second.data), int(second.count), func(lp []byte) []byte {
		return listpack.Concat(lp, second.data)
	})
	l.mergeChunk(ci)
}

func (l *Chunked) mergeable(a, b *node) bool {
	return !a.plain && !b.plain && len(a.data)+len(b.data) <= l.maxSize/2 && int(a.count+b.count) <= l.maxLen
}

func (l *Chunked) mergeChunk(ci int) {
	if ci+1 >= len(l.chunks) || len(l.chunks[ci].nodes)+len(l.chunks[ci+1].nodes) > chunkNodesMax/2 {
		return
	}
	c, next := l.ownChunk(ci), l.chunks[ci+1]
	c.nodes = append(c.nodes, next.nodes...)
	c.count += next.count
	l.ownDirectory()
	l.chunks = slices.Delete(l.chunks, ci+1, ci+2)
}
