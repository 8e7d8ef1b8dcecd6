package wire_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/transport/peer"
)

// The same over sockets: real raft on three node-to-node ports of loopback.
func TestOverPeerPorts(t *testing.T) {
	g := &group{t: t}
	ports := make(map[raft.ServerID]*peer.Port)
	for i := range 3 {
		id := fmt.Sprint("n", i)
		port, err := peer.Listen(peer.Options{Bind: "127.0.0.1:0", NodeID: id, ClusterName: "test", Secret: []byte("s"), Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer port.Close()
		m := &member{id: raft.ServerID(id), addr: raft.ServerAddress(port.Advertised()), store: raft.NewInmemStore(), snaps: raft.NewInmemSnapshotStore()}
		startMember(t, m, port.Listener(peer.KindRaft), 0)
		defer m.stop()
		g.members = append(g.members, m)
		ports[m.id] = port
	}
	if err := g.members[0].raft.BootstrapCluster(g.configuration()).Error(); err != nil {
		t.Fatal(err)
	}
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
		time.Sleep(time.Millisecond)
	}
	if second.fsm.count != 102 || third.fsm.count != 102 {
		t.Errorf("%d and %d commands applied", second.fsm.count, third.fsm.count)
	}
}
