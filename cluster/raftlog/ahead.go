package raftlog

import (
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
	if err := s.store(logs, true); err != nil {
		return err
	}
	if s.durableIndex.load() < logs[len(logs)-1].Index {
		s.wantSync()
	}
	return nil
}

// DurableIndex returns the index up to which the entries are as durable as the
// policy promises: fsynced under Always, written under the others. It goes back
// only when entries are cut off the end.
func (s *Store) DurableIndex() uint64 { return s.durableIndex.load() }

// WaitDurable waits until the entries up to index, as far as there are any, are
// within DurableIndex. It returns why they never will be, if the store has failed
// or was closed.
func (s *Store) WaitDurable(index uint64) error {
	if s.durableIndex.load() >= index {
		return nil
	}
	s.mu.RLock()
	index = min(index, s.index.last())
	s.mu.RUnlock()
	if s.opts.Inline && s.durableIndex.load() < index {
		s.syncBeside()
	}
	return s.durableIndex.wait(index)
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

// durableIndex is an index that others wait for.
type durableIndex struct {
	value atomic.Uint64

	mu      sync.Mutex
	changed sync.Cond // on mu
	err     error     // guarded by mu; why it will not rise any more
}

func (d *durableIndex) init() { d.changed.L = &d.mu }

func (d *durableIndex) load() uint64 { return d.value.Load() }

func (d *durableIndex) raise(i uint64) {
	d.mu.Lock()
	if i > d.value.Load() {
		d.value.Store(i)
		d.changed.Broadcast()
	}
	d.mu.Unlock()
}

func (d *durableIndex) lower(i uint64) {
	d.mu.Lock()
	d.value.Store(min(i, d.value.Load()))
	d.mu.Unlock()
}

// end fails all who wait, and who will.
func (d *durableIndex) end(err error) {
	d.mu.Lock()
	if d.err == nil {
		d.err = err
	}
	d.changed.Broadcast()
	d.mu.Unlock()
}

func (d *durableIndex) wait(i uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.value.Load() < i {
		if d.err != nil {
			return d.err
		}
		d.changed.Wait()
	}
	return nil
}
