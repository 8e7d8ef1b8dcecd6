package rdb

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/intset"
	"github.com/quorate/quorate/engine/types/list"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/types/set"
	"github.com/quorate/quorate/engine/types/zset"
)

// Build says how values are built.
type Build struct {
	// Seed orders large collections.
	Seed seed.Seed
	// Settings holds the limits of the small forms.
	Settings call.Settings
	// Derive chooses the form of hashes, sets and sorted sets by the limits, as
	// redis-server does when it loads. Without it the file's type decides where it
	// says which form the value had.
	Derive bool
}

// errEmpty is returned for a collection without elements.
var errEmpty = fmt.Errorf("%w: empty collection", ErrCorrupt)

// decoder reads values.
type decoder struct {
	source
	build Build

	text, text2 []byte // elements, while they are read
	block       []byte // a packed value
}

// value reads a value of the given type. Packed is valid until the next call.
func (d *decoder) value(valueType byte) (keyspace.Value, error) {
	d.text, d.text2, d.block = scratch(d.text), scratch(d.text2), scratch(d.block)
	var v keyspace.Value
	switch valueType {
	case typeString:
		v = d.stringValue()
	case typeList, typeListZiplist, typeQuicklist, typeQuicklist2:
		v = d.list(valueType)
	case typeSet, typeSetIntset, typeSetListpack:
		v = d.set(valueType)
	case typeZset, typeZset2, typeZsetZiplist, typeZsetListpack:
		v = d.zset(valueType)
	case typeHash, typeHashZipmap, typeHashZiplist, typeHashListpack:
		v = d.hash(valueType)
	case typeStream, typeStream2, typeStream3:
		v = d.stream(valueType)
	case typeModule, typeModule2:
		d.unsupported("a module's value")
	default:
		if valueType >= typeHashExpiryFirst && valueType <= typeHashExpiryLast {
			d.unsupported("a hash whose fields expire")
		}
		d.fail("value of type %d", valueType)
	}
	return v, d.err
}

func (d *decoder) unsupported(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrUnsupported, what)
	}
}

func (d *decoder) empty() {
	if d.err == nil {
		d.err = errEmpty
	}
}

func (d *decoder) stringValue() keyspace.Value {
	d.block = d.string(d.block[:0])
	return keyspace.Value{Type: keyspace.String, Enc: StringEncoding(d.block), Packed: d.block}
}

// StringEncoding returns the encoding of a string that was read from a file, and
// of one that was set as a whole: files do not tell it.
func StringEncoding(text []byte) keyspace.Encoding {
	const embstrMax = 44
	if _, isInt := listpack.ParseInt(text); isInt {
		return keyspace.Int
	}
	if len(text) <= embstrMax {
		return keyspace.Embstr
	}
	return keyspace.Raw
}

// count reads the number of a collection's elements.
func (d *decoder) count() uint64 {
	n := d.length()
	if n == 0 {
		d.empty()
	}
	return n
}

// listpack reads a listpack, fully checked, with elements in groups of so many.
func (d *decoder) listpack(dst []byte, group int) []byte {
	lp := d.string(dst)
	if d.err != nil {
		return nil
	}
	if err := listpack.Validate(lp); err != nil {
		d.fail("%v", err)
		return nil
	}
	switch n := listpack.Len(lp); {
	case n == 0:
		d.empty()
	case n%group != 0:
		d.fail("listpack of %d elements in groups of %d", n, group)
	}
	return lp
}

// ziplist is listpack for the same in a ziplist.
func (d *decoder) ziplist(dst []byte, group int) []byte {
	d.text = d.string(d.text[:0])
	if d.err != nil {
		return nil
	}
	lp := listpack.AppendEmpty(dst)
	n, err := eachOfZiplist(d.text, func(element []byte) { lp = listpack.Append(lp, element) })
	switch {
	case err != nil:
		d.fail("%v", err)
	case n == 0:
		d.empty()
	case n%group != 0:
		d.fail("ziplist of %d elements in groups of %d", n, group)
	}
	return lp
}

// distinct checks that the elements of a listpack are distinct, step by step of so
// many.
func (d *decoder) distinct(lp []byte, step int) {
	const fewElements = 32
	var digits [20]byte
	if listpack.Len(lp) <= fewElements*step {
		for p := listpack.First(lp); p >= 0; {
			next := forward(lp, p, step)
			if next >= 0 && listpack.Find(lp, next, listpack.Text(lp, p, digits[:]), step-1) >= 0 {
				d.fail("element twice")
				return
			}
			p = next
		}
		return
	}
	seen := make(map[string]struct{})
	for p := listpack.First(lp); p >= 0; p = forward(lp, p, step) {
		text := listpack.Text(lp, p, digits[:])
		if _, twice := seen[string(text)]; twice {
			d.fail("element twice")
			return
		}
		seen[string(text)] = struct{}{}
	}
}

// forward goes n elements on; -1 is the end.
func forward(lp []byte, pos, n int) int {
	for ; n > 0 && pos >= 0; n-- {
		pos = listpack.Next(lp, pos)
	}
	return pos
}

func (d *decoder) list(valueType byte) keyspace.Value {
	limits := list.Limits{ListpackSize: d.build.Settings.ListMaxListpackSize}
	l := list.FromPacked(listpack.AppendEmpty(d.block[:0]), limits)
	switch valueType {
	case typeQuicklist, typeQuicklist2:
		l = d.quicklist(valueType, limits)
	case typeListZiplist:
		d.text2 = d.ziplist(d.text2[:0], 1)
		if d.err == nil {
			var digits [20]byte
			for p := listpack.First(d.text2); p >= 0; p = listpack.Next(d.text2, p) {
				l.PushBack(listpack.Text(d.text2, p, digits[:]))
			}
		}
	default:
		for n := d.count(); n > 0 && d.err == nil; n-- {
			d.text = d.string(d.text[:0])
			l.PushBack(d.text)
		}
	}
	v := keyspace.Value{Type: keyspace.List, Enc: keyspace.Quicklist}
	if o := l.Object(); o != nil {
		v.Object = keyspace.Box(o)
		return v
	}
	d.block = l.Packed()
	v.Packed = d.block
	return v
}

// quicklist keeps the nodes as they are. A single short one is the list's packed
// form.
func (d *decoder) quicklist(valueType byte, limits list.Limits) list.List {
	long := list.NewChunked(limits)
	for n := d.count(); n > 0 && d.err == nil; n-- {
		kind := uint64(quicklistPacked)
		if valueType == typeQuicklist2 {
			kind = d.length()
		}
		var lp []byte
		switch {
		case kind == quicklistPlain:
			if element := d.string(nil); d.err == nil {
				long.AppendPlain(element)
			}
			continue
		case kind != quicklistPacked:
			d.fail("quicklist node of kind %d", kind)
			continue
		case valueType == typeQuicklist:
			lp = d.ziplist(nil, 1)
		default:
			lp = d.listpack(nil, 1)
		}
		if errors.Is(d.err, errEmpty) { // Redis leaves such a node out
			d.err = nil
			continue
		}
		if d.err == nil {
			long.AppendListpack(lp)
		}
	}
	if d.err == nil && long.Len() == 0 {
		d.empty()
	}
	if lp, ok := onlyListpack(long); ok && len(lp) <= list.PackedBytesMax {
		return list.FromPacked(lp, limits)
	}
	return list.FromObject(long)
}

// onlyListpack returns the listpack of a list that has one and nothing else.
func onlyListpack(l *list.Chunked) (lp []byte, only bool) {
	for data, plain := range l.Nodes {
		if plain || lp != nil {
			return nil, false
		}
		lp = data
	}
	return lp, lp != nil
}

func (d *decoder) set(valueType byte) keyspace.Value {
	limits := set.Limits{IntsetEntries: d.build.Settings.SetMaxIntsetEntries}
	if valueType == typeSetIntset {
		return d.intset(limits)
	}
	s := set.NewHashtable(d.build.Seed, d.block)
	if d.build.Derive {
		s = set.New(d.build.Seed, d.block)
	}
	add := func(member []byte) {
		if !s.Add(member, limits) {
			d.fail("member %.64q twice", member)
		}
	}
	if valueType == typeSetListpack {
		lp := d.listpack(nil, 1)
		if d.err == nil {
			var digits [20]byte
			for p := listpack.First(lp); p >= 0 && d.err == nil; p = listpack.Next(lp, p) {
				add(listpack.Text(lp, p, digits[:]))
			}
		}
		return d.setValue(&s)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		if d.text = d.string(d.text[:0]); d.err == nil {
			add(d.text)
		}
	}
	return d.setValue(&s)
}

func (d *decoder) intset(limits set.Limits) keyspace.Value {
	d.block = d.string(d.block[:0])
	if d.err != nil {
		return keyspace.Value{}
	}
	if err := intset.Validate(d.block); err != nil {
		d.fail("%v", err)
		return keyspace.Value{}
	}
	s := set.FromPacked(d.build.Seed, d.block)
	switch {
	case s.Len() == 0:
		d.empty()
	case d.build.Derive && s.Len() > limits.IntsetEntries:
		large := set.NewHashtable(d.build.Seed, nil)
		for member := range s.All() {
			large.Add(member, limits)
		}
		s = large
	}
	return d.setValue(&s)
}

func (d *decoder) setValue(s *set.Set) keyspace.Value {
	v := keyspace.Value{Type: keyspace.Set, Enc: keyspace.Hashtable}
	if l := s.Object(); l != nil {
		v.Object = keyspace.Box(l)
		return v
	}
	if s.IsIntset() {
		v.Enc = keyspace.Intset
	}
	d.block = s.Packed()
	v.Packed = d.block
	return v
}

func (d *decoder) hash(valueType byte) keyspace.Value {
	limits := hash.Limits{Entries: d.build.Settings.HashMaxListpackEntries, Value: d.build.Settings.HashMaxListpackValue}
	var h hash.Hash
	switch valueType {
	case typeHash:
		h = d.plainHash(limits)
	case typeHashListpack:
		h = d.packedHash(d.listpack(d.block[:0], 2), limits.Entries)
	case typeHashZiplist:
		h = d.packedHash(d.ziplist(d.block[:0], 2), limits.Entries)
	case typeHashZipmap:
		lp, longest := d.zipmap(d.block[:0])
		if longest > limits.Value {
			limits.Entries = 0
		}
		h = d.packedHash(lp, limits.Entries)
	}
	if d.err != nil {
		return keyspace.Value{}
	}
	if l := h.Object(); l != nil {
		return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.Hashtable, Object: keyspace.Box(l)}
	}
	d.block = h.Packed()
	return keyspace.Value{Type: keyspace.Hash, Enc: keyspace.Listpack, Packed: d.block}
}

// plainHash reads a hash that is written field by field.
func (d *decoder) plainHash(limits hash.Limits) hash.Hash {
	h := hash.NewLarge(d.build.Seed)
	if d.build.Derive {
		h = hash.New(d.build.Seed, d.block)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		d.text = d.string(d.text[:0])
		d.text2 = d.string(d.text2[:0])
		if d.err == nil && !h.Set(d.text, d.text2, limits) {
			d.fail("field %.64q twice", d.text)
		}
	}
	return h
}

// packedHash returns the hash in a listpack. Redis looks at the number of its
// fields alone when it loads one.
func (d *decoder) packedHash(lp []byte, entries int) hash.Hash {
	if d.err == nil {
		d.distinct(lp, 2)
	}
	if d.err != nil {
		return hash.Hash{}
	}
	h := hash.FromPacked(d.build.Seed, lp)
	if d.build.Derive && h.Len() > entries {
		return largeHash(d.build.Seed, &h)
	}
	return h
}

// zipmap reads a zipmap and appends its fields and values to dst, as a listpack.
// It also returns the length of the longest of them.
func (d *decoder) zipmap(dst []byte) (lp []byte, longest int) {
	d.text = d.string(d.text[:0])
	if d.err != nil {
		return nil, 0
	}
	lp = listpack.AppendEmpty(dst)
	err := eachOfZipmap(d.text, func(field, value []byte) {
		lp = listpack.Append(listpack.Append(lp, field), value)
		longest = max(longest, len(field), len(value))
	})
	if err != nil {
		d.fail("%v", err)
	} else if listpack.Len(lp) == 0 {
		d.empty()
	}
	return lp, longest
}

// largeHash returns h in the large form.
func largeHash(s seed.Seed, h *hash.Hash) hash.Hash {
	large := hash.NewLarge(s)
	for field, value := range h.All() {
		large.Set(field, value, hash.Limits{})
	}
	return large
}

func (d *decoder) zset(valueType byte) keyspace.Value {
	limits := zset.Limits{Entries: d.build.Settings.ZsetMaxListpackEntries, Value: d.build.Settings.ZsetMaxListpackValue}
	var z zset.Zset
	switch valueType {
	case typeZsetListpack:
		z = d.packedZset(d.listpack(d.block[:0], 2), limits.Entries)
	case typeZsetZiplist:
		z = d.packedZset(d.ziplist(d.block[:0], 2), limits.Entries)
	default:
		z = d.plainZset(valueType, limits)
	}
	if d.err != nil {
		return keyspace.Value{}
	}
	if l := z.Object(); l != nil {
		return keyspace.Value{Type: keyspace.Zset, Enc: keyspace.Skiplist, Object: keyspace.Box(l)}
	}
	d.block = z.Packed()
	return keyspace.Value{Type: keyspace.Zset, Enc: keyspace.Listpack, Packed: d.block}
}

// plainZset reads a sorted set that is written member by member.
func (d *decoder) plainZset(valueType byte, limits zset.Limits) zset.Zset {
	z := zset.NewLarge(d.build.Seed)
	if d.build.Derive {
		z = zset.New(d.build.Seed, d.block)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		d.text = d.string(d.text[:0])
		var score float64
		if valueType == typeZset2 {
			score = d.double()
		} else {
			score = d.scoreText()
		}
		switch {
		case d.err != nil:
		case math.IsNaN(score):
			d.fail("score of member %.64q is not a number", d.text)
		case !z.Add(d.text, score, limits):
			d.fail("member %.64q twice", d.text)
		}
	}
	return z
}

// packedZset returns the sorted set in a listpack. Redis looks at the number of
// its members alone when it loads one.
func (d *decoder) packedZset(lp []byte, entries int) zset.Zset {
	if d.err == nil {
		d.distinct(lp, 2)
		d.ordered(lp)
	}
	if d.err != nil {
		return zset.Zset{}
	}
	z := zset.FromPacked(d.build.Seed, lp)
	if d.build.Derive && z.Len() > entries {
		return largeZset(d.build.Seed, &z)
	}
	return z
}

// largeZset returns z in the large form.
func largeZset(s seed.Seed, z *zset.Zset) zset.Zset {
	large := zset.NewLarge(s)
	for member, score := range z.Ascend(0) {
		large.Add(member, score, zset.Limits{})
	}
	return large
}

// ordered checks that the pairs of a listpack are members and scores in their
// order.
func (d *decoder) ordered(lp []byte) {
	var digits [20]byte
	var lastMember []byte
	lastScore := math.Inf(-1)
	for p := listpack.First(lp); p >= 0 && d.err == nil; {
		d.text2 = append(d.text2[:0], listpack.Text(lp, p, digits[:])...)
		p = listpack.Next(lp, p)
		score := d.score(listpack.Text(lp, p, digits[:]))
		p = listpack.Next(lp, p)
		switch {
		case d.err != nil:
		case math.IsNaN(score):
			d.fail("score of member %.64q is not a number", d.text2)
		case score < lastScore || score == lastScore && lastMember != nil && slices.Compare(lastMember, d.text2) >= 0:
			d.fail("member %.64q is out of order", d.text2)
		}
		lastMember = append(lastMember[:0], d.text2...)
		lastScore = score
	}
}

// scoreText reads a score of the oldest form.
func (d *decoder) scoreText() float64 {
	n := d.byte()
	switch n {
	case zsetScoreNaN:
		return math.NaN()
	case zsetScoreInf:
		return math.Inf(1)
	case zsetScoreMinusInf:
		return math.Inf(-1)
	}
	d.text2 = d.append(d.text2[:0], uint64(n))
	if d.err != nil {
		return 0
	}
	return d.score(d.text2)
}

// score returns the number that a score's text means.
func (d *decoder) score(text []byte) float64 {
	score, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(score, 0) {
		d.fail("score %.64q", text)
		return 0
	}
	return score
}

// moduleAux skips what a module has written beside its values.
func (d *decoder) moduleAux() {
	d.length() // the module's id
	d.length() // opcode and value that tell when it was written
	d.length()
	for d.err == nil {
		switch op := d.length(); op {
		case moduleOpEnd:
			return
		case moduleOpInt, moduleOpUint:
			d.length()
		case moduleOpFloat:
			d.skip(moduleFloatBytes)
		case moduleOpDouble:
			d.uint64()
		case moduleOpString:
			d.text = d.string(scratch(d.text)[:0])
		default:
			d.fail("module opcode %d", op)
		}
	}
}
