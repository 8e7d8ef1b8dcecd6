package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// proxyFaults spoil links of one node, by proxies.
var proxyFaults = []kind{
	{"link/delay", delayLinks},
	{"link/jitter", jitterLinks},
	{"link/reset", resetLinks},
	{"link/drip", dripLinks},
	{"link/flip", flipLinks},
	{"link/hang", hangLinks},
	{"link/hang-one-way", hangOneWay},
}

// proxies returns the network if it has proxies.
func (c *Cluster) proxies() (*proxied, error) {
	p, ok := c.net.(*proxied)
	if !ok {
		return nil, unavailable("links are spoiled in network %s alone, and this is %s", Proxy, c.opts.Network)
	}
	return p, nil
}

// spoilt begins a fault of the links of one node, the leader or a follower. which
// says what becomes of a link, given whether it leads away from the node.
func (c *Cluster) spoilt(ctx context.Context, r *rand.Rand, words string, which func(away bool) (link, bool)) (*injected, error) {
	p, err := c.proxies()
	if err != nil {
		return nil, err
	}
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	links := make(map[[2]int]link)
	for _, l := range between([]*node{n}, c.others(n)) {
		if bad, ok := which(l[0] == n.number); ok {
			links[l] = bad
		}
	}
	p.mesh.set(links)
	return &injected{
		node: n.number, serve: c.others(n), text: fmt.Sprintf("links of node %d, %s: %s", n.number, role, words),
		heal: func(context.Context) error {
			p.mesh.set(nil)
			return nil
		},
	}, nil
}

func always(l link) func(bool) (link, bool) { return func(bool) (link, bool) { return l, true } }

func delayLinks(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	d := time.Duration(20+r.IntN(180)) * time.Millisecond
	return c.spoilt(ctx, r, fmt.Sprintf("%v late each way", d), always(link{delay: d}))
}

func jitterLinks(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	d := time.Duration(50+r.IntN(350)) * time.Millisecond
	return c.spoilt(ctx, r, fmt.Sprintf("up to %v late each way", d), always(link{jitter: d}))
}

func dripLinks(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n := 1 << r.IntN(6)
	return c.spoilt(ctx, r, fmt.Sprintf("%d bytes each %v", n, dripEvery), always(link{drip: n}))
}

func flipLinks(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n := 1 << (6 + r.IntN(10))
	return c.spoilt(ctx, r, fmt.Sprintf("a bit turned over every %d bytes or so", n), always(link{flip: n}))
}

func hangLinks(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	return c.spoilt(ctx, r, "nothing passes, no connection ends", always(link{hang: true}))
}

func hangOneWay(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	out := r.IntN(2) == 0
	words := "nothing passes to it, no connection ends"
	if out {
		words = "nothing passes from it, no connection ends"
	}
	return c.spoilt(ctx, r, words, func(away bool) (link, bool) { return link{hang: true}, away == out })
}

// resetLinks ends a node's connections, again and again.
func resetLinks(ctx context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	p, err := c.proxies()
	if err != nil {
		return nil, err
	}
	n, role, err := c.half(ctx, r)
	if err != nil {
		return nil, err
	}
	every := time.Duration(20+r.IntN(500)) * time.Millisecond
	rctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(rctx, every) {
			p.each(func(x *proxy) { x.reset(n.number) })
		}
	}()
	return &injected{
		node: n.number, serve: c.others(n), text: fmt.Sprintf("connections of node %d, %s, reset every %v", n.number, role, every),
		heal: func(context.Context) error {
			cancel()
			<-done
			return nil
		},
	}, nil
}
