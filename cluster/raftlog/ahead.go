package raftlog

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// A leader's fsync and its followers' can run at the same time. [Store.AppendLogs]
// returns as soon as the entries are written, so that they can be sent, and the
// fsync runs in the background. Until it is done they are not stored: whoever
// counts this node among those that have an entry asks [Store.DurableIndex] or
// [Store.WaitDurable].

// AppendLogs is StoreLogs without its fsync, which has begun when AppendLogs
// returns. A later StoreLogs, cut or compaction fsyncs what came before it too.
func (s *Store) AppendLogs(logs []*raft.Log) error {
	err := s.store(logs, true)
	if n := len(logs); n > 0 && s.durableIndex.load() < logs[n-1].Index {
		s.wantSync() // after an error too: a part of logs may have been written
	}
	return err
}

// DurableIndex returns the index up to which the entries are as durable as the
// policy promises: fsynced under Always, written under the others. It goes back
// only when entries are cut off the end.
func (s *Store) DurableIndex() uint64 { return s.durableIndex.load() }

// WaitDurable waits until the entries up to index, as far as there are any, are
// within DurableIndex. It returns why they never will be: ErrCut, or that the
// store has failed or was closed.
func (s *Store) WaitDurable(index uint64) error {
	if s.durableIndex.load() >= index {
		return nil
	}
	// Under mu: a cut comes before, and is seen in the index, or after, and ends the wait.
	s.mu.RLock()
	done := s.durableIndex.wait(min(index, s.index.last()))
	s.mu.RUnlock()
	if s.opts.Inline && len(done) == 0 {
		s.syncBeside()
	}
	return <-done
}

// wantSync makes the sync loop look.
func (s *Store) wantSync() {
	select {
	case s.syncWanted <- struct{}{}:
	default: // it is about to look
	}
}

// syncLoop fsyncs what AppendLogs has written.
func (s *Store) syncLoop() {
	for {
		select {
		case <-s.syncWanted:
			s.syncBeside()
		case <-s.stop:
			return
		}
	}
}

// noteDurableLocked notes that all entries are as durable as the policy promises.
func (s *Store) noteDurableLocked() {
	if last := s.index.last(); last > 0 { // only writers change it
		s.durableIndex.raise(last)
	}
}

// cutLocked notes that the entries from i on are to be replaced or deleted.
func (s *Store) cutLocked(i uint64) {
	s.cuts++
	s.durableIndex.lower(i - 1)
}

// forgetLocked forgets the entries from i on, which were cut. It needs mu too.
func (s *Store) forgetLocked(i uint64) {
	s.index.truncate(i)
	s.tail.truncate(i)
	s.durableIndex.cut(i)
}

// durableIndex is an index that others wait for.
type durableIndex struct {
	value atomic.Uint64

	mu      sync.Mutex
	waiters []durableWaiter // guarded by mu
	err     error           // guarded by mu; why it will not rise any more
}

// durableWaiter waits for an index beyond the value.
type durableWaiter struct {
	index uint64
	done  chan error // cap 1
}

func (d *durableIndex) load() uint64 { return d.value.Load() }

func (d *durableIndex) raise(i uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i > d.value.Load() {
		d.value.Store(i)
		d.releaseLocked(func(w durableWaiter) bool { return w.index <= i }, nil)
	}
}

func (d *durableIndex) lower(i uint64) {
	d.mu.Lock()
	d.value.Store(min(i, d.value.Load()))
	d.mu.Unlock()
}

// cut fails those who wait for the entries from i on, which are gone.
func (d *durableIndex) cut(i uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.releaseLocked(func(w durableWaiter) bool { return w.index >= i }, ErrCut)
}

// end fails all who wait, and who will.
func (d *durableIndex) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
	d.releaseLocked(func(durableWaiter) bool { return true }, d.err)
}

// wait returns a channel with what came of waiting for i.
func (d *durableIndex) wait(i uint64) <-chan error {
	done := make(chan error, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case i <= d.value.Load():
		done <- nil
	case d.err != nil:
		done <- d.err
	default:
		d.waiters = append(d.waiters, durableWaiter{i, done})
	}
	return done
}

// releaseLocked tells those whom which chooses what came of their waiting.
func (d *durableIndex) releaseLocked(which func(durableWaiter) bool, err error) {
	d.waiters = slices.DeleteFunc(d.waiters, func(w durableWaiter) bool {
		released := which(w)
		if released {
			w.done <- err
		}
		return released
	})
}
