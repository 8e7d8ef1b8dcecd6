package wire_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// A leader that resigns is followed by another, steps down by itself, loses its
// lease at once, and may lead again later.
func TestResign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		for range 5 {
			old := g.leader()
			old.apply(t, "a")
			time.Sleep(time.Second)
			term := old.raft.CurrentTerm()
			if !old.wire.LeaseHeld(term) {
				t.Fatal("no lease in a healthy cluster")
			}
			began := time.Now()
			old.wire.Resign(term)
			if old.wire.LeaseHeld(term) {
				t.Error("lease after the resignation")
			}
			next := g.leader(old)
			if gap := time.Since(began); gap > 5*heartbeat {
				t.Errorf("the next leader led after %v", gap)
			}
			if old.raft.State() == raft.Leader {
				t.Error("it still leads")
			}
			next.apply(t, "b")
			time.Sleep(time.Second)
			if v, _ := old.fsm.get(); v != "b" {
				t.Errorf("as a follower it has %q", v)
			}
			now := next.raft.CurrentTerm()
			if !next.wire.LeaseHeld(now) {
				t.Error("the next leader has no lease")
			}
			// It is nobody's enemy: told to lead again, it does, and speaks.
			if err := next.raft.LeadershipTransferToServer(old.id, old.addr).Error(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			again := g.leader()
			if again != old || !old.wire.LeaseHeld(old.raft.CurrentTerm()) {
				t.Errorf("leader %s, want %s with a lease", again.id, old.id)
			}
		}
	})
}

// A node that resigned does not stand for election at once. If only it can be
// elected, it is in the end.
func TestResignedNodeStandsAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		old := g.leader()
		other, away := g.others(old)[0], g.others(old)[1]
		time.Sleep(time.Second)
		g.net.Cut(string(away.id), string(old.id))
		g.net.Cut(string(away.id), string(other.id))
		// The one that is left lacks an entry that is on its way for ever.
		g.net.Hold(string(old.id), string(other.id))
		lost := old.raft.Apply([]byte("lost on the way"), 0)
		time.Sleep(10 * time.Millisecond)
		old.wire.Resign(old.raft.CurrentTerm())
		began := time.Now()
		g.net.Reset(string(old.id), string(other.id))
		g.net.Release(string(old.id), string(other.id))
		if err := lost.Error(); err == nil {
			t.Error("the entry was committed by the leader that had resigned")
		}
		if g.leader() != old {
			t.Error("one was elected that lacks an entry")
		}
		if took := time.Since(began); took < 10*heartbeat || took > 20*heartbeat {
			t.Errorf("it leads again after %v", took)
		}
		old.apply(t, "again")
	})
}

// Once another leads, a node that resigned stands as soon as it must.
func TestResignedNodeStandsWhenAnotherHasLed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3)
		defer g.stop()
		old := g.leader()
		time.Sleep(time.Second)
		old.wire.Resign(old.raft.CurrentTerm())
		next := g.leader(old)
		old.wire.Stand()
		for _, n := range g.others(next) {
			if n != old { // it will lack an entry, so that only the old one can be elected
				g.net.Hold(string(next.id), string(n.id))
			}
		}
		next.apply(t, "a")
		began := time.Now()
		for _, n := range g.others(next) {
			g.net.Cut(string(next.id), string(n.id))
		}
		for old.raft.State() != raft.Leader && time.Since(began) < time.Minute {
			time.Sleep(heartbeat / 10)
		}
		if took := time.Since(began); took > 7*heartbeat {
			t.Errorf("the only one with all entries led after %v", took)
		}
	})
}
