package simulation

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// regression is a run that has failed once: a file of testdata.
type regression struct {
	Seed    uint64 `json:"seed"`
	Seconds int    `json:"seconds"` // of the time under faults
	Without cut    `json:"without"`
	Found   string `json:"found"` // what was wrong
}

func (r regression) plan() schedule {
	return generate(r.Seed, time.Duration(r.Seconds)*time.Second).without(r.Without)
}

// TestRegressions runs again what has failed before.
func TestRegressions(t *testing.T) {
	if slowly {
		t.Skip("too slow under the race detector")
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no regressions", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var r regression
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			report(t, r.Seed, simulate(t, r.plan(), bug{}), time.Since(began))
		})
	}
}

// TestShrink looks for the least of a seed's schedule that still fails:
// SIM_SHRINK=n. It prints a file for testdata.
func TestShrink(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SIM_SHRINK"), 10, 64)
	if err != nil {
		t.Skip("SIM_SHRINK is not set")
	}
	r := regression{Seed: seed, Seconds: int(runLength.Seconds())}
	fails := func(r regression) bool {
		return len(simulate(t, r.plan(), bug{}).problems) > 0
	}
	if !fails(r) {
		t.Fatalf("seed %d does not fail", seed)
	}
	whole := generate(seed, runLength)
	for _, kind := range slices.Concat(opKinds, tightKinds) {
		r = tryWithout(r, fails, func(c *cut) { c.Kinds = append(slices.Clone(c.Kinds), kind.kind) })
	}
	for _, c := range whole.clients {
		r = tryWithout(r, fails, func(out *cut) { out.Clients = append(slices.Clone(out.Clients), c.id) })
	}
	for size := (len(whole.events) + 1) / 2; size > 0; size /= 2 {
		for from := 0; from < len(whole.events); from += size {
			r = tryWithout(r, fails, func(c *cut) {
				c.Events = slices.Clone(c.Events)
				for _, e := range whole.events[from:min(from+size, len(whole.events))] {
					if !slices.Contains(c.Events, e.id) {
						c.Events = append(c.Events, e.id)
					}
				}
			})
		}
	}
	slices.Sort(r.Without.Events)
	if res := simulate(t, r.plan(), bug{}); len(res.problems) > 0 {
		r.Found = res.problems[0]
	}
	for _, e := range r.plan().events {
		t.Logf("left: %v %s %d %d for %v, %d", e.at, e.kind, e.node, e.other, e.last, e.n)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
}

// tryWithout leaves more out, if what is left still fails.
func tryWithout(r regression, fails func(regression) bool, more func(*cut)) regression {
	less := r
	more(&less.Without)
	if fails(less) {
		return less
	}
	return r
}
