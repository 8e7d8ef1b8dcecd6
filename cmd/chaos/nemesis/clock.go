package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// clockFaults put a node's wall clock wrong. They need a binary that was built
// with the tag chaos: it reads by how much from a file.
var clockFaults = []kind{
	{"clock/ahead", func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
		return wrongClock(ctx, c, r, time.Hour)
	}},
	{"clock/behind", func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
		return wrongClock(ctx, c, r, -time.Hour)
	}},
	{"clock/jumps", jumpingClock},
}

// clockEnv names the file of a node's clock offset in its environment.
const clockEnv = "QUORATE_CHAOS_CLOCK"

// clockFile holds by how many milliseconds a node's wall clock is ahead.
func (n *node) clockFile() string {
	return filepath.Join(n.cluster.opts.Dir, fmt.Sprintf("node-%d.clock", n.number))
}

func (n *node) setClock(d time.Duration) error {
	temp := n.clockFile() + ".new"
	if err := os.WriteFile(temp, []byte(strconv.FormatInt(d.Milliseconds(), 10)), 0o644); err != nil {
		return fmt.Errorf("nemesis: %w", err)
	}
	return os.Rename(temp, n.clockFile())
}

// clock returns by how much a node's wall clock is ahead of ours.
func (n *node) clock() (time.Duration, error) {
	v, err := ask(n.addr(), askWithin, "TIME")
	if err != nil {
		return 0, err
	}
	if v.Kind != reply.KindArray || len(v.Elems) != 2 {
		return 0, fmt.Errorf("nemesis: node %d tells no time", n.number)
	}
	seconds, err := strconv.ParseInt(string(v.Elems[0].Text), 10, 64)
	return time.Duration(seconds-time.Now().Unix()) * time.Second, err
}

// takesClock sees to it that a node goes by its clock file.
func (n *node) takesClock(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return eventually(ctx, func() error {
		now, err := n.clock()
		if err == nil && (now-d).Abs() > 2*time.Second {
			err = unavailable("clocks are set in binaries that were built with the tag chaos")
		}
		return err
	})
}

func wrongClock(ctx context.Context, c *Cluster, r *rand.Rand, d time.Duration) (*injected, error) {
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := n.setClock(d); err != nil {
		return nil, err
	}
	heal := func(context.Context) error { return n.setClock(0) }
	if err := n.takesClock(ctx, d); err != nil {
		_ = heal(ctx)
		return nil, err
	}
	return &injected{node: n.number, serve: c.nodes, text: fmt.Sprintf("clock of node %d, %s, wrong by %v", n.number, role, d), heal: heal}, nil
}

// jumpingClock has a node's clock jump to and fro by up to an hour.
func jumpingClock(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	i, err := wrongClock(ctx, c, r, 10*time.Minute)
	if err != nil {
		return nil, err
	}
	n := c.nodes[i.node]
	seed := r.Uint64()
	jctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		random := rand.New(rand.NewPCG(seed, 0))
		for pause(jctx, 300*time.Millisecond) {
			if err := n.setClock(time.Duration(random.Int64N(int64(2*time.Hour))) - time.Hour); err != nil {
				done <- err
				return
			}
		}
		done <- n.setClock(0)
	}()
	i.text = fmt.Sprintf("clock of node %d jumps by up to an hour", n.number)
	i.heal = func(context.Context) error {
		cancel()
		return <-done
	}
	return i, nil
}
