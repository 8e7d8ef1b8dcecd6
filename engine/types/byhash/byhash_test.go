package byhash

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/types/seed"
)

var testSeed = seed.Seed{K0: 1, K1: 2}

// sorted returns the model's keys in the order that a Map must have.
func sorted(model map[string]string) []string {
	var keys []string
	for k := range model {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return Compare(testSeed.Hash([]byte(a)), []byte(a), testSeed.Hash([]byte(b)), []byte(b))
	})
	return keys
}

func TestRandomWalkAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m, model := New(testSeed), map[string]string{}
	for range 5000 {
		k := fmt.Sprint(r.IntN(800))
		if r.IntN(10) == 0 {
			k = strings.Repeat(k, 60) // longer than keyRoom
		}
		_, had := model[k]
		switch r.IntN(3) {
		case 0, 1:
			model[k] = fmt.Sprint(r.Uint32())
			if m.Put([]byte(k), []byte(model[k])) == had {
				t.Fatalf("Put(%q) wrong", k)
			}
		case 2:
			delete(model, k)
			if m.Delete([]byte(k)) != had {
				t.Fatalf("Delete(%q) wrong", k)
			}
		}
		v, ok := m.Get([]byte(k))
		if want, has := model[k]; ok != has || string(v) != want || m.Has([]byte(k)) != has {
			t.Fatalf("Get(%q) = %q, %v", k, v, ok)
		}
	}
	want := sorted(model)
	if m.Len() != len(want) {
		t.Fatalf("Len %d, want %d", m.Len(), len(want))
	}
	i := 0
	for k, v := range m.All() {
		atKey, atValue := m.At(i)
		if string(k) != want[i] || string(v) != model[want[i]] || string(atKey) != want[i] || string(atValue) != string(v) {
			t.Fatalf("entry %d is %q, At gives %q, want %q", i, k, atKey, want[i])
		}
		i++
	}
}

// What is there from the first call of a scan to the last is seen, whatever else
// comes and goes.
func TestScanSeesAllThatStays(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, count := range []int{-1, 0, 1, 7, 100000} {
		m := New(testSeed)
		for i := range 1000 {
			m.Put(fmt.Appendf(nil, "stays%d", i), []byte("v"))
		}
		seen := map[string]int{}
		for cursor, calls := uint64(0), 0; ; calls++ {
			if calls > 3000 {
				t.Fatal("the scan does not end")
			}
			visited := 0
			cursor = m.Scan(cursor, count, func(k, v []byte) {
				visited++
				seen[string(k)]++
			})
			if cursor == 0 {
				break
			}
			if visited < count || visited == 0 {
				t.Fatalf("%d visited of count %d", visited, count)
			}
			if Position(^uint64(0)) < cursor {
				t.Fatalf("cursor %d takes more than 53 bits", cursor)
			}
			for range 20 {
				k := fmt.Appendf(nil, "goes%d", r.IntN(500))
				if !m.Delete(k) {
					m.Put(k, nil)
				}
			}
		}
		for i := range 1000 {
			if n := seen[fmt.Sprintf("stays%d", i)]; n != 1 {
				t.Fatalf("count %d: entry %d seen %d times", count, i, n)
			}
		}
	}
}

func TestScanOfCursorBeyondAllEndsAtOnce(t *testing.T) {
	m := New(testSeed)
	m.Put([]byte("a"), nil)
	for _, cursor := range []uint64{1 << 53, ^uint64(0)} {
		if next := m.Scan(cursor, 10, func(k, _ []byte) { t.Errorf("visited %q", k) }); next != 0 {
			t.Errorf("next %d", next)
		}
	}
}

func TestLookUpsDoNotAllocate(t *testing.T) {
	m := New(testSeed)
	key := []byte("some member of a usual length")
	m.Put(key, key)
	if n := testing.AllocsPerRun(100, func() { m.Get(key); m.Put(key, key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A cursor can't point between entries of one position, so they are visited
// together, beyond count. Such hashes are made here rather than found.
func TestScanVisitsCollidingEntriesTogether(t *testing.T) {
	m := New(testSeed)
	for _, place := range []string{
		"\x00\x00\x00\x00\x00\x01\x00\x00a",
		"\x00\x00\x00\x00\x00\x01\x00\x00b", // the same hash
		"\x00\x00\x00\x00\x00\x01\x00\x01c", // the same 53 bits of it
		"\x00\x00\x00\x00\x00\x02\x00\x00d",
	} {
		m.t.Put([]byte(place), nil)
	}
	var got []string
	visit := func(k, _ []byte) { got = append(got, string(k)) }
	cursor := m.Scan(0, 1, visit)
	if !slices.Equal(got, []string{"a", "b", "c"}) || cursor != 0x20000>>11 {
		t.Fatalf("first call: %q, cursor %#x", got, cursor)
	}
	if cursor = m.Scan(cursor, 1, visit); cursor != 0 || got[len(got)-1] != "d" {
		t.Fatalf("second call: %q, cursor %#x", got, cursor)
	}
}
