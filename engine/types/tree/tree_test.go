package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
)

// check walks the whole tree and fails the test if an invariant is broken.
func check(t *testing.T, tr *Tree) {
	t.Helper()
	mem := treeBytes
	var last []byte
	n := 0
	var walk func(nd *node, low, high string, bounded bool) int
	walk = func(nd *node, low, high string, bounded bool) int {
		mem += nd.bytes()
		if nd.in == nil {
			if nd.n == 0 && nd != tr.root {
				t.Fatal("empty leaf")
			}
			if nd.n > 1 && nd.used+nd.n*slotBytes > pageMax {
				t.Fatalf("leaf of %d entries has %d bytes", nd.n, nd.used)
			}
			for i := range nd.n {
				k := nd.key(i)
				if n > 0 && bytes.Compare(last, k) >= 0 {
					t.Fatalf("keys out of order: %q, %q", last, k)
				}
				if string(k) < low || bounded && string(k) >= high {
					t.Fatalf("key %q outside of [%q, %q)", k, low, high)
				}
				last = k
				n++
			}
			return nd.n
		}
		in := nd.in
		if len(in.kids) == 0 || len(in.kids) > kidsMax || len(in.heads) != len(in.kids) ||
			len(in.counts) != len(in.kids) || len(in.bounds) != len(in.kids) {
			t.Fatalf("inner node of %d children, %d bounds", len(in.kids), len(in.bounds))
		}
		sum := 0
		for i, kid := range in.kids {
			kidLow, kidHigh, kidBounded := low, high, bounded
			if i > 0 {
				kidLow = in.bounds[i]
				if in.heads[i] != headOf([]byte(in.bounds[i])) {
					t.Fatal("head is not its bound's")
				}
			}
			if i+1 < len(in.kids) {
				kidHigh, kidBounded = in.bounds[i+1], true
			}
			c := walk(kid, kidLow, kidHigh, kidBounded)
			if c != in.counts[i] {
				t.Fatalf("count %d, want %d", in.counts[i], c)
			}
			sum += c
		}
		return sum
	}
	walk(tr.root, "", "", false)
	if n != tr.Len() {
		t.Fatalf("Len %d, want %d", tr.Len(), n)
	}
	if mem != tr.MemBytes() {
		t.Fatalf("MemBytes %d, want %d", tr.MemBytes(), mem)
	}
}

// model is what a tree must be like: a map and, on demand, its sorted keys.
type model map[string]string

func (m model) keys() []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (m model) clone() model {
	c := make(model, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// same compares all of a tree with the model, in both directions and by rank.
func same(t *testing.T, tr *Tree, m model) {
	t.Helper()
	keys := m.keys()
	if tr.Len() != len(keys) {
		t.Fatalf("Len %d, want %d", tr.Len(), len(keys))
	}
	i := 0
	for it := tr.SeekRank(0); it.Valid(); it.Next() {
		if string(it.Key()) != keys[i] || string(it.Value()) != m[keys[i]] {
			t.Fatalf("entry %d is %q, want %q", i, it.Key(), keys[i])
		}
		i++
	}
	if i != len(keys) {
		t.Fatalf("walked %d of %d", i, len(keys))
	}
	for it := tr.SeekRank(len(keys) - 1); it.Valid(); it.Prev() {
		i--
		if string(it.Key()) != keys[i] {
			t.Fatalf("backward: entry %d is %q, want %q", i, it.Key(), keys[i])
		}
	}
	if i != 0 {
		t.Fatalf("walked back to %d", i)
	}
}

// walk is a sequence of choices, from a generator or from a fuzzer's bytes.
type walk interface{ intn(n int) int }

type randomWalk struct{ *rand.Rand }

func (r randomWalk) intn(n int) int { return r.IntN(n) }

type bytesWalk struct{ b []byte }

func (w *bytesWalk) intn(n int) int {
	if len(w.b) < 2 {
		w.b = nil
		return 0
	}
	v := int(binary.LittleEndian.Uint16(w.b))
	w.b = w.b[2:]
	return v % n
}

func text(w walk, space, sizeMax int) string {
	k := fmt.Sprintf("%x", w.intn(space)*7919)
	switch w.intn(20) {
	case 0:
		return strings.Repeat(k, 1+w.intn(sizeMax)/4)
	case 1:
		return ""
	}
	return k
}

// act makes one random change or question to tree and model alike.
func act(t *testing.T, w walk, tr *Tree, m model, space, sizeMax int) {
	t.Helper()
	switch w.intn(12) {
	case 0, 1, 2, 3, 4:
		k, v := text(w, space, sizeMax), text(w, space, sizeMax)
		_, had := m[k]
		m[k] = v
		if tr.Put([]byte(k), []byte(v)) == had {
			t.Fatalf("Put(%q) wrong", k)
		}
	case 5, 6, 7:
		k := text(w, space, sizeMax)
		_, had := m[k]
		delete(m, k)
		if tr.Delete([]byte(k)) != had {
			t.Fatalf("Delete(%q) wrong", k)
		}
	case 8:
		k := text(w, space, sizeMax)
		v, ok := tr.Get([]byte(k))
		if want, had := m[k]; ok != had || string(v) != want || tr.Has([]byte(k)) != had {
			t.Fatalf("Get(%q) = %q, %v, want %q, %v", k, v, ok, want, had)
		}
	case 9:
		k := text(w, space, sizeMax)
		keys := m.keys()
		rank, found := tr.Rank([]byte(k))
		want, had := slices.BinarySearch(keys, k)
		if rank != want || found != had {
			t.Fatalf("Rank(%q) = %d, %v, want %d, %v", k, rank, found, want, had)
		}
		it := tr.Seek([]byte(k))
		if it.Valid() != (want < len(keys)) || it.Valid() && string(it.Key()) != keys[want] {
			t.Fatalf("Seek(%q) wrong", k)
		}
	case 10:
		if len(m) == 0 {
			return
		}
		keys := m.keys()
		i := w.intn(len(keys))
		if k, v := tr.At(i); string(k) != keys[i] || string(v) != m[keys[i]] {
			t.Fatalf("At(%d) = %q, want %q", i, k, keys[i])
		}
	case 11:
		keys := m.keys()
		from := w.intn(len(keys) + 1)
		to := from + w.intn(min(len(keys)-from, 1+len(keys)/8)+1)
		for _, k := range keys[from:to] {
			delete(m, k)
		}
		tr.DeleteRange(from, to)
	}
}

func TestRandomWalkAgainstModel(t *testing.T) {
	for _, c := range []struct {
		name                  string
		space, sizeMax, steps int
	}{
		{"few keys", 20, 40, 2000},
		{"many keys", 5000, 40, 6000},
		{"large entries", 300, 9000, 3000},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := randomWalk{rand.New(rand.NewPCG(1, uint64(c.space)))}
			tr, m := New(), model{}
			type copied struct {
				tr *Tree
				m  model
			}
			var copies []copied
			for i := range c.steps {
				act(t, w, tr, m, c.space, c.sizeMax)
				if i%97 == 0 {
					check(t, tr)
				}
				if i%501 == 0 {
					copies = append(copies, copied{tr.Freeze(), m.clone()})
				}
			}
			check(t, tr)
			same(t, tr, m)
			for _, c := range copies {
				check(t, c.tr)
				same(t, c.tr, c.m)
			}
		})
	}
}

func FuzzTree(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0, 0, 1, 0, 5, 0, 9, 0, 7, 0}, 40))
	r := rand.New(rand.NewPCG(5, 5))
	long := make([]byte, 3000)
	for i := range long {
		long[i] = byte(r.Uint32())
	}
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &bytesWalk{b}
		tr, m := New(), model{}
		var frozen *Tree
		var frozenModel model
		for i := 0; len(w.b) > 0; i++ {
			act(t, w, tr, m, 500, 4000)
			if i == 50 {
				frozen, frozenModel = tr.Freeze(), m.clone()
			}
		}
		check(t, tr)
		same(t, tr, m)
		if frozen != nil {
			same(t, frozen, frozenModel)
		}
	})
}

func key8(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

func TestSortedInputFillsLeaves(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		name string
		key  func(i int) []byte
	}{
		{"ascending", func(i int) []byte { return key8(uint64(i)) }},
		{"descending", func(i int) []byte { return key8(uint64(n - i)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := New()
			for i := range n {
				tr.Put(c.key(i), []byte("0123456789"))
			}
			check(t, tr)
			if perEntry := float64(tr.MemBytes()) / n; perEntry > (8+10+1+2)*1.15 {
				t.Errorf("%.1f bytes per entry", perEntry)
			}
		})
	}
}

func TestEmptyAfterDeletingAll(t *testing.T) {
	empty := New().MemBytes()
	for _, c := range []struct {
		name  string
		clear func(tr *Tree, n int)
	}{
		{"forward", func(tr *Tree, n int) {
			for i := range n {
				tr.Delete(key8(uint64(i)))
			}
		}},
		{"backward", func(tr *Tree, n int) {
			for i := n; i > 0; i-- {
				tr.Delete(key8(uint64(i - 1)))
			}
		}},
		{"range", func(tr *Tree, n int) { tr.DeleteRange(0, n) }},
		{"ranges", func(tr *Tree, n int) {
			for tr.Len() > 0 {
				tr.DeleteRange(tr.Len()/3, tr.Len()/3+(tr.Len()+1)/2)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 10000
			tr := New()
			for i := range n {
				tr.Put(key8(uint64(i)), nil)
			}
			full := tr.Freeze()
			c.clear(tr, n)
			check(t, tr)
			if tr.Len() != 0 || tr.MemBytes() > empty+64 {
				t.Errorf("%d entries, %d bytes left", tr.Len(), tr.MemBytes())
			}
			check(t, full)
			if full.Len() != n {
				t.Errorf("the copy has %d entries", full.Len())
			}
		})
	}
}

// A frozen copy is read, and changed, by another goroutine while the original
// goes on being changed; the race detector is the judge.
func TestFrozenCopyIsIndependent(t *testing.T) {
	const n = 3000
	r := rand.New(rand.NewPCG(2, 3))
	tr, m := New(), model{}
	var readers sync.WaitGroup
	for round := range 6 {
		frozen, want := tr.Freeze(), m.clone()
		readers.Go(func() {
			same(t, frozen, want)
			for i := range 200 {
				frozen.Put(key8(uint64(i)), []byte("mine"))
			}
			frozen.DeleteRange(0, frozen.Len()/2)
		})
		for range n {
			k := key8(r.Uint64N(4 * n))
			if r.IntN(3) == 0 {
				tr.Delete(k)
				delete(m, string(k))
				continue
			}
			tr.Put(k, key8(uint64(round)))
			m[string(k)] = string(key8(uint64(round)))
		}
		if tr.Len() > 100 {
			for _, k := range m.keys()[50:100] {
				delete(m, k)
			}
			tr.DeleteRange(50, 100)
		}
	}
	readers.Wait()
	check(t, tr)
	same(t, tr, m)
}

// A snapshot freezes a tree while others read it; the race detector is the judge.
func TestFreezeBesideReaders(t *testing.T) {
	tr, m := New(), model{}
	for i := range 2000 {
		tr.Put(key8(uint64(i)), nil)
		m[string(key8(uint64(i)))] = ""
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() { same(t, tr, m) })
	}
	frozen := tr.Freeze()
	readers.Wait()
	tr.DeleteRange(0, 1000)
	same(t, frozen, m)
}

func TestOneHugeEntryAmongSmallOnes(t *testing.T) {
	tr, m := New(), model{}
	huge := strings.Repeat("x", 200_000)
	for i := range 300 {
		k := fmt.Sprintf("%03d", i*7%300)
		v := "small"
		if i%50 == 0 {
			v = huge
		}
		tr.Put([]byte(k), []byte(v))
		m[k] = v
		check(t, tr)
	}
	same(t, tr, m)
	for k := range m {
		tr.Put([]byte(k), []byte("now small"))
		m[k] = "now small"
	}
	check(t, tr)
	same(t, tr, m)
	if tr.MemBytes() > 300*40 {
		t.Errorf("%d bytes after the huge values went", tr.MemBytes())
	}
}

func TestRankOutOfRangePanics(t *testing.T) {
	tr := New()
	tr.Put([]byte("a"), nil)
	for name, f := range map[string]func(){
		"At":          func() { tr.At(1) },
		"DeleteRange": func() { tr.DeleteRange(0, 2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
	if it := tr.SeekRank(1); it.Valid() {
		t.Error("SeekRank(Len()) is valid")
	}
}
