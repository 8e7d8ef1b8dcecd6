package cluster

import (
	"context"
	"sync/atomic"
)

// catchUp makes this node apply soon what it has heard of elsewhere. The
// leader tells a follower at once of entries with batches of its own; of
// others it learns only with the next AppendEntries, up to commitTimeout later,
// and the subscribers of a message that waits for them with it.
type catchUp struct {
	rounds  *rounds
	applied *appliedIndex

	wanted atomic.Uint64
	wake   chan struct{} // holds a word while wanted has grown
}

func newCatchUp(r *rounds, applied *appliedIndex) *catchUp {
	return &catchUp{rounds: r, applied: applied, wake: make(chan struct{}, 1)}
}

// to says that entries up to index are committed. It does not wait.
func (c *catchUp) to(index uint64) {
	if index <= c.applied.value.Load() {
		return
	}
	for {
		wanted := c.wanted.Load()
		if index <= wanted {
			return
		}
		if c.wanted.CompareAndSwap(wanted, index) {
			break
		}
	}
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

// run asks the leader, which tells the asking node of the commit, until ctx
// ends. Where that fails, the next AppendEntries brings it.
func (c *catchUp) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		if c.applied.value.Load() < c.wanted.Load() {
			_ = c.rounds.join(ctx)
		}
	}
}
