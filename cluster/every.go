package cluster

import (
	"context"
	"time"
)

// every calls f once a period until ctx ends. A call that takes longer puts the next one
// off.
func every(ctx context.Context, period time.Duration, f func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}
