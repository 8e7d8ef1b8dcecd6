package nemesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/cluster"
)

const (
	askWithin  = time.Second           // one question to a node
	askAgain   = 20 * time.Millisecond // between questions while something is waited for
	probeKey   = "nemesis:probe:"      // what is written to see whether a node serves
	probeAlive = 3 * time.Second       // a probe's key goes after that
)

// report asks a node how the cluster is.
func (n *node) report() (*cluster.Report, error) {
	v, err := ask(n.addr(), askWithin, "QUORATE", "STATUS")
	if err != nil {
		return nil, fmt.Errorf("status of node %d: %w", n.number, err)
	}
	var r cluster.Report
	if err := json.Unmarshal(v.Text, &r); err != nil {
		return nil, fmt.Errorf("status of node %d: %w", n.number, err)
	}
	return &r, nil
}

// errEnded says that waiting for a node is no use: its process has ended.
var errEnded = errors.New("its process has ended")

// serves writes and reads at a node.
func (n *node) serves() error {
	if !n.running() {
		return fmt.Errorf("node %d: %w", n.number, errEnded)
	}
	key := fmt.Sprintf("%s%d", probeKey, n.number)
	stamp := fmt.Sprint(time.Now().UnixNano())
	if _, err := ask(n.addr(), askWithin, "SET", key, stamp, "PX", fmt.Sprint(probeAlive.Milliseconds())); err != nil {
		return fmt.Errorf("node %d: write: %w", n.number, err)
	}
	// The key may be gone by now: that a read is answered is what counts.
	if _, err := ask(n.addr(), askWithin, "GET", key); err != nil {
		return fmt.Errorf("node %d: read: %w", n.number, err)
	}
	return nil
}

// awaitServing waits until each of the nodes has served, and returns how long
// that took.
func (c *Cluster) awaitServing(ctx context.Context, nodes []*node) (time.Duration, error) {
	began := time.Now()
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { errs[i] = eventually(ctx, n.serves) })
	}
	wg.Wait()
	return time.Since(began), errors.Join(errs...)
}

// eventually calls f until it succeeds, meets an ended process or ctx ends; then
// it returns f's last error. Other processes tell nobody when they are ready: they are asked again.
func eventually(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(askAgain):
		}
	}
}

// reports asks all running nodes at once; who does not answer is left out.
func (c *Cluster) reports() map[*node]*cluster.Report {
	var mu sync.Mutex
	all := make(map[*node]*cluster.Report)
	var wg sync.WaitGroup
	for _, n := range c.nodes {
		if !n.running() {
			continue
		}
		wg.Go(func() {
			if r, err := n.report(); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all[n] = r
			}
		})
	}
	wg.Wait()
	return all
}

// leader waits for a node that says of itself that it leads, in the newest term
// that any node knows.
func (c *Cluster) leader(ctx context.Context) (*node, error) {
	var found *node
	err := eventually(ctx, func() error {
		found = nil
		term := uint64(0)
		for n, r := range c.reports() {
			switch {
			case r.Term < term:
			case r.Term > term:
				term, found = r.Term, nil
				fallthrough
			default:
				if r.Leader == r.Self {
					found = n
				}
			}
		}
		if found == nil {
			return errors.New("no node says that it leads")
		}
		return nil
	})
	return found, err
}

// whole returns nil if all nodes run, are voters, know each other, and nobody
// else is a member.
func (c *Cluster) whole() error {
	reports := c.reports()
	var missing []string
	for _, n := range c.nodes {
		r := reports[n]
		if !n.running() {
			return fmt.Errorf("node %d: %w", n.number, errEnded)
		}
		if r == nil {
			missing = append(missing, fmt.Sprintf("node %d does not answer", n.number))
			continue
		}
		if r.Leader == "" {
			missing = append(missing, fmt.Sprintf("node %d knows no leader", n.number))
		}
		if len(r.Members) != len(c.nodes) {
			missing = append(missing, fmt.Sprintf("node %d knows %d members of %d", n.number, len(r.Members), len(c.nodes)))
			continue
		}
		for _, m := range r.Members {
			if !m.Voter || !m.Online {
				missing = append(missing, fmt.Sprintf("node %d sees member %.8s as %s, online %v", n.number, m.ID, m.Role, m.Online))
			}
		}
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, "; "))
	}
	return nil
}

// awaitWhole waits until the cluster is whole.
func (c *Cluster) awaitWhole(ctx context.Context) error {
	if err := eventually(ctx, c.whole); err != nil {
		return fmt.Errorf("the cluster is not whole: %w", err)
	}
	return nil
}
