package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/wire/memnet"
)

// puppet is a raft whose strings the test pulls.
type puppet struct {
	id     raft.ServerID
	term   atomic.Uint64
	state  atomic.Uint32
	commit atomic.Uint64
	wire   *Transport
	handle func(raft.RPC) // runs on the one goroutine that takes messages
}

func (p *puppet) State() raft.RaftState                      { return raft.RaftState(p.state.Load()) }
func (p *puppet) CurrentTerm() uint64                        { return p.term.Load() }
func (p *puppet) CommitIndex() uint64                        { return p.commit.Load() }
func (p *puppet) GetConfiguration() raft.ConfigurationFuture { return pair{} }

// pair is the configuration of a and b.
type pair struct{ raft.ConfigurationFuture }

func (pair) Error() error { return nil }
func (pair) Configuration() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a:1"}, {ID: "b", Address: "b:1"}}}
}

// accept answers like a follower that has everything.
func (p *puppet) accept(rpc raft.RPC) {
	switch m := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		rpc.Respond(&raft.AppendEntriesResponse{Term: p.term.Load(), LastLog: lastOf(m).index, Success: m.Term == p.term.Load()}, nil)
	case *raft.TimeoutNowRequest:
		rpc.Respond(&raft.TimeoutNowResponse{}, nil)
	case *raft.RequestVoteRequest:
		rpc.Respond(&raft.RequestVoteResponse{Term: m.Term, Granted: !m.LeadershipTransfer}, nil)
	default:
		rpc.Respond(nil, fmt.Errorf("unexpected %T", m))
	}
}

// stage sets up a, the leader of term 5, and b, its follower.
func stage(t *testing.T, play func(t *testing.T, n *memnet.Network, a, b *puppet)) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		make := func(id string, s raft.RaftState) *puppet {
			p := &puppet{id: raft.ServerID(id)}
			p.term.Store(5)
			p.state.Store(uint32(s))
			p.handle = p.accept
			w, err := New(Options{Streams: n.Node(id, id+":1"), LocalID: p.id, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			p.wire = w
			w.Attach(p)
			return p
		}
		a, b := make("a", raft.Leader), make("b", raft.Follower)
		stop := struct{ c chan struct{} }{c: newChan()}
		for _, p := range []*puppet{a, b} {
			go func() {
				for {
					select {
					case rpc := <-p.wire.Consumer():
						p.handle(rpc)
					case <-stop.c:
						return
					}
				}
			}()
		}
		play(t, n, a, b)
		a.wire.Close()
		b.wire.Close()
		close(stop.c)
	})
}

func newChan() chan struct{} { return make(chan struct{}) }

func (p *puppet) header() raft.RPCHeader { return p.wire.header() }

func (p *puppet) append(term, prev uint64, entries ...*raft.Log) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{RPCHeader: p.header(), Term: term, PrevLogEntry: prev, PrevLogTerm: term, Entries: entries}
}

// A candidate by transfer answers AppendEntries of its term with success, and
// may start another election at any moment: no lease rests on its answer.
func TestAnswersOfCandidatesGiveNoStamp(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		for _, tc := range []struct {
			state raft.RaftState
			lease bool
		}{{raft.Candidate, false}, {raft.Leader, false}, {raft.Follower, true}} {
			b.state.Store(uint32(tc.state))
			var resp raft.AppendEntriesResponse
			if err := a.wire.AppendEntries("b", "b:1", a.append(5, 0), &resp); err != nil || !resp.Success {
				t.Fatal(resp, err)
			}
			if got := a.wire.LeaseHeld(5); got != tc.lease {
				t.Errorf("answered as %v: lease %v", tc.state, got)
			}
		}
		if a.wire.LeaseHeld(4) || a.wire.LeaseHeld(6) {
			t.Error("lease of another term")
		}
		a.state.Store(uint32(raft.Follower))
		if a.wire.LeaseHeld(5) {
			t.Error("lease of a follower")
		}
	})
}

// An answer that took long counts from when its question was sent.
func TestStampIsDrawnBeforeSending(t *testing.T) {
	stage(t, func(t *testing.T, n *memnet.Network, a, b *puppet) {
		n.Delay("a", "b", DefaultHeartbeatTimeout/2)
		var resp raft.AppendEntriesResponse
		if err := a.wire.AppendEntries("b", "b:1", a.append(5, 0), &resp); err != nil || !resp.Success {
			t.Fatal(resp, err)
		}
		if a.wire.LeaseHeld(5) {
			t.Error("the lease counts from the answer")
		}
	})
}

// TimeoutNow looks at the term only when no message that moves it is being handled.
func TestTimeoutNowWaitsForTheTermToSettle(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		handling, finish := make(chan struct{}), make(chan struct{})
		var told atomic.Bool
		b.handle = func(rpc raft.RPC) {
			switch rpc.Command.(type) {
			case *raft.AppendEntriesRequest:
				close(handling)
				<-finish
				b.term.Store(6) // as raft does, in the middle of handling it
			case *raft.TimeoutNowRequest:
				told.Store(true)
			}
			b.accept(rpc)
		}
		var resp raft.AppendEntriesResponse
		go a.wire.AppendEntries("b", "b:1", a.append(6, 0), &resp)
		<-handling
		result := make(chan error, 1)
		go func() { result <- a.wire.TimeoutNow("b", "b:1", &raft.TimeoutNowRequest{RPCHeader: a.header()}, nil) }()
		synctest.Wait() // it is on its way, and b's term is still 5
		close(finish)
		var definite *remoteError
		if err := <-result; !errors.As(err, &definite) {
			t.Errorf("TimeoutNow: %v", err)
		}
		if told.Load() || b.wire.Stats().TimeoutNowDropped != 1 {
			t.Errorf("told to take over in another term; %d dropped", b.wire.Stats().TimeoutNowDropped)
		}
	})
}

// A transfer ends the leases of its term; one whose fate is unknown ends them all.
func TestTransfersEndLeases(t *testing.T) {
	stage(t, func(t *testing.T, n *memnet.Network, a, b *puppet) {
		heartbeat := func(term uint64) {
			a.term.Store(term)
			b.term.Store(term)
			var resp raft.AppendEntriesResponse
			if err := a.wire.AppendEntries("b", "b:1", a.append(term, 0), &resp); err != nil || !resp.Success {
				t.Fatal(resp, err)
			}
		}
		transfer := func() error {
			return a.wire.TimeoutNow("b", "b:1", &raft.TimeoutNowRequest{RPCHeader: a.header()}, nil)
		}

		heartbeat(5)
		if !a.wire.LeaseHeld(5) {
			t.Fatal("no lease to begin with")
		}
		if err := transfer(); err != nil {
			t.Fatal(err)
		}
		heartbeat(5)
		if a.wire.LeaseHeld(5) {
			t.Error("lease after a transfer")
		}
		heartbeat(6)
		if !a.wire.LeaseHeld(6) {
			t.Error("no lease in the next term")
		}
		n.Cut("a", "b")
		if err := transfer(); !errors.Is(err, errNotSent) {
			t.Fatal(err)
		}
		n.Heal("a", "b")
		heartbeat(7)
		if !a.wire.LeaseHeld(7) {
			t.Error("no lease after a transfer that was never sent")
		}
		n.Delay("b", "a", time.Minute)
		if err := transfer(); err == nil {
			t.Fatal("answered across a minute")
		}
		n.Delay("b", "a", 0)
		heartbeat(8)
		if a.wire.LeaseHeld(8) {
			t.Error("lease although a transfer may still arrive")
		}
		a.state.Store(uint32(raft.Follower))
		if err := transfer(); !errors.Is(err, ErrNotLeader) {
			t.Errorf("a follower's transfer: %v", err)
		}
	})
}

// The claim to a transfer, which makes others vote although they have a leader,
// lasts for the term that follows the leader's word, no longer.
func TestTransferClaimLastsOneTerm(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		claims := make(chan bool, 1)
		a.handle = func(rpc raft.RPC) {
			if m, ok := rpc.Command.(*raft.RequestVoteRequest); ok {
				claims <- m.LeadershipTransfer
			}
			a.accept(rpc)
		}
		if err := a.wire.TimeoutNow("b", "b:1", &raft.TimeoutNowRequest{RPCHeader: a.header()}, nil); err != nil {
			t.Fatal(err)
		}
		for term, want := range map[uint64]bool{5: false, 6: true, 7: false} {
			m := &raft.RequestVoteRequest{RPCHeader: b.header(), Term: term, LeadershipTransfer: true}
			if err := b.wire.RequestVote("a", "a:1", m, new(raft.RequestVoteResponse)); err != nil {
				t.Fatal(err)
			}
			if got := <-claims; got != want {
				t.Errorf("term %d: claim %v", term, got)
			}
			if !m.LeadershipTransfer {
				t.Error("raft's own message was changed")
			}
		}
	})
}

// raft's follower commits up to the smaller of the commit index and its last
// index; the latter may lie in a tail that this message does not verify.
func TestCommitIndexIsClampedOnArrival(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		got := make(chan uint64, 1)
		b.handle = func(rpc raft.RPC) {
			got <- rpc.Command.(*raft.AppendEntriesRequest).LeaderCommitIndex
			b.accept(rpc)
		}
		tests := []struct {
			prev, commit uint64
			entries      []*raft.Log
			want         uint64
		}{
			{10, 15, nil, 10},
			{10, 9, nil, 9},
			{10, 15, []*raft.Log{{Index: 11, Term: 5}, {Index: 12, Term: 5}}, 12},
			{0, 15, nil, 0},
		}
		for _, tc := range tests {
			m := a.append(5, tc.prev, tc.entries...)
			m.LeaderCommitIndex = tc.commit
			if err := a.wire.AppendEntries("b", "b:1", m, new(raft.AppendEntriesResponse)); err != nil {
				t.Fatal(err)
			}
			if c := <-got; c != tc.want {
				t.Errorf("previous %d, commit %d, %d entries: %d", tc.prev, tc.commit, len(tc.entries), c)
			}
		}
	})
}

func TestImpostors(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		if err := a.wire.AppendEntries("c", "b:1", a.append(5, 0), new(raft.AppendEntriesResponse)); !errors.Is(err, errNotSent) {
			t.Errorf("b answered for c: %v", err)
		}
		m := a.append(5, 0)
		m.ID = []byte("c")
		if err := a.wire.AppendEntries("b", "b:1", m, new(raft.AppendEntriesResponse)); err == nil {
			t.Error("a spoke for c")
		}
		if a.wire.Stats().Impostors != 1 || b.wire.Stats().Impostors == 0 {
			t.Errorf("counted %d, %d", a.wire.Stats().Impostors, b.wire.Stats().Impostors)
		}
	})
}

// A kept connection that died is replaced without an error to raft.
func TestDeadIdleConnectionIsReplaced(t *testing.T) {
	stage(t, func(t *testing.T, n *memnet.Network, a, b *puppet) {
		for range 3 {
			if err := a.wire.AppendEntries("b", "b:1", a.append(5, 0), new(raft.AppendEntriesResponse)); err != nil {
				t.Fatal(err)
			}
			n.Cut("a", "b")
			n.Heal("a", "b")
			synctest.Wait()
		}
	})
}

func TestPipelineKeepsOrderAndItsOwn(t *testing.T) {
	stage(t, func(t *testing.T, n *memnet.Network, a, b *puppet) {
		n.Delay("a", "b", time.Millisecond)
		var seen []uint64 // last index of raft's, 1000+commit index of kicks; b's goroutine alone
		b.handle = func(rpc raft.RPC) {
			m := rpc.Command.(*raft.AppendEntriesRequest)
			if len(m.Entries) > 0 {
				seen = append(seen, m.Entries[0].Index)
			} else if m.LeaderCommitIndex > 0 {
				seen = append(seen, 1000+m.LeaderCommitIndex)
			}
			b.accept(rpc)
		}
		p, err := a.wire.AppendEntriesPipeline("b", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		var want []uint64
		for i := uint64(1); i <= 50; i++ {
			f, err := p.AppendEntries(a.append(5, i-1, &raft.Log{Index: i, Term: 5, Data: []byte("x")}), new(raft.AppendEntriesResponse))
			if err != nil {
				t.Fatal(err)
			}
			a.commit.Store(i)
			a.wire.Kick("b", i)
			a.wire.Kick("b", i)
			got := <-p.Consumer()
			if got != f || got.Error() != nil || got.Response().LastLog != i || !got.Response().Success {
				t.Fatalf("answer %d: %+v, %v", i, got.Response(), got.Error())
			}
			want = append(want, i, 1000+i)
		}
		time.Sleep(10 * time.Millisecond) // virtual time: what is on the wire arrives
		synctest.Wait()                   // after it, seen is ours
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("the follower saw %v", seen)
		}
		if len(p.Consumer()) != 0 {
			t.Error("raft was given an answer to a kick")
		}
		if got := a.wire.Progress(5); len(got) != 1 || got[0].Acked != 50 {
			t.Errorf("progress %+v", got)
		}
		p.Close()
	})
}

// When the connection breaks, raft finds an answer without success, its next
// message is refused, and kicks take another way.
func TestPipelineBreaks(t *testing.T) {
	stage(t, func(t *testing.T, n *memnet.Network, a, b *puppet) {
		told := make(chan uint64, 10)
		b.handle = func(rpc raft.RPC) {
			if m := rpc.Command.(*raft.AppendEntriesRequest); m.LeaderCommitIndex > 0 {
				told <- m.LeaderCommitIndex
			}
			b.accept(rpc)
		}
		p, err := a.wire.AppendEntriesPipeline("b", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.AppendEntries(a.append(5, 0, &raft.Log{Index: 1, Term: 5}), new(raft.AppendEntriesResponse)); err != nil {
			t.Fatal(err)
		}
		if f := <-p.Consumer(); f.Error() != nil {
			t.Fatal(f.Error())
		}
		n.Hold("a", "b")
		lost, err := p.AppendEntries(a.append(5, 1, &raft.Log{Index: 2, Term: 5}), new(raft.AppendEntriesResponse))
		if err != nil {
			t.Fatal(err)
		}
		a.commit.Store(1)
		a.wire.Kick("b", 1)
		synctest.Wait()
		n.Cut("a", "b")
		if lost.Error() == nil || lost.Response().Success {
			t.Errorf("lost message: %+v", lost.Response())
		}
		if _, err := p.AppendEntries(a.append(5, 2), new(raft.AppendEntriesResponse)); err == nil {
			t.Error("sent on a broken pipeline")
		}
		p.Close()
		n.Release("a", "b")
		n.Heal("a", "b")
		if got := <-told; got != 1 {
			t.Errorf("told %d", got)
		}
	})
}
