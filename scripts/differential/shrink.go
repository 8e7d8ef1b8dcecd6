package main

import (
	"slices"
	"time"

	"github.com/quorate/quorate/scripts/differential/workload"
)

// shrinkPatience bounds the search for a shorter sequence.
const shrinkPatience = 90 * time.Second

// shrinker looks for the shortest part of a sequence that still shows a
// difference. Every try begins with nothing in either side.
type shrinker struct {
	differs func(steps []workload.Step) bool
	end     time.Time
}

// shrink returns what is left of steps; nil if they show no difference again.
func (s *shrinker) shrink(steps []workload.Step) []workload.Step {
	if !s.differs(steps) {
		return nil
	}
	for before := len(steps) + 1; len(steps) < before && !s.late(); {
		before = len(steps)
		for size := (len(steps) + 1) / 2; size >= 1; size /= 2 {
			steps = s.without(steps, size)
		}
	}
	for i := range steps {
		if steps[i].Whole {
			continue
		}
		steps = s.shorter(steps, i)
	}
	return steps
}

func (s *shrinker) late() bool { return time.Now().After(s.end) }

// without takes away pieces of a size, from behind, as long as the difference stays.
func (s *shrinker) without(steps []workload.Step, size int) []workload.Step {
	for at := len(steps) - size; at > -size && !s.late(); at -= size {
		from, to := max(at, 0), min(at+size, len(steps))
		if from >= to {
			continue
		}
		less := slices.Delete(slices.Clone(steps), from, to)
		if len(less) > 0 && s.differs(less) {
			steps = less
		}
	}
	return steps
}

// shorter takes away arguments of a command, from behind.
func (s *shrinker) shorter(steps []workload.Step, i int) []workload.Step {
	for at := len(steps[i].Args) - 1; at > 0 && !s.late(); at-- {
		less := slices.Clone(steps)
		less[i].Args = slices.Delete(slices.Clone(steps[i].Args), at, at+1)
		if s.differs(less) {
			steps = less
		}
	}
	return steps
}
