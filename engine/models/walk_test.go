package models

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/seed"
)

// databases are those that walks use.
const databases = 3

// model is what a type is compared with.
type model interface {
	// step carries out one command on both sides.
	step(w *walk)
	// check compares all that there is.
	check(w *walk)
}

// kind is a type with its model.
type kind struct {
	new func() model
	// limits are settings that its encodings hang on, with values for them.
	limits map[string][]string
	// forms are the encodings that the walks of the test must meet.
	forms []string
	// bytes is how many a walk of the test is made of; 0 is the usual number.
	bytes int
}

// walk is an engine that is driven by dice.
type walk struct {
	testing.TB
	dice
	kind    kind
	node    *engine.Engine
	db      int // where commands go
	index   uint64
	now     int64 // Unix milliseconds
	history []string
	forms   map[string]bool // encodings that were met
}

func newWalk(t testing.TB, k kind, choices []byte) *walk {
	w := &walk{TB: t, dice: dice{choices}, kind: k, now: 1_700_000_000_000, forms: make(map[string]bool)}
	w.node = w.newEngine()
	w.node.Apply(func(s *engine.Step) { s.Reset(seed.Seed{K0: 3, K1: 4}) })
	return w
}

func (w *walk) newEngine() *engine.Engine { return engine.New(engine.Options{}) }

// run goes on until the dice are used up.
func (w *walk) run() {
	m := w.kind.new()
	for !w.over() {
		w.disturb()
		m.step(w)
		if w.below(60) == 0 {
			m.check(w)
		}
	}
	m.check(w)
	w.restart()
	m.check(w)
	if n := w.node.Panics(); n != 0 {
		w.fail("%d commands panicked", n)
	}
}

// disturb is what may come between two commands, and must not be noticed.
func (w *walk) disturb() {
	switch w.below(64) {
	case 0, 1:
		w.changeLimit()
	case 2:
		w.reload()
	case 3:
		if w.below(4) == 0 {
			w.restart()
		}
	case 4, 5, 6:
		w.now += int64(pick(&w.dice, 1, 10, 1000, 60_000))
	}
}

func (w *walk) changeLimit() {
	if len(w.kind.limits) == 0 {
		return
	}
	name := pick(&w.dice, slices.Sorted(maps.Keys(w.kind.limits))...)
	value := pick(&w.dice, w.kind.limits[name]...)
	w.note("config %s %s", name, value)
	w.node.Apply(func(s *engine.Step) {
		if err := s.Set(words(name, value)); err != nil {
			w.fail("%v", err)
		}
	})
}

// reload dumps all values and restores them, under the limits that hold now.
func (w *walk) reload() {
	w.note("reload")
	w.apply(func(*engine.Step) {}) // what is due by now is in neither digest
	before, db := w.node.Digest(), w.db
	for w.db = range databases {
		for _, key := range texts(w.do("KEYS", "*")) {
			payload := string(w.do("DUMP", key).Text)
			at := max(0, w.do("PEXPIRETIME", key).Int)
			w.want(ok, "RESTORE", key, fmt.Sprint(at), payload, "REPLACE", "ABSTTL")
		}
	}
	w.db = db
	if after := w.node.Digest(); after != before {
		w.fail("what was restored has digest %s, not %s", after, before)
	}
}

// restart goes on with an engine that is restored from a snapshot.
func (w *walk) restart() {
	w.note("restart")
	s, err := w.node.Freeze(nil)
	if err != nil {
		w.fail("%v", err)
	}
	var file bytes.Buffer
	if err := s.WriteRDB(&file); err != nil {
		w.fail("write a snapshot: %v", err)
	}
	s.Close()
	next := w.newEngine()
	if err := next.Restore(&file, nil); err != nil {
		w.fail("restore: %v", err)
	}
	if next.Digest() != w.node.Digest() || next.Chain() != w.node.Chain() {
		w.fail("what was restored has another digest or another chain")
	}
	w.node = next
}

// sweep deletes all keys that are due.
func (w *walk) sweep() {
	w.apply(func(s *engine.Step) { s.ExpireDue(1 << 30) })
}

func (w *walk) apply(f func(s *engine.Step)) {
	w.index++
	w.node.Apply(func(s *engine.Step) {
		s.Entry(w.index, w.now)
		f(s)
	})
}

// do carries out a command and returns the reply. What only reads is read, at
// times, as by clients, else applied, as in transactions.
func (w *walk) do(args ...string) reply.Value {
	w.Helper()
	w.history = append(w.history, fmt.Sprintf("%d: %.300q", w.db, args))
	out := reply.NewWriter(reply.RESP2, nil)
	row, _, found := w.node.Table().Find(words(args...))
	if found && row.Spec.Reads() && w.index%2 == 0 {
		w.apply(func(*engine.Step) {}) // reads of clients come after a stamp that is not older
		w.node.View(w.now, w.index, func(v *engine.View) { v.Do(w.db, words(args...), false, out) })
	} else {
		w.apply(func(s *engine.Step) { s.Do(w.db, words(args...), false, out) })
	}
	v, rest, err := reply.Read(out.Bytes())
	if err != nil || len(rest) != 0 {
		w.fail("reply %q", out.Bytes())
	}
	return v
}

// want carries out a command that must reply so.
func (w *walk) want(want any, args ...string) {
	w.Helper()
	if v := w.do(args...); !meets(v, want) {
		w.fail("got  %.2000s\nwant %.2000s", shown(v), show(want))
	}
}

// wantSorted is want for replies of strings in no order.
func (w *walk) wantSorted(want []string, args ...string) {
	w.Helper()
	got := texts(w.do(args...))
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		w.fail("got  %.2000q\nwant %.2000q", got, want)
	}
}

// meet asks for the encoding of a key.
func (w *walk) meet(key string) {
	if v := w.do("OBJECT", "ENCODING", key); v.Kind == reply.KindBulk {
		w.forms[string(v.Text)] = true
	}
}

func (w *walk) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf(format, args...))
}

func (w *walk) fail(format string, args ...any) {
	w.Helper()
	last := w.history[max(0, len(w.history)-40):]
	w.Fatalf("%s\nafter\n%s", fmt.Sprintf(format, args...), strings.Join(last, "\n"))
}

func words(s ...string) [][]byte {
	b := make([][]byte, len(s))
	for i := range s {
		b[i] = []byte(s[i])
	}
	return b
}

// testKind walks with random bytes.
func testKind(t *testing.T, k kind) {
	forms := make(map[string]bool)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWalk(t, k, randomBytes(seed, cmp.Or(k.bytes, 20_000)))
			w.run()
			maps.Copy(forms, w.forms)
		})
	}
	for _, f := range k.forms {
		if !forms[f] && !t.Failed() {
			t.Errorf("no value was ever encoded as %s", f)
		}
	}
}

// fuzzKind walks with the fuzzer's bytes.
func fuzzKind(f *testing.F, k kind) {
	for seed := range uint64(4) {
		f.Add(randomBytes(100+seed, 300))
	}
	f.Fuzz(func(t *testing.T, choices []byte) { newWalk(t, k, choices[:min(len(choices), 2<<10)]).run() })
}
