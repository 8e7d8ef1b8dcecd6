package hash

import (
	"fmt"
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
type model struct {
	values map[string]string
	came   []string
}

func newModel() *model { return &model{values: map[string]string{}} }

func (m *model) order(large bool) []string {
	fields := slices.Clone(m.came)
	if large {
		slices.SortFunc(fields, func(a, b string) int {
			return byhash.Compare(testSeed.Hash([]byte(a)), []byte(a), testSeed.Hash([]byte(b)), []byte(b))
		})
	}
	return fields
}

func (m *model) set(field, value string) (added bool) {
	_, had := m.values[field]
	m.values[field] = value
	if !had {
		m.came = append(m.came, field)
	}
	return !had
}

func (m *model) delete(field string) bool {
	_, had := m.values[field]
	delete(m.values, field)
	m.came = slices.DeleteFunc(m.came, func(f string) bool { return f == field })
	return had
}

func same(t *testing.T, h *Hash, m *model) {
	t.Helper()
	want := m.order(h.Object() != nil)
	var got, scanned []string
	for field, value := range h.All() {
		got = append(got, string(field))
		if string(value) != m.values[string(field)] {
			t.Fatalf("%q is %q, want %q", field, value, m.values[string(field)])
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("fields %q, want %q", got, want)
	}
	if h.Len() != len(want) {
		t.Fatalf("Len %d, want %d", h.Len(), len(want))
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
	for i, f := range want {
		field, value := h.At(i, a[:], b[:])
		if string(field) != f || string(value) != m.values[f] {
			t.Fatalf("At(%d) = %q, %q, want %q, %q", i, field, value, f, m.values[f])
		}
	}
	if h.Object() == nil {
		if err := listpack.Validate(h.Packed()); err != nil {
			t.Fatal(err)
		}
	}
}

func reopen(h *Hash) Hash {
	if h.Object() != nil {
		return FromObject(h.Object())
	}
	return FromPacked(testSeed, slices.Clone(h.Packed()))
}

// act makes one change to hash and model alike.
func act(t *testing.T, h *Hash, m *model, set bool, field, value string) {
	t.Helper()
	var buf [20]byte
	got, ok := h.Get([]byte(field), buf[:])
	want, had := m.values[field]
	if ok != had || string(got) != want || h.Has([]byte(field)) != had {
		t.Fatalf("Get(%q) = %q, %v, want %q, %v", field, got, ok, want, had)
	}
	if set {
		if h.Set([]byte(field), []byte(value), defaults) != m.set(field, value) {
			t.Fatalf("Set(%q) wrong", field)
		}
		return
	}
	if h.Delete([]byte(field)) != m.delete(field) {
		t.Fatalf("Delete(%q) wrong", field)
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
			for i := range 3000 {
				act(t, &h, m, r.IntN(5) > 1, c.text(r), c.text(r))
				if i%50 == 0 {
					same(t, &h, m)
					h = reopen(&h)
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
	f.Add([]byte("\x00\x01\x01fv\x00\x01\x0212\x01\x01\x00f"))
	f.Add([]byte(strings.Repeat("\x00\x03\x02abc12", 9)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, m := New(testSeed, nil), newModel()
		take := func(n int) string {
			n = min(n, len(b))
			s := string(b[:n])
			b = b[n:]
			return s
		}
		for len(b) > 3 {
			head := take(3)
			field := take(int(head[1]))
			act(t, &h, m, head[0]&1 == 0, field, take(int(head[2])))
		}
		same(t, &h, m)
	})
}
