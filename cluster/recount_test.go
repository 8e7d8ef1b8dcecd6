package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
)

// rot changes what is in a node's memory without a trace in its chain.
func rot(n *Node, command string) {
	n.opts.Engine.Apply(func(s *engine.Step) {
		was := *s.Chain()
		s.Do(0, words(command), false, new(reply.Writer))
		*s.Chain() = was
	})
}

// All nodes count their keys after a snapshot of the leader, at one entry, and
// agree.
func TestRecountsAgree(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	c.raised()
	stop := c.writeOn((lead + 1) % 3)
	defer stop()
	for i := range 50 {
		newClient().do(t, c.nodes[lead], fmt.Sprintf("HSET h%d f %d", i, i))
	}
	for range 3 { // a recount does not keep snapshots from being taken
		if err := c.nodes[lead].Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	// Recounts that came too fast for one another were left out, by one node or the
	// other. Those after them are not.
	agreed := func() bool {
		for _, n := range c.nodes {
			if n.recounts.agreedAt() == 0 {
				return false
			}
		}
		return true
	}
	tried := time.Now()
	eventually(t, "the recounts agree", func() bool {
		if time.Since(tried) > 2*time.Second {
			tried = time.Now()
			if err := c.nodes[lead].Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		return agreed()
	})
	for _, n := range c.nodes {
		if n.proof.divergences.Load() != 0 {
			t.Error("a divergence was found")
		}
	}
}

// A node whose memory has rotted has the chain of the others. The next recount
// finds it.
func TestRecountFindsRottenMemory(t *testing.T) {
	for _, leads := range []bool{false, true} {
		t.Run(fmt.Sprint("leads ", leads), func(t *testing.T) {
			c := newTrio(t)
			lead := c.leader()
			c.raised()
			for i := range 50 {
				newClient().do(t, c.nodes[lead], fmt.Sprintf("HSET h%d f %d", i, i))
			}
			bad := lead
			if !leads {
				bad = (lead + 1) % 3
			}
			n := c.nodes[bad]
			eventually(t, "all is applied", func() bool { return n.AppliedIndex() >= c.nodes[lead].raft.CommitIndex() })
			rot(n, "HSET h7 f 8")
			if err := c.nodes[lead].Snapshot(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the state is rebuilt", func() bool { return n.proof.rebuilt.Load() == 1 && n.inService() == nil })
			if got := read(t, n, "HGET h7 f"); got != "$1\r\n7\r\n" {
				t.Errorf("HGET h7 f: %q", got)
			}
			c.sameState()
		})
	}
}
