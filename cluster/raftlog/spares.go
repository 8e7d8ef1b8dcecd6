package raftlog

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// spares makes segment files ready: it takes in freed ones and, when none is
// left, allocates one in advance, so that a rotation seldom waits for either.
type spares struct {
	store *Store
	woken chan struct{}

	mu      sync.Mutex
	ready   []spare    // guarded by mu; at most Options.Spares, all of SegmentBytes
	pending []*segment // guarded by mu; freed and not yet taken in
	number  uint64     // guarded by mu; of the last spare name given
}

// spare is an allocated file that is no segment yet. Its content is anything.
type spare struct {
	file File
	path string
}

const (
	sparePrefix = "spare-"
	zeroStep    = 1 << 20
	zeroSync    = 4 // steps between fsyncs: bounds what a log fsync may wait behind
)

func (p *spares) init(s *Store) {
	p.store = s
	p.woken = make(chan struct{}, 1)
}

// wake lets the background loop look for work.
func (p *spares) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// free hands over segments that the log no longer needs.
func (p *spares) free(freed []*segment) {
	p.mu.Lock()
	p.pending = append(p.pending, freed...)
	p.mu.Unlock()
	if p.store.opts.Inline {
		p.takeIn()
		return
	}
	p.wake()
}

func (p *spares) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

func (p *spares) loop() {
	for {
		select {
		case <-p.woken:
			p.takeIn()
			p.prepare()
		case <-p.store.stop:
			p.takeIn()
			return
		}
	}
}

// takeIn renames freed segments to spares, or removes them. An error leaves a
// file that the next Open knows to be a leftover.
func (p *spares) takeIn() {
	p.mu.Lock()
	pending := p.pending
	p.pending = nil
	p.mu.Unlock()
	for _, g := range pending {
		g.use.Lock() // waits for readers; no new ones can find it
		p.takeFile(g.file, g.path, g.size)
		g.use.Unlock()
	}
}

// takeFile makes the file of size bytes at path a spare, or removes it.
func (p *spares) takeFile(file File, path string, size int64) {
	fsys := p.store.opts.FS
	if size == p.store.opts.SegmentBytes && p.len() < p.store.opts.Spares {
		to := p.nextPath()
		if err := fsys.Rename(path, to); err == nil {
			p.add(spare{file: file, path: to})
			return
		}
	}
	_ = errors.Join(file.Close(), fsys.Remove(path)) // see takeIn
}

// prepare allocates a spare when there is none. An error is left to the rotation
// that then has to allocate for itself.
func (p *spares) prepare() {
	if p.len() > 0 || p.store.opts.Spares == 0 {
		return
	}
	sp, err := p.allocate(p.store.opts.SegmentBytes)
	if err != nil {
		return
	}
	if err := p.zero(sp.file); err != nil {
		p.discard(sp)
		return
	}
	p.add(sp)
}

// zero writes all blocks of a fresh spare: an fdatasync of a block written
// before has no allocation state to journal and takes about a quarter less.
func (p *spares) zero(file File) error {
	zeros := make([]byte, min(zeroStep, p.store.opts.SegmentBytes))
	for off, step := int64(0), 1; off < p.store.opts.SegmentBytes; step++ {
		n, err := file.WriteAt(zeros[:min(zeroStep, p.store.opts.SegmentBytes-off)], off)
		if err != nil {
			return err
		}
		off += int64(n)
		if step%zeroSync == 0 {
			if err := file.Sync(); err != nil {
				return err
			}
		}
		select {
		case <-p.store.stop:
			return ErrClosed
		default:
		}
	}
	return file.Sync()
}

// allocate creates a file with size bytes reserved.
func (p *spares) allocate(size int64) (spare, error) {
	path := p.nextPath()
	file, err := p.store.opts.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return spare{}, err
	}
	sp := spare{file: file, path: path}
	if err := file.Allocate(size); err != nil {
		p.discard(sp)
		return spare{}, err
	}
	return sp, nil
}

// discard removes a spare. What cannot be removed is a leftover for the next Open.
func (p *spares) discard(sp spare) {
	_ = errors.Join(sp.file.Close(), p.store.opts.FS.Remove(sp.path))
}

// take returns a file of size bytes, a ready one if possible.
func (p *spares) take(size int64) (spare, error) {
	p.mu.Lock()
	if n := len(p.ready); n > 0 && size == p.store.opts.SegmentBytes {
		sp := p.ready[n-1]
		p.ready = p.ready[:n-1]
		p.mu.Unlock()
		return sp, nil
	}
	p.mu.Unlock()
	return p.allocate(size)
}

func (p *spares) add(sp spare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, sp)
}

func (p *spares) nextPath() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	return filepath.Join(p.store.dir, fmt.Sprintf("%s%d", sparePrefix, p.number))
}

// clean removes the spares of an earlier life.
func (p *spares) clean(names []string) error {
	for _, name := range names {
		if !strings.HasPrefix(name, sparePrefix) {
			continue
		}
		if err := p.store.opts.FS.Remove(filepath.Join(p.store.dir, name)); err != nil {
			return fmt.Errorf("open log: %w", err)
		}
	}
	return nil
}

func (p *spares) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sp := range p.ready {
		_ = sp.file.Close() // never a part of the log
	}
	p.ready = nil
}

// makeSegment makes segment seq, with room for size bytes of entries, durably
// present. Where there is no room for it, it gives ErrNoSpace and leaves nothing.
func (s *Store) makeSegment(seq, oldest uint64, size int64) (*segment, error) {
	g := &segment{
		path:       filepath.Join(s.dir, segmentName(seq)),
		seq:        seq,
		generation: randomGeneration(),
		size:       max(s.opts.SegmentBytes, segmentHeader+recordHeader+size+controlReserve),
		oldest:     oldest,
	}
	sp, err := s.spares.take(g.size)
	if err == nil {
		g.file = sp.file
		if err = g.begin(); err != nil {
			s.spares.discard(sp)
		}
	}
	if noSpace(err) {
		return nil, fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if err != nil {
		return nil, fmt.Errorf("make log segment: %w", err)
	}
	if err := s.opts.FS.Rename(sp.path, g.path); err != nil {
		return nil, fmt.Errorf("make log segment: %w", err)
	}
	if err := s.opts.FS.SyncDir(s.dir); err != nil {
		return nil, fmt.Errorf("make log segment: %w", err)
	}
	return g, nil
}

// begin makes the file's header durable. A file used before holds records of
// another generation behind it, which no scan takes for its own.
func (g *segment) begin() error {
	if _, err := g.file.WriteAt(g.header(), 0); err != nil {
		return err
	}
	return g.file.Sync()
}

// randomGeneration returns a number that no other life of a file has, and that
// nobody who can only write values can guess.
func randomGeneration() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
