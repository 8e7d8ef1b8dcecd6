package raftlog

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
)

// recover replays the segments in the directory, settles their end and begins a
// new session, in a new log if there are none.
func (s *Store) recover() error {
	names, err := s.opts.FS.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if err := s.spares.clean(names); err != nil {
		return err
	}
	var seqs []uint64
	for _, name := range names {
		if seq, ok := parseSegmentName(name); ok {
			seqs = append(seqs, seq)
		}
	}
	if len(seqs) == 0 {
		return s.create()
	}
	slices.Sort(seqs)
	scans, err := s.replay(seqs)
	if err != nil {
		return err
	}
	if err := s.resume(scans); err != nil {
		return err
	}
	return s.removeFreed(seqs)
}

// removeFreed removes the files of the segments that compaction had freed. It
// comes last: the record that says so may have been seen and not been on the disk
// before resume made it durable, and without it the files would be missed.
func (s *Store) removeFreed(seqs []uint64) error {
	for _, seq := range seqs {
		if seq >= s.segments[0].seq {
			break
		}
		if err := s.opts.FS.Remove(filepath.Join(s.dir, segmentName(seq))); err != nil {
			return fmt.Errorf("open log: %w", err)
		}
	}
	return nil
}

// create begins an empty log.
func (s *Store) create() error {
	g, err := s.makeSegment(1, 1, 0)
	if err != nil {
		return err
	}
	s.segments = []*segment{g}
	s.newest, s.end, s.durable, s.marked = g, segmentHeader, segmentHeader, true
	return nil
}

// replay opens the segments that are still needed, reads them in order and builds
// the index. It returns what was found in each.
func (s *Store) replay(seqs []uint64) ([]scan, error) {
	newest, err := openSegment(s.opts.FS, s.dir, seqs[len(seqs)-1])
	if err != nil {
		return nil, err
	}
	s.segments = []*segment{newest}
	peek, err := newest.scan(func(record) error { return nil })
	if err != nil {
		return nil, err
	}
	if peek.oldest > newest.seq {
		return nil, newest.corrupt(0, 0, fmt.Sprintf("it needs segment %d, which would be newer", peek.oldest))
	}
	if err := s.openFrom(peek.oldest, seqs); err != nil {
		return nil, err
	}
	scans := make([]scan, len(s.segments))
	for i, g := range s.segments {
		if scans[i], err = g.scan(func(r record) error { return s.replayRecord(g, r) }); err != nil {
			return nil, err
		}
		s.recovery.Records += scans[i].records
	}
	s.recovery.Segments = len(s.segments)
	return scans, nil
}

// openFrom opens the segments from oldest to the one before the newest, which is
// open. Compaction had freed those before.
func (s *Store) openFrom(oldest uint64, seqs []uint64) error {
	newest := s.segments[0]
	s.segments = nil
	for i, seq := range seqs {
		if seq < oldest {
			continue
		}
		if want := oldest + uint64(len(s.segments)); seq != want {
			s.segments = append(s.segments, newest)
			missing := &segment{path: filepath.Join(s.dir, segmentName(want))}
			return missing.corrupt(0, 0, "the segment is missing")
		}
		if i == len(seqs)-1 {
			break
		}
		g, err := openSegment(s.opts.FS, s.dir, seq)
		if err != nil {
			s.segments = append(s.segments, newest)
			return err
		}
		s.segments = append(s.segments, g)
	}
	s.segments = append(s.segments, newest)
	return nil
}

// replayRecord carries out what r says.
func (s *Store) replayRecord(g *segment, r record) error {
	switch r.kind {
	case kindEntry:
		if last := s.index.last(); r.index <= last {
			return g.corrupt(r.offset, r.index, fmt.Sprintf("the entry follows entry %d", last))
		}
		s.index.add(r.index, g, r.offset, r.size)
	case kindTruncate:
		s.index.truncate(r.index)
	case kindCompact:
		s.index.compact(r.index)
	case kindMark, kindOpen, kindSeal:
	default:
		return g.corrupt(r.offset, s.index.last()+1, fmt.Sprintf("a record of kind %d, unknown to this program", r.kind))
	}
	return nil
}

// resume decides, of what the scans found, where the log ends, makes that durable
// and begins a session there.
func (s *Store) resume(scans []scan) error {
	last := len(scans) - 1
	if last > 0 && scans[last].records == 0 && !scans[last-1].sealed {
		// The process ended between making the newest segment and sealing the one
		// before it. Nothing was ever written to the newest.
		if err := s.dropNewest(); err != nil {
			return err
		}
		last--
	}
	for i, g := range s.segments {
		if i < last && !scans[i].sealed {
			return g.corrupt(scans[i].end, s.index.last()+1, "damaged, though later segments hold records")
		}
	}
	g, found := s.segments[last], scans[last]
	if found.sealed {
		missing := &segment{path: filepath.Join(s.dir, segmentName(g.seq+1))}
		return missing.corrupt(0, s.index.last()+1, "the segment is missing, the one before it is sealed")
	}
	session, remains, err := g.lookBeyond(found, s.index.last())
	if err != nil {
		return err
	}
	s.recovery.Torn = remains
	if last > 0 && found.records == 0 {
		if err := s.segments[last-1].settle(scans[last-1]); err != nil {
			return err
		}
	}
	if err := g.settle(found); err != nil {
		return err
	}
	if err := s.opts.FS.SyncDir(s.dir); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	s.newest, s.end, s.durable, s.session = g, found.end, found.end, session
	return s.beginSession()
}

// dropNewest removes the newest segment, which holds nothing.
func (s *Store) dropNewest() error {
	n := len(s.segments) - 1
	g := s.segments[n]
	s.segments = s.segments[:n]
	if err := errors.Join(g.file.Close(), s.opts.FS.Remove(g.path)); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	return nil
}

// settle rewrites and fsyncs the records that none calls durable. The last
// process may have died of a failed fsync: then the page cache shows data that is
// not on the disk and that an fsync alone would not write again.
func (g *segment) settle(found scan) error {
	w := window{file: g.file, size: g.size}
	from := max(found.durable, segmentHeader)
	for off := from; off < found.end; {
		n := min(windowBytes, found.end-off)
		b, _, err := w.at(off, n)
		if err != nil {
			return fmt.Errorf("read %s: %w", g.path, err)
		}
		if _, err := g.file.WriteAt(b, off); err != nil {
			return fmt.Errorf("rewrite the end of the log: %w", err)
		}
		off += n
	}
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", g.path, err)
	}
	return nil
}

// beginSession durably writes the record from which on what an older session
// wrote is void: the remains of its torn write behind the end of the log.
func (s *Store) beginSession() error {
	if s.session == math.MaxUint32 || s.end+2*recordHeader > s.newest.size {
		return s.rotateLocked(0)
	}
	s.session++
	if err := s.controlLocked(kindOpen, 0, 0); err != nil {
		return err
	}
	if err := s.syncLocked(); err != nil {
		return err
	}
	s.marked = true
	return nil
}
