package raftlog

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// StoreLog stores one entry, as StoreLogs does.
func (s *Store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends logs, whose indexes must ascend, with one write and, under
// Always, one fsync; more only when they do not fit in one segment. An index at
// or below the last one replaces everything from there on. The store may keep the
// entries' data in memory and hand it to readers: it must not be changed.
//
// On ErrNoSpace and ErrTooLarge the store goes on; a part of logs, from the first
// on, may be stored when they were more than a segment holds. After any other
// error every later write fails with it.
func (s *Store) StoreLogs(logs []*raft.Log) error { return s.store(logs, false) }

// store is StoreLogs, or AppendLogs if the fsync is left to the background.
func (s *Store) store(logs []*raft.Log, ahead bool) error {
	if err := checkLogs(logs); err != nil {
		return err
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	s.writing.begin()
	defer s.writing.end()
	for len(logs) > 0 {
		n, size := s.fitting(logs)
		if err := s.appendLocked(logs[:n], size, ahead); err != nil {
			return err
		}
		logs = logs[n:]
	}
	return nil
}

// checkLogs checks what must hold of logs by themselves.
func checkLogs(logs []*raft.Log) error {
	for i, l := range logs {
		if i > 0 && l.Index <= logs[i-1].Index || l.Index == 0 {
			return fmt.Errorf("raftlog: entry %d out of order", l.Index)
		}
		if size := len(l.Data) + len(l.Extensions); size > MaxEntryBytes {
			return fmt.Errorf("%w: entry %d has %d bytes", ErrTooLarge, l.Index, size)
		}
	}
	return nil
}

// fitting returns how many of logs, at least one, fit in one segment, and their
// size there.
func (s *Store) fitting(logs []*raft.Log) (n int, size int64) {
	room := s.opts.SegmentBytes - segmentHeader - recordHeader - controlReserve
	for n < len(logs) {
		more := entrySize(logs[n])
		if n > 0 && size+more > room {
			break
		}
		size += more
		n++
	}
	return n, size
}

// appendLocked appends logs, size bytes of records, with one write, and fsyncs it
// if the policy says so and not ahead.
func (s *Store) appendLocked(logs []*raft.Log, size int64, ahead bool) error {
	if s.end+recordHeader+size+controlReserve > s.newest.size {
		if err := s.rotateLocked(size); err != nil {
			return err
		}
	}
	first := logs[0].Index
	last := s.index.last() // only writers change it
	s.buf = s.buf[:0]
	if first <= last {
		s.cutLocked(first)
		s.buf = appendControl(s.buf, s.placeLocked(0), kindTruncate, first, 0)
	}
	entriesAt := s.end + int64(len(s.buf))
	for _, l := range logs {
		s.buf = appendEntry(s.buf, s.placeLocked(int64(len(s.buf))), l)
	}
	if err := s.writeLocked(s.buf); err != nil {
		return err
	}
	s.counters.writes.Add(1)
	always := Policy(s.policy.Load()) == Always && !skipFsync
	if always && !ahead {
		if err := s.syncLocked(); err != nil {
			return err
		}
	} else {
		s.unsynced.CompareAndSwap(0, now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first <= last {
		s.forgetLocked(first)
	}
	for _, l := range logs {
		n := entrySize(l)
		s.index.add(l.Index, s.newest, entriesAt, n)
		s.tail.add(l)
		entriesAt += n
	}
	if !always || !ahead {
		s.noteDurableLocked()
	}
	return nil
}

// Sync fsyncs what has been stored so far, under any policy.
func (s *Store) Sync() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	s.writing.begin()
	defer s.writing.end()
	if err := s.syncLocked(); err != nil {
		return err
	}
	s.noteDurableLocked()
	return nil
}

// DeleteRange deletes the entries from lo to hi, both included: a stretch at the
// front (compaction) or at the end (conflict). It is durable when it returns,
// under every policy. A stretch that leaves entries on both sides is refused,
// raft has no use for it.
func (s *Store) DeleteRange(lo, hi uint64) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.usableLocked(); err != nil {
		return err
	}
	first, last := s.index.first(), s.index.last() // only writers change them
	if last == 0 || lo > hi || hi < first || lo > last {
		return nil
	}
	s.writing.begin()
	defer s.writing.end()
	switch {
	case lo <= first:
		return s.compactLocked(min(hi, last) + 1)
	case hi >= last:
		return s.truncateLocked(lo)
	default:
		return fmt.Errorf("raftlog: deleting entries %d to %d would leave a hole in %d to %d", lo, hi, first, last)
	}
}

// truncateLocked deletes the entries from i on.
func (s *Store) truncateLocked(i uint64) error {
	if err := s.makeRoomLocked(); err != nil {
		return err
	}
	s.cutLocked(i)
	if err := s.controlLocked(kindTruncate, i, 0); err != nil {
		return err
	}
	if err := s.syncLocked(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(i)
	s.noteDurableLocked()
	return nil
}

// compactLocked deletes the entries before i and frees the segments that held
// nothing else.
func (s *Store) compactLocked(i uint64) error {
	if err := s.makeRoomLocked(); err != nil {
		return err
	}
	oldest := s.newest
	if g := s.index.oldestFrom(i); g != nil {
		oldest = g
	}
	if err := s.controlLocked(kindCompact, i, oldest.seq); err != nil {
		return err
	}
	if err := s.syncLocked(); err != nil {
		return err
	}
	s.noteDurableLocked()
	s.mu.Lock()
	s.index.compact(i)
	s.tail.compact(i)
	n := int(oldest.seq - s.segments[0].seq)
	freed := s.segments[:n:n]
	s.segments = append([]*segment(nil), s.segments[n:]...)
	s.mu.Unlock()
	s.spares.free(freed)
	return nil
}

// makeRoomLocked sees to it that a control record and a seal fit.
func (s *Store) makeRoomLocked() error {
	if s.end+2*recordHeader <= s.newest.size {
		return nil
	}
	return s.rotateLocked(0)
}

// rotateLocked ends the newest segment and begins another that holds at least
// size bytes of entries. The new one is durably there before the old one's seal
// is written, so that a full disk is met before anything has changed.
func (s *Store) rotateLocked(size int64) error {
	next, err := s.makeSegment(s.newest.seq+1, s.segments[0].seq, size)
	if errors.Is(err, ErrNoSpace) {
		return err
	}
	if err != nil {
		return s.fail(err)
	}
	if err := s.controlLocked(kindSeal, next.seq, 0); err != nil {
		return err
	}
	if err := s.syncLocked(); err != nil {
		return err
	}
	s.noteDurableLocked()
	s.mu.Lock()
	s.segments = append(s.segments, next)
	s.mu.Unlock()
	s.newest, s.end, s.durable, s.session, s.marked = next, segmentHeader, segmentHeader, 0, true
	s.spares.wake()
	return nil
}

// placeLocked returns the place of a record n bytes behind the end.
func (s *Store) placeLocked(n int64) place {
	return place{generation: s.newest.generation, offset: s.end + n, durable: s.durable, session: s.session}
}

// controlLocked appends a record without payload.
func (s *Store) controlLocked(k kind, index, term uint64) error {
	s.buf = appendControl(s.buf[:0], s.placeLocked(0), k, index, term)
	return s.writeLocked(s.buf)
}

// markLocked appends a record that states what is durable. It is not synced.
func (s *Store) markLocked() error {
	if s.end+2*recordHeader > s.newest.size {
		return nil // the seal to come states it as well
	}
	if err := s.controlLocked(kindMark, 0, 0); err != nil {
		return err
	}
	s.marked = true
	return nil
}

// writeLocked writes b at the end. A failure ends the store's writing life.
func (s *Store) writeLocked(b []byte) error {
	n, err := s.newest.file.WriteAt(b, s.end)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return s.fail(fmt.Errorf("write %s at %d: %w", s.newest.path, s.end, err))
	}
	s.end += int64(len(b))
	s.marked, s.quiet = false, false
	if cap(s.buf) > bufferKeep {
		s.buf = nil
	}
	return nil
}

// syncLocked fsyncs the newest segment. A failure ends the store's writing life:
// the kernel may have dropped the data and will not say so again.
func (s *Store) syncLocked() error {
	if s.durable == s.end {
		return nil
	}
	if err := s.syncFile(s.newest); err != nil {
		return err
	}
	s.durable = s.end
	s.unsynced.Store(0)
	return nil
}

// syncFile fsyncs g.
func (s *Store) syncFile(g *segment) error {
	start := time.Now()
	if err := g.file.Sync(); err != nil {
		return s.fail(fmt.Errorf("sync %s: %w", g.path, err))
	}
	s.counters.fsyncs.Add(1)
	s.counters.lastFsync.Store(int64(time.Since(start)))
	return nil
}

// usableLocked returns why the store takes no writes, nil if it does.
func (s *Store) usableLocked() error {
	if f := s.failed.Load(); f != nil {
		return f
	}
	if s.closed {
		return ErrClosed
	}
	return nil
}

// fail notes the first failure of a write and returns it.
func (s *Store) fail(cause error) error {
	s.failed.CompareAndSwap(nil, &failedError{cause: cause})
	f := s.failed.Load()
	s.durableIndex.end(f)
	s.reportFatal(f)
	return f
}

func (s *Store) reportFatal(err error) {
	if s.opts.OnFatal == nil {
		return
	}
	s.fatal.Do(func() { s.opts.OnFatal(err) })
}
