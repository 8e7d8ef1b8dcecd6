package keyspace

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
)

func load(k *Keyspace, from, to int) {
	value := bytes.Repeat([]byte("v"), 64)
	for i := from; i < to; i++ {
		k.DB(0).Put(fmt.Appendf(nil, "key:%012d", i), Value{Packed: value[:16+i%49]}, NoExpiry)
	}
}

// Segments run out of tag bits after tagSpent splits: this many keys bring them there.
func TestGrowth(t *testing.T) {
	k := New(Options{Seed: testSeed})
	load(k, 0, 300_000)
	if depth := k.DB(0).store.table.depth; depth <= tagSpent {
		t.Fatalf("depth %d: the test does not reach new tags", depth)
	}
	checkStore(t, k.DB(0).store)
	st := k.Stats()
	if perKey := float64(st.Bytes()) / 300_000; perKey > 95 {
		t.Errorf("%.1f bytes a key: %+v", perKey, st)
	}
}

// After most keys are gone, slabs and slots are given back while the rest is used.
func TestMemoryComesBack(t *testing.T) {
	k := New(Options{Seed: testSeed})
	load(k, 0, 200_000)
	before := k.Stats()
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[int]bool{}
	for _, i := range rng.Perm(200_000) {
		if len(want) < 20_000 {
			want[i] = true
			continue
		}
		k.DB(0).Delete(fmt.Appendf(nil, "key:%012d", i))
	}
	st := k.Stats()
	if st.ArenaTotal > before.ArenaTotal/3 || st.Table > before.Table/3 {
		t.Errorf("a tenth of the keys is left: %+v of %+v", st, before)
	}
	checkStore(t, k.DB(0).store)
	for i := range want {
		if _, ok := k.DB(0).Get(fmt.Appendf(nil, "key:%012d", i), 0); !ok {
			t.Fatalf("key %d is gone", i)
		}
	}
	for i := range want {
		k.DB(0).Delete(fmt.Appendf(nil, "key:%012d", i))
	}
	if st := k.Stats(); st.Keys != 0 || st.ArenaLive != 0 {
		t.Errorf("no key is left: %+v", st)
	}
}

// What a command has read stays good while it meets keys that are due, even if cells move.
func TestEntriesOverEvict(t *testing.T) {
	k := New(Options{Seed: testSeed})
	d := k.DB(0)
	key := func(i int) []byte { return fmt.Appendf(nil, "key:%d", i) }
	for i := range 50_000 {
		at := int64(10)
		if i%10 == 0 {
			at = NoExpiry
		}
		d.Put(key(i), Value{Packed: bytes.Repeat(key(i), 1+i%7)}, at)
	}
	entries := map[int]Entry{}
	for i := 0; i < 50_000; i += 10 {
		entries[i], _ = d.Get(key(i), 10)
	}
	moved := 0
	for i := range 50_000 {
		d.Evict(key(i), 10)
	}
	for i, e := range entries {
		if !bytes.Equal(e.Packed, bytes.Repeat(key(i), 1+i%7)) || !bytes.Equal(e.Key, key(i)) {
			t.Fatalf("%s was read, and is %q now", key(i), e.Packed)
		}
		if now, _ := d.Get(key(i), 10); &now.Packed[0] != &e.Packed[0] {
			moved++
		}
	}
	if moved == 0 {
		t.Error("no cell has moved: the test tests nothing")
	}
}

// The memory of deleted keys is used again.
func TestChurn(t *testing.T) {
	k := New(Options{Seed: testSeed})
	load(k, 0, 50_000)
	before := k.Stats()
	for i := range 200_000 {
		k.DB(0).Delete(fmt.Appendf(nil, "key:%012d", i))
		load(k, 50_000+i, 50_001+i)
	}
	if st := k.Stats(); st.ArenaTotal > before.ArenaTotal*11/10 {
		t.Errorf("as many keys as before: %+v of %+v", st, before)
	}
	checkStore(t, k.DB(0).store)
}

// A view with every key overwritten beside it costs memory while it is open, and gives it back.
func TestViewGivesMemoryBack(t *testing.T) {
	k := New(Options{Seed: testSeed})
	load(k, 0, 50_000)
	before := k.Stats()
	f, err := k.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Freeze(); err != ErrFrozen {
		t.Fatalf("second Freeze: %v", err)
	}
	load(k, 0, 50_000)
	checkStore(t, k.DB(0).store)
	f.Close()
	load(k, 0, 50_000)
	if st := k.Stats(); st.ArenaLive != before.ArenaLive || st.ArenaTotal > before.ArenaTotal*3/2 {
		t.Errorf("as many keys as before: %+v of %+v", st, before)
	}
	checkStore(t, k.DB(0).store)
}

// What is there from the first call to the last is visited, also when the table grows and shrinks between the calls.
func TestScanGuarantee(t *testing.T) {
	k := New(Options{Seed: testSeed})
	d := k.DB(0)
	load(k, 0, 3000)
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 5 {
		seen := map[string]int{}
		next := 100_000
		for cursor := uint64(0); ; {
			cursor = d.Scan(cursor, 1+rng.IntN(50), func(e Entry) { seen[string(e.Key)]++ })
			if cursor == 0 {
				break
			}
			if next >= 200_000 {
				continue
			}
			if round%2 == 0 {
				load(k, next, next+500)
			} else {
				for i := next; i < next+500; i++ {
					d.Delete(fmt.Appendf(nil, "key:%012d", i))
				}
			}
			next += 500
		}
		for i := range 3000 {
			if key := fmt.Sprintf("key:%012d", i); seen[key] != 1 {
				t.Fatalf("round %d: %s was visited %d times", round, key, seen[key])
			}
		}
	}
}

func TestScanCursors(t *testing.T) {
	k := New(Options{Seed: testSeed})
	d := k.DB(0)
	if c := d.Scan(0, 10, func(Entry) { t.Error("there is a key") }); c != 0 {
		t.Errorf("scan of nothing gives %d", c)
	}
	load(k, 0, 100)
	n := 0
	if c := d.Scan(0, 100, func(Entry) { n++ }); c != 0 || n != 100 {
		t.Errorf("scan of all gives %d keys and %d", n, c)
	}
	n = 0
	if c := d.Scan(0, 0, func(Entry) { n++ }); c == 0 || c >= 1<<53 || n != 1 {
		t.Errorf("scan with count 0 gives %d keys and %d", n, c)
	}
	if c := d.Scan(1<<60, 1, func(Entry) { t.Error("a key beyond the end") }); c != 0 {
		t.Errorf("scan beyond the end gives %d", c)
	}
}

// A keyspace loaded from a view has another layout and gives the same order, choices and versions.
func TestLoadedFromView(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	w := newWalk(t, 5000, true, rng.IntN)
	for range 20_000 {
		w.do()
	}
	if w.frozen != nil {
		w.frozen.Close()
	}
	f, err := w.ks.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	k := New(Options{Seed: testSeed, Databases: 3})
	k.MarkAbsent(true)
	var b Batch
	for f.Next(&b) {
		for _, e := range b.Entries {
			if err := k.DB(b.DB).Load(e.Key, e.Value, e.ExpireAt, e.Version); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := k.SetState(f.State()); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for range 3000 {
		point, key := rng.Uint64(), w.key()
		for i := range 3 {
			a, okA := w.ks.DB(i).Random(point, w.now)
			b, okB := k.DB(i).Random(point, w.now)
			if okA != okB || !bytes.Equal(a.Key, b.Key) {
				t.Fatalf("Random(%x): %.20q and %.20q", point, a.Key, b.Key)
			}
			if a, b := w.ks.DB(i).Version(key, w.now), k.DB(i).Version(key, w.now); a != b {
				t.Fatalf("Version(%.20q): %d and %d", key, a, b)
			}
		}
	}
	w.ks = k
	w.frozen = nil
	w.check()
	for range 5000 {
		w.do()
	}
	w.check()
	if err := k.DB(0).Load([]byte("x"), Value{}, NoExpiry, 1); err != nil {
		t.Fatal(err)
	}
	if err := k.DB(0).Load([]byte("x"), Value{}, NoExpiry, 1); err == nil {
		t.Error("a key could be loaded twice")
	}
}

func TestVersion(t *testing.T) {
	k := New(Options{Seed: testSeed, Databases: 2})
	d, key := k.DB(0), []byte("k")
	put := func() { d.Put(key, Value{Packed: []byte("v")}, NoExpiry) }
	for _, test := range []struct {
		name   string
		change func()
	}{
		{"create", put},
		{"overwrite", put},
		{"set expiry", func() { d.SetExpire(key, 100) }},
		{"become due", func() {}},
		{"evict", func() { d.Evict(key, 100) }},
		{"create and delete", func() { put(); d.Delete(key) }},
		{"create and flush", func() { put(); d.Flush() }},
		{"swap", func() { k.Swap(0, 1, 0) }},
		{"create again", put},
		{"flush all", func() { k.FlushAll() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := int64(99)
			before := d.Version(key, now)
			if test.name == "become due" {
				now = 100
			}
			test.change()
			if after := d.Version(key, now); after == before {
				t.Errorf("version is %d before and after", after)
			}
		})
	}
	before := d.Version(key, 0)
	k.FlushAll()
	if after := d.Version(key, 0); after != before {
		t.Errorf("a flush of nothing changed the version from %d to %d", before, after)
	}
	d.Put([]byte("other"), Value{}, NoExpiry)
	if after := d.Version(key, 0); after != before {
		t.Errorf("another key changed the version from %d to %d", before, after)
	}
}

// What was absent and is absent has its version, whatever became of due remains. A
// change between is seen.
func TestVersionOfAbsent(t *testing.T) {
	const due = 100
	key := []byte("k")
	put := func(d *DB, at int64) { d.Put(key, Value{Packed: []byte("v")}, at) }
	for _, test := range []struct {
		name    string
		stale   []int // databases in which the key is there, and due
		change  func(*Keyspace)
		changes bool
	}{
		{"become due", nil, func(*Keyspace) {}, false},
		{"evict", []int{0}, func(k *Keyspace) { k.DB(0).Evict(key, due) }, false},
		{"expire", []int{0}, func(k *Keyspace) { k.ExpireDue(due, 9, nil) }, false},
		{"delete what is due", []int{0}, func(k *Keyspace) { k.DB(0).Delete(key) }, false},
		{"flush", []int{0}, func(k *Keyspace) { k.DB(0).Flush() }, false},
		{"flush others", nil, func(k *Keyspace) { k.DB(0).Put([]byte("other"), Value{}, NoExpiry); k.FlushAll() }, false},
		{"swap for none", []int{0}, func(k *Keyspace) { k.Swap(0, 1, due) }, false},
		{"swap for one that is due", []int{1}, func(k *Keyspace) { k.Swap(0, 1, due) }, false},
		{"swap due for due", []int{0, 1}, func(k *Keyspace) { k.Swap(0, 1, due) }, false},
		{"swap for others", []int{0}, func(k *Keyspace) { k.DB(1).Put([]byte("other"), Value{}, NoExpiry); k.Swap(0, 1, due) }, false},

		{"create over what is due", []int{0}, func(k *Keyspace) { put(k.DB(0), NoExpiry) }, true},
		{"create and delete", nil, func(k *Keyspace) { put(k.DB(0), NoExpiry); k.DB(0).Delete(key) }, true},
		{"create and flush", nil, func(k *Keyspace) { put(k.DB(0), NoExpiry); k.FlushAll() }, true},
		{"create over what is due and delete", []int{0}, func(k *Keyspace) { put(k.DB(0), NoExpiry); k.DB(0).Delete(key) }, true},
		{"longer life and delete", []int{0}, func(k *Keyspace) { k.DB(0).SetExpire(key, NoExpiry); k.DB(0).Delete(key) }, true},
		{"swap there and back", nil, func(k *Keyspace) { put(k.DB(1), NoExpiry); k.Swap(0, 1, due); k.Swap(1, 0, due) }, true},
		{"swap there, back and delete", []int{0}, func(k *Keyspace) {
			put(k.DB(1), NoExpiry)
			k.Swap(0, 1, due)
			k.Swap(1, 0, due)
			k.DB(1).Delete(key)
		}, true},
		{"swap of many there and back", nil, func(k *Keyspace) {
			put(k.DB(1), NoExpiry)
			for i := range 2 * swapLooks {
				k.DB(1).Put(fmt.Appendf(nil, "key:%d", i), Value{}, NoExpiry)
			}
			k.Swap(0, 1, due)
			k.Swap(0, 1, due)
		}, true},
		{"move there and away", nil, func(k *Keyspace) {
			put(k.DB(1), NoExpiry)
			k.DB(1).Move(key, k.DB(0), key)
			k.DB(0).Move(key, k.DB(1), key)
		}, true},
		{"copy there and delete", nil, func(k *Keyspace) {
			put(k.DB(1), NoExpiry)
			k.DB(1).Copy(key, k.DB(0), key)
			k.DB(0).Delete(key)
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := New(Options{Seed: testSeed, Databases: 2})
			k.MarkAbsent(true)
			for _, db := range test.stale {
				put(k.DB(db), due)
			}
			before := k.DB(0).Version(key, due)
			test.change(k)
			if after := k.DB(0).Version(key, due); after != before != test.changes {
				t.Errorf("version is %x before and %x after", before, after)
			}
		})
	}
}

// Appending to a long string does not copy it, and a view keeps what it was.
func TestSpliceOfLongValue(t *testing.T) {
	k := New(Options{Seed: testSeed})
	d, key := k.DB(0), []byte("k")
	d.Put(key, Value{Packed: make([]byte, 1<<20)}, NoExpiry)
	chunk := bytes.Repeat([]byte("x"), 100)
	if allocs := testing.AllocsPerRun(5000, func() { d.Splice(key, d.length(key), chunk, Raw) }); allocs > 0.5 {
		t.Errorf("%v allocations an append", allocs)
	}
	n := d.length(key)
	f, err := k.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	f.Next(&b)
	d.Splice(key, n, []byte("after"), Raw)
	d.Splice(key, 0, []byte("changed"), Raw)
	if got := b.Entries[0].Packed; len(got) != n || got[0] != 0 {
		t.Errorf("the view has %d bytes that begin with %q, want %d zeros", len(got), got[:8], n)
	}
	e, _ := d.Get(key, 0)
	if !bytes.HasPrefix(e.Packed, []byte("changed")) || !bytes.HasSuffix(e.Packed, []byte("xafter")) {
		t.Error("the value is not what was written")
	}
}

func (d *DB) length(key []byte) int {
	e, _ := d.Get(key, 0)
	return len(e.Packed)
}

// Sizes of objects are right although they change after Edit has returned.
func TestObjectBytes(t *testing.T) {
	k := New(Options{Seed: testSeed})
	d := k.DB(0)
	want := 0
	for i := range 100 {
		key := fmt.Appendf(nil, "k%d", i%20)
		if i < 20 {
			d.Put(key, Value{Type: List, Enc: Quicklist, Object: &list{}}, NoExpiry)
			want += 24
		}
		e, _ := d.Edit(key, 0)
		l := e.Object.(*list)
		l.items = append(l.items, 1, 2, 3)
		want += 24
		if got := int(k.Stats().Objects) - slotBytes*int(d.store.handles.slots.len); got != want {
			t.Fatalf("after %d edits: %d bytes, want %d", i+1, got, want)
		}
	}
}

// Hashes that collide share a cursor position and expire in the order of their keys.
func TestCollisions(t *testing.T) {
	s := newStore(testSeed, new(chain.Chain))
	const h = 0xabcdef0123456789
	var want []string
	for i := range 50 {
		key := fmt.Appendf(nil, "key%02d", (i*37)%50)
		s.put(h, key, &Value{Packed: key}, 5, uint64(i+1))
		want = append(want, string(key))
	}
	slices.Sort(want)
	for _, key := range want {
		p, ok := s.find(h, []byte(key))
		if !ok || string(s.entry(p.rec).Packed) != key {
			t.Fatalf("%s is not there", key)
		}
	}
	for _, key := range want {
		p, ok := s.find(h, []byte(key))
		if !ok {
			t.Fatalf("%s is gone", key)
		}
		s.remove(h, p)
	}
	if s.keys != 0 || s.expiry.len != 0 {
		t.Errorf("%d keys and %d dues are left", s.keys, s.expiry.len)
	}
}

// Many hashes that agree in their upper half: the directory stays small, one segment grows.
func TestManyCollisions(t *testing.T) {
	hash := func(r ref) uint64 { return 1<<63 | uint64(r) }
	table := newTable()
	for r := ref(1); r <= 3000; r++ {
		for {
			g := table.segment(hash(r))
			if g.insert(g.tag(hash(r)), r) {
				break
			}
			table.grow(hash(r), hash)
		}
	}
	for r := ref(1); r <= 3000; r++ {
		g := table.segment(hash(r))
		i := g.first(g.tag(hash(r)))
		for g.slots[i] != 0 && refOf(g.slots[i]) != r {
			i++
		}
		if g.slots[i] == 0 {
			t.Fatalf("%d is not there", r)
		}
	}
	if len(table.dir) > dirSparse*table.segments*2 {
		t.Errorf("directory of %d for %d segments", len(table.dir), table.segments)
	}
}

func TestStateThatDoesNotFit(t *testing.T) {
	k := New(Options{Seed: testSeed, Databases: 2})
	st := k.State()
	st.Floors = append(st.Floors, 1)
	if k.SetState(st) == nil {
		t.Error("three floors fit two databases")
	}
	st = k.State()
	st.Buckets = st.Buckets[1:]
	if k.SetState(st) == nil {
		t.Error("a missing bucket fits")
	}
}

// Few keys are taken about equally often, wherever the seed puts them.
func TestRandomOfFewKeysIsFair(t *testing.T) {
	for s := range uint64(50) {
		k := New(Options{Seed: seed.Seed{K0: s, K1: 1}})
		db := k.DB(0)
		for _, key := range []string{"foo", "bar", "due"} {
			expireAt := NoExpiry
			if key == "due" {
				expireAt = 1
			}
			db.Put([]byte(key), Value{Type: String, Packed: []byte("v")}, expireAt)
		}
		r := rand.New(rand.NewPCG(s, 2))
		seen := map[string]int{}
		for range 200 {
			e, ok := db.Random(r.Uint64(), 2)
			if !ok {
				t.Fatal("nothing found")
			}
			seen[string(e.Key)]++
		}
		if seen["foo"] < 60 || seen["bar"] < 60 || len(seen) != 2 {
			t.Errorf("seed %d: %v", s, seen)
		}
	}
}

// What Random and Names make of the table is what a list in hash order says, with few keys and many, due ones among
// them or not, and also where tags are shared.
func TestRandomAndNamesFollowHashOrder(t *testing.T) {
	type named struct {
		hash uint64
		key  string
		due  bool
	}
	for _, n := range []int{0, 1, 2, 31, 32, 33, 500, 200_000} {
		for _, dueOf := range []int{0, 3} { // every third key
			k := New(Options{Seed: testSeed})
			db := k.DB(0)
			var all []named
			for i := range n {
				key := fmt.Sprint("key:", i)
				expireAt := int64(10)
				if dueOf > 0 && i%dueOf == 0 {
					expireAt = 1
				}
				db.Put([]byte(key), Value{Type: String, Packed: []byte("v")}, expireAt)
				all = append(all, named{k.Seed().Hash([]byte(key)), key, expireAt == 1})
			}
			slices.SortFunc(all, func(a, b named) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.key, b.key)) })
			var want, got []string
			for _, e := range all {
				if !e.due {
					want = append(want, e.key)
				}
			}
			db.Names(2, func(key []byte) { got = append(got, string(key)) })
			if !slices.Equal(got, want) {
				t.Errorf("%d keys, due of %d: %d names, not in hash order", n, dueOf, len(got))
			}
			r := rand.New(rand.NewPCG(uint64(n), 3))
			for range 500 {
				point := r.Uint64()
				from, _ := slices.BinarySearchFunc(all, point, func(e named, point uint64) int { return cmp.Compare(e.hash, point) })
				var choice []string
				for i := range all {
					if e := all[(from+i)%len(all)]; !e.due && len(choice) < randomChoice {
						choice = append(choice, e.key)
					}
				}
				e, found := db.Random(point, 2)
				if found != (len(choice) > 0) || found && string(e.Key) != choice[uint32(point)%uint32(len(choice))] {
					t.Fatalf("%d keys, due of %d: Random(%x) is %q", n, dueOf, point, e.Key)
				}
			}
		}
	}
}

// The mean time to live is an estimate that is good where times are spread evenly, and
// exact for few keys.
func TestMeanTTL(t *testing.T) {
	var x expiryIndex
	if got := x.meanTTL(0); got != 0 {
		t.Errorf("of no keys: %d", got)
	}
	x.add(1500, 1)
	if got := x.meanTTL(1000); got != 500 {
		t.Errorf("of one key: %d", got)
	}
	if got := x.meanTTL(2000); got != 0 {
		t.Errorf("of one that is due: %d", got)
	}
	x = expiryIndex{}
	for i := range uint64(100_000) {
		x.add(int64(i*7919%100_000), i)
	}
	if got := x.meanTTL(0); got < 49_000 || got > 51_000 {
		t.Errorf("of keys that live up to 100 s: %d ms", got)
	}
}
