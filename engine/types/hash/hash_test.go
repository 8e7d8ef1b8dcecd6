package hash

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

var (
	testSeed = seed.Seed{K0: 1, K1: 2}
	defaults = Limits{Entries: 128, Value: 64}
)

// model is what a hash must be like: a map, and the order its fields came in.
// Fields that expire and are not taken out yet are in it.
type model struct {
	values map[string]string
	times  map[string]int64 // of those that expire
	came   []string         // or got their time, or lost it
	now    int64
}

func newModel() *model { return &model{values: map[string]string{}, times: map[string]int64{}} }

// stored returns the order of all fields, due ones included.
func (m *model) stored(large bool) []string {
	fields := slices.Clone(m.came)
	slices.SortStableFunc(fields, func(a, b string) int {
		return cmp.Compare(uint64(m.times[a]-1), uint64(m.times[b]-1)) // 0 is the last one
	})
	if large {
		slices.SortFunc(fields, func(a, b string) int {
			return byhash.Compare(testSeed.Hash([]byte(a)), []byte(a), testSeed.Hash([]byte(b)), []byte(b))
		})
	}
	return fields
}

func (m *model) isDue(field string) bool {
	at, expires := m.times[field]
	return expires && at <= m.now
}

// order returns the order of the fields that are there.
func (m *model) order(large bool) []string {
	return slices.DeleteFunc(m.stored(large), m.isDue)
}

func (m *model) has(field string) bool {
	_, had := m.values[field]
	return had && !m.isDue(field)
}

func (m *model) set(field, value string, at int64) (added bool) {
	added = !m.has(field)
	if _, had := m.values[field]; !had || m.times[field] != at {
		m.take(field)
		m.came = append(m.came, field)
	}
	m.values[field] = value
	if at != Never {
		m.times[field] = at
	}
	return added
}

// take takes a field out, due or not.
func (m *model) take(field string) {
	delete(m.values, field)
	delete(m.times, field)
	m.came = slices.DeleteFunc(m.came, func(f string) bool { return f == field })
}

// expireDue takes out fields that are due and returns how many. Which of those that
// expire at one time comes first, a large hash can't tell but by their names.
func (m *model) expireDue(limit int, large bool) int {
	due := slices.DeleteFunc(m.stored(false), func(f string) bool { return !m.isDue(f) })
	if large {
		slices.SortFunc(due, func(a, b string) int { return cmp.Or(cmp.Compare(m.times[a], m.times[b]), cmp.Compare(a, b)) })
	}
	due = due[:min(limit, len(due))]
	for _, field := range due {
		m.take(field)
	}
	return len(due)
}

func same(t *testing.T, h *Hash, m *model) {
	t.Helper()
	want := m.order(h.Object() != nil)
	var got, scanned []string
	h.Each(func(field, value []byte, at int64) bool {
		got = append(got, string(field))
		if string(value) != m.values[string(field)] || at != m.times[string(field)] {
			t.Fatalf("%q is %q until %d, want %q until %d", field, value, at, m.values[string(field)], m.times[string(field)])
		}
		return true
	})
	if !slices.Equal(got, want) {
		t.Fatalf("fields %q, want %q", got, want)
	}
	if h.Len() != len(want) || h.Stored() != len(m.came) || h.Timed() != (len(m.times) > 0) {
		t.Fatalf("Len %d of %d, timed: %v, want %d of %d", h.Len(), h.Stored(), h.Timed(), len(want), len(m.came))
	}
	first, last := Never, Never
	if times := slices.Sorted(maps.Values(m.times)); len(times) > 0 {
		first = times[0]
		if len(times) == len(m.came) {
			last = times[len(times)-1]
		}
	}
	if h.NextExpiry() != first || h.LastExpiry() != last {
		t.Fatalf("expires from %d to %d, want %d to %d", h.NextExpiry(), h.LastExpiry(), first, last)
	}
	for cursor := uint64(0); ; {
		cursor = h.Scan(cursor, 5, func(field, value []byte) {
			scanned = append(scanned, string(field))
			if string(value) != m.values[string(field)] {
				t.Fatalf("%q scanned as %q, want %q", field, value, m.values[string(field)])
			}
		})
		if cursor == 0 {
			break
		}
	}
	if !slices.Equal(scanned, want) {
		t.Fatalf("scanned %q, want %q", scanned, want)
	}
	var a, b [20]byte
	ranks := h.Ranks()
	if (ranks == nil) != (len(want) == len(m.came)) {
		t.Fatalf("Ranks gives %v for %d of %d", ranks, len(want), len(m.came))
	}
	for i, f := range want {
		if ranks != nil {
			i = ranks[i]
		}
		field, value := h.At(i, a[:], b[:])
		if string(field) != f || string(value) != m.values[f] {
			t.Fatalf("At(%d) = %q, %q, want %q, %q", i, field, value, f, m.values[f])
		}
	}
	if l := h.Object(); l != nil && l.dues != nil && l.dues.Len() != len(m.times) {
		t.Fatalf("%d dues, want %d", l.dues.Len(), len(m.times))
	}
	if h.Object() == nil {
		if err := listpack.Validate(h.Packed()); err != nil {
			t.Fatal(err)
		}
	}
}

func reopen(h *Hash, now int64) Hash {
	switch {
	case h.Object() != nil:
		return FromObject(h.Object()).AsOf(now)
	case h.Timed():
		return FromTimed(testSeed, slices.Clone(h.Packed())).AsOf(now)
	}
	return FromPacked(testSeed, slices.Clone(h.Packed())).AsOf(now)
}

// deed is a change of a hash.
type deed struct {
	kind         byte // the deeds in act
	field, value string
	n            int // how long a field lives, or how many are taken out
}

// act does something to hash and model alike.
func act(t *testing.T, h *Hash, m *model, d deed) {
	t.Helper()
	var buf [20]byte
	field, had := []byte(d.field), m.has(d.field)
	want, at := "", Never
	if had {
		want, at = m.values[d.field], m.times[d.field]
	}
	got, ok := h.Get(field, buf[:])
	gotAt, has := h.Expiry(field)
	if ok != had || string(got) != want || has != had || gotAt != at || h.Has(field) != had {
		t.Fatalf("%q is %q until %d, %v, want %q until %d, %v", field, got, gotAt, ok, want, at, had)
	}
	until := m.now + 1 + int64(d.n)
	switch d.kind % 8 {
	case 0, 1:
		if h.Set(field, []byte(d.value), defaults) != m.set(d.field, d.value, Never) {
			t.Fatalf("Set(%q) wrong", field)
		}
	case 2:
		if h.SetUntil(field, []byte(d.value), until, defaults) != m.set(d.field, d.value, until) {
			t.Fatalf("SetUntil(%q) wrong", field)
		}
	case 3:
		if had { // at keeps
			h.SetUntil(field, []byte(d.value), at, defaults)
			m.set(d.field, d.value, at)
		}
	case 4:
		if had {
			h.Expire(field, until)
			m.set(d.field, want, until)
		}
	case 5:
		if had {
			h.Expire(field, Never)
			m.set(d.field, want, Never)
		}
	case 6:
		if h.Delete(field) != had {
			t.Fatalf("Delete(%q) wrong", field)
		}
		if had {
			m.take(d.field)
		}
	case 7:
		m.now += int64(d.n) / 4
		*h = h.AsOf(m.now)
		if n, want := h.ExpireDue(m.now, d.n%4), m.expireDue(d.n%4, h.Object() != nil); n != want {
			t.Fatalf("ExpireDue takes out %d, want %d", n, want)
		}
	}
}

func TestRandomWalkAgainstMap(t *testing.T) {
	for _, c := range []struct {
		name string
		text func(r *rand.Rand) string
	}{
		{"small", func(r *rand.Rand) string { return fmt.Sprintf("f%d", r.IntN(60)) }},
		{"large", func(r *rand.Rand) string { return fmt.Sprintf("f%d", r.IntN(600)) }},
		{"integers", func(r *rand.Rand) string { return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10) }},
		{"long", func(r *rand.Rand) string { return strings.Repeat("x", r.IntN(300)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			h, m := New(testSeed, nil), newModel()
			for i := range 4000 {
				act(t, &h, m, deed{byte(r.IntN(8)), c.text(r), c.text(r), r.IntN(100)})
				if i%50 == 0 {
					same(t, &h, m)
					h = reopen(&h, m.now)
				}
			}
			same(t, &h, m)
		})
	}
}

func TestForms(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		name  string
		build func(h *Hash)
		large bool
	}{
		{"nothing", func(*Hash) {}, false},
		{"the longest value", func(h *Hash) { h.Set([]byte("f"), []byte(long[:64]), defaults) }, false},
		{"a longer value", func(h *Hash) { h.Set([]byte("f"), []byte(long), defaults) }, true},
		{"a longer field", func(h *Hash) { h.Set([]byte(long), nil, defaults) }, true},
		{"a longer value for a field that is there", func(h *Hash) {
			h.Set([]byte("f"), nil, defaults)
			h.Set([]byte("f"), []byte(long), defaults)
		}, true},
		{"the most fields", func(h *Hash) {
			for i := range 128 {
				h.Set(strconv.AppendInt(nil, int64(i), 10), nil, defaults)
			}
		}, false},
		{"one more and deleted again", func(h *Hash) {
			for i := range 129 {
				h.Set(strconv.AppendInt(nil, int64(i), 10), nil, defaults)
			}
			h.Delete([]byte("5"))
			h.Delete([]byte("6"))
		}, true},
		{"the longest value that expires", func(h *Hash) { h.SetUntil([]byte("f"), []byte(long[:64]), 9, defaults) }, false},
		{"the most fields, all of which expire", func(h *Hash) {
			for i := range 128 {
				h.SetUntil(strconv.AppendInt(nil, int64(i), 10), nil, int64(i+1), defaults)
			}
		}, false},
		{"one more, of which some are due", func(h *Hash) {
			*h = h.AsOf(100)
			for i := range 129 {
				h.SetUntil(strconv.AppendInt(nil, int64(i), 10), nil, int64(i+1), defaults)
			}
		}, true},
		{"a change after the limit was lowered", func(h *Hash) {
			h.Set([]byte("f"), nil, defaults)
			h.Set([]byte("g"), nil, defaults)
			h.Set([]byte("g"), nil, Limits{Entries: 1, Value: 64})
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := New(testSeed, nil)
			c.build(&h)
			if (h.Object() != nil) != c.large {
				t.Errorf("large: %v", h.Object() != nil)
			}
		})
	}
}

func TestFrozenCopyKeepsItsValues(t *testing.T) {
	h := NewLarge(testSeed)
	for i := range 1000 {
		h.Set(strconv.AppendInt(nil, int64(i), 10), []byte("old"), defaults)
	}
	frozen := FromObject(h.Object().Freeze())
	for i := range 1000 {
		h.Set(strconv.AppendInt(nil, int64(i), 10), []byte("new value"), defaults)
	}
	h.Delete([]byte("7"))
	if v, _ := frozen.Get([]byte("7"), nil); string(v) != "old" || frozen.Len() != 1000 {
		t.Errorf("the copy has %q and %d fields", v, frozen.Len())
	}
	if h.Object().MemBytes() <= frozen.Object().MemBytes() {
		t.Error("MemBytes did not rise with the values")
	}
}

func TestFrozenCopyKeepsItsTimes(t *testing.T) {
	h := NewLarge(testSeed)
	for i := range 1000 {
		h.SetUntil(strconv.AppendInt(nil, int64(i), 10), []byte("v"), int64(i+1), defaults)
	}
	plain := NewLarge(testSeed)
	for i := range 1000 {
		plain.Set(strconv.AppendInt(nil, int64(i), 10), []byte("v"), defaults)
	}
	if h.Object().MemBytes() < plain.Object().MemBytes()+1000*16 {
		t.Error("MemBytes leaves the times out")
	}
	frozen := FromObject(h.Object().Freeze())
	h.ExpireDue(500, 1000)
	h.Expire([]byte("999"), Never)
	if h.Len() != 500 || h.NextExpiry() != 501 || h.LastExpiry() != Never {
		t.Errorf("%d fields, which expire from %d to %d", h.Len(), h.NextExpiry(), h.LastExpiry())
	}
	if frozen.Len() != 1000 || frozen.NextExpiry() != 1 || frozen.LastExpiry() != 1000 {
		t.Errorf("the copy has %d fields, which expire from %d to %d", frozen.Len(), frozen.NextExpiry(), frozen.LastExpiry())
	}
}

// Changes of one field of a large hash, and taking out one that is due, must not
// look at all of them.
func TestTimesOfLargeHashesTakeNoScan(t *testing.T) {
	h := NewLarge(testSeed)
	const n = 20_000
	for i := range n {
		h.SetUntil(strconv.AppendInt(nil, int64(i), 10), []byte("v"), int64(i+1), defaults)
	}
	field := []byte("777")
	if allocs := testing.AllocsPerRun(1000, func() {
		h.Expire(field, n+5)
		h.Expire(field, n+6)
		h = h.AsOf(n / 2)
		h.Len()
		h.NextExpiry()
		h.LastExpiry()
	}); allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkExpireField(b *testing.B) {
	for _, n := range []int{10, 1000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h := NewLarge(testSeed)
			if n == 10 {
				h = New(testSeed, nil)
			}
			for i := range n {
				h.SetUntil(strconv.AppendInt(nil, int64(i), 10), []byte("v"), int64(i+1), defaults)
			}
			b.ResetTimer()
			for i := range b.N {
				h.Expire(strconv.AppendInt(nil, int64(i*7919%n), 10), int64(i%n+1))
			}
		})
	}
}

func TestReadsOfSmallHashesDoNotAllocate(t *testing.T) {
	h := New(testSeed, nil)
	for i := range 20 {
		h.Set(fmt.Appendf(nil, "field%d", i), []byte("value"), defaults)
	}
	packed, field := h.Packed(), []byte("field7")
	if n := testing.AllocsPerRun(100, func() {
		var buf [20]byte
		read := FromPacked(testSeed, packed)
		read.Get(field, buf[:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzHash(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x00fv\x00\x01\x02\x0012\x01\x01\x00\x00f"))
	f.Add([]byte(strings.Repeat("\x02\x03\x02\x09abc12\x04\x01\x00\x05d\x07\x00\x00\x1f", 9)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, m := New(testSeed, nil), newModel()
		take := func(n int) string {
			n = min(n, len(b))
			s := string(b[:n])
			b = b[n:]
			return s
		}
		for len(b) > 4 {
			head := take(4)
			field := take(int(head[1]))
			act(t, &h, m, deed{head[0], field, take(int(head[2])), int(head[3])})
		}
		same(t, &h, m)
	})
}
