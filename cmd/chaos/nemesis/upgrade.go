package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// upgradeFaults change the program that nodes run, one node after the other.
var upgradeFaults = []kind{
	{"upgrade/there-and-back", upgrade},
	{"upgrade/mixed", mixed},
}

// become restarts nodes, one after the other, with a binary.
func (c *Cluster) become(ctx context.Context, nodes []*node, binary string) error {
	for _, n := range nodes {
		n.binary = binary
		if err := c.restart(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func shuffled(r *rand.Rand, nodes []*node) []*node {
	all := make([]*node, len(nodes))
	for at, i := range r.Perm(len(nodes)) {
		all[at] = nodes[i]
	}
	return all
}

// upgrade takes all nodes to the other binary, and back at the end.
func upgrade(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	return c.toOther(ctx, r, len(c.nodes))
}

// mixed takes some of the nodes to the other binary, and back at the end.
func mixed(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	return c.toOther(ctx, r, 1+r.IntN(max(1, len(c.nodes)-1)))
}

func (c *Cluster) toOther(ctx context.Context, r *rand.Rand, n int) (*injected, error) {
	if c.opts.OtherBinary == "" {
		return nil, unavailable("there is no other binary to go to")
	}
	nodes := shuffled(r, c.nodes)[:n]
	ctx = context.WithoutCancel(ctx)
	if err := c.become(ctx, nodes, c.opts.OtherBinary); err != nil {
		for _, n := range nodes {
			n.binary = c.opts.Binary
		}
		return nil, fmt.Errorf("to the other binary: %w", err)
	}
	return &injected{
		node: Everybody, serve: c.nodes, text: fmt.Sprintf("%d nodes run the other binary", n),
		heal: func(ctx context.Context) error { return c.become(ctx, nodes, c.opts.Binary) },
	}, nil
}
