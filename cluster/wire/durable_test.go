package wire

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/wire/memnet"
)

// ownLog is a log that is durable as far as the test says.
type ownLog struct {
	index uint64
	word  chan error // WaitDurable's, beyond index
}

func (l *ownLog) DurableIndex() uint64 { return l.index }

func (l *ownLog) WaitDurable(index uint64) error {
	if index <= l.index {
		return nil
	}
	return <-l.word
}

// Raft counts its leader before the leader's fsync. No other node hears of a
// commit that counts on it.
func TestCommitIsToldAsFarAsItIsDurable(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		a.wire.opts.Durable = &ownLog{index: 8}
		got := make(chan uint64, 1)
		b.handle = func(rpc raft.RPC) {
			got <- rpc.Command.(*raft.AppendEntriesRequest).LeaderCommitIndex
			b.accept(rpc)
		}
		f := func(commit, want uint64) {
			t.Helper()
			m := a.append(5, 19, &raft.Log{Index: 20, Term: 5})
			m.LeaderCommitIndex = commit
			if err := a.wire.AppendEntries("b", "b:1", m, new(raft.AppendEntriesResponse)); err != nil {
				t.Fatal(err)
			}
			if told := <-got; told != want {
				t.Errorf("commit %d: told %d by a message, want %d", commit, told, want)
			}
			pipe, err := a.wire.AppendEntriesPipeline("b", "b:1")
			if err != nil {
				t.Fatal(err)
			}
			defer pipe.Close()
			future, err := pipe.AppendEntries(m, new(raft.AppendEntriesResponse))
			if err != nil || future.Error() != nil {
				t.Fatal(err)
			}
			if told := <-got; told != want {
				t.Errorf("commit %d: told %d by the pipeline, want %d", commit, told, want)
			}
			if m.LeaderCommitIndex != commit {
				t.Error("raft's own message was changed")
			}
		}
		f(7, 7)
		f(8, 8)
		f(20, 8)
	})
}

func TestKickIsClampedToWhatIsDurable(t *testing.T) {
	tr := attached(&node{state: raft.Leader, term: 5, commit: 10})
	tr.opts.Durable = &ownLog{index: 8}
	if m, due := tr.kickFor(5, position{10, 3}, 7, 10); !due || m.LeaderCommitIndex != 8 {
		t.Errorf("kick %+v", m)
	}
	if m, due := tr.kickFor(5, position{10, 3}, 8, 10); due {
		t.Errorf("kick without news: %+v", m)
	}
}

// A node that led and wrote ahead of its fsync confirms those entries to the
// next leader when they are durable, and not if that fails.
func TestSuccessWaitsForTheFsync(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		own := &ownLog{index: 8, word: make(chan error)}
		b.wire.opts.Durable = own
		ask := func(m *raft.AppendEntriesRequest) <-chan error {
			done := make(chan error, 1)
			go func() { done <- a.wire.AppendEntries("b", "b:1", m, new(raft.AppendEntriesResponse)) }()
			synctest.Wait()
			return done
		}
		if err := <-ask(a.append(5, 8)); err != nil {
			t.Fatalf("what is durable: %v", err)
		}
		done := ask(a.append(5, 9))
		if len(done) != 0 {
			t.Fatal("confirmed before it was durable")
		}
		own.word <- nil
		if err := <-done; err != nil {
			t.Errorf("confirmed: %v", err)
		}
		done = ask(a.append(5, 8, &raft.Log{Index: 9, Term: 5}))
		a.state.Store(uint32(raft.Follower)) // or it would ask again
		own.word <- errors.New("EIO")
		if err := <-done; err == nil {
			t.Error("confirmed in spite of a failed fsync")
		}
		done = ask(a.append(4, 9)) // refused, which promises nothing
		if err := <-done; err != nil {
			t.Errorf("a refusal waited: %v", err)
		}
	})
}

// While an answer waits for a disk, raft has long handled its message: a
// leadership transfer does not wait for that disk.
func TestWaitForTheDiskDoesNotHoldUpATransfer(t *testing.T) {
	stage(t, func(t *testing.T, _ *memnet.Network, a, b *puppet) {
		own := &ownLog{index: 8, word: make(chan error)}
		b.wire.opts.Durable = own
		done := make(chan error, 1)
		go func() { done <- a.wire.AppendEntries("b", "b:1", a.append(5, 9), new(raft.AppendEntriesResponse)) }()
		synctest.Wait()
		b.wire.terms.enterAlone()
		b.wire.terms.leaveAlone()
		own.word <- nil
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
