package stream

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// entries writes a range down as text.
func entries(s *Stream, from, to ID, reverse bool) string {
	var b strings.Builder
	for it := s.Range(from, to, reverse); it.Next(); {
		fmt.Fprintf(&b, "%v/%d", it.ID(), it.NumFields())
		it.Each(func(field, value []byte) { fmt.Fprintf(&b, " %s=%s", field, value) })
		b.WriteByte('\n')
	}
	return b.String()
}

// check verifies a stream's invariants.
func check(t testing.TB, s *Stream) {
	t.Helper()
	length, bytes, nodes := 0, 0, 0
	var last ID
	for _, c := range s.chunks {
		if len(c.nodes) == 0 || len(c.nodes) > chunkNodesMax {
			t.Fatalf("a chunk of %d nodes", len(c.nodes))
		}
		for i := range c.nodes {
			n := &c.nodes[i]
			alive, max, err := validateNode(n.id, n.lp)
			if err != nil || alive == 0 {
				t.Fatal(alive, err)
			}
			if nodes > 0 && !last.Less(n.id) {
				t.Fatalf("node %v comes after %v", n.id, last)
			}
			last = max
			length += alive
			bytes += cap(n.lp)
			nodes++
		}
	}
	if length != s.length || bytes != s.bytes || nodes != s.nodes {
		t.Fatalf("counts %d entries, %d bytes, %d nodes; has %d, %d, %d", s.length, s.bytes, s.nodes, length, bytes, nodes)
	}
}

// model is a stream as a slice.
type model []modelEntry

type modelEntry struct {
	id    ID
	words []string
}

func (m model) text(from, to ID, reverse bool) string {
	var b strings.Builder
	m = slices.Clone(m)
	if reverse {
		slices.Reverse(m)
	}
	for _, e := range m {
		if e.id.Less(from) || to.Less(e.id) {
			continue
		}
		fmt.Fprintf(&b, "%v/%d", e.id, len(e.words)/2)
		for i := 0; i < len(e.words); i += 2 {
			fmt.Fprintf(&b, " %s=%s", e.words[i], e.words[i+1])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestRandomWalk(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { walk(t, seed) })
	}
}

func walk(t *testing.T, seed uint64) {
	type copied struct {
		frozen *Stream
		want   string
	}
	rnd := rand.New(rand.NewPCG(seed, 3))
	limits := Limits{NodeBytes: []int{0, 100, 4096}[rnd.IntN(3)], NodeEntries: []int{0, 1, 7, 100}[rnd.IntN(4)]}
	s, m := New(), model(nil)
	var copies []copied
	for range 600 {
		pick := func() ID {
			if len(m) == 0 || rnd.IntN(5) == 0 {
				return ID{rnd.Uint64N(s.LastID.Ms + 2), rnd.Uint64N(20)}
			}
			return m[rnd.IntN(len(m))].id
		}
		switch op := rnd.IntN(20); {
		case op < 12:
			id := ID{s.LastID.Ms, s.LastID.Seq + 1 + rnd.Uint64N(3)}
			if rnd.IntN(3) == 0 {
				id = ID{s.LastID.Ms + 1 + rnd.Uint64N(1000), rnd.Uint64N(5)}
			}
			var words []string
			for i := range 1 + rnd.IntN(3) {
				words = append(words, "f"+strconv.Itoa(i*rnd.IntN(2)), strings.Repeat("v", rnd.IntN(30)))
			}
			if err := s.Add(id, pairs(words...), limits); err != nil {
				t.Fatal(err)
			}
			m = append(m, modelEntry{id, words})
		case op < 16:
			id := pick()
			i := slices.IndexFunc(m, func(e modelEntry) bool { return e.id == id })
			if s.Delete(id) != (i >= 0) {
				t.Fatalf("Delete(%v): index %d in the model", id, i)
			}
			if i >= 0 {
				m = slices.Delete(m, i, i+1)
			}
		case op == 16 && len(m) > 0:
			keep := len(m) - rnd.IntN(min(len(m), 30))
			if got := s.Trim(Trim{MaxLen: keep}); got != len(m)-keep {
				t.Fatalf("Trim to %d of %d removed %d", keep, len(m), got)
			}
			m = slices.Delete(m, 0, len(m)-keep)
		case op == 17:
			id := pick()
			n := len(m)
			m = slices.DeleteFunc(m, func(e modelEntry) bool { return e.id.Less(id) })
			if got := s.Trim(Trim{ByID: true, MinID: id}); got != n-len(m) {
				t.Fatalf("Trim before %v removed %d of %d, want %d", id, got, n, n-len(m))
			}
		case op == 18:
			keep, limit := rnd.IntN(len(m)+1), rnd.IntN(20)
			got := s.Trim(Trim{MaxLen: keep, Approx: true, Limit: limit})
			if got > max(0, len(m)-keep) || limit > 0 && got > limit {
				t.Fatalf("Trim ~%d limit %d of %d removed %d", keep, limit, len(m), got)
			}
			m = slices.Delete(m, 0, got)
		case op == 19:
			copies = append(copies, copied{s.Freeze(), m.text(ID{}, MaxID, false)})
		}
		check(t, s)
		from, to := pick(), pick()
		for _, reverse := range []bool{false, true} {
			if got, want := entries(s, from, to, reverse), m.text(from, to, reverse); got != want {
				t.Fatalf("%v to %v, reverse %v: got\n%s\nwant\n%s", from, to, reverse, got, want)
			}
		}
		first := ID{}
		if len(m) > 0 {
			first = m[0].id
		}
		if s.FirstID != first || s.Len() != len(m) {
			t.Fatalf("first %v of %d, want %v of %d", s.FirstID, s.Len(), first, len(m))
		}
	}
	for _, c := range copies {
		if entries(c.frozen, ID{}, MaxID, false) != c.want {
			t.Fatal("a frozen copy has changed")
		}
	}
}

// TestFrozenIsReadBesideWrites is for the race detector.
func TestFrozenIsReadBesideWrites(t *testing.T) {
	s := New()
	add := func(i int) {
		if err := s.Add(ID{uint64(i), 1}, pairs("n", strconv.Itoa(i)), DefaultLimits); err != nil {
			t.Error(err)
		}
	}
	g := s.CreateGroup([]byte("g"), ID{}, 0)
	g.CreateConsumer([]byte("c"), 0)
	for i := range 5000 {
		add(i)
		s.EditGroup([]byte("g")).Assign(Pending{ID: ID{uint64(i), 1}, Consumer: "c"})
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	for round := range 4 {
		frozen := s.Freeze()
		readers.Go(func() {
			want := uint64(round * 5000)
			for it := frozen.Range(ID{}, MaxID, false); it.Next(); want++ {
				if it.ID().Ms != want {
					t.Errorf("entry %v, want %d", it.ID(), want)
					return
				}
			}
			n := 0
			frozen.Group([]byte("g")).EachPending(ID{}, func(Pending) bool { n++; return true })
			if n != 5000 || frozen.Group([]byte("g")).Consumer([]byte("c")).PendingLen() != 5000 {
				t.Errorf("%d pending", n)
			}
		})
		for i := range 5000 {
			add(5000*(round+1) + i)
			s.Delete(s.FirstID)
			g := s.EditGroup([]byte("g"))
			g.Assign(Pending{ID: s.LastID, Consumer: "c"})
			g.Acknowledge(ID{uint64(5000*round + i), 1})
		}
	}
}

func TestGroups(t *testing.T) {
	s := New()
	b := s.CreateGroup([]byte("b"), ID{1, 1}, EntriesReadUnknown)
	a := s.CreateGroup([]byte("a"), ID{}, 0)
	if s.CreateGroup([]byte("a"), ID{}, 0) != nil {
		t.Error("a name was taken twice")
	}
	if g := s.Groups(); len(g) != 2 || g[0] != a || g[1] != b {
		t.Errorf("groups %v", g)
	}
	for _, name := range []string{"y", "x"} {
		if !a.CreateConsumer([]byte(name), 10) || a.CreateConsumer([]byte(name), 11) {
			t.Error("CreateConsumer does not tell new from old")
		}
	}
	for i := range uint64(10) {
		a.Assign(Pending{ID: ID{1, i}, Consumer: "x", DeliveredMs: 5, Deliveries: 1})
	}
	frozen := s.Freeze()
	a = s.EditGroup([]byte("a"))
	a.Assign(Pending{ID: ID{1, 3}, Consumer: "y", DeliveredMs: -7, Deliveries: math.MaxUint64})
	if !a.Acknowledge(ID{1, 4}) || a.Acknowledge(ID{1, 4}) {
		t.Error("Acknowledge does not tell pending from not")
	}
	if p, ok := a.Pending(ID{1, 3}); !ok || p != (Pending{ID{1, 3}, "y", -7, math.MaxUint64}) {
		t.Errorf("record %v", p)
	}
	a.Touch([]byte("x"), 99)
	var ids []ID
	a.Consumer([]byte("x")).EachPendingID(ID{1, 2}, func(id ID) bool {
		ids = append(ids, id)
		return len(ids) < 3
	})
	if !slices.Equal(ids, []ID{{1, 2}, {1, 5}, {1, 6}}) {
		t.Errorf("pending for x: %v", ids)
	}
	if n, ok := a.DeleteConsumer([]byte("x")); n != 8 || !ok || a.PendingLen() != 1 {
		t.Errorf("DeleteConsumer = %d, %v; %d left", n, ok, a.PendingLen())
	}
	if !s.DeleteGroup([]byte("b")) || s.DeleteGroup([]byte("b")) || s.Group([]byte("b")) != nil {
		t.Error("DeleteGroup does not tell there from gone")
	}
	was := frozen.Group([]byte("a"))
	if len(frozen.Groups()) != 2 || was.PendingLen() != 10 || was.Consumer([]byte("x")).PendingLen() != 10 ||
		was.Consumer([]byte("y")).PendingLen() != 0 || was.Consumer([]byte("x")).SeenMs != 10 {
		t.Error("the frozen copy has changed")
	}
}

func TestParseID(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   ID
		anySeq bool
	}{
		{"1-2", ID{1, 2}, false},
		{"7", ID{7, 99}, false},
		{"7-*", ID{7, 0}, true},
		{"18446744073709551615-18446744073709551615", MaxID, false},
		{"007- +3", ID{7, 3}, false},
		{"1--007", ID{1, math.MaxUint64 - 6}, false},
		{"5\x00junk", ID{5, 99}, false},
	} {
		if id, anySeq, ok := ParseID([]byte(c.text), 99); !ok || id != c.want || anySeq != c.anySeq {
			t.Errorf("ParseID(%q) = %v, %v, %v", c.text, id, anySeq, ok)
		}
	}
	for _, text := range []string{"", "-", "+", "*", "1-", "-1", "1--1", "1-2-3", "x", "1 -2", "18446744073709551616", "1-++2", "1-1_0", strings.Repeat("0", 128)} {
		if id, _, ok := ParseID([]byte(text), 0); ok {
			t.Errorf("ParseID(%q) = %v", text, id)
		}
	}
}

func TestIDNeighbours(t *testing.T) {
	for _, c := range []struct{ a, b ID }{
		{ID{0, 0}, ID{0, 1}},
		{ID{4, math.MaxUint64}, ID{5, 0}},
		{ID{math.MaxUint64, math.MaxUint64 - 1}, MaxID},
	} {
		if next, ok := c.a.Next(); !ok || next != c.b {
			t.Errorf("%v.Next() = %v", c.a, next)
		}
		if prev, ok := c.b.Prev(); !ok || prev != c.a {
			t.Errorf("%v.Prev() = %v", c.b, prev)
		}
		if key := c.a.Key(); IDFromKey(key[:]) != c.a {
			t.Errorf("%v: key %x", c.a, key)
		}
	}
	if _, ok := MaxID.Next(); ok {
		t.Error("an ID after the largest")
	}
	if _, ok := (ID{}).Prev(); ok {
		t.Error("an ID before 0-0")
	}
}

// TestManyNodes passes the size of a chunk, and shortens from the front.
func TestManyNodes(t *testing.T) {
	s, limits := New(), Limits{NodeEntries: 1}
	for i := range uint64(1000) {
		if err := s.Add(ID{i, 1}, pairs("f", "v"), limits); err != nil {
			t.Fatal(err)
		}
	}
	check(t, s)
	if len(s.chunks) < 7 || s.Edge(true) != (ID{999, 1}) {
		t.Fatalf("%d chunks up to %v", len(s.chunks), s.Edge(true))
	}
	if n := s.Trim(Trim{ByID: true, MinID: ID{500, 1}, Approx: true, Limit: 300}); n != 300 {
		t.Errorf("removed %d", n)
	}
	if n := s.Trim(Trim{}); n != 700 || s.MemBytes() > 1000 {
		t.Errorf("removed %d, %d bytes left", n, s.MemBytes())
	}
	check(t, s)
}

func TestAppendNodeRejects(t *testing.T) {
	s := New()
	for i := range uint64(5) {
		if err := s.Add(ID{5, i}, pairs("field", "value", "n", strconv.FormatUint(i, 10)), DefaultLimits); err != nil {
			t.Fatal(err)
		}
	}
	good := s.lastNode().lp
	if err := New().AppendNode(ID{5, 0}, bytes.Clone(good)); err != nil {
		t.Fatal(err)
	}
	loaded := New()
	if err := loaded.AppendNode(ID{5, 0}, good); err != nil {
		t.Fatal(err)
	}
	if err := loaded.AppendNode(ID{5, 2}, good); err == nil {
		t.Error("accepted IDs that do not ascend")
	}
	for n := range good {
		if err := New().AppendNode(ID{5, 0}, good[:n:n]); err == nil {
			t.Errorf("accepted the first %d bytes of %d", n, len(good))
		}
	}
}

// A last ID that goes back leaves entries marked deleted behind whose IDs are larger
// than those that come next, in their node or in another.
func TestLastIDGoesBack(t *testing.T) {
	for _, limits := range []Limits{{NodeEntries: 2}, DefaultLimits} {
		s := New()
		add := func(ids ...uint64) {
			t.Helper()
			for _, ms := range ids {
				if err := s.Add(ID{ms, 0}, pairs("f", "v"), limits); err != nil {
					t.Fatal(err)
				}
			}
		}
		add(1, 9)
		s.Delete(ID{9, 0})
		s.LastID = ID{5, 0}
		add(6, 8, 9)
		check(t, s)
		loaded := New()
		s.Nodes(func(id ID, lp []byte) bool {
			if err := loaded.AppendNode(id, bytes.Clone(lp)); err != nil {
				t.Error(err)
			}
			return true
		})
		for _, s := range []*Stream{s, loaded} {
			if got := entries(s, ID{2, 0}, ID{7, 0}, false) + entries(s, ID{}, MaxID, true); got != "6-0/1 f=v\n9-0/1 f=v\n8-0/1 f=v\n6-0/1 f=v\n1-0/1 f=v\n" {
				t.Errorf("%v: entries\n%s", limits, got)
			}
			if !s.Delete(ID{6, 0}) || !s.Delete(ID{9, 0}) || s.Len() != 2 || s.LastID != (ID{9, 0}) {
				t.Errorf("%v: %d entries, last ID %v", limits, s.Len(), s.LastID)
			}
			check(t, s)
		}
	}
}

func FuzzAppendNode(f *testing.F) {
	s := New()
	_ = s.Add(ID{1, 1}, pairs("a", "b"), DefaultLimits)
	_ = s.Add(ID{1, 2}, pairs("c", "d", "e", "f"), DefaultLimits)
	s.Delete(ID{1, 1})
	f.Add(s.lastNode().lp)
	f.Fuzz(func(t *testing.T, lp []byte) {
		s := New()
		if s.AppendNode(ID{1, 1}, bytes.Clone(lp)) != nil {
			return
		}
		forwards := strings.Split(entries(s, ID{}, MaxID, false), "\n")
		backwards := strings.Split(entries(s, ID{}, MaxID, true), "\n")
		if len(forwards) != len(backwards) {
			t.Errorf("%d entries forwards, %d backwards", len(forwards)-1, len(backwards)-1)
		}
		s.Delete(s.Edge(false))
		s.Trim(Trim{MaxLen: 1})
		if next, ok := s.LastID.Next(); ok {
			if err := s.Add(next, pairs("a", "b"), DefaultLimits); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	s, p := New(), pairs("temperature", "21.5", "humidity", "40")
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		if err := s.Add(ID{i, 0}, p, DefaultLimits); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.MemBytes())/float64(s.Len()), "B/entry")
}
