package list

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/engine/types/listpack"
)

func newList(limits Limits) List { return FromPacked(listpack.New(0), limits) }

// texts reads the whole list forwards, and checks that it reads the same
// backwards and from random indexes.
func texts(t testing.TB, l *List) []string {
	t.Helper()
	var all []string
	for c := l.At(0); c.Valid(); c.Next() {
		all = append(all, string(c.Text(nil)))
	}
	if len(all) != l.Len() {
		t.Fatalf("Len = %d, %d elements seen", l.Len(), len(all))
	}
	i := len(all)
	for c := l.At(-1); c.Valid(); c.Prev() {
		i--
		if !c.Equal([]byte(all[i])) {
			t.Fatalf("backwards, element %d = %q, want %q", i, c.Text(nil), all[i])
		}
	}
	if i != 0 {
		t.Fatalf("backwards, %d elements missing", i)
	}
	for i := 0; i < len(all); i += 1 + len(all)/7 {
		if c, d := l.At(i), l.At(i-len(all)); !c.Equal([]byte(all[i])) || !d.Equal([]byte(all[i])) {
			t.Fatalf("At(%d) and At(%d) differ from %q", i, i-len(all), all[i])
		}
	}
	if c, d := l.At(len(all)), l.At(-len(all)-1); c.Valid() || d.Valid() {
		t.Fatal("At found an element outside")
	}
	return all
}

// check verifies the invariants of a long list.
func check(t testing.TB, l *Chunked) {
	t.Helper()
	total, bytes := 0, 0
	for ci, c := range l.chunks {
		count := 0
		for ni := range c.nodes {
			n := &c.nodes[ni]
			bytes += cap(n.data)
			count += int(n.count)
			switch {
			case n.plain:
				if n.count != 1 {
					t.Fatalf("plain node %d/%d counts %d", ci, ni, n.count)
				}
			case n.count == 0 || int(n.count) != listpack.Len(n.data):
				t.Fatalf("node %d/%d counts %d of %d", ci, ni, n.count, listpack.Len(n.data))
			case len(n.data) > l.maxSize || int(n.count) > l.maxLen:
				t.Fatalf("node %d/%d has %d bytes and %d elements", ci, ni, len(n.data), n.count)
			}
		}
		if count != c.count || count == 0 || len(c.nodes) > chunkNodesMax {
			t.Fatalf("chunk %d with %d nodes counts %d of %d", ci, len(c.nodes), c.count, count)
		}
		total += count
	}
	if total != l.count || bytes != l.bytes {
		t.Fatalf("list counts %d of %d elements, %d of %d bytes", l.count, total, l.bytes, bytes)
	}
}

func randomText(rnd *rand.Rand) string {
	switch rnd.IntN(20) {
	case 0:
		return strings.Repeat("l", 3000+rnd.IntN(12_000))
	case 1, 2, 3:
		return strings.Repeat("m", rnd.IntN(500))
	case 4, 5, 6, 7:
		return strconv.Itoa(rnd.IntN(1 << rnd.IntN(60)))
	}
	return "pivot" + strconv.Itoa(rnd.IntN(10))
}

// TestRandomWalk changes a list and a []string alike, and keeps frozen copies
// with what they must read as.
func TestRandomWalk(t *testing.T) {
	for _, size := range []int{-2, -1, 1, 3, 128, 0, -9} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			for seed := range uint64(4) {
				walk(t, seed, Limits{ListpackSize: size}, 1500)
			}
		})
	}
}

func walk(t *testing.T, seed uint64, limits Limits, steps int) {
	type copied struct {
		frozen *Chunked
		want   []string
	}
	rnd := rand.New(rand.NewPCG(seed, uint64(limits.ListpackSize+10)))
	l, model := newList(limits), []string(nil)
	var copies []copied
	for step := range steps {
		v, i := randomText(rnd), 0
		if len(model) > 0 {
			i = rnd.IntN(len(model))
		}
		switch op := rnd.IntN(16); {
		case op < 4:
			l.PushBack([]byte(v))
			model = append(model, v)
		case op < 8:
			l.PushFront([]byte(v))
			model = slices.Insert(model, 0, v)
		case op == 8:
			pivot := "pivot" + strconv.Itoa(rnd.IntN(10))
			at, after := slices.Index(model, pivot), rnd.IntN(2) == 0
			if got := l.InsertBeside([]byte(pivot), []byte(v), after); got != (at >= 0) {
				t.Fatalf("InsertBeside(%s) = %v, want index %d", pivot, got, at)
			}
			if at >= 0 && after {
				at++
			}
			if at >= 0 {
				model = slices.Insert(model, at, v)
			}
		case len(model) == 0:
			if l.Set(0, []byte(v)) {
				t.Fatal("Set succeeded on an empty list")
			}
		case op < 12:
			index := i
			if rnd.IntN(2) == 0 {
				index -= len(model)
			}
			if !l.Set(index, []byte(v)) {
				t.Fatalf("Set(%d) of %d failed", index, len(model))
			}
			model[i] = v
		case op == 12:
			count := rnd.IntN(7) - 3
			removed := l.Remove([]byte(v), count)
			var want int
			model, want = remove(model, v, count)
			if removed != want {
				t.Fatalf("Remove(%q, %d) = %d, want %d", v, count, removed, want)
			}
		case op == 13 && step%8 == 0:
			n := rnd.IntN(len(model) - i + 1)
			l.Delete(i, n)
			model = slices.Delete(model, i, i+n)
		case op == 14:
			l.Delete(0, 1)
			model = slices.Delete(model, 0, 1)
		case op == 15 && l.long != nil:
			copies = append(copies, copied{l.long.Freeze(), slices.Clone(model)})
		}
		if l.long == nil && len(l.packed) > PackedBytesMax {
			t.Fatalf("packed list of %d bytes", len(l.packed))
		}
		if l.long != nil {
			check(t, l.long)
		}
		if step%20 == 0 && !slices.Equal(texts(t, &l), model) {
			t.Fatalf("after step %d the list differs from the model", step)
		}
	}
	for _, c := range copies {
		frozen := FromObject(c.frozen)
		if !slices.Equal(texts(t, &frozen), c.want) {
			t.Fatal("a frozen copy has changed")
		}
	}
}

func remove(model []string, v string, count int) ([]string, int) {
	if count < 0 {
		slices.Reverse(model)
		model, removed := remove(model, v, -count)
		slices.Reverse(model)
		return model, removed
	}
	removed := 0
	return slices.DeleteFunc(model, func(s string) bool {
		if s != v || count > 0 && removed == count {
			return false
		}
		removed++
		return true
	}), removed
}

// TestLong grows a list past one chunk at both ends and in the middle, then
// takes it apart.
func TestLong(t *testing.T) {
	l, model := NewChunked(Limits{ListpackSize: 2}), []string(nil)
	for i := range 1500 {
		v := []byte(strconv.Itoa(i))
		l.PushBack(v)
		l.PushFront(v)
		model = append(model, string(v))
	}
	reversed := slices.Clone(model)
	slices.Reverse(reversed)
	model = append(reversed, model...)
	if len(l.chunks) < 4 {
		t.Fatalf("%d chunks", len(l.chunks))
	}
	whole := FromObject(l)
	pivot := []byte("x")
	whole.Set(1000, pivot)
	model[1000] = "x"
	for i := range 1000 {
		v := strconv.Itoa(i)
		whole.InsertBeside(pivot, []byte(v), true)
		model = slices.Insert(model, 1001, v)
	}
	check(t, l)
	if !slices.Equal(texts(t, &whole), model) {
		t.Fatal("the list differs from the model")
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for len(model) > 0 {
		i := rnd.IntN(len(model))
		n := 1 + rnd.IntN(min(len(model)-i, 4))
		whole.Delete(i, n)
		model = slices.Delete(model, i, i+n)
		if len(model)%100 == 0 {
			check(t, l)
			if !slices.Equal(texts(t, &whole), model) {
				t.Fatal("the list differs from the model")
			}
		}
	}
	if l.Len() != 0 || len(l.chunks) != 0 || l.bytes != 0 {
		t.Errorf("left over: %d elements, %d chunks, %d bytes", l.Len(), len(l.chunks), l.bytes)
	}
}

// TestFrozenIsReadBesideWrites is for the race detector.
func TestFrozenIsReadBesideWrites(t *testing.T) {
	l := NewChunked(DefaultLimits)
	for i := range 20_000 {
		l.PushBack([]byte(strconv.Itoa(i)))
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	for round := range 4 {
		frozen, first := l.Freeze(), 20_000*round
		readers.Go(func() {
			whole := FromObject(frozen)
			want := first
			for c := whole.At(0); c.Valid(); c.Next() {
				if got := string(c.Text(nil)); got != strconv.Itoa(want) {
					t.Errorf("element %s, want %d", got, want)
					return
				}
				want++
			}
		})
		for i := range 20_000 {
			l.PushBack([]byte(strconv.Itoa(20_000*(round+1) + i)))
			l.Delete(0, 1)
			l.Set(i/2, []byte(strconv.Itoa(20_000*round+i+1+i/2)))
		}
	}
}

func TestNodes(t *testing.T) {
	l := NewChunked(DefaultLimits)
	large := strings.Repeat("x", 10_000)
	l.PushBack([]byte("a"))
	l.PushBack([]byte(large))
	l.PushBack([]byte("b"))
	rebuilt := NewChunked(DefaultLimits)
	var kinds []bool
	l.Nodes(func(data []byte, plain bool) bool {
		kinds = append(kinds, plain)
		if plain {
			rebuilt.AppendPlain(data)
		} else {
			rebuilt.AppendListpack(slices.Clone(data))
		}
		return true
	})
	if !slices.Equal(kinds, []bool{false, true, false}) {
		t.Errorf("plain nodes: %v", kinds)
	}
	check(t, rebuilt)
	whole := FromObject(rebuilt)
	if got := texts(t, &whole); !slices.Equal(got, []string{"a", large, "b"}) {
		t.Errorf("rebuilt as %.60q", got)
	}
}

func BenchmarkPushBackPopFront(b *testing.B) {
	l := NewChunked(DefaultLimits)
	v := []byte("a value of some bytes")
	for range 100_000 {
		l.PushBack(v)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.PushBack(v)
		l.Delete(0, 1)
	}
}

func BenchmarkAt(b *testing.B) {
	l := NewChunked(DefaultLimits)
	for i := range 1_000_000 {
		l.PushBack([]byte(strconv.Itoa(i)))
	}
	i := 0
	for b.Loop() {
		i = (i + 7919) % 1_000_000
		c := l.At(i)
		if !c.Valid() {
			b.Fatal(i)
		}
	}
	b.ReportMetric(float64(l.MemBytes())/1e6, "B/element")
}

func FuzzList(f *testing.F) {
	f.Add([]byte("\x00a\x01b\x02c\x03d\x04e\x05f\x06g\x07h"), int8(-2))
	f.Add([]byte("\x10\x11\x12\x13\x14\x15\x06\x16\x04\x22\x31\x05\x01"), int8(2))
	f.Fuzz(func(t *testing.T, program []byte, size int8) {
		l, model := newList(Limits{ListpackSize: int(size)}), []string(nil)
		for i := 0; i+1 < len(program); i += 2 {
			v := strings.Repeat(string(rune('a'+program[i+1]%4)), int(program[i+1]))
			at := 0
			if len(model) > 0 {
				at = int(program[i+1]) % len(model)
			}
			switch program[i] % 6 {
			case 0:
				l.PushBack([]byte(v))
				model = append(model, v)
			case 1:
				l.PushFront([]byte(v))
				model = slices.Insert(model, 0, v)
			case 2:
				if l.Set(at, []byte(v)) {
					model[at] = v
				}
			case 3:
				l.Remove([]byte(v), 1)
				model, _ = remove(model, v, 1)
			case 4:
				n := min(len(model)-at, int(program[i]))
				l.Delete(at, n)
				model = slices.Delete(model, at, at+n)
			case 5:
				if l.long != nil {
					l.long.Freeze()
				}
			}
			if l.long != nil {
				check(t, l.long)
			}
		}
		if got := texts(t, &l); !slices.Equal(got, model) {
			t.Fatalf("got %.200q\nwant %.200q", got, model)
		}
	})
}
