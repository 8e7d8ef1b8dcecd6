package tree

// Rank returns the number of entries with keys less than key, and whether there
// is one with key: its rank, then.
func (t *Tree) Rank(key []byte) (rank int, found bool) {
	n, head := t.root, headOf(key)
	for n.in != nil {
		k := n.in.find(head, key)
		for _, c := range n.in.counts[:k] {
			rank += c
		}
		n = n.in.kids[k]
	}
	i, found := n.search(key)
	return rank + i, found
}

// At returns the entry with the given rank, which must be in [0, Len()).
func (t *Tree) At(rank int) (key, value []byte) {
	if rank < 0 || rank >= t.n {
		panic("tree: rank out of range")
	}
	n := t.root
	for n.in != nil {
		var k int
		k, rank = n.in.kidAt(rank)
		n = n.in.kids[k]
	}
	return n.key(rank), n.value(rank)
}

// kidAt returns the child that holds the entry with the given rank, and its rank
// below that child.
func (in *inner) kidAt(rank int) (k, below int) {
	for rank >= in.counts[k] {
		rank -= in.counts[k]
		k++
	}
	return k, rank
}

// DeleteRange removes the entries with ranks in [from, to), which must be within
// [0, Len()]. It takes time in proportion to the leaves removed, not the entries.
func (t *Tree) DeleteRange(from, to int) {
	if from < 0 || to > t.n || from > to {
		panic("tree: range out of range")
	}
	if from == to {
		return
	}
	if to-from == t.n {
		t.clear()
		return
	}
	t.root = t.owned(t.root)
	t.cut(t.root, from, to)
	t.n -= to - from
	t.lowerRoot()
}

// cut removes the entries [from, to) below n, some but not all of them. n is the
// tree's own.
func (t *Tree) cut(n *node, from, to int) {
	if n.in == nil {
		n.remove(from, to)
		t.mem += n.trim()
		return
	}
	in, base, i := n.in, 0, 0
	for base+in.counts[i] <= from {
		base += in.counts[i]
		i++
	}
	if from > base {
		end := base + in.counts[i]
		t.cutKid(n, i, from-base, min(to, end)-base)
		base = end
		i++
	}
	whole := i
	for whole < len(in.kids) && base+in.counts[whole] <= to {
		base += in.counts[whole]
		t.forget(in.kids[whole])
		whole++
	}
	if whole < len(in.kids) && base < to {
		t.cutKid(n, whole, 0, to-base)
	}
	t.dropKids(n, i, whole)
	// What is left of the first and the last child now meets at i.
	if i < len(in.kids) {
		t.joinKid(n, i)
	}
	if i > 0 {
		t.joinKid(n, i-1)
	}
}

func (t *Tree) cutKid(n *node, i, from, to int) {
	kid := t.owned(n.in.kids[i])
	n.in.kids[i] = kid
	t.cut(kid, from, to)
	n.in.counts[i] -= to - from
}
