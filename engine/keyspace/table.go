package keyspace

import "slices"

// A table finds records by the hash of their key: extendible hashing in hash order.
//
// The directory is indexed by the top depth bits of the hash; a segment of local depth d stands in 2^(depth-d)
// neighbouring places. A segment's words are sorted: tag << refBits | ref, the tag being 24 bits of the hash from
// bit shift on (from the top). A word's home is its place if hashes were spread evenly; it stands there or to the
// right of it, with no gap between.
//
// Growth: a full segment gets a larger array of slots, and at the largest splits in two. That moves about a thousand words,
// without looking at the records unless too few bits of the tags are left.
//
// Invariants: words are in ascending order; no empty slot between a word's home and the word; the last slot of a
// segment is empty; shift <= depth <= shift+tagSpent.
type table struct {
	dir      []*segment
	depth    uint8
	segments int
	slots    int // in all segments
}

type segment struct {
	slots []uint64
	homes uint32 // number of home places; the rest of slots takes overflow
	count int
	depth uint8
	shift uint8
}

const (
	tagBits = 64 - refBits
	tagMask = 1<<tagBits - 1
	// tagSpent is how many tag bits splits may use up before tags are read anew from the keys.
	tagSpent = 6
	depthMax = 64 - tagBits
	// dirSparse bounds the directory: at most so many places a segment. Beyond, segments grow instead of splitting.
	dirSparse = 16
)

// segmentLens are the lengths of segments' slots: multiples of 8 bytes that waste nothing in Go's size classes.
var segmentLens = [...]int{16, 32, 64, 128, 256, 384, 512, 608, 768, 1024, 1216}

func homesOf(slots int) int     { return slots - max(8, min(32, slots/8)) }
func countMax(homes uint32) int { return int(homes) * 7 / 8 }

func newTable() table {
	t := table{dir: make([]*segment, 1), segments: 1}
	t.dir[0] = new(segment)
	t.resize(t.dir[0], segmentLens[0])
	return t
}

func (t *table) segment(h uint64) *segment { return t.dir[h>>(64-t.depth)] }

func (t *table) bytes() int64 { return int64(t.slots)*8 + int64(len(t.dir))*8 + int64(t.segments)*48 }

func (g *segment) tag(h uint64) uint64 { return h << g.shift >> refBits }

func (g *segment) home(tag uint64) int {
	local := uint32(tag<<(g.depth-g.shift)) & tagMask
	return int(uint64(local) * uint64(g.homes) >> tagBits)
}

func refOf(word uint64) ref { return ref(word & (1<<refBits - 1)) }

// first returns the place of the first word whose tag is at least tag, or of the empty slot where it would be.
func (g *segment) first(tag uint64) int {
	i := g.home(tag)
	for g.slots[i] != 0 && g.slots[i]>>refBits < tag {
		i++
	}
	return i
}

// insert adds a word, if there is room.
func (g *segment) insert(tag uint64, r ref) bool {
	if g.count >= countMax(g.homes) {
		return false
	}
	i := g.home(tag)
	for g.slots[i] != 0 && g.slots[i]>>refBits <= tag {
		i++
	}
	end := i
	for g.slots[end] != 0 {
		end++
	}
	if end == len(g.slots)-1 {
		return false
	}
	copy(g.slots[i+1:end+1], g.slots[i:end])
	g.slots[i] = tag<<refBits | uint64(r)
	g.count++
	return true
}

// remove takes away the word at i, and moves those that were pushed away from home back by one.
func (g *segment) remove(i int) {
	end := i + 1
	for g.slots[end] != 0 && g.home(g.slots[end]>>refBits) < end {
		end++
	}
	copy(g.slots[i:end-1], g.slots[i+1:end])
	g.slots[end-1] = 0
	g.count--
}

// words appends the segment's words to dst, in order.
func (g *segment) words(dst []uint64) []uint64 {
	for _, w := range g.slots {
		if w != 0 {
			dst = append(dst, w)
		}
	}
	return dst
}

// fill gives g the words, in order, in n slots or a few more.
func (g *segment) fill(words []uint64, n int) {
	g.slots = make([]uint64, n)
	g.homes = uint32(homesOf(n))
	g.count = len(words)
	next := 0
	for _, w := range words {
		next = max(next, g.home(w>>refBits))
		if next >= len(g.slots)-1 {
			g.slots = append(g.slots, make([]uint64, 32)...)
		}
		g.slots[next] = w
		next++
	}
}

// resize gives the segment n slots.
func (t *table) resize(g *segment, n int) {
	var buf [1216]uint64
	words := g.words(buf[:0])
	t.slots -= len(g.slots)
	g.fill(words, n)
	t.slots += len(g.slots)
}

// grow makes room in the segment of h. hash returns the hash of a record's key.
func (t *table) grow(h uint64, hash func(ref) uint64) {
	g := t.segment(h)
	for _, n := range segmentLens {
		if n > len(g.slots) {
			t.resize(g, n)
			return
		}
	}
	if g.depth == depthMax || g.depth == t.depth && len(t.dir) > dirSparse*t.segments {
		t.resize(g, len(g.slots)*3/2)
		return
	}
	t.split(h, hash)
}

// shrink gives back slots of a segment that has become nearly empty.
func (t *table) shrink(g *segment) {
	if g.count*4 > int(g.homes) || len(g.slots) <= segmentLens[0] {
		return
	}
	t.resize(g, lenFor(g.count*2))
}

// lenFor returns the smallest length of slots with room for count words.
func lenFor(count int) int {
	for _, n := range segmentLens {
		if count <= countMax(uint32(homesOf(n))) {
			return n
		}
	}
	return count * 3 / 2
}

// split divides the segment of h by its next hash bit.
func (t *table) split(h uint64, hash func(ref) uint64) {
	if t.segment(h).depth == t.depth {
		t.doubleDirectory()
	}
	old := t.segment(h)
	var buf [2048]uint64
	words := old.words(buf[:0])
	shift := old.shift
	if old.depth+1 > old.shift+tagSpent {
		shift = old.depth
		for i, w := range words {
			r := refOf(w)
			words[i] = hash(r)<<shift>>refBits<<refBits | uint64(r)
		}
		slices.Sort(words)
	}
	bit := uint64(1) << (tagBits - 1 - (old.depth - shift)) << refBits
	middle, _ := slices.BinarySearchFunc(words, bit, func(w, bit uint64) int {
		if w&bit == 0 {
			return -1
		}
		return 1
	})
	low := &segment{depth: old.depth + 1, shift: shift}
	high := &segment{depth: old.depth + 1, shift: shift}
	low.fill(words[:middle], lenFor(middle+middle/8))
	high.fill(words[middle:], lenFor((len(words)-middle)*9/8))
	t.slots += len(low.slots) + len(high.slots) - len(old.slots)
	t.segments++

	span := 1 << (t.depth - old.depth)
	from := int(h>>(64-t.depth)) &^ (span - 1)
	for i := range span / 2 {
		t.dir[from+i] = low
		t.dir[from+span/2+i] = high
	}
}

func (t *table) doubleDirectory() {
	dir := make([]*segment, 2*len(t.dir))
	for i, g := range t.dir {
		dir[2*i], dir[2*i+1] = g, g
	}
	t.dir = dir
	t.depth++
}

// end returns the first hash above the segment of h, and false if that is beyond the last.
func (t *table) end(h uint64) (uint64, bool) {
	size := uint64(1) << (64 - t.segment(h).depth) // 0 for depth 0
	next := h&^(size-1) + size
	return next, next != 0
}
