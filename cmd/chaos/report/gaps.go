package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/side"
)

// gapFloor is the shortest gap that clients note: what is shorter counts as this.
const gapFloor = side.GapMin

// FaultGaps are the write gaps of the faults of one name that concerned a node in
// one role.
type FaultGaps struct {
	Name     string
	Role     string // leader, follower, or empty if no single node was concerned
	Count    int
	P50, Max time.Duration
}

// Join reckons the write gap of each fault, and their figures by name and role.
// The gap of a fault is the longest time, from its beginning until the cluster is
// whole again after its end, in which a client had no write acknowledged. Clients
// of the one node that the fault touches don't count.
func (s *Summary) Join() {
	type group struct{ name, role string }
	by := make(map[group][]time.Duration)
	for i := range s.Faults {
		f := &s.Faults[i]
		f.Gap = gapFloor
		for _, g := range s.Gaps {
			if f.Node == nemesis.Everybody || !f.Touches(g.Node) {
				// What is before or after is another fault's.
				f.Gap = max(f.Gap, min(g.To, f.To)-max(g.From, f.From))
			}
		}
		k := group{f.Name, f.Role}
		by[k] = append(by[k], f.Gap)
	}
	s.FaultGaps = nil
	for k, gaps := range by {
		s.FaultGaps = append(s.FaultGaps, FaultGaps{Name: k.name, Role: k.role, Count: len(gaps), P50: median(gaps), Max: slices.Max(gaps)})
	}
	slices.SortFunc(s.FaultGaps, func(a, b FaultGaps) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Role, b.Role))
	})
}

// median returns the middle of some durations, or the mean of the two that are
// in the middle.
func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// target is what the project promises of the write gap of some faults.
type target struct {
	what     string
	faults   []string // name, or name and role
	p50, max time.Duration
}

var targets = []target{
	{"leader killed", []string{"process/kill-leader", "process/kill-one leader"}, 700 * time.Millisecond, 2 * time.Second},
	{"leader paused", []string{"process/pause-leader"}, 0, 2 * time.Second},
	{"leader stopped as planned", []string{"process/stop-leader"}, 0, 100 * time.Millisecond},
	{"leadership handed over", []string{"process/transfer"}, 0, 100 * time.Millisecond},
	{"follower killed", []string{"process/kill-follower", "process/kill-one follower"}, 0, 50 * time.Millisecond},
	{"follower paused", []string{"process/pause-follower"}, 0, 50 * time.Millisecond},
}

// GapTable returns the lines of a table of write gaps beside what is aimed at.
func (s *Summary) GapTable() []string {
	lines := []string{fmt.Sprintf("%-28s %5s %9s %9s %9s  %s", "write gap of survivors, ms", "times", "p50", "p90", "max", "target")}
	for _, t := range targets {
		var gaps []time.Duration
		for i := range s.Faults {
			f := &s.Faults[i]
			if slices.Contains(t.faults, f.Name) || slices.Contains(t.faults, f.Name+" "+f.Role) {
				gaps = append(gaps, f.Gap)
			}
		}
		if len(gaps) == 0 {
			continue
		}
		slices.Sort(gaps)
		p50, most := median(gaps), gaps[len(gaps)-1]
		goal := fmt.Sprintf("max %d", t.max.Milliseconds())
		if t.p50 > 0 {
			goal = fmt.Sprintf("p50 %d, %s", t.p50.Milliseconds(), goal)
		}
		verdict := "reached"
		if most > t.max || t.p50 > 0 && p50 > t.p50 {
			verdict = "missed"
		}
		lines = append(lines, gapLine(t.what, gaps)+"  "+goal+": "+verdict)
	}
	if quiet := s.quietGaps(); len(quiet) > 0 {
		slices.Sort(quiet)
		lines = append(lines, gapLine("none, between faults", quiet)+"  what this machine adds")
	}
	return lines
}

func gapLine(what string, sorted []time.Duration) string {
	n := len(sorted)
	return fmt.Sprintf("%-28s %5d %9s %9s %9s", what, n, gapText(median(sorted)), gapText(sorted[(n*9+9)/10-1]), gapText(sorted[n-1]))
}

// quietGaps returns the longest gap of any client in each time between two faults:
// they tell how busy the machine is.
func (s *Summary) quietGaps() []time.Duration {
	var quiet []time.Duration
	for i := 1; i < len(s.Faults); i++ {
		from, to := s.Faults[i-1].To, s.Faults[i].From
		if to <= from {
			continue
		}
		longest := gapFloor
		for _, g := range s.Gaps {
			longest = max(longest, min(g.To, to)-max(g.From, from))
		}
		quiet = append(quiet, longest)
	}
	return quiet
}

// gapText is a gap in milliseconds.
func gapText(d time.Duration) string {
	if d <= gapFloor {
		return fmt.Sprintf("<= %d", gapFloor.Milliseconds())
	}
	return fmt.Sprint(d.Milliseconds())
}

// String tells the figures in one line.
func (g FaultGaps) String() string {
	name := g.Name
	if g.Role != "" {
		name += ", " + g.Role
	}
	return fmt.Sprintf("%-36s %4d times, write gap of survivors, ms: p50 %5s, max %5s", name, g.Count, gapText(g.P50), gapText(g.Max))
}
