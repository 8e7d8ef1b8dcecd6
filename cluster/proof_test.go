package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

func TestJudge(t *testing.T) {
	a, b, c := chain.Value{1}, chain.Value{2}, chain.Value{3}
	ids := []raft.ServerID{"self", "two", "three", "four", "five"}
	f := func(name string, voters int, want verdict, agree int, values ...chain.Value) {
		t.Helper()
		var ballots []ballot
		for i, v := range values {
			ballots = append(ballots, ballot{ids[i], v})
		}
		got, with := judge(values[0], voters, ballots)
		if got != want || len(with) != agree {
			t.Errorf("%s: %v with %v, want %v with %d", name, got, with, want, agree)
		}
	}
	f("alone against two", 3, wrong, 2, a, b, b)
	f("two against one", 3, right, 2, a, b, a)
	f("one does not answer, one agrees", 3, right, 2, a, a)
	f("one does not answer, one differs", 3, unknown, 0, a, b)
	f("all different", 3, unknown, 0, a, b, c)
	f("two of two", 2, unknown, 0, a, b)
	f("alone in the world", 1, right, 1, a)
	f("two of five are no majority", 5, unknown, 0, a, b, b, a, c)
	f("three of five, two silent", 5, wrong, 3, c, b, b, b)
	f("nobody else answers", 3, unknown, 0, a)
}

// damage changes the state of a node beside the log.
func damage(n *Node, command string) {
	n.opts.Engine.Apply(func(s *engine.Step) { s.Do(0, words(command), false, new(reply.Writer)) })
}

// raised waits until all nodes compare their chains.
func (c *trio) raised() {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, "the semantic version rises", func() bool { return n.fsm.Semantic() == SemanticMax })
	}
}

// writeOn writes by way of a node until stopped, so that there is something to
// compare.
func (c *trio) writeOn(i int) (stop func()) {
	n, cl, ended, done := c.nodes[i], newClient(), new(atomic.Bool), make(chan struct{})
	go func() {
		defer close(done)
		for !ended.Load() {
			n.Submit(&fsm.Request{Conn: cl, Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: words("INCR written")}}})
			select {
			case <-cl.answers:
			case <-time.After(10 * time.Second):
				return
			}
		}
	}()
	return func() {
		ended.Store(true)
		<-done
	}
}

// A node whose state differs from the others' finds it out within five seconds,
// takes no commands, writes a report, and rebuilds itself, whether it leads or not.
func TestDivergedNodeRebuildsItself(t *testing.T) {
	f := func(name string, leads bool, before, wrong string) {
		t.Run(name, func(t *testing.T) {
			c := newTrio(t)
			lead := c.leader()
			c.raised()
			bad := lead
			if !leads {
				bad = (lead + 1) % 3
			}
			good := (lead + 2) % 3
			if before != "" {
				newClient().do(t, c.nodes[lead], before)
			}
			stop := c.writeOn(good)
			defer stop()
			n := c.nodes[bad]
			eventually(t, "chains are compared", func() bool { return n.proof.agreed.Load() > 0 })
			damage(n, wrong)
			damaged := time.Now()
			eventually(t, "the divergence is found", func() bool { return n.proof.divergences.Load() == 1 })
			if took := time.Since(damaged); took > 5*time.Second {
				t.Errorf("it was found after %v", took)
			}
			eventually(t, "the state is rebuilt", func() bool { return n.proof.rebuilt.Load() == 1 && n.inService() == nil })
			// What a recount of the old state finds comes late.
			n.proof.condemn(fsm.Check{Chain: entry.Chain{Index: 1}}, []raft.ServerID{c.nodes[good].id()})
			eventually(t, "it goes on serving", func() bool { return n.inService() == nil })
			if got := n.proof.rebuilt.Load(); got != 1 {
				t.Errorf("rebuilt %d times", got)
			}
			stop()
			c.leader() // one that was wrong has handed over
			if got := read(t, n, "EXISTS rogue"); got != ":0\r\n" {
				t.Errorf("what nobody wrote is still there: %s", got)
			}
			if got := newClient().do(t, n, "SET after 1"); got != "+OK" {
				t.Errorf("a write after it: %s", got)
			}
			c.sameState()
			for i, other := range c.nodes {
				if i != bad && other.proof.divergences.Load() != 0 {
					t.Errorf("node %d, whose state is right, says otherwise", i)
				}
			}
			reports, _ := filepath.Glob(filepath.Join(n.opts.Dir, "divergence-*.txt"))
			if len(reports) != 1 {
				t.Fatalf("reports: %v", reports)
			}
			text, err := os.ReadFile(reports[0])
			for _, want := range []string{"own value", "last agreed", "The first entry after which the values differ", n.ID()} {
				if err != nil || !strings.Contains(string(text), want) {
					t.Errorf("the report does not say %q: %v\n%s", want, err, text)
				}
			}
			// Nothing of the wrong state comes back.
			c.stop(bad)
			c.start(bad)
			c.leader()
			if got := read(t, c.nodes[bad], "EXISTS rogue"); got != ":0\r\n" {
				t.Errorf("after a restart it is there again: %s", got)
			}
			c.sameState()
		})
	}
	f("follower", false, "", "SET rogue 1")
	f("leader", true, "", "SET rogue 1")
	f("a value within a key", false, "HSET h f 1", "HSET h f 2")
	f("a key too few, on the leader", true, "HSET h f 1", "DEL h")
}

// sameState waits until all nodes have the same state and the same chain.
func (c *trio) sameState() {
	c.t.Helper()
	eventually(c.t, "all nodes have the same state", func() bool {
		for _, n := range c.nodes[1:] {
			if n.opts.Engine.Digest() != c.nodes[0].opts.Engine.Digest() || n.opts.Engine.Chain() != c.nodes[0].opts.Engine.Chain() {
				return false
			}
		}
		return true
	})
}

// Without a majority that agrees nobody gives his state up, and who differs takes
// no commands.
func TestNobodyRebuildsWithoutAMajority(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	c.raised()
	bad, down := (lead+1)%3, (lead+2)%3
	stop := c.writeOn(lead)
	defer stop()
	eventually(t, "chains are compared", func() bool { return c.nodes[bad].proof.agreed.Load() > 0 })
	c.stop(down)
	n := c.nodes[bad]
	damage(n, "SET rogue 1")
	eventually(t, "it is out of service", func() bool { return n.inService() != nil })
	if got := newClient().do(t, n, "SET a 1"); !strings.HasPrefix(got, "-CLUSTERDOWN the state of this node") {
		t.Errorf("a write: %s", got)
	}
	if err := n.Barrier(t.Context()); err == nil || n.Report().Ready {
		t.Error("it serves reads")
	}
	c.start(down)
	eventually(t, "the state is rebuilt when the third is back", func() bool { return n.proof.rebuilt.Load() == 1 && n.inService() == nil })
	stop()
	c.sameState()
}

func TestRaiser(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	var r raiser
	f := func(after time.Duration, inForce, known, want uint16) {
		t.Helper()
		if got := r.look(at.Add(after), inForce, known, time.Minute); got != want {
			t.Errorf("after %v: %d, want %d", after, got, want)
		}
	}
	f(0, 1, 2, 0)
	f(59*time.Second, 1, 2, 0)
	f(60*time.Second, 1, 1, 0) // a member went back: the wait begins anew
	f(61*time.Second, 1, 2, 0)
	f(120*time.Second, 1, 2, 0)
	f(121*time.Second, 1, 2, 2)
	f(122*time.Second, 2, 2, 0)
	f(300*time.Second, 2, 2, 0)
}

func TestKnownToAll(t *testing.T) {
	servers := []raft.Server{{ID: "self"}, {ID: "two"}, {ID: "three"}}
	f := func(name string, want uint16, statuses map[raft.ServerID]Status) {
		t.Helper()
		got := knownToAll("self", servers, func(id raft.ServerID) (Status, bool) {
			s, ok := statuses[id]
			return s, ok
		})
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	f("all know", SemanticMax, map[raft.ServerID]Status{"two": {SemanticMax: SemanticMax}, "three": {SemanticMax: SemanticMax + 1}})
	f("one does not say", 1, map[raft.ServerID]Status{"two": {SemanticMax: SemanticMax}, "three": {}})
	f("one is silent", 1, map[raft.ServerID]Status{"two": {SemanticMax: SemanticMax}})
}

// While the leader is told to hold the version back nothing is compared, and
// nothing is logged that older releases do not know.
func TestVersionIsHeldBack(t *testing.T) {
	c := newTrioWith(t, func(o *Options) { o.HoldVersion = true })
	lead := c.leader()
	stop := c.writeOn(lead)
	eventually(t, "much is written", func() bool { return c.nodes[lead].AppliedIndex() > 200 })
	stop()
	n := c.nodes[lead]
	if n.fsm.Semantic() != 1 || n.proof.agreed.Load() != 0 {
		t.Errorf("version %d, compared at %d", n.fsm.Semantic(), n.proof.agreed.Load())
	}
	for i := uint64(1); i <= n.AppliedIndex(); i++ {
		var log raft.Log
		if err := n.store.log.GetLog(i, &log); err != nil {
			t.Fatal(err)
		}
		if log.Type == raft.LogCommand && log.Data[0] != 1 {
			t.Fatalf("entry %d has format %d", i, log.Data[0])
		}
	}
}

// A node whose chain a majority has is not acquitted of what a recount found.
func TestDoubtsAreSettledOneByOne(t *testing.T) {
	p := newProof(nil)
	p.suspect(fsm.Check{Chain: entry.Chain{Index: 5}})
	<-p.checks // in hand
	p.condemn(fsm.Check{Chain: entry.Chain{Index: 6}}, nil)
	p.serveAgain()
	if !p.out.Load() || len(p.condemned) != 1 {
		t.Fatalf("out of service: %v, recounts waiting: %d; want true and 1", p.out.Load(), len(p.condemned))
	}
	<-p.condemned
	p.serveAgain()
	if p.out.Load() {
		t.Error("out of service with no doubt left")
	}
}
