// Package tree keeps large ordered collections of byte strings, dense in
// memory and with a point-in-time copy at no cost.
//
// # Shape
//
// A tree is a B+ tree of (key, value) entries in byte order of their keys. The
// obvious way, a node or at least a pointer per entry, makes the garbage
// collector walk every entry of every large collection. Here a leaf holds some
// forty entries in one block of bytes (leaf.go), and an inner node knows of each
// child its lower bound and the number of entries below it, from which ranks
// follow (inner.go). So the collector sees a few pointers for a leaf, and an
// entry costs a few bytes beside its own.
//
// # Copies
//
// [Tree.Freeze] must not take time in proportion to the tree, and the copy is
// read by another goroutine while the tree is changed. Both trees then share
// all nodes, and a node that is shared is copied before it is changed:
//
//   - every node carries the mark of the tree that made it; a tree changes only
//     nodes that carry its present mark;
//   - Freeze gives the tree and its copy a new mark each, so that from then on
//     neither may change any of the nodes that they share;
//   - a change first makes the whole path from the root to its leaf the tree's
//     own ([Tree.own]), the counts of entries on the way included.
//
// So after Freeze each changed leaf is copied once, with the inner nodes above
// it that are not yet the tree's own, and an untouched tree costs nothing.
package tree

import "unsafe"

// Tree is an ordered collection of entries with distinct keys. Key and value may
// be any bytes, the empty key too; a single entry may be as large as memory.
//
// Slices that a Tree or an Iter returns alias its pages: they are read only, and
// valid until the next change of the tree. Slices handed in are copied.
//
// A Tree is not safe for concurrent use, except that any number of goroutines
// may read it while none changes it, and that a tree and its frozen copies are
// independent of each other.
type Tree struct {
	root *node
	mark *mark
	n    int // entries
	mem  int // bytes held by the nodes, shared ones included
}

// mark is an identity. It is not empty, for distinct variables of size zero may
// share an address.
type mark struct{ _ byte }

// node is a leaf if in is nil, and an inner node otherwise.
type node struct {
	mark *mark
	in   *inner
	leaf
}

const (
	nodeBytes  = int(unsafe.Sizeof(node{}))
	treeBytes  = int(unsafe.Sizeof(Tree{})) + int(unsafe.Sizeof(mark{}))
	innerBytes = int(unsafe.Sizeof(inner{}))

	// kidsMax is the largest number of children of an inner node. Smaller means
	// deeper; larger means more to copy after a Freeze.
	kidsMax = 64

	// depthMax is the largest number of levels. Merging leaves nodes at least an
	// eighth full on average, so this suffices for more entries than fit in memory.
	depthMax = 16
)

// New returns an empty tree.
func New() *Tree {
	t := &Tree{mark: new(mark)}
	t.clear()
	return t
}

func (t *Tree) clear() {
	t.root = &node{mark: t.mark}
	t.n = 0
	t.mem = treeBytes + nodeBytes
}

// Len returns the number of entries.
func (t *Tree) Len() int { return t.n }

// MemBytes returns the number of bytes that the tree holds, without what only
// its frozen copies still hold. It takes constant time.
func (t *Tree) MemBytes() int { return t.mem }

// Freeze returns a copy of the tree as it is now, in constant time. Afterwards
// the tree and the copy may be read and changed by different goroutines. Others
// may read the tree meanwhile: only changes look at its mark.
func (t *Tree) Freeze() *Tree {
	frozen := *t
	frozen.mark, t.mark = new(mark), new(mark)
	return &frozen
}

// path is the way from the root to a leaf: for each inner node the child taken.
type path struct {
	depth int // inner nodes on the way
	at    [depthMax]step
}

type step struct {
	n *node // an inner node
	i int   // index of the child taken
}

// find returns the leaf where key is or would be, and its index there.
func (t *Tree) find(key []byte) (leaf *node, i int, found bool) {
	n, head := t.root, headOf(key)
	for n.in != nil {
		n = n.in.kids[n.in.find(head, key)]
	}
	i, found = n.search(key)
	return n, i, found
}

// findPath is find for changes: it also notes the way.
func (t *Tree) findPath(key []byte, p *path) (leaf *node, i int, found bool) {
	n, head := t.root, headOf(key)
	for n.in != nil {
		k := n.in.find(head, key)
		p.push(n, k)
		n = n.in.kids[k]
	}
	i, found = n.search(key)
	return n, i, found
}

func (p *path) push(n *node, i int) {
	p.at[p.depth] = step{n, i}
	p.depth++
}

// Get returns the value of key.
func (t *Tree) Get(key []byte) (value []byte, ok bool) {
	leaf, i, found := t.find(key)
	if !found {
		return nil, false
	}
	return leaf.value(i), true
}

// Has reports whether there is an entry with key.
func (t *Tree) Has(key []byte) bool {
	_, _, found := t.find(key)
	return found
}

// Put sets the value of key, and reports whether the key is new. Keys that come
// in ascending or descending order fill their leaves: sorted input makes a
// compact tree.
func (t *Tree) Put(key, value []byte) (added bool) {
	var p path
	_, i, found := t.findPath(key, &p)
	leaf := t.own(&p)
	if found && leaf.replace(i, value) {
		return false
	}
	if found {
		t.remove(leaf, i)
		p.add(-1)
		t.n--
	}
	t.n++
	for size := entrySize(key, value); !leaf.fits(size); {
		if t.makeRoom(&p, leaf, i, key, value) {
			return !found
		}
		p.depth = 0
		_, i, _ = t.findPath(key, &p)
		leaf = t.own(&p)
	}
	t.fill(leaf, i, key, value)
	p.add(1)
	return !found
}

// fill adds an entry to a leaf where it fits.
func (t *Tree) fill(leaf *node, i int, key, value []byte) {
	t.mem += leaf.reserve(entrySize(key, value))
	leaf.insert(i, key, value)
}

// Delete removes key, and reports whether it was there.
func (t *Tree) Delete(key []byte) bool {
	var p path
	_, i, found := t.findPath(key, &p)
	if !found {
		return false
	}
	leaf := t.own(&p)
	t.remove(leaf, i)
	p.add(-1)
	t.n--
	t.join(&p)
	return true
}

// remove takes entry i out of a leaf, and nothing else.
func (t *Tree) remove(leaf *node, i int) {
	leaf.remove(i, i+1)
	t.mem += leaf.trim()
}

// add changes the counts on the way to a leaf.
func (p *path) add(n int) {
	for _, s := range p.at[:p.depth] {
		s.n.in.counts[s.i] += n
	}
}

// own makes all nodes of p the tree's own, and returns the leaf.
func (t *Tree) own(p *path) *node {
	t.root = t.owned(t.root)
	n := t.root
	for d := range p.depth {
		p.at[d].n = n
		kid := &n.in.kids[p.at[d].i]
		*kid = t.owned(*kid)
		n = *kid
	}
	return n
}

// owned returns n, or a copy of it if n may be shared.
func (t *Tree) owned(n *node) *node {
	if n.mark == t.mark {
		return n
	}
	t.mem -= n.bytes()
	c := &node{mark: t.mark}
	if n.in != nil {
		c.in = n.in.clone()
	} else {
		c.leaf = n.clone()
	}
	t.mem += c.bytes()
	return c
}

// count returns the number of entries below n.
func (n *node) count() int {
	if n.in == nil {
		return n.n
	}
	sum := 0
	for _, c := range n.in.counts {
		sum += c
	}
	return sum
}

// bytes returns the memory that n itself holds.
func (n *node) bytes() int {
	if n.in == nil {
		return nodeBytes + cap(n.page)
	}
	return nodeBytes + n.in.bytes()
}

// forget takes the memory of n and of all below it out of the account.
func (t *Tree) forget(n *node) {
	t.mem -= n.bytes()
	if n.in == nil {
		return
	}
	for _, kid := range n.in.kids {
		t.forget(kid)
	}
}
