package wire_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/wire"
)

// Three nodes replicate, survive their leader, and its return.
func TestReplicatesAndFailsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		first := g.leader()
		for i := range 200 {
			first.apply(t, fmt.Sprint("a", i))
		}
		for _, m := range g.others(first) {
			g.net.Cut(string(first.id), string(m.id))
		}
		began := time.Now()
		second := g.leader(first)
		if gap := time.Since(began); gap > 3*time.Second {
			t.Errorf("failover took %v of virtual time", gap)
		}
		second.apply(t, "b")
		for _, m := range g.others(first) {
			g.net.Heal(string(first.id), string(m.id))
		}
		time.Sleep(3 * time.Second)
		g.leader().apply(t, "c")
		time.Sleep(time.Second)
		for _, m := range g.members {
			if v, _ := m.fsm.get(); v != "c" || m.fsm.count != 202 {
				t.Errorf("%s has %q after %d commands", m.id, v, m.fsm.count)
			}
			if _, id := m.raft.LeaderWithID(); id == "" {
				t.Errorf("%s knows no leader", m.id)
			}
			if a, id := m.raft.LeaderWithID(); g.byID(id).addr != a {
				t.Errorf("%s takes %s for the address of %s", m.id, a, id)
			}
		}
	})
}

func (g *group) byID(id raft.ServerID) *member {
	for _, m := range g.members {
		if m.id == id {
			return m
		}
	}
	g.t.Fatalf("no node %q", id)
	return nil
}

// An old answer arrives after another leader has committed: raft's VerifyLeader
// takes it for a proof of leadership, the stamp rule does not.
func TestStaleVerifyLeaderIsRefusedByStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		a := g.leader()
		b, c := g.others(a)[0], g.others(a)[1]
		a.apply(t, "1")
		time.Sleep(2 * time.Second)
		term := a.raft.CurrentTerm()

		// What b and c answer to a stays in the network from now on.
		g.net.Hold(string(b.id), string(a.id))
		g.net.Delay(string(c.id), string(a.id), 2*time.Second)
		time.Sleep(70 * time.Millisecond) // a's next heartbeat is among it
		transfer := a.raft.LeadershipTransferToServer(c.id, c.addr)
		time.Sleep(20 * time.Millisecond)
		if c.raft.State() != raft.Leader {
			t.Fatalf("c is %v", c.raft.State())
		}
		if err := c.raft.Apply([]byte("2"), time.Second).Error(); err != nil {
			t.Fatal(err)
		}
		if a.raft.State() != raft.Leader {
			t.Fatalf("the old leader is %v already: nothing is shown", a.raft.State())
		}

		// A read arrives at the old leader, which has not heard of it all.
		mark := a.wire.Mark()
		if a.wire.LeaseHeld(term) {
			t.Error("lease held although a transfer had begun")
		}
		verify := a.raft.VerifyLeader()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		read := make(chan error, 1)
		go func() { read <- a.wire.WaitAck(ctx, term, mark) }()
		time.Sleep(time.Millisecond)
		// b's old answers arrive; what a asks from now on takes a while.
		g.net.Delay(string(a.id), string(b.id), 10*time.Millisecond)
		g.net.Release(string(b.id), string(a.id))
		if err := <-read; err == nil {
			t.Error("the stamp rule confirmed a read at a deposed leader")
		}
		if v, _ := a.fsm.get(); verify.Error() == nil && v == "1" {
			t.Log("VerifyLeader alone would have served a stale read")
		} else {
			t.Errorf("VerifyLeader said %v with value %q: the scenario shows nothing", verify.Error(), v)
		}
		transfer.Error()
	})
}

// A round is asked for at once: a read index costs a round trip, not a wait for
// the next heartbeat, and reads that wait share it.
func TestWaitAckCostsOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		l := g.leader()
		for _, m := range g.others(l) {
			g.net.Delay(string(l.id), string(m.id), 2*time.Millisecond)
			g.net.Delay(string(m.id), string(l.id), 2*time.Millisecond)
		}
		time.Sleep(time.Second)
		term := l.raft.CurrentTerm()
		for range 50 {
			before := l.wire.Stats().Probes
			began := time.Now()
			errs := make(chan error, 20)
			for range cap(errs) {
				mark := l.wire.Mark()
				go func() { errs <- l.wire.WaitAck(context.Background(), term, mark) }()
			}
			for range cap(errs) {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took > 9*time.Millisecond {
				t.Errorf("a round over links of 4 ms took %v", took)
			}
			if n := l.wire.Stats().Probes - before; n > 4 {
				t.Errorf("%d probes for one moment's reads", n)
			}
			time.Sleep(17 * time.Millisecond)
		}
		if err := l.wire.WaitAck(context.Background(), term-1, l.wire.Mark()); !errors.Is(err, wire.ErrNotLeader) {
			t.Errorf("older term: %v", err)
		}
		if err := g.others(l)[0].wire.WaitAck(context.Background(), term, 1); !errors.Is(err, wire.ErrNotLeader) {
			t.Errorf("follower: %v", err)
		}
	})
}

// Without a quorum there is no confirmation and the lease runs out within half a
// heartbeat timeout, however long raft believes to lead.
func TestNoQuorumNoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		l := g.leader()
		time.Sleep(time.Second)
		term := l.raft.CurrentTerm()
		if !l.wire.LeaseHeld(term) {
			t.Fatal("no lease in a healthy cluster")
		}
		for _, m := range g.others(l) {
			g.net.Hold(string(m.id), string(l.id))
		}
		time.Sleep(heartbeat / 2)
		if l.wire.LeaseHeld(term) {
			t.Error("lease without a quorum")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := l.wire.WaitAck(ctx, term, l.wire.Mark()); err == nil {
			t.Error("confirmed without a quorum")
		}
		if g.others(l)[0].wire.LeaseHeld(g.others(l)[0].raft.CurrentTerm()) {
			t.Error("lease on a follower")
		}
	})
}

// A follower applies what it is kicked for within the commit's round trip, long
// before raft's commit timeout of 5 ms.
func TestKickTellsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		l := g.leader()
		for _, m := range g.others(l) {
			g.net.Delay(string(l.id), string(m.id), 100*time.Microsecond)
			g.net.Delay(string(m.id), string(l.id), 100*time.Microsecond)
		}
		time.Sleep(time.Second)
		f := g.others(l)[0]
		for i := range 100 {
			began := time.Now()
			index := l.apply(t, fmt.Sprint(i))
			l.wire.Kick(f.id, index)
			for {
				if _, at := f.fsm.get(); at >= index {
					break
				}
				time.Sleep(10 * time.Microsecond)
			}
			if took := time.Since(began); took > time.Millisecond {
				t.Fatalf("command %d reached the follower's state after %v", i, took)
			}
		}
		if n := l.wire.Stats().Kicks; n < 50 || n > 110 {
			t.Errorf("%d kicks for 100 commands", n)
		}
		before := l.wire.Stats().Kicks
		for range 100 {
			l.wire.Kick(f.id, 1) // long told
		}
		time.Sleep(100 * time.Millisecond)
		if n := l.wire.Stats().Kicks - before; n != 0 {
			t.Errorf("%d kicks for nothing new", n)
		}
	})
}

// A follower that gets an entry only after the others committed it is told behind it.
func TestKickOfALaggard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		l := g.leader()
		slow := g.others(l)[0]
		time.Sleep(time.Second)
		g.net.Hold(string(l.id), string(slow.id))
		index := l.apply(t, "x")
		l.wire.Kick(slow.id, index)
		time.Sleep(20 * time.Millisecond)
		if _, at := slow.fsm.get(); at >= index {
			t.Fatal("applied what it can't have")
		}
		g.net.Release(string(l.id), string(slow.id))
		time.Sleep(time.Millisecond)
		if _, at := slow.fsm.get(); at < index {
			t.Error("not told when it got the entry")
		}
	})
}

// A TimeoutNow that comes late is dropped: the receiver's term has moved on.
func TestDelayedTimeoutNowIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		a := g.leader()
		b, c := g.others(a)[0], g.others(a)[1]
		time.Sleep(time.Second)
		old := a.raft.CurrentTerm()

		// The message is on its way when a is cut off. The link carries it
		// late: after another has been elected.
		g.net.Delay(string(a.id), string(c.id), 1500*time.Millisecond)
		transfer := a.raft.LeadershipTransferToServer(c.id, c.addr)
		time.Sleep(time.Millisecond)
		if a.wire.LeaseHeld(old) {
			t.Error("lease held while a transfer is on its way")
		}
		g.net.Hold(string(a.id), string(b.id))
		g.net.Hold(string(b.id), string(a.id))
		g.net.Hold(string(c.id), string(a.id))
		now := g.leader(a)
		term := now.raft.CurrentTerm()
		if term <= old {
			t.Fatalf("term %d after %d", term, old)
		}
		time.Sleep(3 * time.Second)
		if n := c.wire.Stats().TimeoutNowDropped; n != 1 {
			t.Errorf("%d messages dropped", n)
		}
		if now.raft.State() != raft.Leader || now.raft.CurrentTerm() != term {
			t.Errorf("the delayed message moved the leadership: %v in term %d", now.raft.State(), now.raft.CurrentTerm())
		}
		transfer.Error()
		g.net.Delay(string(a.id), string(c.id), 0)
		for _, p := range [][2]*member{{a, b}, {b, a}, {c, a}} {
			g.net.Release(string(p[0].id), string(p[1].id))
		}
		time.Sleep(3 * time.Second)
		l := g.leader()
		term = l.raft.CurrentTerm()
		if l.wire.LeaseHeld(term) == (l == a) {
			t.Errorf("lease on %s is %v; the old leader must not have one again, others must", l.id, l.wire.LeaseHeld(term))
		}
	})
}

// A transfer that arrives works, and the new leader has leases.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		a := g.leader()
		b := g.others(a)[0]
		time.Sleep(time.Second)
		for _, pair := range [][2]*member{{a, b}, {b, a}, {a, b}} {
			if err := pair[0].raft.LeadershipTransferToServer(pair[1].id, pair[1].addr).Error(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if pair[1].raft.State() != raft.Leader || !pair[1].wire.LeaseHeld(pair[1].raft.CurrentTerm()) {
				t.Fatalf("%s: %v, lease %v", pair[1].id, pair[1].raft.State(), pair[1].wire.LeaseHeld(pair[1].raft.CurrentTerm()))
			}
		}
	})
}

// A node that restarts with state gives no vote for one heartbeat timeout.
func TestVoteDelayAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		a := g.leader()
		b, c := g.others(a)[0], g.others(a)[1]
		time.Sleep(time.Second)
		b.stop()
		began := time.Now()
		g.start(b, heartbeat)
		var got raft.RequestVoteResponse
		ask := func() error {
			return c.wire.RequestVote(b.id, b.addr, &raft.RequestVoteRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte(c.id), Addr: c.wire.EncodePeer(c.id, c.addr)},
				Term:      a.raft.CurrentTerm() + 10, LastLogIndex: 1 << 40, LastLogTerm: 1 << 40, LeadershipTransfer: true,
			}, &got)
		}
		if err := ask(); err == nil {
			t.Errorf("a vote request was answered %v after the start: %+v", time.Since(began), got)
		}
		if b.wire.Stats().VotesDelayed == 0 {
			t.Error("not counted")
		}
		time.Sleep(heartbeat)
		if err := ask(); err != nil {
			t.Error(err)
		}
		if c.wire.Stats().TransfersStripped != 2 {
			t.Errorf("%d claims to a transfer that nobody began were stripped", c.wire.Stats().TransfersStripped)
		}
	})
}

// A follower far behind is brought up by a snapshot over the same streams.
func TestInstallSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		l := g.leader()
		lost := g.others(l)[0]
		lost.stop()
		for _, m := range g.others(lost) {
			c := m.raft.ReloadableConfig()
			c.TrailingLogs = 0
			if err := m.raft.ReloadConfig(c); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			l.apply(t, fmt.Sprint(i))
		}
		if err := l.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		lost.store, lost.snaps = raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		g.start(lost, 0)
		time.Sleep(5 * time.Second)
		if v, _ := lost.fsm.get(); v != "99" {
			t.Errorf("restored %q", v)
		}
		l = g.leader()
		index := l.apply(t, "after")
		l.wire.Kick(lost.id, index)
		time.Sleep(100 * time.Millisecond)
		if v, _ := lost.fsm.get(); v != "after" {
			t.Errorf("follows with %q", v)
		}
		for _, p := range l.wire.Progress(l.raft.CurrentTerm()) {
			if p.Acked < index || time.Since(p.Contact) > heartbeat {
				t.Errorf("progress of %s: %d of %d, contact %v ago", p.ID, p.Acked, index, time.Since(p.Contact))
			}
		}
	})
}

// However long a follower was away, it follows as soon as it is back: raft alone
// would try again after ten seconds.
func TestFollowsAtOnceAfterALongAbsence(t *testing.T) {
	for _, away := range []string{"cut off", "stopped", "needs a snapshot"} {
		t.Run(away, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { longAbsence(t, away) })
		})
	}
}

func longAbsence(t *testing.T, away string) {
	g := newGroup(t, 3)
	defer g.stop()
	l := g.leader()
	lost, third := g.others(l)[0], g.others(l)[1]
	if away == "cut off" {
		g.net.Cut(string(l.id), string(lost.id))
		g.net.Cut(string(third.id), string(lost.id))
	} else {
		lost.stop()
	}
	if away == "needs a snapshot" {
		for _, m := range []*member{l, third} {
			c := m.raft.ReloadableConfig()
			c.TrailingLogs = 0
			if err := m.raft.ReloadConfig(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 60 {
		l.apply(t, fmt.Sprint(i))
		time.Sleep(time.Second)
	}
	if away == "needs a snapshot" {
		if err := l.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Second)
	}
	if away == "cut off" {
		g.net.Heal(string(l.id), string(lost.id))
		g.net.Heal(string(third.id), string(lost.id))
	} else {
		g.start(lost, 0)
	}
	time.Sleep(time.Second)
	if v, _ := lost.fsm.get(); v != "59" {
		t.Errorf("a second after it is back the follower has %q", v)
	}
	if l.raft.State() != raft.Leader {
		t.Error("leadership changed: the test shows nothing")
	}
}
