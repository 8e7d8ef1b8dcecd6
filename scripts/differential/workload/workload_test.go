package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

func newWorkload(t *testing.T, seed uint64) *Workload {
	t.Helper()
	w, err := New(Options{Seed: seed, Clients: 3, Has: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestSameSeedSameSteps(t *testing.T) {
	a, b := newWorkload(t, 7), newWorkload(t, 7)
	for range 50 {
		x, y := a.Next(), b.Next()
		if len(x) != len(y) {
			t.Fatalf("%d and %d steps", len(x), len(y))
		}
		for i := range x {
			if x[i].Client != y[i].Client || !bytes.Equal(bytes.Join(x[i].Args, nil), bytes.Join(y[i].Args, nil)) {
				t.Fatalf("%q and %q", x[i].Args, y[i].Args)
			}
		}
	}
}

func TestEveryRowIsDrawn(t *testing.T) {
	w := newWorkload(t, 1)
	drawn := make(map[*Row]bool)
	for range 100_000 {
		drawn[w.row().Row] = true
	}
	for i := range rows {
		if !drawn[&rows[i]] {
			t.Errorf("%s was never drawn", rows[i].Grammar)
		}
	}
}

func TestEveryKindIsKnown(t *testing.T) {
	w := newWorkload(t, 1)
	for i := range w.rows {
		for range 50 {
			w.drawn(&w.rows[i]) // panics on a kind that is not known
		}
	}
}

// What is damaged must not hang on chance: no row but those that stand alone may become a
// command that does.
func TestChanceStandsAlone(t *testing.T) {
	w := newWorkload(t, 1)
	for range 20_000 {
		s := w.inner()
		switch name := string(bytes.ToUpper(s.Args[0])); {
		case name == "SPOP" && len(s.Args) == 2, name == "RANDOMKEY", name == "TIME":
			t.Fatalf("%q in a transaction", s.Args)
		}
	}
}

func TestProbesAskForTheKey(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"OBJECT", "ENCODING"}, `["OBJECT" "ENCODING" "k"]`},
		{[]string{"SMEMBERS"}, `["SMEMBERS" "k"]`},
		{[]string{"ZRANGE", "0", "-1"}, `["ZRANGE" "k" "0" "-1"]`},
	} {
		if got := fmt.Sprintf("%q", ask(c.words, []byte("k"))); got != c.want {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
}

func TestLongTimesToLive(t *testing.T) {
	w := newWorkload(t, 1)
	r := rand.New(rand.NewPCG(1, 1))
	for _, kind := range []string{"ttl", "pttl", "restorettl"} {
		for range 1000 {
			if n, err := strconv.Atoi(string(w.argument(r, kind))); err == nil && n > 0 && n < 100 {
				t.Fatalf("%s of %d runs out between the servers", kind, n)
			}
		}
	}
}
