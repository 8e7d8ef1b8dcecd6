package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// memberFaults change who is a member, under load.
var memberFaults = []kind{
	{"member/add", addMember},
	{"member/remove", removeMember},
	{"member/replace", replaceMember},
}

// memberPatience bounds how long a node may take to be taken in or removed.
const memberPatience = 30 * time.Second

// forget has the leader remove a member.
func (c *Cluster) forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, memberPatience)
	defer cancel()
	return eventually(ctx, func() error {
		leader, err := c.leader(ctx)
		if err != nil {
			return err
		}
		_, err = ask(leader.addr(), 6*time.Second, "QUORATE", "FORGET", id)
		return err
	})
}

// addMember takes one more node in, and removes it again at the end.
func addMember(ctx context.Context, c *Cluster, _ *rand.Rand) (*injected, error) {
	n, err := c.add()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := n.start(); err != nil {
		return nil, errors.Join(err, c.drop(n))
	}
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), memberPatience)
	defer cancel()
	if err := c.awaitWhole(actx); err != nil {
		return nil, errors.Join(fmt.Errorf("node %d was not taken in: %w", n.number, err), c.drop(n))
	}
	return &injected{
		node: n.number, serve: c.others(), text: fmt.Sprintf("node %d taken in, a voter after %v", n.number, time.Since(began).Round(time.Millisecond)),
		heal: func(ctx context.Context) error {
			// A leader is not removed: it hands over first. A node that is stopped
			// does so by itself.
			id := nodeID(n.dir)
			err := n.terminate()
			return errors.Join(err, c.forget(ctx, id), c.drop(n))
		},
	}, nil
}

// removeMember removes a follower while it runs; a restart brings it back.
func removeMember(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	n := pick(r, c.others(leader))
	if err := c.forget(ctx, nodeID(n.dir)); err != nil {
		return nil, err
	}
	return &injected{
		node: n.number, text: fmt.Sprintf("node %d removed", n.number), serve: c.others(n),
		heal: func(ctx context.Context) error { return errors.Join(n.terminate(), n.start()) },
	}, nil
}

// replaceMember takes a node's disk away: it comes back with an empty
// directory, as a new node in the same place.
func replaceMember(_ context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n := pick(r, c.nodes)
	n.kill()
	if err := n.wipe(); err != nil {
		return nil, err
	}
	return &injected{node: n.number, text: fmt.Sprintf("node %d killed, its disk gone", n.number), serve: c.others(n), heal: starts(n)}, nil
}
