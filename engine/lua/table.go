package lua

import (
	"math"
	"math/bits"
)

// Table is Lua's associative array: an array part for keys 1..len(array), a hash part for the rest.
//
// The sizes of both parts, the hash functions and the way collisions are chained are those of the
// reference implementation, because scripts see them: they decide the order of pairs and which of
// several borders # finds. A key that is set to nil keeps its node until the next rehash, so a table
// may be emptied while it is traversed.
//
// Invariant: len(nodes) is a power of two or zero; every used node is on the chain that begins at
// the main position of its key.
type Table struct {
	vm       *VM // pays for growth and for long chains
	meta     *Table
	array    []Value
	nodes    []node
	free     int // nodes at or above it are taken
	id       uint32
	readonly bool
}

type node struct {
	key, val Value
	next     int32 // index of the next node of the chain plus one; 0 ends it
}

const (
	valueBytes = 24
	nodeBytes  = 56
	tableBytes = 112

	maxArrayBits = 26 // of the array part
	freeChain    = 8  // links of a chain that are walked without charge
)

// NewTable returns an empty table with room for the given numbers of array and hash elements.
func (vm *VM) NewTable(array, hash int) *Table {
	vm.chargeBytes(tableBytes)
	t := &Table{vm: vm}
	if array > 0 {
		t.setArraySize(array)
	}
	if hash > 0 {
		t.setNodeSize(hash)
	}
	return t
}

// Value returns the table as a value.
func (t *Table) Value() Value { return Value{o: t} }

// Constant returns a string that machines may share.
func Constant(s string) Value { return Value{o: constant(s)} }

// identity returns the number that stands for an object's address.
func (vm *VM) identity(id *uint32) uint32 {
	if *id == 0 {
		vm.lastID++
		*id = vm.lastID
	}
	return *id
}

// mainPosition returns the index of the node where the key belongs. The table has nodes.
func (t *Table) mainPosition(key Value) int {
	switch o := key.o.(type) {
	case *Str:
		return int(o.hash()) & (len(t.nodes) - 1)
	case *numberTag:
		if key.n == 0 {
			return 0
		}
		b := math.Float64bits(key.n)
		return t.modulo(uint32(b) + uint32(b>>32))
	case *boolTag:
		return int(key.n) & (len(t.nodes) - 1)
	case *Table:
		return t.modulo(t.vm.identity(&o.id) * 64)
	case *Function:
		return t.modulo(t.vm.identity(&o.id) * 64)
	case *coroutine:
		return t.modulo(t.vm.identity(&o.id) * 64)
	}
	return 0
}

func (t *Table) modulo(h uint32) int { return int(h % uint32((len(t.nodes)-1)|1)) }

// arrayIndex returns a number key as an integer, or -1 if it is none.
func arrayIndex(key Value) int {
	if _, ok := key.o.(*numberTag); ok {
		if i := int(key.n); float64(i) == key.n {
			return i
		}
	}
	return -1
}

// find returns the node of the key, or nil.
func (t *Table) find(key Value) *node {
	if len(t.nodes) == 0 {
		return nil
	}
	if s, ok := key.o.(*Str); ok {
		return t.findStr(s)
	}
	links := 0
	for i := t.mainPosition(key); i >= 0; {
		n := &t.nodes[i]
		if rawEqual(n.key, key) {
			return n
		}
		i = int(n.next) - 1
		if links++; links > freeChain {
			t.vm.steps--
		}
	}
	return nil
}

func (t *Table) findStr(key *Str) *node {
	if len(t.nodes) == 0 {
		return nil
	}
	h := key.hash()
	links := 0
	for i := int(h) & (len(t.nodes) - 1); i >= 0; {
		n := &t.nodes[i]
		if k, ok := n.key.o.(*Str); ok && (k == key || k.h == h && k.s == key.s) {
			return n
		}
		i = int(n.next) - 1
		if links++; links > freeChain {
			t.vm.steps -= 1 + int64(len(key.s)>>6)
		}
	}
	return nil
}

// Get returns the value of a key, ignoring metatables.
func (t *Table) Get(key Value) Value {
	switch o := key.o.(type) {
	case *Str:
		return t.getStr(o)
	case *numberTag:
		if i := int(key.n); float64(i) == key.n {
			return t.GetInt(i)
		}
	case nil:
		return Value{}
	}
	if n := t.find(key); n != nil {
		return n.val
	}
	return Value{}
}

// GetInt returns the value of an integer key.
func (t *Table) GetInt(i int) Value {
	if uint(i-1) < uint(len(t.array)) {
		return t.array[i-1]
	}
	if len(t.nodes) == 0 {
		return Value{}
	}
	if n := t.find(Num(float64(i))); n != nil {
		return n.val
	}
	return Value{}
}

// GetText returns the value of a string key.
func (t *Table) GetText(key string) Value { return t.getStr(&Str{s: key}) }

func (t *Table) getStr(key *Str) Value {
	if n := t.findStr(key); n != nil {
		return n.val
	}
	return Value{}
}

// Set stores a value, ignoring metatables and protection. The key is neither nil nor NaN.
func (t *Table) Set(key, val Value) {
	if i := arrayIndex(key); uint(i-1) < uint(len(t.array)) {
		t.array[i-1] = val
		return
	}
	if n := t.find(key); n != nil {
		n.val = val
		return
	}
	t.insert(key, val)
}

// SetInt stores a value under an integer key.
func (t *Table) SetInt(i int, val Value) { t.Set(Num(float64(i)), val) }

// SetText stores a value under a string key.
func (t *Table) SetText(key string, val Value) { t.Set(Text(key), val) }

// insert adds a key that the table does not hold, even for nil: the node it takes decides about the
// next rehash, and so about order.
func (t *Table) insert(key, val Value) {
	if len(t.nodes) == 0 {
		t.rehash(key)
		t.Set(key, val)
		return
	}
	mp := t.mainPosition(key)
	if t.nodes[mp].val.o == nil {
		t.nodes[mp].key, t.nodes[mp].val = key, val
		return
	}
	f := t.freeNode()
	if f < 0 {
		t.rehash(key)
		t.Set(key, val)
		return
	}
	other := t.mainPosition(t.nodes[mp].key)
	if other == mp {
		// The occupant is at home: the new key goes to the free node, second on the chain.
		t.nodes[f] = node{key: key, val: val, next: t.nodes[mp].next}
		t.nodes[mp].next = int32(f) + 1
		return
	}
	// The occupant is a guest: it moves out.
	for int(t.nodes[other].next)-1 != mp {
		other = int(t.nodes[other].next) - 1
		t.vm.steps--
	}
	t.nodes[other].next = int32(f) + 1
	t.nodes[f] = t.nodes[mp]
	t.nodes[mp] = node{key: key, val: val}
}

// freeNode returns a node that never held a key since the last rehash, or -1.
func (t *Table) freeNode() int {
	for t.free > 0 {
		t.free--
		if t.nodes[t.free].key.o == nil {
			return t.free
		}
	}
	return -1
}

// rehash gives both parts the sizes that the present elements and one more key ask for: the array part
// is the largest power of two of which more than half would be used.
func (t *Table) rehash(extra Value) {
	var counts [maxArrayBits + 1]int // counts[i] is the number of keys in (2^(i-1), 2^i]
	inArray := t.countArray(&counts)
	total := inArray
	candidates := inArray
	for i := range t.nodes {
		if n := &t.nodes[i]; n.val.o != nil {
			candidates += countKey(n.key, &counts)
			total++
		}
	}
	candidates += countKey(extra, &counts)
	total++
	t.vm.steps -= int64(total)
	size, used := arraySize(&counts, candidates)
	t.resize(size, total-used)
}

func (t *Table) countArray(counts *[maxArrayBits + 1]int) int {
	used, i := 0, 1
	for lg, limit := 0, 1; lg <= maxArrayBits; lg, limit = lg+1, limit*2 {
		top := min(limit, len(t.array))
		if i > top {
			break
		}
		for ; i <= top; i++ {
			if t.array[i-1].o != nil {
				counts[lg]++
				used++
			}
		}
	}
	return used
}

func countKey(key Value, counts *[maxArrayBits + 1]int) int {
	if i := arrayIndex(key); 0 < i && i <= 1<<maxArrayBits {
		counts[bits.Len(uint(i-1))]++
		return 1
	}
	return 0
}

// arraySize returns the size of the array part and how many of the candidates it takes.
func arraySize(counts *[maxArrayBits + 1]int, candidates int) (size, used int) {
	sum := 0
	for i, limit := 0, 1; limit/2 < candidates && i <= maxArrayBits; i, limit = i+1, limit*2 {
		if counts[i] == 0 {
			continue
		}
		sum += counts[i]
		if sum > limit/2 {
			size, used = limit, sum
		}
		if sum == candidates {
			break
		}
	}
	return size, used
}

func (t *Table) resize(array, hash int) {
	oldNodes := t.nodes
	oldArray := t.array
	if array > len(oldArray) {
		t.setArraySize(array)
	}
	t.setNodeSize(hash)
	if array < len(oldArray) {
		t.array = oldArray[:array:array]
		for i := array; i < len(oldArray); i++ {
			if oldArray[i].o != nil {
				t.SetInt(i+1, oldArray[i])
			}
		}
	}
	for i := len(oldNodes) - 1; i >= 0; i-- {
		if n := &oldNodes[i]; n.val.o != nil {
			t.Set(n.key, n.val)
		}
	}
}

func (t *Table) setArraySize(n int) {
	t.vm.chargeBytes(n * valueBytes)
	array := make([]Value, n)
	copy(array, t.array)
	t.array = array
}

func (t *Table) setNodeSize(n int) {
	if n == 0 {
		t.nodes, t.free = nil, 0
		return
	}
	size := 1 << bits.Len(uint(n-1))
	t.vm.chargeBytes(size * nodeBytes)
	t.nodes = make([]node, size)
	t.free = size
}

// Len returns a border: a count n such that t[n] is not nil and t[n+1] is.
func (t *Table) Len() int {
	j := len(t.array)
	if j > 0 && t.array[j-1].o == nil {
		i := 0
		for j-i > 1 {
			if m := (i + j) / 2; t.array[m-1].o == nil {
				j = m
			} else {
				i = m
			}
		}
		return i
	}
	if len(t.nodes) == 0 {
		return j
	}
	i := j
	for j++; t.GetInt(j).o != nil; j *= 2 {
		i = j
		if j > math.MaxInt32/2 {
			return i // only a table built to defeat the search gets here
		}
	}
	for j-i > 1 {
		if m := (i + j) / 2; t.GetInt(m).o == nil {
			j = m
		} else {
			i = m
		}
	}
	return i
}

// Next returns the element after the given key, nil being before the first. ok is false when the key
// is not in the table; a nil key returned is the end.
func (t *Table) Next(key Value) (k, v Value, ok bool) {
	i := 0 // the position to look at next: the array, then the nodes
	if key.o != nil {
		if a := arrayIndex(key); uint(a-1) < uint(len(t.array)) {
			i = a
		} else {
			n := t.position(key)
			if n < 0 {
				return Value{}, Value{}, false
			}
			i = len(t.array) + n + 1
		}
	}
	from := i
	for ; i < len(t.array); i++ {
		if t.array[i].o != nil {
			t.vm.steps -= int64(i - from)
			return Num(float64(i + 1)), t.array[i], true
		}
	}
	for j := i - len(t.array); j < len(t.nodes); j++ {
		if n := &t.nodes[j]; n.val.o != nil {
			t.vm.steps -= int64(len(t.array) + j - from)
			return n.key, n.val, true
		}
	}
	t.vm.steps -= int64(len(t.array) + len(t.nodes) - from)
	return Value{}, Value{}, true
}

// position returns the index of the node that holds the key, or -1.
func (t *Table) position(key Value) int {
	if len(t.nodes) == 0 {
		return -1
	}
	for i := t.mainPosition(key); i >= 0; i = int(t.nodes[i].next) - 1 {
		if rawEqual(t.nodes[i].key, key) {
			return i
		}
	}
	return -1
}
