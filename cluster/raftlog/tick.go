package raftlog

import (
	"sync/atomic"
	"time"
)

// processStart is the zero of now's clock.
var processStart = time.Now()

// now returns monotonic nanoseconds, never 0.
func now() int64 { return int64(time.Since(processStart)) + 1 }

// since is a point in time, as now gives it, that goroutines share; 0 is none.
type since struct {
	atomic.Int64
}

func (t *since) begin() { t.Store(now()) }
func (t *since) end()   { t.Store(0) }

// elapsed returns the time since the point, 0 when there is none.
func (t *since) elapsed() time.Duration {
	at := t.Load()
	if at == 0 {
		return 0
	}
	return time.Duration(now() - at)
}

// tickLoop does once a second what no caller waits for.
func (s *Store) tickLoop() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.tick()
		case <-s.stop:
			return
		}
	}
}

// tick fsyncs under EverySec, and marks the end of a quiet log.
func (s *Store) tick() {
	if Policy(s.policy.Load()) == EverySec {
		s.syncBeside()
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.usableLocked() != nil {
		return
	}
	if s.quiet && !s.marked && s.durable == s.end {
		// A failure has been noted and reported by markLocked.
		_ = s.markLocked()
	}
	s.quiet = true
}

// syncBeside fsyncs what has been written so far without holding up writers.
func (s *Store) syncBeside() {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.writeMu.Lock()
	g, end, last, cuts := s.newest, s.end, s.index.last(), s.cuts
	idle := s.usableLocked() != nil || s.durable == end
	if !idle {
		g.use.RLock()
	}
	s.writeMu.Unlock()
	if idle {
		return
	}
	began := now()
	s.syncing.begin()
	err := s.syncFile(g)
	s.syncing.end()
	g.use.RUnlock()
	if err != nil {
		return // noted and reported by syncFile
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.newest != g || s.durable >= end {
		return // a writer's own fsync has covered it
	}
	s.durable = end
	if s.cuts == cuts {
		s.durableIndex.raise(last)
	}
	s.unsynced.Store(0)
	if s.end > end {
		s.unsynced.Store(began)
	}
}
