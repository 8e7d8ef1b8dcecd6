package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// fileFaults damage the files of a stopped node.
var fileFaults = []kind{
	{"files/damage", damageNode},
}

// damageNode stops a node, spoils one of its files and starts it. The node must
// refuse, or come up with nothing amiss; if it refused, it is replaced at the end.
func damageNode(_ context.Context, c *Cluster, r *rand.Rand) (*injected, error) {
	n := pick(r, c.nodes)
	n.kill()
	all, err := damages(n.dir, 64, r)
	if err != nil {
		return nil, err
	}
	d := all[r.IntN(len(all))]
	if err := d.do(n.dir); err != nil {
		return nil, fmt.Errorf("nemesis: damage: %w", err)
	}
	if err := n.start(); err != nil {
		return nil, err
	}
	return &injected{
		node: n.number, serve: c.others(n), doomed: []*node{n}, text: fmt.Sprintf("node %d: %s", n.number, d),
		heal: func(ctx context.Context) error {
			if err := n.decided(ctx); !errors.Is(err, errEnded) {
				return err
			}
			if err := keepDamaged(n); err != nil {
				return err
			}
			return n.start()
		},
	}, nil
}

// decided waits until a node that was started answers, whatever it says, or has
// ended: on a busy machine it reads its files for a while before it refuses.
func (n *node) decided(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return eventually(ctx, func() error {
		if !n.running() {
			return errEnded
		}
		_, err := ask(n.addr(), askWithin, "PING")
		if _, answered := err.(reply.Error); answered {
			return nil
		}
		return err
	})
}

// verdict is what became of a node with a damaged file.
type verdict uint8

const (
	detected verdict = iota // it refused to start, and said why
	repaired                // it serves, and holds what the others hold
	wrong                   // it serves something else
	silent                  // it neither serves nor ends
)

// String returns a word for reports.
func (v verdict) String() string {
	return [...]string{"detected", "repaired or harmless", "WRONG DATA", "NO ANSWER"}[v]
}

// judge starts a node with damaged files, beside others that are left alone and
// hold digest, and returns what becomes of it.
func (c *Cluster) judge(ctx context.Context, n *node, digest string) (verdict, string, error) {
	if err := n.start(); err != nil {
		return silent, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	got := ""
	err := eventually(ctx, func() (err error) {
		if !n.running() {
			return errEnded
		}
		got, err = n.digest()
		if err == nil && got != digest {
			// It may have to catch up: a linearizable read waits for that.
			if _, err = ask(n.addr(), askWithin, "GET", "anything"); err == nil {
				got, err = n.digest()
			}
			if err == nil && got != digest {
				err = fmt.Errorf("its digest is %s", got)
			}
		}
		if err == nil {
			_, err = ask(n.addr(), askWithin, "GET", "anything")
		}
		return err
	})
	switch {
	case err == nil:
		return repaired, "", nil
	case !n.running():
		return detected, n.lastWords(), nil
	case got != "" && got != digest:
		return wrong, err.Error(), nil
	}
	return silent, err.Error(), nil
}

// digest returns the digest of a node's data.
func (n *node) digest() (string, error) {
	v, err := ask(n.addr(), askWithin, "DEBUG", "DIGEST")
	return string(v.Text), err
}
