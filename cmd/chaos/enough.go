package main

import (
	"context"
	"time"
)

// enough is what a run must have done to end before its time.
type enough struct {
	operations int64 // checked
	faults     int
}

// endWhenEnough ends the load when the run has done enough.
func (s *session) endWhenEnough(ctx context.Context, end context.CancelFunc) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.checker.checked() >= s.opts.enough.operations && s.timeline.faultsEnded() >= s.opts.enough.faults {
				end()
				return
			}
		}
	}
}
