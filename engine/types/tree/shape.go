package tree

// makeRoom splits a leaf where an entry for index i does not fit. Either it
// places the entry itself, in a leaf of its own, and returns true; or it leaves
// two leaves that are smaller than the one before, for another try.
//
// Entries get a leaf of their own if they are large, so that no other entry is
// moved together with them, and at both ends of the tree, so that sorted input
// leaves full leaves behind.
func (t *Tree) makeRoom(p *path, leaf *node, i int, key, value []byte) (placed bool) {
	alone := entrySize(key, value) >= largeEntry || leaf.n == 1 || p.atEnd() && i == leaf.n || p.atStart() && i == 0
	switch {
	case alone && i == leaf.n:
		kid := t.newLeaf(leaf.take(0, 0))
		t.fill(kid, 0, key, value)
		t.adopt(p, boundBetween(leaf.key(i-1), key), kid)
		return true
	case alone && i == 0:
		kid := t.newLeaf(leaf.leaf)
		t.mem -= cap(leaf.page)
		leaf.leaf = kid.take(0, 0)
		t.mem += cap(leaf.page)
		t.fill(leaf, 0, key, value)
		t.adopt(p, boundBetween(key, kid.key(0)), kid)
		return true
	case alone:
		t.splitLeaf(p, leaf, i)
	default:
		t.splitLeaf(p, leaf, leaf.middle())
	}
	return false
}

// atStart and atEnd report whether p leads to the first or the last leaf.
func (p *path) atStart() bool {
	for _, s := range p.at[:p.depth] {
		if s.i != 0 {
			return false
		}
	}
	return true
}

func (p *path) atEnd() bool {
	for _, s := range p.at[:p.depth] {
		if s.i != len(s.n.in.kids)-1 {
			return false
		}
	}
	return true
}

// middle returns the index, neither 0 nor n, that halves the bytes of a leaf of
// two or more entries best.
func (l *leaf) middle() int {
	i := 1
	for i < l.n-1 && l.start(i)+l.start(i+1) < l.used {
		i++
	}
	return i
}

func (t *Tree) newLeaf(l leaf) *node {
	n := &node{mark: t.mark, leaf: l}
	t.mem += n.bytes()
	return n
}

// splitLeaf moves the entries from i on to a new leaf.
func (t *Tree) splitLeaf(p *path, leaf *node, i int) {
	kid := t.newLeaf(leaf.take(i, leaf.n))
	leaf.remove(i, leaf.n)
	t.mem += leaf.resize(leaf.used + leaf.n*slotBytes)
	t.adopt(p, boundBetween(leaf.key(i-1), kid.key(0)), kid)
}

// adopt makes kid, whose lower bound is bound, the right neighbour of the leaf
// that p leads to, and sets the counts on the way anew. p is of no use
// afterwards.
func (t *Tree) adopt(p *path, bound string, kid *node) {
	for d := p.depth - 1; d >= 0; d-- {
		n, i := p.at[d].n, p.at[d].i
		n.in.counts[i] = n.in.kids[i].count()
		if kid == nil {
			continue
		}
		t.mem -= n.bytes()
		n.in.insert(i+1, bound, kid)
		kid = nil
		if len(n.in.kids) > kidsMax {
			kid, bound = t.splitInner(n, i)
		}
		t.mem += n.bytes()
	}
	if kid == nil {
		return
	}
	root := &node{mark: t.mark, in: new(inner)}
	root.in.insert(0, "", t.root)
	root.in.insert(1, bound, kid)
	t.root = root
	t.mem += root.bytes()
}

// splitInner moves the right part of an overfull node's children, of which the
// newest is at i+1, to a new node, and returns it with its lower bound. It
// accounts for the new node only.
func (t *Tree) splitInner(n *node, i int) (right *node, bound string) {
	in, half := n.in, len(n.in.kids)/2
	if i+2 == len(in.kids) {
		half = len(in.kids) - 1 // sorted input: leave a full node behind
	}
	bound = in.bounds[half]
	right = &node{mark: t.mark, in: in.take(half, len(in.kids))}
	in.remove(half, len(in.kids))
	t.mem += right.bytes()
	return right, bound
}

// join mends the way to a leaf that lost an entry: nodes that became empty are
// dropped, small ones joined with a neighbour.
func (t *Tree) join(p *path) {
	for d := p.depth - 1; d >= 0; d-- {
		if !t.joinKid(p.at[d].n, p.at[d].i) {
			break
		}
	}
	t.lowerRoot()
}

// lowerRoot drops root nodes that lead to a single child.
func (t *Tree) lowerRoot() {
	for t.root.in != nil && len(t.root.in.kids) <= 1 {
		if len(t.root.in.kids) == 0 {
			t.clear()
			return
		}
		t.mem -= t.root.bytes()
		t.root = t.root.in.kids[0]
	}
}

// joinKid drops child i of n, which is the tree's own, if it is empty, or joins
// it with a neighbour if it is small. It reports whether n has fewer children
// now.
func (t *Tree) joinKid(n *node, i int) bool {
	in := n.in
	if in.kids[i].empty() {
		t.mem -= in.kids[i].bytes()
		t.dropKids(n, i, i+1)
		return true
	}
	if !in.kids[i].small() {
		return false
	}
	for _, left := range [2]int{i, i - 1} {
		if left >= 0 && left+1 < len(in.kids) && in.kids[left].joinable(in.kids[left+1]) {
			t.joinRight(n, left)
			return true
		}
	}
	return false
}

// joinRight moves all of child i+1 of n to child i.
func (t *Tree) joinRight(n *node, i int) {
	in := n.in
	left, right := t.owned(in.kids[i]), in.kids[i+1]
	in.kids[i] = left
	t.mem -= left.bytes() + right.bytes()
	if left.in != nil {
		left.in.extend(in.bounds[i+1], right.in)
	} else {
		left.resize(left.used + right.used + (left.n+right.n)*slotBytes)
		left.extend(&right.leaf)
	}
	t.mem += left.bytes()
	in.counts[i] += in.counts[i+1]
	t.dropKids(n, i+1, i+2)
}

// dropKids removes the children [from, to) of n, whose own memory is accounted
// for already.
func (t *Tree) dropKids(n *node, from, to int) {
	t.mem -= n.bytes()
	n.in.remove(from, to)
	t.mem += n.bytes()
}

func (n *node) empty() bool {
	if n.in == nil {
		return n.n == 0
	}
	return len(n.in.kids) == 0
}

func (n *node) small() bool {
	if n.in == nil {
		return n.used+n.n*slotBytes < pageLow
	}
	return len(n.in.kids) < kidsMax/4
}

// joinable reports whether n and its right neighbour may become one node.
func (n *node) joinable(right *node) bool {
	if n.in == nil {
		return n.used+right.used+(n.n+right.n)*slotBytes <= pageJoined
	}
	return len(n.in.kids)+len(right.in.kids) <= kidsMax*3/4
}
