package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// processFaults are troubles of processes alone: they can be had everywhere.
var processFaults = []kind{
	{"process/kill-one", func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		if n := pick(r, c.nodes); n != leader {
			return kill(c, n, isFollower)
		}
		return kill(c, leader, isLeader)
	}},
	{"process/kill-leader", func(ctx context.Context, c *Cluster, _ *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		return kill(c, leader, isLeader)
	}},
	{"process/kill-follower", func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		return kill(c, pick(r, c.others(leader)), isFollower)
	}},
	{"process/kill-all", killAll},
	{"process/pause-leader", func(ctx context.Context, c *Cluster, _ *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		return suspend(c, leader, isLeader)
	}},
	{"process/pause-follower", func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		return suspend(c, pick(r, c.others(leader)), isFollower)
	}},
	{"process/stop-leader", func(ctx context.Context, c *Cluster, _ *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		return stop(c, leader)
	}},
	{"process/rolling-restart", rolling},
	{"process/transfer", transfer},
}

// The roles of nodes.
const (
	isLeader   = "leader"
	isFollower = "follower"
)

// starts returns a heal that starts nodes.
func starts(nodes ...*node) func(context.Context) error {
	return func(context.Context) error {
		var errs []error
		for _, n := range nodes {
			errs = append(errs, n.start())
		}
		return errors.Join(errs...)
	}
}

func kill(c *Cluster, n *node, role string) (*injected, error) {
	n.kill()
	return &injected{node: n.number, role: role, text: fmt.Sprintf("SIGKILL of node %d, a %s", n.number, role), serve: c.others(n), heal: starts(n)}, nil
}

func killAll(_ context.Context, c *Cluster, _ *rand.Rand) (*injected, error) {
	for _, n := range c.nodes {
		n.asked = true
		_ = n.cmd.Process.Kill()
	}
	for _, n := range c.nodes {
		n.kill()
	}
	return &injected{node: everybody, text: "SIGKILL of all nodes", heal: starts(c.nodes...)}, nil
}

func suspend(c *Cluster, n *node, role string) (*injected, error) {
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return &injected{
		node: n.number, role: role, text: fmt.Sprintf("SIGSTOP of node %d, a %s", n.number, role), serve: c.others(n),
		heal: func(context.Context) error { return n.signal(syscall.SIGCONT) },
	}, nil
}

func stop(c *Cluster, n *node) (*injected, error) {
	if err := n.terminate(); err != nil {
		return nil, err
	}
	return &injected{node: n.number, role: isLeader, text: fmt.Sprintf("SIGTERM of node %d, the leader", n.number), serve: c.others(n), heal: starts(n)}, nil
}

// restart ends a node in good order, starts it and waits until it serves.
func (c *Cluster) restart(ctx context.Context, n *node) error {
	if err := n.terminate(); err != nil {
		return err
	}
	if err := n.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healPatience)
	defer cancel()
	if _, err := c.awaitServing(ctx, []*node{n}); err != nil {
		return fmt.Errorf("after its restart: %w", err)
	}
	return nil
}

// rolling restarts all nodes, one after the other, in any order.
func rolling(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	began := time.Now()
	for _, i := range r.Perm(len(c.nodes)) {
		if err := c.restart(context.WithoutCancel(ctx), c.nodes[i]); err != nil {
			return nil, err
		}
	}
	return &injected{
		node: everybody, serve: c.nodes,
		text: fmt.Sprintf("all nodes restarted, one by one, in %v", time.Since(began).Round(time.Millisecond)),
	}, nil
}

// transfer hands leadership to another node, as operators do.
func transfer(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	to := pick(r, c.others(leader))
	_, err = ask(leader.addr(), 6*time.Second, "QUORATE", "TRANSFER", nodeID(to.dir))
	var refused reply.Error
	switch {
	case errors.As(err, &refused): // it may be: leadership stays or goes, and all must serve
		return &injected{node: to.number, text: fmt.Sprintf("leadership was not handed from node %d to node %d: %s", leader.number, to.number, refused), serve: c.nodes}, nil
	case err != nil:
		return nil, fmt.Errorf("hand-over from node %d to node %d: %w", leader.number, to.number, err)
	}
	return &injected{node: to.number, text: fmt.Sprintf("leadership handed from node %d to node %d", leader.number, to.number), serve: c.nodes}, nil
}
