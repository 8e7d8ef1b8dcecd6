package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/cluster/raftlog"
)

func TestWaitCountsTheNodesThatHaveTheWrite(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	wait := func(n *Node, want int, patience time.Duration) int {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return n.WaitDurable(ctx, want)
	}
	for i, n := range c.nodes {
		if got := newClient().do(t, n, "SET a 1"); got != "+OK" {
			t.Fatal(got)
		}
		if got := wait(n, 2, 5*time.Second); got != 2 {
			t.Errorf("node %d: %d others have it", i, got)
		}
	}
	c.stop((lead + 1) % 3)
	for _, i := range []int{lead, (lead + 2) % 3} {
		n := c.nodes[i]
		if got := newClient().do(t, n, "SET a 2"); got != "+OK" {
			t.Fatal(got)
		}
		if got := wait(n, 1, 5*time.Second); got != 1 {
			t.Errorf("node %d: %d others have it while one is away", i, got)
		}
		// Who leads can't be asked at every moment on a busy machine: then fewer
		// are counted, but never the one that is away.
		if got := wait(n, 2, 300*time.Millisecond); got > 1 {
			t.Errorf("node %d: %d others have it while one is away", i, got)
		}
	}
}

func TestWaitSyncedFsyncsUnderEveryPolicy(t *testing.T) {
	for _, policy := range []raftlog.Policy{raftlog.Always, raftlog.No} {
		t.Run(policy.String(), func(t *testing.T) {
			c := newTrioWith(t, func(o *Options) { o.Sync = policy })
			lead := c.leader()
			for i, n := range c.nodes {
				if got := newClient().do(t, n, "SET a 1"); got != "+OK" {
					t.Fatal(got)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				here, others := n.WaitSynced(ctx, true, 2)
				cancel()
				if !here || others != 2 {
					t.Errorf("node %d: here %t, on %d others", i, here, others)
				}
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if here, _ := c.nodes[lead].WaitSynced(ended, true, 0); here != (policy == raftlog.Always) {
				t.Errorf("without waiting: here %t", here)
			}
		})
	}
}

func TestWaitSyncedOfMemoryAlone(t *testing.T) {
	c := newTrioWith(t, func(o *Options) { o.Memory = true })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if here, others := c.nodes[c.leader()].WaitSynced(ctx, false, 1); here || others != 0 {
		t.Errorf("here %t, on %d others", here, others)
	}
}
