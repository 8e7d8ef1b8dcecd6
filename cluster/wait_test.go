package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/fsm"
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

// asker asks, while it is being answered, how many other nodes have the write.
type asker struct {
	*client
	node    *Node
	durable chan int
}

func (a asker) EndReplies(n int) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	a.durable <- a.node.WaitDurable(ended, 2)
	a.client.EndReplies(n)
}

// A client that has its answer may ask at once, before its node counts the write
// as applied.
func TestWaitKnowsTheWriteThatIsBeingAnswered(t *testing.T) {
	c := newTrio(t)
	n := c.nodes[c.leader()]
	if got := newClient().do(t, n, "SET a 1"); got != "+OK" {
		t.Fatal(got)
	}
	for i, other := range c.nodes {
		if other != n {
			c.stop(i)
			break
		}
	}
	a := asker{client: newClient(), node: n, durable: make(chan int, 1)}
	n.Submit(&fsm.Request{Conn: a, Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: words("SET a 2")}}})
	select {
	case have := <-a.durable:
		if have > 1 {
			t.Errorf("%d others have it while one is away", have)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("no answer")
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
