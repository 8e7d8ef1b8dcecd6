package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/seed"
)

var testSeed = seed.Seed{K0: 0x0123456789abcdef, K1: 0xfedcba9876543210}

// list is an Object that changes in place, and whose Freeze copies.
type list struct{ items []uint64 }

func (l *list) Freeze() Object { return &list{slices.Clone(l.items)} }
func (l *list) MemBytes() int  { return 24 + 8*len(l.items) }

func (l *list) Join(*chain.Chain) {}

func (l *list) Mix(c *chain.Chain) {
	for _, item := range l.items {
		c.Words(item, 0)
	}
}

// plain is the content of an entry that no keyspace changes any more.
type plain struct {
	typ      Type
	enc      Encoding
	packed   string
	items    string // of a list object, in text
	expireAt int64
	version  uint64
}

func plainOf(e Entry) plain {
	p := plain{e.Type, e.Enc, string(e.Packed), "", e.ExpireAt, e.Version}
	if e.Object != nil {
		p.items = fmt.Sprint(e.Object.(*list).items)
	}
	return p
}

// walk drives a keyspace and a model of maps with the same operations.
type walk struct {
	t       testing.TB
	next    func(n int) int // the source of choices
	ks      *Keyspace
	dbs     []map[string]plain
	changed []map[string]int // step of the last change of what readers see of a key, absence included
	marks   bool             // the rules of semantic.Conversation are in force
	watches []watch
	now     int64
	step    int
	keys    int // size of the key universe

	frozen *Frozen
	image  []map[string]plain // what frozen must give
	seen   []map[string]plain
	batch  Batch
}

type watch struct {
	db, step int
	key      string
	version  uint64
	live     bool
}

func newWalk(t testing.TB, keys int, marks bool, next func(int) int) *walk {
	w := &walk{t: t, next: next, keys: keys, now: 1000, marks: marks}
	w.ks = New(Options{Seed: testSeed, Databases: 3})
	w.ks.MarkAbsent(marks)
	for range 3 {
		w.dbs = append(w.dbs, map[string]plain{})
		w.changed = append(w.changed, map[string]int{})
	}
	return w
}

func (w *walk) key() []byte {
	n := w.next(w.keys)
	if n%1000 == 999 {
		return bytes.Repeat([]byte{byte(n), byte(n >> 8)}, 4000+n) // some keys are long
	}
	return fmt.Appendf(nil, "key:%d", n)
}

func (w *walk) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.step + i)
	}
	return b
}

// size favours short values, with some at every boundary.
func (w *walk) size() int {
	switch w.next(20) {
	case 0:
		return w.next(2 * inlineMax)
	case 1:
		return inlineMax - 2 + w.next(5)
	case 2:
		return w.next(100_000)
	}
	return w.next(120)
}

func (w *walk) expiry() int64 {
	if w.next(2) == 0 {
		return NoExpiry
	}
	return w.now + int64(w.next(400)) - 20
}

func (w *walk) value() Value {
	if w.next(6) == 0 {
		l := &list{}
		for range w.next(10) {
			l.items = append(l.items, uint64(w.next(100)))
		}
		return Value{Type: List, Enc: Quicklist, Object: l}
	}
	return Value{Type: Type(w.next(6)), Enc: Encoding(w.next(9)), Packed: w.bytes(w.size())}
}

// live tells whether readers see a key.
func (w *walk) live(db int, key string) bool {
	p, ok := w.dbs[db][key]
	return ok && (p.expireAt == NoExpiry || p.expireAt > w.now)
}

// become gives a key other content. By the rules of semantic.Conversation, what was
// absent and is absent has not changed.
func (w *walk) become(db int, key string, p plain) {
	before := w.live(db, key)
	w.dbs[db][key] = p
	if before || w.live(db, key) || !w.marks {
		w.changed[db][key] = w.step
	}
}

func (w *walk) set(db int, key string, v Value, at int64) {
	w.become(db, key, plainOf(Entry{Value: v, ExpireAt: at, Version: w.ks.State().Mutations}))
}

func (w *walk) drop(db int, key string) {
	if w.live(db, key) || !w.marks {
		w.changed[db][key] = w.step
	}
	delete(w.dbs[db], key)
}

func (w *walk) do() {
	w.step++
	db := w.next(100) % 3 % 2 // databases 0 and 1, mostly 0
	d, m, key := w.ks.DB(db), w.dbs[db], w.key()
	old, had := m[string(key)]
	live := had && (old.expireAt == NoExpiry || old.expireAt > w.now)
	switch op := w.next(44); {
	case op < 12:
		v, at := w.value(), w.expiry()
		d.Put(key, v, at)
		w.set(db, string(key), v, at)
	case op < 14:
		v := w.value()
		if d.Replace(key, v) != had {
			w.t.Fatalf("Replace(%.20q) of a key that was there: %v", key, had)
		}
		if had {
			w.set(db, string(key), v, old.expireAt)
		}
	case op < 20:
		if !had || old.items != "" {
			return
		}
		w.splice(d, m, key, old)
	case op < 24:
		w.edit(d, m, key, live)
	case op < 26:
		w.move(db, w.next(2), key, w.key())
	case op < 31:
		if d.Delete(key) != had {
			w.t.Fatalf("Delete(%.20q) is not %v", key, had)
		}
		if had {
			w.drop(db, string(key))
		}
	case op < 34:
		at := w.expiry()
		if d.SetExpire(key, at) != had {
			w.t.Fatalf("SetExpire(%.20q) is not %v", key, had)
		}
		if had {
			old.expireAt, old.version = at, w.ks.State().Mutations
			w.become(db, string(key), old)
		}
	case op < 35:
		if (d.Evict(key, w.now) == KeyDue) != (had && !live) {
			w.t.Fatalf("Evict(%.20q): had %v, live %v", key, had, live)
		}
		if had && !live {
			w.drop(db, string(key))
		}
	case op < 37:
		w.now += int64(w.next(10))
		w.expire(w.next(5))
	case op < 39:
		version := d.Version(key, w.now)
		if had || w.next(4) == 0 {
			w.watches = append(w.watches, watch{db, w.step, string(key), version, live})
		}
	case op < 41:
		w.freeze()
	case op < 43:
		w.readFrozen()
	default:
		w.rare(db)
	}
}

func (w *walk) rare(db int) {
	switch w.next(40) {
	case 0:
		if n := w.ks.DB(db).Flush(); n != len(w.dbs[db]) {
			w.t.Fatalf("Flush says %d, there were %d", n, len(w.dbs[db]))
		}
		for key := range w.dbs[db] {
			w.drop(db, key)
		}
	case 1, 2:
		w.ks.Swap(0, 1, w.now)
		for _, i := range []int{0, 1} {
			for key := range w.dbs[i] {
				if w.live(i, key) || !w.marks {
					w.changed[0][key], w.changed[1][key] = w.step, w.step
				}
			}
		}
		w.dbs[0], w.dbs[1] = w.dbs[1], w.dbs[0]
	case 3:
		if w.frozen != nil {
			w.frozen.Close()
			w.frozen = nil
		}
	}
}

func (w *walk) splice(d *DB, m map[string]plain, key []byte, old plain) {
	off := len(old.packed)
	switch w.next(4) {
	case 0:
		off = w.next(len(old.packed) + 1)
	case 1:
		off += w.next(40)
	}
	data := w.bytes(w.size() / 4)
	want := append([]byte(old.packed), make([]byte, max(0, off+len(data)-len(old.packed)))...)
	copy(want[off:], data)
	if n := d.Splice(key, off, data, Raw); n != len(want) {
		w.t.Fatalf("Splice gives length %d, want %d", n, len(want))
	}
	old.packed, old.enc, old.version = string(want), Raw, w.ks.State().Mutations
	w.become(d.Index(), string(key), old)
}

func (w *walk) edit(d *DB, m map[string]plain, key []byte, live bool) {
	e, ok := d.Edit(key, w.now)
	if ok != live {
		w.t.Fatalf("Edit(%.20q) is not %v", key, live)
	}
	if !ok {
		return
	}
	if e.Object != nil {
		l := e.Object.(*list)
		if len(l.items) > 0 {
			l.items[w.next(len(l.items))] += 7
		}
		l.items = append(l.items, uint64(w.step))
	}
	w.become(d.Index(), string(key), plainOf(e))
}

func (w *walk) move(from, to int, key, newKey []byte) {
	if from == to && bytes.Equal(key, newKey) {
		return
	}
	old, had := w.dbs[from][string(key)]
	if w.ks.DB(from).Move(key, w.ks.DB(to), newKey) != had {
		w.t.Fatalf("Move(%.20q) is not %v", key, had)
	}
	if had {
		w.drop(from, string(key))
		old.version = w.ks.State().Mutations
		w.become(to, string(newKey), old)
	}
}

func (w *walk) expire(limit int) {
	type dueKey struct {
		at   int64
		db   int
		hash uint64
		key  string
	}
	var want, got []dueKey
	for db, m := range w.dbs {
		for key, p := range m {
			if p.expireAt != NoExpiry && p.expireAt <= w.now {
				want = append(want, dueKey{p.expireAt, db, testSeed.Hash([]byte(key)), key})
			}
		}
	}
	slices.SortFunc(want, func(a, b dueKey) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		if a.db != b.db {
			return a.db - b.db
		}
		if a.hash < b.hash {
			return -1
		}
		return 1
	})
	want = want[:min(limit, len(want))]
	n := w.ks.ExpireDue(w.now, limit, func(db int, key []byte, _ Loss) {
		got = append(got, dueKey{w.dbs[db][string(key)].expireAt, db, testSeed.Hash(key), string(key)})
		w.drop(db, string(key))
	})
	if n != len(got) || !slices.Equal(got, want) {
		w.t.Fatalf("ExpireDue(%d) = %d deleted %v, want %v", limit, n, got, want)
	}
}

func (w *walk) freeze() {
	if w.frozen != nil {
		return
	}
	f, err := w.ks.Freeze()
	if err != nil {
		w.t.Fatal(err)
	}
	w.frozen, w.image, w.seen = f, nil, nil
	for _, m := range w.dbs {
		image := make(map[string]plain, len(m))
		for key, p := range m {
			image[key] = p
		}
		w.image = append(w.image, image)
		w.seen = append(w.seen, map[string]plain{})
	}
}

func (w *walk) readFrozen() {
	if w.frozen == nil {
		return
	}
	if w.frozen.Next(&w.batch) {
		for _, e := range w.batch.Entries {
			if _, twice := w.seen[w.batch.DB][string(e.Key)]; twice {
				w.t.Fatalf("step %d: the view gives %.20q twice", w.step, e.Key)
			}
			w.seen[w.batch.DB][string(e.Key)] = plainOf(e)
		}
		return
	}
	for db := range w.image {
		w.same(fmt.Sprintf("view of database %d", db), w.seen[db], w.image[db])
		if keys, _ := w.frozen.Keys(db); keys != len(w.image[db]) {
			w.t.Fatalf("view has %d keys, want %d", keys, len(w.image[db]))
		}
	}
	w.frozen.Close()
	w.frozen = nil
}

func (w *walk) same(what string, got, want map[string]plain) {
	w.t.Helper()
	for key, p := range want {
		g, ok := got[key]
		if !ok {
			w.t.Fatalf("step %d: %s: %.20q is missing", w.step, what, key)
		}
		if g != p {
			w.t.Fatalf("step %d: %s: %.20q is %.200v, want %.200v", w.step, what, key, g, p)
		}
	}
	if len(got) != len(want) {
		w.t.Fatalf("step %d: %s: %d keys, want %d", w.step, what, len(got), len(want))
	}
}

// check compares everything with the model, and looks at the invariants.
func (w *walk) check() {
	w.t.Helper()
	for i, m := range w.dbs {
		d := w.ks.DB(i)
		got := map[string]plain{}
		var hashes []uint64
		for cursor := uint64(0); ; {
			cursor = d.Scan(cursor, 37, func(e Entry) {
				got[string(e.Key)] = plainOf(e)
				hashes = append(hashes, testSeed.Hash(e.Key))
			})
			if cursor == 0 {
				break
			}
		}
		w.same("scan", got, m)
		if !slices.IsSorted(hashes) || len(hashes) != len(m) {
			w.t.Fatalf("step %d: scan visits %d of %d keys, in order: %v", w.step, len(hashes), len(m), slices.IsSorted(hashes))
		}
		for key, p := range m {
			e, ok := d.Get([]byte(key), w.now)
			if live := p.expireAt == NoExpiry || p.expireAt > w.now; ok != live || ok && plainOf(e) != p {
				w.t.Fatalf("step %d: Get(%.20q) = %.100v, %v", w.step, key, e, ok)
			}
		}
		checkStore(w.t, d.store)
	}
	kept := w.watches[:0]
	for _, x := range w.watches {
		same := w.ks.DB(x.db).Version([]byte(x.key), w.now) == x.version
		if same && w.changed[x.db][x.key] > x.step {
			w.t.Fatalf("step %d: %.20q changed in step %d, but has the version of step %d", w.step, x.key, w.changed[x.db][x.key], x.step)
		}
		if same && x.live != w.live(x.db, x.key) {
			w.t.Fatalf("step %d: %.20q was there in step %d: %v, is no more, but has the same version", w.step, x.key, x.step, x.live)
		}
		if w.next(10) > 0 {
			kept = append(kept, x)
		}
	}
	w.watches = kept
}

// checkStore checks the invariants of a store and all its parts.
func checkStore(t testing.TB, s *store) {
	t.Helper()
	cells := map[ref]bool{}
	var expiring, fields, keys, slots, segments int
	var objects int64
	owners := map[handle]bool{}
	own := func(r ref) {
		if cells[r] {
			t.Fatalf("cell %x has two owners", r)
		}
		cells[r] = true
		if h := s.arena.cell(r).handle(); h != 0 {
			if owners[h] || s.handles.object(h) == nil {
				t.Fatalf("handle %d has two owners or no object", h)
			}
			owners[h] = true
			objects += int64(s.handles.slots.at(uint32(h)).bytes)
		}
	}
	for i := 0; i < len(s.table.dir); {
		g := s.table.dir[i]
		segments++
		slots += len(g.slots)
		n, last := 0, uint64(0)
		for j, w := range g.slots {
			if w == 0 {
				continue
			}
			n++
			r := refOf(w)
			h := s.hashOf(r)
			home := g.home(w >> refBits)
			if h>>(64-s.table.depth)>>(s.table.depth-g.depth) != uint64(i)>>(s.table.depth-g.depth) || g.tag(h) != w>>refBits ||
				w>>refBits < last || j < home || slices.Contains(g.slots[home:j], 0) {
				t.Fatalf("segment %d, slot %d: word %x is out of place", i, j, w)
			}
			last = w >> refBits
			own(r)
			keys++
			if at := s.arena.cell(r).expireAt(); at != NoExpiry {
				expiring++
				if !s.expiry.has(at, h) {
					t.Fatalf("expiry time %d is not in the index", at)
				}
			}
			if e := s.entry(s.arena.cell(r)); e.mayExpire() {
				value := e.Hash(testSeed)
				if at := value.NextExpiry(); at != hash.Never {
					fields++
					if !s.fields.has(at, h) {
						t.Fatalf("field that expires at %d is not in the index", at)
					}
				}
			}
		}
		if n != g.count || g.slots[len(g.slots)-1] != 0 || g.shift > g.depth || g.depth > g.shift+tagSpent {
			t.Fatalf("segment %d: count %d, has %d; depth %d, shift %d", i, g.count, n, g.depth, g.shift)
		}
		i += 1 << (s.table.depth - g.depth)
	}
	if keys != s.keys || expiring != s.expiry.len || fields != s.fields.len || slots != s.table.slots || segments != s.table.segments {
		t.Fatalf("keys %d of %d, expiring %d of %d, hashes with expiring fields %d of %d, slots %d of %d, segments %d of %d",
			keys, s.keys, expiring, s.expiry.len, fields, s.fields.len, slots, s.table.slots, segments, s.table.segments)
	}
	var kept int64
	for _, r := range s.reclaim {
		own(r)
		kept += s.weigh(r)
	}
	if s.frozen != nil {
		for _, bucket := range s.frozen.saved {
			for _, saved := range bucket {
				own(saved.ref)
				kept += s.weigh(saved.ref)
			}
		}
	}
	if kept != s.kept {
		t.Fatalf("%d bytes of what is gone, counted %d", kept, s.kept)
	}
	if objects != s.handles.sum {
		t.Fatalf("objects of %d bytes, sum %d", objects, s.handles.sum)
	}
	var live, total int64
	for r := range cells {
		g := s.arena.slabs.at(uint32(r >> unitBits))
		if g.class == largeCell {
			live += int64(len(g.buf))
		} else {
			live += int64(classBytes[g.class])
		}
	}
	for i := range s.arena.slabs.len {
		total += int64(len(s.arena.slabs.at(i).buf))
	}
	if live != s.arena.live || total != s.arena.total {
		t.Fatalf("arena: live %d of %d, total %d of %d", live, s.arena.live, total, s.arena.total)
	}
	checkExpiry(t, &s.expiry)
	checkExpiry(t, &s.fields)
}

func (x *expiryIndex) has(at int64, hash uint64) bool {
	d := due{at, hash}
	if len(x.leaves) == 0 {
		return false
	}
	return slices.Contains(x.leaves[x.leafOf(d)].dues, d)
}

func checkExpiry(t testing.TB, x *expiryIndex) {
	t.Helper()
	var all []due
	for _, l := range x.leaves {
		if len(l.dues) == 0 || l.first != l.dues[0] || len(l.dues) > leafMax {
			t.Fatalf("expiry index: bad leaf of %d", len(l.dues))
		}
		all = append(all, l.dues...)
	}
	if len(all) != x.len || !slices.IsSortedFunc(all, due.compare) {
		t.Fatalf("expiry index: %d dues, len %d, sorted: %v", len(all), x.len, slices.IsSortedFunc(all, due.compare))
	}
}

func TestRandomWalk(t *testing.T) {
	for _, test := range []struct {
		name              string
		keys, steps, each int
	}{
		{"few keys", 50, 40_000, 200},
		{"some keys", 3_000, 30_000, 2_000},
		{"many keys", 30_000, 25_000, 5_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			for s := range uint64(2) { // seeds
				rng := rand.New(rand.NewPCG(s, 1))
				w := newWalk(t, test.keys, s == 0, rng.IntN)
				for i := range test.steps {
					w.do()
					if i%test.each == 0 {
						w.check()
					}
				}
				w.check()
			}
		})
	}
}

// FuzzWalk reads choices from the input; the walk ends with it.
func FuzzWalk(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{64, 1024} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		w := newWalk(t, 40, true, func(n int) int {
			var b [2]byte
			k := copy(b[:], choices)
			choices = choices[k:]
			return int(binary.LittleEndian.Uint16(b[:])) % n
		})
		for len(choices) > 0 {
			w.do()
		}
		w.check()
		for w.freeze(); w.frozen != nil; {
			w.readFrozen()
		}
	})
}
