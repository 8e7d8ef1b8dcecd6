package zset

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/types/listpack"
	"github.com/quorate/quorate/engine/types/seed"
)

var (
	testSeed = seed.Seed{K0: 1, K1: 2}
	defaults = Limits{Entries: 128, Value: 64}
)

type pair struct {
	member string
	score  float64
}

// model is what a sorted set must be like.
type model map[string]float64

func (m model) sorted() []pair {
	var all []pair
	for member, score := range m {
		all = append(all, pair{member, score})
	}
	slices.SortFunc(all, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.score+0, b.score+0), strings.Compare(a.member, b.member))
	})
	return all
}

func same(t *testing.T, z *Zset, m model) {
	t.Helper()
	want := m.sorted()
	if z.Len() != len(want) {
		t.Fatalf("Len %d, want %d", z.Len(), len(want))
	}
	i := 0
	for member, score := range z.Ascend(0) {
		if string(member) != want[i].member || score != want[i].score {
			t.Fatalf("rank %d is %q with %v, want %v", i, member, score, want[i])
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("ascended %d of %d", i, len(want))
	}
	for member := range z.Descend(len(want) - 1) {
		i--
		if string(member) != want[i].member {
			t.Fatalf("descending, rank %d is %q, want %v", i, member, want[i])
		}
	}
	if i != 0 {
		t.Fatalf("descended to %d", i)
	}
	var buf [20]byte
	for i, p := range want {
		if member, score := z.At(i, buf[:]); string(member) != p.member || score != p.score {
			t.Fatalf("At(%d) = %q, %v, want %v", i, member, score, p)
		}
		if rank, ok := z.Rank([]byte(p.member)); !ok || rank != i {
			t.Fatalf("Rank(%q) = %d, %v, want %d", p.member, rank, ok, i)
		}
	}
	scanned := model{}
	for cursor := uint64(0); ; {
		cursor = z.Scan(cursor, 5, func(member []byte, score float64) { scanned[string(member)] = score })
		if cursor == 0 {
			break
		}
	}
	if !slices.Equal(scanned.sorted(), want) {
		t.Fatalf("scanned %v, want %v", scanned.sorted(), want)
	}
	if z.Object() == nil {
		if err := listpack.Validate(z.Packed()); err != nil {
			t.Fatal(err)
		}
	}
}

func reopen(z *Zset) Zset {
	if z.Object() != nil {
		return FromObject(z.Object())
	}
	return FromPacked(testSeed, slices.Clone(z.Packed()))
}

// act makes one change or asks one question, both chosen by pick.
func act(t *testing.T, z *Zset, m model, pick func(n int) int, member string, a, b float64) {
	t.Helper()
	had := m[member]
	_, has := m[member]
	if score, ok := z.Score([]byte(member)); ok != has || score != had {
		t.Fatalf("Score(%q) = %v, %v, want %v, %v", member, score, ok, had, has)
	}
	switch pick(10) {
	case 0, 1, 2, 3, 4:
		m[member] = a
		if z.Add([]byte(member), a, defaults) == has {
			t.Fatalf("Add(%q) wrong", member)
		}
	case 5, 6:
		delete(m, member)
		if z.Remove([]byte(member)) != has {
			t.Fatalf("Remove(%q) wrong", member)
		}
	case 7:
		r := ScoreRange{Min: a, Max: b, MinExclusive: pick(2) == 0, MaxExclusive: pick(2) == 0}
		from, to := z.RanksByScore(r)
		checkRanks(t, m, r, from, to, func(p pair) bool { return r.reaches(p.score) && !r.passes(p.score) })
	case 8:
		keepOneScore(z, m)
		r := LexRange{
			Min: LexBound{Member: []byte(member), Exclusive: pick(2) == 0, Infinite: pick(3) - 1},
			Max: LexBound{Member: []byte(fmt.Sprint(a)), Exclusive: pick(2) == 0, Infinite: pick(3) - 1},
		}
		from, to := z.RanksByLex(r)
		checkRanks(t, m, r, from, to, func(p pair) bool { return r.reaches([]byte(p.member)) && !r.passes([]byte(p.member)) })
	case 9:
		from := pick(z.Len() + 1)
		to := from + pick(min(z.Len()-from, 5)+1)
		for _, p := range m.sorted()[from:to] {
			delete(m, p.member)
		}
		z.DeleteRange(from, to)
	}
}

// keepOneScore gives all members the same score once in a while: what ranges of
// members are for.
func keepOneScore(z *Zset, m model) {
	for member := range m {
		m[member] = 1
		z.Add([]byte(member), 1, defaults)
	}
}

func checkRanks(t *testing.T, m model, r any, from, to int, in func(pair) bool) {
	t.Helper()
	if from > to {
		t.Fatalf("range %+v is [%d, %d)", r, from, to)
	}
	for i, p := range m.sorted() {
		if in(p) != (i >= from && i < to) {
			t.Fatalf("range %+v is [%d, %d), but %v has rank %d", r, from, to, p, i)
		}
	}
}

func score(pick func(n int) int) float64 {
	switch pick(12) {
	case 0:
		return math.Inf(1)
	case 1:
		return math.Inf(-1)
	case 2:
		return -float64(pick(50)) / 3
	case 3:
		return math.Ldexp(float64(pick(1000)), pick(1000)-500)
	}
	return float64(pick(60) - 20)
}

func TestRandomWalkAgainstMap(t *testing.T) {
	for _, c := range []struct {
		name  string
		space int
		text  func(i int) string
	}{
		{"small", 50, strconv.Itoa},
		{"large", 1000, func(i int) string { return fmt.Sprintf("member%d", i) }},
		{"long members", 300, func(i int) string { return strings.Repeat("ab", i) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			z, m := New(testSeed, nil), model{}
			for i := range 3000 {
				act(t, &z, m, r.IntN, c.text(r.IntN(c.space)), score(r.IntN), score(r.IntN))
				if i%50 == 0 {
					same(t, &z, m)
					z = reopen(&z)
				}
			}
			same(t, &z, m)
		})
	}
}

// The block is what redis-server 7.0.15 put into a DUMP payload after these
// members had come in this order.
func TestLayoutIsRedis(t *testing.T) {
	const want = "a10000001600816802842d696e6605816b02972d312e34393939393939393939393939393939652d303718" +
		"8161020001816202020181630292332e3130303030303030303030303030303113816902f4010000000000100009" +
		"816502f4000000000000200009816a02f40000c16ff2862300098164028531652b32300681660297312e37393736" +
		"393331333438363233313537652b33303818070183696e6604ff"
	z := New(testSeed, nil)
	for _, p := range []pair{
		{"b", 3},
		{"a", math.Copysign(0, -1)},
		{"c", 3.1},
		{"d", 1e20},
		{"e", 9007199254740993},
		{"f", math.MaxFloat64},
		{"7", math.Inf(1)},
		{"h", math.Inf(-1)},
		{"i", 4503599627370497},
		{"j", 1e16},
		{"k", -1.5e-7},
		{"b", 2},
		{"a", 0},
	} {
		z.Add([]byte(p.member), p.score, defaults)
	}
	if got := hex.EncodeToString(z.Packed()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestForms(t *testing.T) {
	fill := func(n int) func(z *Zset) {
		return func(z *Zset) {
			for i := range n {
				z.Add(strconv.AppendInt(nil, int64(i), 10), 1, defaults)
			}
		}
	}
	for _, c := range []struct {
		name  string
		build func(z *Zset)
		large bool
	}{
		{"nothing", fill(0), false},
		{"the most members", fill(128), false},
		{"the most members, one again", func(z *Zset) { fill(128)(z); z.Add([]byte("5"), 7, defaults) }, false},
		{"one more", fill(129), true},
		{"one more, and all but one removed", func(z *Zset) { fill(129)(z); z.DeleteRange(1, 129) }, true},
		{"a long member", func(z *Zset) { z.Add([]byte(strings.Repeat("x", 65)), 1, defaults) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := New(testSeed, nil)
			c.build(&z)
			if (z.Object() != nil) != c.large {
				t.Errorf("large: %v", z.Object() != nil)
			}
		})
	}
}

// A large sorted set keeps the sign of a zero, which sorts as any zero; a small
// one, like Redis', does not.
func TestNegativeZero(t *testing.T) {
	for _, z := range []Zset{New(testSeed, nil), NewLarge(testSeed)} {
		z.Add([]byte("b"), math.Copysign(0, -1), defaults)
		z.Add([]byte("a"), 0, defaults)
		keeps := z.Object() != nil
		for member, score := range z.Ascend(1) {
			if string(member) != "b" || math.Signbit(score) != keeps {
				t.Errorf("large %v: %q with sign %v comes last", keeps, member, math.Signbit(score))
			}
		}
		if s, _ := z.Score([]byte("b")); math.Signbit(s) != keeps {
			t.Errorf("large %v: sign %v", keeps, math.Signbit(s))
		}
		z.Add([]byte("b"), 0, defaults) // equal: nothing changes
		if s, _ := z.Score([]byte("b")); math.Signbit(s) != keeps {
			t.Errorf("large %v: sign %v after adding 0", keeps, math.Signbit(s))
		}
		if !z.Remove([]byte("b")) || z.Len() != 1 {
			t.Error("a member with negative zero can't be removed")
		}
	}
}

func TestSortableKeepsOrder(t *testing.T) {
	scores := []float64{
		math.Inf(-1), -math.MaxFloat64, -1.5, -1, -math.SmallestNonzeroFloat64, 0,
		math.SmallestNonzeroFloat64, 1, 1.5, math.MaxFloat64, math.Inf(1),
	}
	for i, s := range scores {
		if got := unsortable(sortable(s)); got != s {
			t.Errorf("%v comes back as %v", s, got)
		}
		if i > 0 && sortable(scores[i-1]) >= sortable(s) {
			t.Errorf("%v does not sort before %v", scores[i-1], s)
		}
	}
}

func TestNaNPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NaN was taken for a score")
		}
	}()
	z := New(testSeed, nil)
	z.Add([]byte("a"), math.NaN(), defaults)
}

func TestFrozenCopyKeepsItsMembers(t *testing.T) {
	z := NewLarge(testSeed)
	m := model{}
	for i := range 1000 {
		m[strconv.Itoa(i)] = float64(i % 7)
		z.Add([]byte(strconv.Itoa(i)), float64(i%7), defaults)
	}
	frozen := FromObject(z.Object().Freeze())
	z.DeleteRange(0, 500)
	for i := range 1000 {
		z.Add([]byte(strconv.Itoa(i)), -1, defaults)
	}
	same(t, &frozen, m)
	if z.Object().MemBytes() <= 0 || frozen.Object().MemBytes() <= 0 {
		t.Error("no memory held")
	}
}

func TestReadsDoNotAllocate(t *testing.T) {
	small, large := New(testSeed, nil), NewLarge(testSeed)
	for i := range 20 {
		small.Add(fmt.Appendf(nil, "m%d", i), float64(i)+0.5, defaults)
		large.Add(fmt.Appendf(nil, "m%d", i), float64(i)+0.5, defaults)
	}
	member := []byte("m7")
	for name, z := range map[string]*Zset{"small": &small, "large": &large} {
		if n := testing.AllocsPerRun(100, func() { z.Score(member); z.Rank(member) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzZset(f *testing.F) {
	f.Add([]byte("\x00\x01a\x05\x06"))
	f.Add([]byte(strings.Repeat("\x02ab\x09\x00\x08\x07\x06\x05\x02xy\x01\x02\x03", 12)))
	f.Fuzz(func(t *testing.T, b []byte) {
		pick := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			v := int(b[0])
			b = b[1:]
			return v % n
		}
		z, m := New(testSeed, nil), model{}
		for len(b) > 0 {
			size := min(pick(80), len(b))
			member := string(b[:size])
			b = b[size:]
			act(t, &z, m, pick, member, score(pick), score(pick))
		}
		same(t, &z, m)
	})
}

// A range that leaves few members is cut another way: those left are as before,
// the sign of a zero too, and a copy taken before keeps all.
func TestRangeThatLeavesFew(t *testing.T) {
	z, m := NewLarge(testSeed), model{}
	for i := range 1000 {
		member, score := strconv.Itoa(i), float64(i-2)
		if i == 2 {
			score = math.Copysign(0, -1)
		}
		z.Add([]byte(member), score, defaults)
		m[member] = score
	}
	before, all := FromObject(z.Object().Freeze()), maps.Clone(m)
	for _, p := range m.sorted()[5:990] {
		delete(m, p.member)
	}
	z.DeleteRange(5, 990)
	same(t, &z, m)
	if score, ok := z.Score([]byte("2")); !ok || !math.Signbit(score) {
		t.Errorf("the zero became %v", score)
	}
	same(t, &before, all)
	z.DeleteRange(0, z.Len())
	same(t, &z, model{})
}

// A set that is filled is as if its members had been added.
func TestFill(t *testing.T) {
	for _, n := range []int{0, 1, 100, 5000} {
		for name, z := range map[string]Zset{"small": New(testSeed, nil), "large": NewLarge(testSeed)} {
			m := model{}
			for i := range n {
				m[fmt.Sprint(i*7919%n)] = float64(i % 50)
			}
			z.Fill(func(yield func([]byte, float64) bool) {
				for _, p := range m.sorted() {
					if !yield([]byte(p.member), p.score) {
						return
					}
				}
			}, defaults)
			t.Run(fmt.Sprint(name, n), func(t *testing.T) { same(t, &z, m) })
			z.Add([]byte("new"), -5, defaults)
			if rank, ok := z.Rank([]byte("new")); !ok || rank != 0 {
				t.Errorf("%s of %d: the next one has rank %d", name, n, rank)
			}
		}
	}
}
