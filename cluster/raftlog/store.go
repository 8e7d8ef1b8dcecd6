package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Defaults and limits of Options.
const (
	DefaultSegmentBytes = 64 << 20
	DefaultTailBytes    = 8 << 20
	DefaultSpares       = 2

	minSegmentBytes = 4 << 10
	maxSegmentBytes = 1 << 30

	// bufferKeep is the largest write buffer kept for the next write.
	bufferKeep = 4 << 20
)

const openExisting = os.O_RDWR

// Options are the settings of a Store. The zero value of each means its default.
type Options struct {
	// FS is the file system, Disk by default.
	FS FS

	// SegmentBytes is the size of a segment file, 4 KiB to 1 GiB. A larger entry
	// gets a segment of its own.
	SegmentBytes int64

	// TailBytes bounds the newest entries kept in memory, their data and 128 bytes
	// each. Negative keeps none.
	TailBytes int64

	// Spares is how many freed segments are kept for use, and how many are made
	// ready in advance at most: one. Negative keeps none.
	Spares int

	// Policy says when StoreLogs' data is fsynced.
	Policy Policy

	// OnFatal is called once, when a write or fsync has failed or an acknowledged
	// entry was found damaged: the process should log the error and end. It runs
	// on the goroutine that found out and must not call the store.
	OnFatal func(error)

	// Inline does the work of the background goroutines where it is caused, and
	// nothing by time, for tests that count operations.
	Inline bool
}

// Store is a raft.LogStore in segment files. Its methods may be called
// concurrently; writers take turns, readers do not wait for a writer's I/O.
type Store struct {
	opts Options
	dir  string

	policy   atomic.Int32
	failed   atomic.Pointer[failedError]
	fatal    sync.Once
	writing  since // when the writer's operation began
	syncing  since // when the background fsync began
	unsynced since // when the oldest write that no fsync covers was made

	// syncMu is held over a background fsync: syncing is about one.
	syncMu sync.Mutex

	// writeMu is held over every change of the log, I/O included. Lock order:
	// syncMu, writeMu, mu, segment.use.
	writeMu sync.Mutex
	closed  bool     // guarded by writeMu
	newest  *segment // guarded by writeMu; the one appended to
	end     int64    // guarded by writeMu; of the records in newest
	durable int64    // guarded by writeMu; newest is fsynced up to here
	marked  bool     // guarded by writeMu; a record states that end is durable
	quiet   bool     // guarded by writeMu; no write since the last tick
	session uint32   // guarded by writeMu; of newest
	buf     []byte   // guarded by writeMu; reused from write to write
	cuts    int      // guarded by writeMu; how often entries were cut off the end

	durableIndex durableIndex
	syncWanted   chan struct{} // cap 1: AppendLogs has written something

	mu       sync.RWMutex
	index    index      // guarded by mu
	tail     tail       // guarded by mu
	segments []*segment // guarded by mu; in use, oldest first, the last is newest

	spares   spares
	counters counters
	recovery Recovery

	stop    chan struct{}
	workers sync.WaitGroup
}

type counters struct {
	writes    atomic.Uint64
	fsyncs    atomic.Uint64
	lastFsync atomic.Int64
}

var _ raft.LogStore = (*Store)(nil)

// Open opens the log in dir, which it creates if need be; the directory above is
// the caller's to make durable. One process at a time
// may use dir: take it with LockDir first. Open reads and verifies all of the
// log; damage to what was acknowledged gives a *CorruptError.
func Open(dir string, opts Options) (*Store, error) {
	start := time.Now()
	if err := opts.complete(); err != nil {
		return nil, err
	}
	s := &Store{opts: opts, dir: dir, stop: make(chan struct{}), syncWanted: make(chan struct{}, 1)}
	s.policy.Store(int32(opts.Policy))
	s.tail.limit = opts.TailBytes
	s.spares.init(s)
	if err := opts.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	// A directory that the one above it forgets takes all its files with it.
	if err := opts.FS.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	s.opts.OnFatal = nil // until there is a store to be fatal for
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	s.noteDurableLocked() // recovery has fsynced what it found
	s.opts.OnFatal = opts.OnFatal
	s.recovery.Took = time.Since(start)
	if !opts.Inline {
		s.workers.Go(s.tickLoop)
		s.workers.Go(s.syncLoop)
		s.workers.Go(s.spares.loop)
		s.spares.wake()
	}
	return s, nil
}

// complete fills in the defaults and checks the limits.
func (o *Options) complete() error {
	if o.FS == nil {
		o.FS = Disk{}
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes {
		return fmt.Errorf("log segment size must be %d to %d bytes, not %d", minSegmentBytes, maxSegmentBytes, o.SegmentBytes)
	}
	o.SegmentBytes = padded(o.SegmentBytes)
	if o.TailBytes == 0 {
		o.TailBytes = DefaultTailBytes
	}
	if o.Spares == 0 {
		o.Spares = DefaultSpares
	}
	o.Spares = max(o.Spares, 0)
	return nil
}

// Recovery tells what Open found.
func (s *Store) Recovery() Recovery { return s.recovery }

// FirstIndex returns the index of the first entry, 0 when there is none.
func (s *Store) FirstIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.first(), nil
}

// LastIndex returns the index of the last entry, 0 when there is none.
func (s *Store) LastIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.last(), nil
}

// BytesFrom returns the bytes on disk of the entries from index on, cut ones and
// control records that lie between them included.
func (s *Store) BytesFrom(index uint64) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.bytesFrom(index)
}

// IndexWithin returns the smallest index from which on the entries take at most
// limit bytes on disk: where a log kept by size begins. It is one past the last
// entry when that alone is larger.
func (s *Store) IndexWithin(limit int64) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.within(limit)
}

// GetLog reads entry i into l. An entry that is not there, also one in a gap,
// gives raft.ErrLogNotFound; one that is damaged or unreadable a *CorruptError. Data and
// Extensions may be shared with the store and other readers: read only.
func (s *Store) GetLog(i uint64, l *raft.Log) error {
	s.mu.RLock()
	if kept := s.tail.get(i); kept != nil {
		*l = *kept
		s.mu.RUnlock()
		return nil
	}
	g, offset, ok := s.index.find(i)
	if !ok {
		s.mu.RUnlock()
		return raft.ErrLogNotFound
	}
	g.use.RLock()
	s.mu.RUnlock()
	defer g.use.RUnlock()
	err := g.readEntry(offset, i, l)
	if errors.Is(err, ErrCorrupt) {
		s.reportFatal(err)
	}
	return err
}

// readEntry reads the entry i at offset into l, in memory of its own.
func (g *segment) readEntry(offset int64, i uint64, l *raft.Log) error {
	h := make([]byte, recordHeader)
	if _, err := g.file.ReadAt(h, offset); err != nil {
		return g.unreadable(offset, i, err)
	}
	size, ok := sizeAt(h)
	if !ok || offset+size > g.size {
		return g.corrupt(offset, i, "the record's length is impossible")
	}
	b := make([]byte, size)
	copy(b, h)
	if _, err := g.file.ReadAt(b[recordHeader:], offset+recordHeader); err != nil {
		return g.unreadable(offset, i, err)
	}
	r, ok := decodeRecord(b)
	if !ok {
		return g.corrupt(offset, i, "the record's checksum is wrong")
	}
	if r.kind != kindEntry || r.index != i || !belongs(b, g.generation, offset) {
		return g.corrupt(offset, i, fmt.Sprintf("another record stands here (kind %d, index %d)", r.kind, r.index))
	}
	r.entry(l)
	return nil
}

// unreadable returns the error for a failed read of entry i: what can't be read
// back is lost to this node, unless the store was closed meanwhile.
func (g *segment) unreadable(offset int64, i uint64, cause error) error {
	if errors.Is(cause, os.ErrClosed) {
		return ErrClosed
	}
	return g.corrupt(offset, i, cause.Error())
}

// Stats returns a picture of the store.
func (s *Store) Stats() Stats {
	st := Stats{
		Policy:    Policy(s.policy.Load()),
		Writes:    s.counters.writes.Load(),
		Fsyncs:    s.counters.fsyncs.Load(),
		LastFsync: time.Duration(s.counters.lastFsync.Load()),
		Spares:    s.spares.len(),

		UnsyncedFor: s.unsynced.elapsed(),
	}
	if f := s.failed.Load(); f != nil {
		st.Failed = f
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	st.FirstIndex, st.LastIndex = s.index.first(), s.index.last()
	st.Bytes = s.index.bytesFrom(0)
	st.TailBytes = s.tail.bytes
	st.Segments = len(s.segments)
	for _, g := range s.segments {
		st.DiskBytes += g.size
	}
	return st
}

// FreeBytes returns what may still be allocated where the log is, for a check
// against a low-water mark before StoreLogs meets ErrNoSpace.
func (s *Store) FreeBytes() (uint64, error) { return s.opts.FS.Free(s.dir) }

// Policy returns when StoreLogs' data is fsynced.
func (s *Store) Policy() Policy { return Policy(s.policy.Load()) }

// SetPolicy changes when StoreLogs' data is fsynced, from the next call on. What
// is not fsynced yet is under a change to Always, in the background.
func (s *Store) SetPolicy(p Policy) {
	s.policy.Store(int32(p))
	if p == Always {
		s.wantSync()
	}
}

// SlowSince returns for how long the write, cut or fsync in progress has lasted,
// 0 when none is. A process whose disk hangs should end itself: it can neither
// lead nor follow.
func (s *Store) SlowSince() time.Duration {
	return max(s.writing.elapsed(), s.syncing.elapsed())
}

// Close fsyncs what is not yet, marks the end as durable and closes the files. A
// failed store is closed without a further write.
func (s *Store) Close() error {
	s.writeMu.Lock()
	if s.closed {
		s.writeMu.Unlock()
		return nil
	}
	s.closed = true
	var err error
	if s.failed.Load() == nil {
		err = s.finishLocked()
	}
	s.writeMu.Unlock()
	s.durableIndex.end(ErrClosed)
	close(s.stop)
	s.workers.Wait()
	return errors.Join(err, s.closeFiles())
}

// finishLocked leaves a log whose every record is known to be durable.
func (s *Store) finishLocked() error {
	if err := s.syncLocked(); err != nil {
		return err
	}
	s.noteDurableLocked()
	if s.marked {
		return nil
	}
	if err := s.markLocked(); err != nil {
		return err
	}
	return s.syncLocked()
}

func (s *Store) closeFiles() error {
	s.spares.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, g := range s.segments {
		g.use.Lock()
		errs = append(errs, g.file.Close())
		g.use.Unlock()
	}
	return errors.Join(errs...)
}
