package wire_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/transport/peer"
)

// overPorts makes a group of real raft on node-to-node ports of loopback.
func overPorts(t testing.TB) (*group, map[raft.ServerID]*peer.Port) {
	g := &group{t: t}
	ports := make(map[raft.ServerID]*peer.Port)
	for i := range 3 {
		id := fmt.Sprint("n", i)
		port, err := peer.Listen(peer.Options{Bind: "127.0.0.1:0", NodeID: id, ClusterName: "test", Secret: []byte("s"), Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { port.Close() })
		m := &member{id: raft.ServerID(id), addr: raft.ServerAddress(port.Advertised()), store: raft.NewInmemStore(), snaps: raft.NewInmemSnapshotStore()}
		startMember(t, m, port.Listener(peer.KindRaft), 0)
		t.Cleanup(m.stop)
		g.members = append(g.members, m)
		ports[m.id] = port
	}
	if err := g.members[0].raft.BootstrapCluster(g.configuration()).Error(); err != nil {
		t.Fatal(err)
	}
	return g, ports
}

func TestOverPeerPorts(t *testing.T) {
	g, ports := overPorts(t)
	first := g.leader()
	for i := range 100 {
		index := first.apply(t, fmt.Sprint("a", i))
		for _, m := range g.others(first) {
			first.wire.Kick(m.id, index)
		}
	}
	large := string(make([]byte, 3<<20))
	first.apply(t, large)

	began := time.Now()
	ports[first.id].Close()
	first.stop()
	second := g.leader(first)
	t.Logf("failover took %v", time.Since(began))
	index := second.apply(t, "b")
	third := g.others(first)[0]
	if third == second {
		third = g.others(first)[1]
	}
	second.wire.Kick(third.id, index)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if v, _ := third.fsm.get(); v == "b" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the follower did not get the entry")
		}
		time.Sleep(time.Millisecond) // a poll with a deadline
	}
	if second.fsm.count != 102 || third.fsm.count != 102 {
		t.Errorf("%d and %d commands applied", second.fsm.count, third.fsm.count)
	}
}

// What a proof of leadership costs.
func BenchmarkReads(b *testing.B) {
	g, _ := overPorts(b)
	l := g.leader()
	term := l.raft.CurrentTerm()
	b.Run("read index", func(b *testing.B) {
		for b.Loop() {
			if err := l.wire.WaitAck(context.Background(), term, l.wire.Mark()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lease", func(b *testing.B) {
		for b.Loop() {
			if !l.wire.LeaseHeld(term) {
				b.Fatal("no lease")
			}
		}
	})
}

// An entry from the leader's Apply to a follower's state, in-memory stores.
func BenchmarkKick(b *testing.B) {
	g, _ := overPorts(b)
	l := g.leader()
	f := g.others(l)[0]
	f.fsm.mu.Lock()
	f.fsm.applied = make(chan uint64, 16)
	f.fsm.mu.Unlock()
	for b.Loop() {
		index := l.apply(b, "x")
		l.wire.Kick(f.id, index)
		for <-f.fsm.applied < index {
		}
	}
}
