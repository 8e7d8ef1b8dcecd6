//go:debug randseednop=0

package simulation

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func init() { runtime.MemProfileRate = 0 } // samples would come at other places each time

// runLength is how long a run's faults go on, unless it is a short one.
const runLength = time.Minute

// repeatLength is runLength for what is run twice.
const repeatLength = 20 * time.Second

// slowly is set under the race detector: less is run then.
var slowly bool

// TestClustersKeepTheirPromises runs a few seeds, always the same.
func TestClustersKeepTheirPromises(t *testing.T) {
	length := 20 * time.Second
	if slowly {
		length = 5 * time.Second
	}
	for _, seed := range []uint64{2, 3} {
		began := time.Now()
		report(t, seed, simulate(t, generate(seed, length), bug{}), time.Since(began))
	}
}

// TestSeed replays one seed: SIM_SEED=n, SIM_TRACE=file for what happened.
func TestSeed(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SIM_SEED"), 10, 64)
	if err != nil {
		t.Skip("SIM_SEED is not set")
	}
	began := time.Now()
	report(t, seed, simulate(t, generate(seed, runLength), bug{}), time.Since(began))
}

// TestRunsRepeat runs a seed twice: the same must happen. It takes the runtime
// of scripts/simoverlay.sh.
func TestRunsRepeat(t *testing.T) {
	if os.Getenv("SIM_EXACT") == "" {
		t.Skip("runs repeat under make sim only")
	}
	for _, seed := range []uint64{1, 2, tightSeeds + 3} {
		first, second := simulate(t, generate(seed, repeatLength), bug{}), simulate(t, generate(seed, repeatLength), bug{})
		told(first.virtual + second.virtual)
		if first.hash() != second.hash() {
			t.Errorf("seed %d: %s, then %s", seed, first.hash(), second.hash())
			for i, line := range first.trace.lines {
				if i >= len(second.trace.lines) || second.trace.lines[i] != line {
					t.Logf("line %d: %s\n%s", i, line, second.trace.lines[i])
					break
				}
			}
		}
		t.Logf("seed %d: %s, %d lines", seed, first.hash(), len(first.trace.lines))
	}
}

// TestHours simulates SIM_HOURS of cluster time over random seeds, and goes on
// after a failure: make sim.
func TestHours(t *testing.T) {
	hours, err := strconv.ParseFloat(os.Getenv("SIM_HOURS"), 64)
	if err != nil {
		t.Skip("SIM_HOURS is not set")
	}
	began, lived, runs, failures := time.Now(), time.Duration(0), 0, 0
	noted := make(map[string]int)
	for ; lived.Hours() < hours; runs++ {
		seed := freshSeed()
		fmt.Printf("seed %d\n", seed) // first: a panic must tell it
		res := simulate(t, generate(seed, runLength), bug{})
		lived += res.virtual
		for what, n := range res.noted {
			noted[what] += n
		}
		if len(res.problems) > 0 {
			failures++
			fmt.Printf("FAILED seed %d: %s\n", seed, strings.Join(res.problems, "\n\t"))
			t.Errorf("seed %d: %s", seed, res.problems[0])
		}
	}
	took := time.Since(began)
	for _, what := range slices.Sorted(maps.Keys(noted)) {
		fmt.Printf("%8d %s\n", noted[what], what)
	}
	fmt.Printf("TOTAL %.2f cluster-hours, %d runs, %d failed, in %v: %.2f cluster-hours a minute\n",
		lived.Hours(), runs, failures, took.Round(time.Second), lived.Hours()/took.Minutes())
}

// freshSeed returns a seed that no other process has: under the overlay math/rand
// gives all of them the same.
func freshSeed() uint64 {
	var b [5]byte
	_, _ = rand.Read(b[:]) // it does not fail
	seed := uint64(binary.BigEndian.Uint32(b[:4]))
	if b[4]%4 == 0 {
		seed |= tightSeeds
	}
	return seed
}

// told tells scripts/sim.sh how much cluster time known seeds have taken.
func told(virtual time.Duration) { fmt.Printf("LIVED %.4f\n", virtual.Hours()) }

func report(t *testing.T, seed uint64, res result, took time.Duration) {
	t.Helper()
	told(res.virtual)
	t.Logf("seed %d: %v of cluster time in %v, trace %s of %d lines, %v", seed, res.virtual, took, res.hash(), len(res.trace.lines), res.noted)
	for _, p := range res.problems {
		t.Errorf("seed %d: %s", seed, p)
	}
	if path := os.Getenv("SIM_TRACE"); path != "" {
		if err := os.WriteFile(path, []byte(strings.Join(res.trace.lines, "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
}
