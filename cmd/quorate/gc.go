package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The data lies in slabs that the collector does not look into, so a
// collection costs little however much is stored; but by Go's default the heap
// may grow to twice what lives in it before one happens. The garbage allowed is
// therefore a fixed amount while the data is small, and a small share of it
// when it is large.
const (
	garbageMin   = 12 << 20 // bytes
	garbageShare = 10       // percent of the live heap
)

// tuneGC keeps the collector's target in proportion to the live heap until ctx
// ends.
func tuneGC(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := 0
	for {
		metrics.Read(live)
		if percent := gcPercent(live[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// gcPercent returns GOGC for a live heap of that many bytes.
func gcPercent(live uint64) int {
	const percentMax = 1600
	garbage := max(garbageMin, live/100*garbageShare)
	return int(min(garbage*100/max(live, 1), percentMax))
}
