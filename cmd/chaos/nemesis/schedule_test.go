package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sequence returns the names of the first faults of a plan, each with a number
// drawn from its randomness after so many draws of the one before.
func sequence(seed int64, faults []Fault, n, draws int) []string {
	p := newPlan(faults, seed)
	var all []string
	for range n {
		f, r := p.next()
		all = append(all, fmt.Sprintf("%s %d", f.Name(), r.Uint64()))
		for range draws {
			r.Uint64()
		}
	}
	return all
}

func TestPlanFollowsFromItsSeed(t *testing.T) {
	faults := Families()
	first := sequence(7, faults, 100, 0)
	if !slices.Equal(first, sequence(7, faults, 100, 5)) {
		t.Error("one seed gives two plans")
	}
	if slices.Equal(first, sequence(8, faults, 100, 0)) {
		t.Error("two seeds give one plan")
	}
}

func TestPlanHasEveryFaultOnceARound(t *testing.T) {
	faults := Families()
	p := newPlan(faults, 3)
	for round := range 3 {
		seen := make(map[string]bool)
		for range faults {
			f, _ := p.next()
			seen[f.Name()] = true
		}
		if len(seen) != len(faults) {
			t.Errorf("round %d has %d faults of %d", round, len(seen), len(faults))
		}
	}
}

func TestChoose(t *testing.T) {
	names := func(of ...string) []string {
		faults, err := choose(of)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range faults {
			all = append(all, f.Name())
		}
		return all
	}
	all := names()
	slices.Sort(all)
	if len(all) != len(slices.Compact(all)) {
		t.Error("two faults have one name")
	}
	for _, name := range all {
		if strings.Count(name, "/") != 1 {
			t.Errorf("%q is not group/kind", name)
		}
	}
	if got := names("process/kill-all", "member"); len(got) != 1+len(memberFaults) || got[0] != "process/kill-all" {
		t.Errorf("chosen: %q", got)
	}
	if _, err := choose([]string{"proces"}); err == nil {
		t.Error("an unknown name is taken")
	}
}

// TestFaultsSayWhatIsMissing begins faults where what they need is not there.
func TestFaultsSayWhatIsMissing(t *testing.T) {
	o := Options{Network: Loopback}
	c := &Cluster{opts: o, net: loopback{}}
	for _, group := range [][]kind{netFaults[5:], proxyFaults, diskFaults[:2], upgradeFaults} {
		for _, k := range group {
			if _, err := k.Begin(context.Background(), c, rand.New(rand.NewPCG(1, 1))); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", k.name, err)
			}
		}
	}
}
