package tree

// Iter is a position in a tree. It is at an entry while Valid says so; a change
// of the tree ends its use.
//
//	for it := t.Seek(key); it.Valid(); it.Next() { ... }
type Iter struct {
	p    path
	leaf *node // nil when at no entry
	i    int
}

// Seek returns the position of the first entry whose key is not less than key.
func (t *Tree) Seek(key []byte) Iter {
	var it Iter
	it.leaf, it.i, _ = t.findPath(key, &it.p)
	if it.i == it.leaf.n {
		it.nextLeaf()
	}
	return it
}

// SeekRank returns the position of the entry with the given rank; outside of
// [0, Len()) it is not valid.
func (t *Tree) SeekRank(rank int) Iter {
	var it Iter
	if rank < 0 || rank >= t.n {
		return it
	}
	n := t.root
	for n.in != nil {
		var k int
		k, rank = n.in.kidAt(rank)
		it.p.push(n, k)
		n = n.in.kids[k]
	}
	it.leaf, it.i = n, rank
	return it
}

// Valid reports whether it is at an entry.
func (it *Iter) Valid() bool { return it.leaf != nil }

// Key returns the key of the entry, which must be there.
func (it *Iter) Key() []byte { return it.leaf.key(it.i) }

// Value returns the value of the entry, which must be there.
func (it *Iter) Value() []byte { return it.leaf.value(it.i) }

// Next goes to the next entry; after the last one it is not valid any more.
func (it *Iter) Next() {
	it.i++
	if it.i == it.leaf.n {
		it.nextLeaf()
	}
}

// Prev goes to the entry before; before the first one it is not valid any more.
func (it *Iter) Prev() {
	if it.i == 0 {
		it.prevLeaf()
		return
	}
	it.i--
}

func (it *Iter) nextLeaf() {
	for it.leaf = nil; it.p.depth > 0; it.p.depth-- {
		s := &it.p.at[it.p.depth-1]
		if s.i+1 == len(s.n.in.kids) {
			continue
		}
		s.i++
		n := s.n.in.kids[s.i]
		for n.in != nil {
			it.p.push(n, 0)
			n = n.in.kids[0]
		}
		it.leaf, it.i = n, 0
		return
	}
}

func (it *Iter) prevLeaf() {
	for it.leaf = nil; it.p.depth > 0; it.p.depth-- {
		s := &it.p.at[it.p.depth-1]
		if s.i == 0 {
			continue
		}
		s.i--
		n := s.n.in.kids[s.i]
		for n.in != nil {
			it.p.push(n, len(n.in.kids)-1)
			n = n.in.kids[len(n.in.kids)-1]
		}
		it.leaf, it.i = n, n.n-1
		return
	}
}
