package main

import (
	"context"
	"runtime"
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
// ends, and has it look again where much may have died since.
func tuneGC(ctx context.Context) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/memory/classes/heap/objects:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := 0
	var after growth
	for {
		metrics.Read(samples)
		if percent := gcPercent(samples[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		if after.quiet(samples[2].Value.Uint64(), samples[1].Value.Uint64()) {
			runtime.GC()
			runtime.GC() // the runtime gives back what two collections have found empty
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const (
	growthMax   = 32 << 20 // bytes
	growthTicks = 2        // without a collection
)

// growth notices that the heap has grown and nothing has been collected since: a script
// or a client may have taken the memory and be gone, and on a quiet node minutes would pass
// before the next collection.
type growth struct {
	settled uint64 // bytes of objects, dead or alive, when growth was last looked into, or fewer since
	cycles  uint64 // collections so far
	ticks   int    // how many have passed without one
}

// quiet takes a look, and reports whether it is time for a collection: once for so much
// growth.
func (g *growth) quiet(bytes, cycles uint64) bool {
	g.settled = min(g.settled, bytes)
	if cycles != g.cycles {
		g.cycles, g.ticks = cycles, 0
	}
	g.ticks++
	if bytes <= g.settled+max(growthMax, g.settled/100*garbageShare) || g.ticks <= growthTicks {
		return false
	}
	g.settled = bytes // of this much it will be known whether it lives
	return true
}

// gcPercent returns GOGC for a live heap of that many bytes.
func gcPercent(live uint64) int {
	const percentMax = 1600
	garbage := max(garbageMin, live/100*garbageShare)
	return int(min(garbage*100/max(live, 1), percentMax))
}
