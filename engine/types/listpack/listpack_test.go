package listpack

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checkTexts walks lp both ways and by index and compares with want.
func checkTexts(t testing.TB, lp []byte, want []string) {
	t.Helper()
	if got := Len(lp); got != len(want) {
		t.Fatalf("Len = %d, want %d", got, len(want))
	}
	i := 0
	for p := First(lp); p >= 0; p = Next(lp, p) {
		if got := string(AppendElement(nil, lp, p)); got != want[i] {
			t.Fatalf("element %d = %q, want %q", i, got, want[i])
		}
		if !Equal(lp, p, []byte(want[i])) {
			t.Fatalf("element %d is not Equal to %q", i, want[i])
		}
		if len(want) < 300 && (Seek(lp, i) != p || Seek(lp, i-len(want)) != p) {
			t.Fatalf("Seek(%d) = %d, Seek(%d) = %d, want %d", i, Seek(lp, i), i-len(want), Seek(lp, i-len(want)), p)
		}
		i++
	}
	var buf [20]byte
	for p := Last(lp); p >= 0; p = Prev(lp, p) {
		i--
		if got := string(Text(lp, p, buf[:])); got != want[i] {
			t.Fatalf("backwards, element %d = %q, want %q", i, got, want[i])
		}
	}
	if i != 0 {
		t.Fatalf("backwards, %d elements missing", i)
	}
	if Seek(lp, len(want)) != -1 || Seek(lp, -len(want)-1) != -1 {
		t.Fatal("Seek found an element outside")
	}
}

// randomElement favours the borders between encodings.
func randomElement(rnd *rand.Rand) string {
	switch rnd.IntN(6) {
	case 0:
		return strconv.FormatInt(rnd.Int64()>>rnd.IntN(64), 10)
	case 1:
		return strconv.FormatInt(-(rnd.Int64() >> rnd.IntN(64)), 10)
	case 2:
		n := []int{0, 62, 63, 64, 125, 126, 127, 4093, 4095, 4096}[rnd.IntN(10)]
		return strings.Repeat("x", n)
	case 3:
		return "0" + strconv.Itoa(rnd.IntN(100))
	}
	return string([]byte("abcdefgh")[:1+rnd.IntN(8)])
}

// TestRandomWalk edits a listpack and a []string alike.
func TestRandomWalk(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		lp, model := New(rnd.IntN(1000)), []string(nil)
		for range 400 {
			e, i := randomElement(rnd), 0
			if len(model) > 0 {
				i = rnd.IntN(len(model))
			}
			p := Seek(lp, i)
			switch op := rnd.IntN(12); {
			case op == 0:
				lp, model = Append(lp, []byte(e)), append(model, e)
			case op == 1:
				lp, model = Prepend(lp, []byte(e)), slices.Insert(model, 0, e)
			case op == 2:
				n := rnd.Int64() >> rnd.IntN(64)
				lp, model = AppendInt(lp, n), append(model, strconv.FormatInt(n, 10))
			case op == 3:
				n := -rnd.Int64() >> rnd.IntN(64)
				lp, model = AppendInt(lp, n), append(model, strconv.FormatInt(n, 10))
			case p < 0:
				continue
			case op == 4:
				lp, model = InsertBefore(lp, p, []byte(e)), slices.Insert(model, i, e)
			case op == 5:
				lp, model = InsertAfter(lp, p, []byte(e)), slices.Insert(model, i+1, e)
			case op == 6:
				lp = Replace(lp, p, []byte(e))
				model[i] = e
			case op == 7:
				lp = ReplaceInt(lp, p, int64(i))
				model[i] = strconv.Itoa(i)
			case op == 8:
				var next int
				lp, next = Delete(lp, p)
				model = slices.Delete(model, i, i+1)
				if next != Seek(lp, i) {
					t.Fatalf("Delete returned %d, want %d", next, Seek(lp, i))
				}
			case op == 9:
				n := rnd.IntN(5)
				lp = DeleteRange(lp, i-len(model), n)
				model = slices.Delete(model, i, min(i+n, len(model)))
			case op == 10:
				head, tail := Split(lp, p)
				mustValidate(t, head)
				mustValidate(t, tail)
				checkTexts(t, tail, model[i:])
				lp = Concat(head, tail)
			case op == 11:
				want := slices.Index(model, model[i])
				if got := Find(lp, First(lp), []byte(model[i]), 0); got != Seek(lp, want) {
					t.Fatalf("Find(%q) = %d, want element %d", model[i], got, want)
				}
			}
			mustValidate(t, lp)
			checkTexts(t, lp, model)
		}
	}
}

func mustValidate(t testing.TB, lp []byte) {
	t.Helper()
	if err := Validate(lp); err != nil {
		t.Fatal(err)
	}
}

func TestFindSkips(t *testing.T) {
	lp := New(0)
	for _, s := range []string{"a", "b", "b", "7", "7", "c"} {
		lp = Append(lp, []byte(s))
	}
	for _, c := range []struct {
		val     string
		skipped int
		want    int // index
	}{
		{"b", 0, 1},
		{"b", 1, 2},
		{"7", 1, 4},
		{"07", 0, -1},
		{"c", 1, -1},
		{"c", 9, -1},
		{"a", 9, 0},
	} {
		want := -1
		if c.want >= 0 {
			want = Seek(lp, c.want)
		}
		if got := Find(lp, First(lp), []byte(c.val), c.skipped); got != want {
			t.Errorf("Find(%q, skipped %d) = %d, want %d", c.val, c.skipped, got, want)
		}
	}
	if Find(lp, -1, []byte("a"), 0) != -1 {
		t.Error("Find from -1 found something")
	}
}

func TestParseInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, math.MaxInt64, math.MinInt64, math.MaxInt32} {
		if got, ok := ParseInt(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("ParseInt of %d = %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-", "-0", "00", "01", "+1", "1 ", " 1", "1a", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999"} {
		if n, ok := ParseInt([]byte(s)); ok {
			t.Errorf("ParseInt(%q) = %d", s, n)
		}
	}
}

// TestManyElements passes the count that the header can hold.
func TestManyElements(t *testing.T) {
	const n = 65_600
	lp, model := New(0), make([]string, 0, n)
	for i := range n {
		lp = AppendInt(lp, int64(i))
		model = append(model, strconv.Itoa(i))
	}
	mustValidate(t, lp)
	checkTexts(t, lp, model)
	for _, i := range []int{0, 65_534, 65_599, -1, -65_600} {
		want := (i + n) % n
		if got, ok := Int(lp, Seek(lp, i)); !ok || got != int64(want) {
			t.Errorf("Seek(%d) found %d", i, got)
		}
	}
	lp = DeleteRange(lp, 0, n-3)
	mustValidate(t, lp)
	checkTexts(t, lp, model[n-3:])
	head, tail := Split(lp, Seek(lp, 1))
	checkTexts(t, head, model[n-3:n-2])
	checkTexts(t, tail, model[n-2:])
}

// TestEditsStayInside gives edits a block inside a larger one.
func TestEditsStayInside(t *testing.T) {
	area := append(Append(New(0), []byte("abc")), "neighbour"...)
	lp := area[: len(area)-len("neighbour") : len(area)-len("neighbour")]
	lp = Append(lp, []byte("more"))
	lp = Replace(lp, First(lp), []byte("longer than before"))
	checkTexts(t, lp, []string{"longer than before", "more"})
	if !bytes.HasSuffix(area, []byte("neighbour")) {
		t.Errorf("wrote past the block: %q", area)
	}
}

func TestAllocations(t *testing.T) {
	lp := New(4096)
	val, num := []byte("value"), []byte("12345")
	if n := testing.AllocsPerRun(100, func() {
		lp = Append(lp, val)
		lp = Prepend(lp, num)
		Find(lp, First(lp), val, 0)
		lp = Replace(lp, First(lp), val)
		lp, _ = DeleteN(lp, First(lp), 2)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzValidate(f *testing.F) {
	for _, g := range goldens(f) {
		if len(g.block) < 4096 {
			f.Add(g.block)
		}
	}
	f.Add(New(0))
	f.Add([]byte{8, 0, 0, 0, 1, 0, 0xF0, 0xFF})
	f.Add([]byte{12, 0, 0, 0, 1, 0, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, lp []byte) {
		if err := Validate(lp); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v does not wrap ErrCorrupt", err)
			}
			return
		}
		// Everything must work on an accepted block, and an own rebuild of it
		// must read the same.
		var texts []string
		for p := First(lp); p >= 0; p = Next(lp, p) {
			texts = append(texts, string(AppendElement(nil, lp, p)))
		}
		if headerCount(lp) != countUnknown {
			checkTexts(t, lp, texts)
		}
		rebuilt := New(0)
		for _, s := range texts {
			rebuilt = Append(rebuilt, []byte(s))
		}
		mustValidate(t, rebuilt)
		checkTexts(t, rebuilt, texts)
		if len(texts) > 0 {
			lp = Replace(bytes.Clone(lp), First(lp), []byte("replaced"))
			lp, _ = Delete(lp, Last(lp))
			mustValidate(t, lp)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	lp := New(0)
	for i := range 128 {
		lp = Append(lp, []byte("field:"+strconv.Itoa(i)))
	}
	val := []byte("field:127")
	for b.Loop() {
		Find(lp, First(lp), val, 0)
	}
}
