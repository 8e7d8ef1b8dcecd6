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
	{"process/kill-one", toOne(anybody, kill)},
	{"process/kill-leader", toOne(theLeader, kill)},
	{"process/kill-follower", toOne(aFollower, kill)},
	{"process/kill-all", killAll},
	{"process/pause-leader", toOne(theLeader, suspend)},
	{"process/pause-follower", toOne(aFollower, suspend)},
	{"process/stop-leader", toOne(theLeader, stop)},
	{"process/rolling-restart", rolling},
	{"process/transfer", transfer},
}

// The roles of nodes.
const (
	isLeader   = "leader"
	isFollower = "follower"
)

// toOne is the beginning of a fault that is done to one node of those that choose
// leaves.
func toOne(choose func(c *Cluster, leader *node) []*node, do func(c *Cluster, n *node, role string) (*injected, error)) begin {
	return func(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, err
		}
		n := pick(r, choose(c, leader))
		if n == leader {
			return do(c, n, isLeader)
		}
		return do(c, n, isFollower)
	}
}

func anybody(c *Cluster, _ *node) []*node        { return c.nodes }
func theLeader(_ *Cluster, leader *node) []*node { return []*node{leader} }
func aFollower(c *Cluster, leader *node) []*node { return c.others(leader) }

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
	return &injected{node: Everybody, text: "SIGKILL of all nodes", heal: starts(c.nodes...)}, nil
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

func stop(c *Cluster, n *node, role string) (*injected, error) {
	if err := n.terminate(); err != nil {
		return nil, err
	}
	return &injected{node: n.number, role: role, text: fmt.Sprintf("SIGTERM of node %d, a %s", n.number, role), serve: c.others(n), heal: starts(n)}, nil
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
		node: Everybody, serve: c.nodes,
		text: fmt.Sprintf("all nodes restarted, one by one, in %v", time.Since(began).Round(time.Millisecond)),
	}, nil
}

// transfer hands leadership to another node, as operators do. That ends no
// connection: nobody's clients may feel it.
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
		return &injected{node: Nobody, text: fmt.Sprintf("leadership was not handed from node %d to node %d: %s", leader.number, to.number, refused), serve: c.nodes}, nil
	case err != nil:
		return nil, fmt.Errorf("hand-over from node %d to node %d: %w", leader.number, to.number, err)
	}
	return &injected{node: Nobody, text: fmt.Sprintf("leadership handed from node %d to node %d", leader.number, to.number), serve: c.nodes}, nil
}
