package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// netFaults cut links between namespaces. Links to clients stay.
var netFaults = []kind{
	{"network/drop", dropNode},
	{"network/one-way", oneWay},
	{"network/split-minority", splitMinority},
	{"network/split-all", splitAll},
	{"network/loss", lossOne},
	{"network/loss-all", lossAll},
}

// lossPercent is how many of a hundred packets are lost.
const lossPercent = 30

// links returns the network if it is one whose links can be cut.
func (c *Cluster) links() (*namespaces, error) {
	w, ok := c.net.(*namespaces)
	if !ok {
		return nil, unavailable("links are cut in network %s alone, and this is %s", Namespaces, c.opts.Network)
	}
	return w, nil
}

// cut begins a fault of links: each is a pair of node numbers, from and to.
func (c *Cluster) cut(links [][2]int, percent int, i injected) (*injected, error) {
	w, err := c.links()
	if err != nil {
		return nil, err
	}
	i.heal = func(context.Context) error { return w.pass() }
	for _, l := range links {
		if err := w.refuse(l[0], l[1], percent); err != nil {
			return nil, fmt.Errorf("%w (healed: %v)", err, w.pass())
		}
	}
	return &i, nil
}

// between returns the links, both ways, between two groups of nodes.
func between(a, b []*node) (links [][2]int) {
	for _, x := range a {
		for _, y := range b {
			if x != y {
				links = append(links, [2]int{x.number, y.number}, [2]int{y.number, x.number})
			}
		}
	}
	return links
}

// half returns the leader or one of the followers, each half of the time.
func (c *Cluster) half(ctx context.Context, r *rand.Rand) (*node, string, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, "", err
	}
	if r.IntN(2) == 0 {
		return leader, "the leader", nil
	}
	return pick(r, c.others(leader)), "a follower", nil
}

// dropNode cuts one node off from all others.
func dropNode(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	return c.cut(between([]*node{n}, c.others(n)), 100, injected{
		node: n.number, serve: c.others(n), text: fmt.Sprintf("node %d, %s, cut off", n.number, role),
	})
}

// oneWay lets a node's packets reach the others, or theirs reach it, but not
// both.
func oneWay(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	out := r.IntN(2) == 0
	words := "hears nothing of the others"
	if out {
		words = "is not heard by the others"
	}
	var links [][2]int
	for _, l := range between([]*node{n}, c.others(n)) {
		if (l[0] == n.number) == out {
			links = append(links, l)
		}
	}
	return c.cut(links, 100, injected{node: n.number, serve: c.others(n), text: fmt.Sprintf("node %d, %s, %s", n.number, role, words)})
}

// splitMinority parts a minority, with the leader or without, from the majority.
func splitMinority(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	first, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	minority := []*node{first}
	for _, i := range r.Perm(len(c.nodes)) {
		if n := c.nodes[i]; n != first && len(minority) < (len(c.nodes)-1)/2 {
			minority = append(minority, n)
		}
	}
	rest := c.others(minority...)
	return c.cut(between(minority, rest), 100, injected{
		node: Everybody, serve: rest, text: fmt.Sprintf("a minority of %d with node %d, %s, parted from the others", len(minority), first.number, role),
	})
}

// splitAll parts the nodes into three groups, of which none is a majority.
func splitAll(_ context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	if len(c.nodes) < 3 {
		return nil, unavailable("%d nodes can't be split three ways", len(c.nodes))
	}
	var groups [3][]*node
	for at, i := range r.Perm(len(c.nodes)) {
		groups[at%3] = append(groups[at%3], c.nodes[i])
	}
	links := append(between(groups[0], groups[1]), between(groups[0], groups[2])...)
	links = append(links, between(groups[1], groups[2])...)
	return c.cut(links, 100, injected{node: Everybody, text: "the nodes parted three ways"})
}

// lossOne loses packets to and from one node.
func lossOne(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	return c.cut(between([]*node{n}, c.others(n)), lossPercent, injected{
		node: n.number, text: fmt.Sprintf("%d %% of packets to and from node %d, %s, lost", lossPercent, n.number, role),
	})
}

// lossAll loses packets on all links. Nobody must serve meanwhile: what is held
// against it is what was acknowledged.
func lossAll(_ context.Context, c *Cluster, _ *rand.Rand) (*injected, error) {
	return c.cut(between(c.nodes, c.nodes[:]), lossPercent, injected{node: Everybody, text: fmt.Sprintf("%d %% of packets between nodes lost", lossPercent)})
}
