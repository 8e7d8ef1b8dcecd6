package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/seed"
)

// A store is the content of one database. FLUSHDB replaces it, SWAPDB exchanges it.
//
// Invariants: every word of the table refers to a live record of the arena whose key has the word's hash; a record
// with an expiry time is in the expiry index under its hash, and so is one whose fields expire in that of fields; a
// record with a handle alone owns that handle.
type store struct {
	seed    seed.Seed
	table   table
	arena   arena
	handles handles
	expiry  expiryIndex
	fields  expiryIndex // of hashes, by their first field that expires
	keys    int

	// frozen is set while a snapshot is in progress. Cells that were freed from it wait in reclaim, and are
	// released a few at each change.
	frozen  *frozenStore
	reclaim []ref
	kept    int64 // bytes of those in reclaim, and of what frozen has saved

	emptying uint32 // slab that is being emptied; 0 is none
	cursor   uint32 // next cell of it to look at

	scratch   []byte // the record that overwrite composes
	spliced   []byte // the value that splice composes
	handleBuf [handleBytes]byte
}

func newStore(s seed.Seed, c *chain.Chain) *store {
	return &store{seed: s, table: newTable(), handles: handles{chain: c}}
}

// A place is where a key's record stands.
type place struct {
	seg *segment
	i   int
	ref ref
	rec record
}

// find returns the place of a key; false if it is not there.
func (s *store) find(h uint64, key []byte) (place, bool) {
	g := s.table.segment(h)
	tag := g.tag(h)
	for i := g.home(tag); ; i++ {
		w := g.slots[i]
		if w == 0 || w>>refBits > tag {
			return place{}, false
		}
		if w>>refBits < tag {
			continue
		}
		rec := s.arena.cell(refOf(w))
		if rec.hasKey(key) {
			return place{g, i, refOf(w), rec}, true
		}
	}
}

func (s *store) hashOf(r ref) uint64 { return s.seed.Hash(s.arena.cell(r).key()) }

// entry returns what stands in a record, aliasing it.
func (s *store) entry(rec record) Entry {
	c := rec.content()
	e := Entry{
		Key:      c.key,
		Value:    Value{Type: c.typ, Enc: c.enc, Packed: c.value},
		ExpireAt: c.expireAt,
		Version:  c.version,
	}
	if c.object {
		e.setObject(s.handles.object(handle(binary.LittleEndian.Uint32(c.value))))
	}
	return e
}

// setObject sets the value to what a handle stands for.
func (e *Entry) setObject(o Object) {
	e.Packed, e.Object = nil, o
	if b, ok := o.(*blob); ok {
		e.Packed, e.Object = b.b, nil
	}
}

// body returns v in the form that stands in a record: packed bytes, or a new handle, which is good until the next
// call.
func (s *store) body(v *Value) (value []byte, object bool) {
	o := v.Object
	if o == nil {
		if len(v.Packed) <= inlineMax {
			return v.Packed, false
		}
		b := v.Packed
		if !v.Given {
			b = bytes.Clone(b)
		}
		o = &blob{b: b}
	}
	binary.LittleEndian.PutUint32(s.handleBuf[:], uint32(s.handles.add(o)))
	return s.handleBuf[:], true
}

// put creates or overwrites a key. It reports whether the key may have been absent for readers.
func (s *store) put(h uint64, key []byte, v *Value, expireAt int64, version uint64) (created bool) {
	c := content{typ: v.Type, enc: v.Enc, expireAt: expireAt, version: version, key: key}
	c.value, c.object = s.body(v)
	if p, ok := s.find(h, key); ok {
		created = s.perishable(p.rec)
		s.overwrite(h, p, &c)
		return created
	}
	r, cell := s.arena.alloc(c.size())
	c.append(cell[:0])
	s.insert(h, r)
	s.keys++
	if expireAt != NoExpiry {
		s.expiry.add(expireAt, h)
	}
	s.reindex(h, hash.Never, s.firstField(cell))
	return true
}

func (s *store) insert(h uint64, r ref) {
	for {
		g := s.table.segment(h)
		if g.insert(g.tag(h), r) {
			return
		}
		s.table.grow(h, s.hashOf)
	}
}

// overwrite gives the key at p another content. Key and value of c may alias the old record; the old object is
// dropped unless c has the same handle.
func (s *store) overwrite(h uint64, p place, c *content) {
	old := p.rec.content()
	if old.expireAt != c.expireAt {
		if old.expireAt != NoExpiry {
			s.expiry.remove(old.expireAt, h)
		}
		if c.expireAt != NoExpiry {
			s.expiry.add(c.expireAt, h)
		}
	}
	s.scratch = c.append(s.scratch[:0])
	s.reindex(h, s.firstField(p.rec), s.firstField(s.scratch))
	held := p.rec.handle()
	same := held != 0 && held == record(s.scratch).handle()
	if s.frozen.wants(h, old.version) {
		if !same {
			s.frozen.save(h, p.ref)
			s.relocate(p)
			return
		}
		s.preserve(h, p)
	}
	if held != 0 && !same {
		s.handles.drop(held)
	}
	if s.arena.fits(p.ref, len(s.scratch)) {
		copy(p.rec, s.scratch)
		return
	}
	s.relocate(p)
	s.arena.release(p.ref)
}

// relocate gives the key at p a new cell with the record in scratch.
func (s *store) relocate(p place) {
	r, cell := s.arena.alloc(len(s.scratch))
	copy(cell, s.scratch)
	p.seg.slots[p.i] = p.seg.slots[p.i]>>refBits<<refBits | uint64(r)
}

// preserve saves the content of p, whose object is about to change or to move to another key, for the snapshot.
func (s *store) preserve(h uint64, p place) {
	if !s.frozen.wants(h, p.rec.version()) {
		return
	}
	c := p.rec.content()
	if c.object {
		c.value, c.object = s.body(&Value{Object: s.handles.object(p.rec.handle()).Freeze()})
	}
	r, cell := s.arena.alloc(c.size())
	c.append(cell[:0])
	s.frozen.save(h, r)
}

// remove deletes the key at p. Its object is dropped with it.
func (s *store) remove(h uint64, p place) {
	if at := p.rec.expireAt(); at != NoExpiry {
		s.expiry.remove(at, h)
	}
	s.reindex(h, s.firstField(p.rec), hash.Never)
	p.seg.remove(p.i)
	s.table.shrink(p.seg)
	s.keys--
	if s.frozen.wants(h, p.rec.version()) {
		s.frozen.save(h, p.ref)
		return
	}
	s.free(p.ref)
}

// weigh returns the bytes of a cell and of what it holds.
func (s *store) weigh(r ref) int64 {
	n := int64(s.arena.size(r))
	if held := s.arena.cell(r).handle(); held != 0 {
		s.handles.measure(held)
		n += int64(s.handles.slots.at(uint32(held)).bytes)
	}
	return n
}

// free releases a cell and what it holds.
func (s *store) free(r ref) {
	if held := s.arena.cell(r).handle(); held != 0 {
		s.handles.drop(held)
	}
	s.arena.release(r)
}

// ascend visits the records from hash from on in the order of (hash, key), until visit returns false. It reports
// whether it came to the end.
func (s *store) ascend(from uint64, visit func(h uint64, rec record) bool) bool {
	return s.walk(from, func(rec record) bool { return visit(s.seed.Hash(rec.key()), rec) })
}

// walk is ascend for those who don't ask for the hashes. It computes them where records share a tag or that of from, and
// looks at no other record itself.
func (s *store) walk(from uint64, visit func(record) bool) bool {
	type hashed struct {
		hash uint64
		rec  record
	}
	var group []hashed
	start := from
	for more := true; more; from, more = s.table.end(from) {
		g := s.table.segment(from)
		first := g.tag(from)
		for i := g.first(first); i < len(g.slots); {
			if g.slots[i] == 0 {
				i++
				continue
			}
			tag := g.slots[i] >> refBits
			if g.slots[i+1]>>refBits != tag && (tag != first || from != start) { // the last slot is empty
				if !visit(s.arena.cell(refOf(g.slots[i]))) {
					return false
				}
				i++
				continue
			}
			group = group[:0]
			for ; g.slots[i] != 0 && g.slots[i]>>refBits == tag; i++ {
				rec := s.arena.cell(refOf(g.slots[i]))
				if h := s.seed.Hash(rec.key()); h >= from {
					group = append(group, hashed{h, rec})
				}
			}
			if len(group) > 1 {
				slices.SortFunc(group, func(a, b hashed) int {
					if a.hash != b.hash {
						if a.hash < b.hash {
							return -1
						}
						return 1
					}
					return bytes.Compare(a.rec.key(), b.rec.key())
				})
			}
			for _, e := range group {
				if !visit(e.rec) {
					return false
				}
			}
		}
	}
	return true
}

// anyDue reports whether a key, or a field of a hash, is due at now.
func (s *store) anyDue(now int64) bool {
	key, hasKey := s.expiry.min()
	field, hasField := s.fields.min()
	return hasKey && key.at <= now || hasField && field.at <= now
}

// indexed returns the place of the record that an index has as x, by the time that timeOf gives; of several the one
// with the least key.
func (s *store) indexed(x due, timeOf func(record) int64) (best place) {
	g := s.table.segment(x.hash)
	tag := g.tag(x.hash)
	found := false
	for i := g.first(tag); g.slots[i] != 0 && g.slots[i]>>refBits == tag; i++ {
		rec := s.arena.cell(refOf(g.slots[i]))
		if s.seed.Hash(rec.key()) != x.hash || timeOf(rec) != x.at {
			continue
		}
		if !found || bytes.Compare(rec.key(), best.rec.key()) < 0 {
			best, found = place{g, i, refOf(g.slots[i]), rec}, true
		}
	}
	if !found {
		panic(fmt.Sprintf("keyspace: no key with hash %x and time %d of an index", x.hash, x.at))
	}
	return best
}

// splice changes the packed value at p and returns its new length.
func (s *store) splice(h uint64, p place, off int, data []byte, enc Encoding, version uint64) int {
	c := p.rec.content()
	c.enc, c.version = enc, version
	if held := p.rec.handle(); held != 0 {
		s.preserve(h, p)
		s.handles.changing(held)
		b := s.handles.object(held).(*blob)
		b.splice(off, data)
		p.rec.setWord(c.word())
		return len(b.b)
	}
	n := max(len(c.value), off+len(data))
	if n > inlineMax {
		b := &blob{b: bytes.Clone(c.value)}
		b.splice(off, data)
		c.value, c.object = s.body(&Value{Object: b})
		s.overwrite(h, p, &c)
		return n
	}
	s.spliced = append(s.spliced[:0], c.value...)
	for len(s.spliced) < off {
		s.spliced = append(s.spliced, 0)
	}
	s.spliced = append(s.spliced[:off], data...)
	if len(s.spliced) < len(c.value) {
		s.spliced = append(s.spliced, c.value[len(s.spliced):]...)
	}
	c.value = s.spliced
	s.overwrite(h, p, &c)
	return n
}
