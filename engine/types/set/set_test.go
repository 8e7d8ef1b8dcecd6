package set

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

var (
	testSeed = seed.Seed{K0: 1, K1: 2}
	defaults = Limits{IntsetEntries: 512}
)

// order returns the members in the order that the set must have.
func order(members map[string]bool, ints bool) []string {
	var all []string
	for m := range members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b string) int {
		if ints {
			x, _ := strconv.ParseInt(a, 10, 64)
			y, _ := strconv.ParseInt(b, 10, 64)
			return cmp.Compare(x, y)
		}
		return byhash.Compare(testSeed.Hash([]byte(a)), []byte(a), testSeed.Hash([]byte(b)), []byte(b))
	})
	return all
}

func collect(s *Set) []string {
	var all []string
	for m := range s.All() {
		all = append(all, string(m))
	}
	return all
}

func same(t *testing.T, s *Set, model map[string]bool) {
	t.Helper()
	want := order(model, s.IsIntset())
	if got := collect(s); !slices.Equal(got, want) {
		t.Fatalf("members %q, want %q", got, want)
	}
	if s.Len() != len(want) {
		t.Fatalf("Len %d, want %d", s.Len(), len(want))
	}
	var scanned []string
	for cursor := s.Scan(0, 7, func(m []byte) { scanned = append(scanned, string(m)) }); cursor != 0; {
		cursor = s.Scan(cursor, 7, func(m []byte) { scanned = append(scanned, string(m)) })
	}
	if !slices.Equal(scanned, want) {
		t.Fatalf("scanned %q, want %q", scanned, want)
	}
	var buf [20]byte
	for i, m := range want {
		if got := s.At(i, buf[:]); string(got) != m {
			t.Fatalf("At(%d) = %q, want %q", i, got, m)
		}
	}
}

// reopen is what happens to a set between two commands.
func reopen(s *Set) Set {
	if s.Object() != nil {
		return FromObject(s.Object())
	}
	return FromPacked(testSeed, slices.Clone(s.Packed()))
}

func change(t *testing.T, s *Set, model map[string]bool, add bool, m string) {
	t.Helper()
	had := model[m]
	if s.Has([]byte(m)) != had {
		t.Fatalf("Has(%q) is not %v", m, had)
	}
	if add {
		model[m] = true
		if s.Add([]byte(m), defaults) == had {
			t.Fatalf("Add(%q) wrong", m)
		}
		return
	}
	delete(model, m)
	if s.Remove([]byte(m)) != had {
		t.Fatalf("Remove(%q) wrong", m)
	}
}

func TestRandomWalkAgainstMap(t *testing.T) {
	for _, c := range []struct {
		name   string
		member func(r *rand.Rand) string
	}{
		{"integers", func(r *rand.Rand) string { return strconv.Itoa(r.IntN(300)) }},
		{"many integers", func(r *rand.Rand) string { return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10) }},
		{"few words", func(r *rand.Rand) string { return fmt.Sprintf("m%d", r.IntN(80)) }},
		{"many words", func(r *rand.Rand) string { return fmt.Sprintf("m%d", r.IntN(1000)) }},
		{"long words", func(r *rand.Rand) string { return strings.Repeat(strconv.Itoa(r.IntN(50)), r.IntN(200)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			s, model := New(testSeed, nil), map[string]bool{}
			for i := range 3000 {
				change(t, &s, model, r.IntN(5) > 1, c.member(r))
				if i%50 == 0 {
					same(t, &s, model)
					s = reopen(&s)
				}
			}
			same(t, &s, model)
		})
	}
}

func TestForms(t *testing.T) {
	words := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("w%d", i))
		}
		return all
	}
	ints := func(n int) (all []string) {
		for i := range n {
			all = append(all, strconv.Itoa(i))
		}
		return all
	}
	for _, c := range []struct {
		name          string
		members       []string
		intset, large bool
	}{
		{"nothing", nil, true, false},
		{"integers", ints(512), true, false},
		{"too many integers", ints(513), false, true},
		{"a word", words(1), false, false},
		{"an integer and a word", []string{"1", "w"}, false, false},
		{"integers that are not canonical", []string{"01"}, false, false},
		{"compact at its most", words(64), false, false},
		{"one more", words(65), false, true},
		{"a long member", []string{strings.Repeat("x", 1020)}, false, true},
		{"the empty member", []string{""}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, model := New(testSeed, nil), map[string]bool{}
			for _, m := range c.members {
				change(t, &s, model, true, m)
			}
			same(t, &s, model)
			if s.IsIntset() != c.intset || (s.Object() != nil) != c.large {
				t.Errorf("intset %v, large %v", s.IsIntset(), s.Object() != nil)
			}
		})
	}
}

func TestAddingAMemberAgainDoesNotChangeTheForm(t *testing.T) {
	s := New(testSeed, nil)
	for i := range compactMembers {
		s.Add(fmt.Appendf(nil, "w%d", i), defaults)
	}
	if s.Add([]byte("w7"), defaults) || s.Object() != nil {
		t.Error("a full compact set became large by a member that it had")
	}
}

func TestHashtableStaysOne(t *testing.T) {
	s := NewHashtable(testSeed, nil)
	s.Add([]byte("1"), defaults)
	s.Add([]byte("2"), defaults)
	if s.IsIntset() || s.Len() != 2 {
		t.Error("a restored hashtable became an intset")
	}
}

// A cursor of the compact form goes on in the large one.
func TestScanGoesOnWhenTheFormChanges(t *testing.T) {
	s, model := NewHashtable(testSeed, nil), map[string]bool{}
	for i := range 40 {
		change(t, &s, model, true, fmt.Sprintf("w%d", i))
	}
	want := order(model, false)
	var seen []string
	visit := func(m []byte) {
		if model[string(m)] {
			seen = append(seen, string(m))
		}
	}
	cursor := s.Scan(0, 10, visit)
	for i := range 200 {
		s.Add(fmt.Appendf(nil, "later%d", i), defaults)
	}
	if s.Object() == nil {
		t.Fatal("not large yet")
	}
	for cursor != 0 {
		cursor = s.Scan(cursor, 10, visit)
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

func TestFrozenCopyKeepsItsMembers(t *testing.T) {
	s := New(testSeed, nil)
	for i := range 1000 {
		s.Add(strconv.AppendInt([]byte("m"), int64(i), 10), defaults)
	}
	frozen := FromObject(s.Object().Freeze())
	for i := range 990 {
		s.Remove(strconv.AppendInt([]byte("m"), int64(i), 10))
	}
	if s.Len() != 10 || frozen.Len() != 1000 || !frozen.Has([]byte("m5")) || s.Has([]byte("m5")) {
		t.Errorf("%d members, %d in the copy", s.Len(), frozen.Len())
	}
	if s.Object().MemBytes() >= frozen.Object().MemBytes() {
		t.Error("MemBytes did not fall with the members")
	}
}

func TestReadsOfSmallSetsDoNotAllocate(t *testing.T) {
	s := New(testSeed, nil)
	for i := range 20 {
		s.Add(fmt.Appendf(nil, "word%d", i), defaults)
	}
	packed, word := s.Packed(), []byte("word7")
	if n := testing.AllocsPerRun(100, func() {
		read := FromPacked(testSeed, packed)
		read.Has(word)
		read.Len()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte("\x00\x011\x00\x012\x01\x011\x00\x01a"))
	f.Add([]byte(strings.Repeat("\x00\x02ab\x00\x02cd\x01\x02ab", 5)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, model := New(testSeed, nil), map[string]bool{}
		for len(b) > 2 {
			add, size := b[0]&1 == 0, int(b[1])
			m := string(b[2:min(len(b), 2+size)])
			b = b[min(len(b), 2+size):]
			if add && len(b) > 1 && b[0]&2 != 0 { // integers and long members, more often than by chance
				n, _ := binary.Varint(append(b[:min(len(b), 8):min(len(b), 8)], 0))
				m = string(strconv.AppendInt(nil, n, 10))
				if _, isInt := listpack.ParseInt([]byte(m)); !isInt {
					t.Fatalf("%q is not an integer", m)
				}
			}
			change(t, &s, model, add, m)
		}
		same(t, &s, model)
	})
}

// Taking most members at once is taking them one by one: the same members in the same order, the same ones left, and
// the same history.
func TestTakeIsTakingOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 100, 600, 1001, 1024, 3000, 20_000} {
		for _, take := range []int{1, n / 2, n/2 + 1, n - 17, n - 2, n - 1} {
			if take < 1 || take > n {
				continue
			}
			many, single := New(testSeed, nil), New(testSeed, nil)
			if n%2 == 0 { // some intsets
				for i := range n {
					many.Add(strconv.AppendInt(nil, int64(i), 10), defaults)
					single.Add(strconv.AppendInt(nil, int64(i), 10), defaults)
				}
			} else {
				for i := range n - 1 {
					many.Add(fmt.Appendf(nil, "member:%d", i), defaults)
					single.Add(fmt.Appendf(nil, "member:%d", i), defaults)
				}
				many.Add([]byte(""), defaults)
				single.Add([]byte(""), defaults)
			}
			frozen := ""
			if many.Object() != nil && take%2 == 0 { // a snapshot shares the nodes
				object := many.Object().Freeze()
				copied := FromObject(object)
				frozen = strings.Join(collect(&copied), " ")
				defer func() {
					if got := strings.Join(collect(&copied), " "); got != frozen {
						t.Errorf("%d of %d: the frozen copy changed", take, n)
					}
				}()
			}
			var ofMany, ofSingle chain.Chain
			many.Join(&ofMany)
			single.Join(&ofSingle)
			var ranks []int
			for i := range take {
				ranks = append(ranks, r.IntN(n-i))
			}
			next := 0
			var got, want []string
			many.Take(take, func(left int) int {
				if left != n-next {
					t.Fatalf("%d of %d: told of %d at %d", take, n, left, next)
				}
				next++
				return ranks[next-1]
			}, func(m []byte) { got = append(got, string(m)) })
			for _, rank := range ranks {
				m := slices.Clone(single.At(rank, make([]byte, 20)))
				want = append(want, string(m))
				single.Remove(m)
			}
			if !slices.Equal(got, want) || !slices.Equal(collect(&many), collect(&single)) || many.Len() != single.Len() {
				t.Fatalf("%d of %d: other members taken or left", take, n)
			}
			if ofMany != ofSingle {
				t.Errorf("%d of %d: another history", take, n)
			}
			for i := range 10 {
				if m := fmt.Appendf(nil, "new:%d", i); !many.Add(m, defaults) || !many.Has(m) {
					t.Fatalf("%d of %d: the set takes no more members", take, n)
				}
			}
		}
	}
}
