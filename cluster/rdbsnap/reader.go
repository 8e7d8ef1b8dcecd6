package rdbsnap

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/hashicorp/raft"
)

// Open opens the snapshot of that id. Reading gives its last bytes only when the
// checksum over all is right, else a *CorruptError in their place. The caller
// closes the reader; the snapshot may be pruned meanwhile.
func (s *Store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	snap, err := s.findNameLocked(id)
	s.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	r, err := s.openReader(snap)
	if err != nil {
		return nil, nil, err
	}
	return snap.meta.snapshotMeta(id), r, nil
}

// reader reads an RDB and verifies it.
type reader struct {
	store   *Store
	snap    *snapshot
	file    File
	path    string
	block   []byte // read and, when it is the last, verified
	pending []byte // of block, not yet handed out
	offset  int64  // read from the file
	sum     uint32
	err     error
}

// openReader opens the RDB of snap.
func (s *Store) openReader(snap *snapshot) (*reader, error) {
	r := &reader{store: s, snap: snap, path: s.path(snap.id, rdbSuffix)}
	var err error
	if r.file, err = s.openFile(snap, r.path); err != nil {
		return nil, err
	}
	size, err := r.file.Size()
	if err != nil {
		err = r.corrupt(err.Error())
	} else if size != snap.meta.Size {
		err = r.corrupt(fmt.Sprintf("the file has %d bytes, it was written with %d", size, snap.meta.Size))
	}
	if err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	r.block = make([]byte, min(blockBytes, size))
	return r, nil
}

// openFile opens the RDB of snap at path, under the lock: so it can't be pruned
// in between, and a missing file is damage.
func (s *Store) openFile(snap *snapshot, path string) (File, error) {
	s.mu.Lock()
	if !slices.Contains(s.snaps, snap) {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: %s", ErrUnknown, snap.id)
	}
	if snap.bad != nil {
		defer s.mu.Unlock()
		return nil, snap.bad
	}
	f, err := s.opts.FS.OpenFile(path, openExisting, 0)
	s.mu.Unlock()
	if err != nil {
		return nil, s.corrupt(snap, path, err.Error())
	}
	return f, nil
}

// corrupt notes damage found in snap, reports it the first time and returns it. A file that can't be
// read counts as damaged: this node has nothing else to restore from.
func (s *Store) corrupt(snap *snapshot, path, reason string) error {
	err := &CorruptError{ID: snap.id.String(), File: path, Reason: reason}
	s.mu.Lock()
	first := snap.bad == nil
	if first {
		snap.bad = err
	}
	s.mu.Unlock()
	if first && s.opts.OnCorrupt != nil {
		s.opts.OnCorrupt(err)
	}
	return err
}

func (r *reader) corrupt(reason string) error { return r.store.corrupt(r.snap, r.path, reason) }

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(r.pending) == 0 && r.err == nil {
		r.err = r.fill()
	}
	if len(r.pending) == 0 {
		return 0, r.err
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// fill reads the next block.
func (r *reader) fill() error {
	left := r.snap.meta.Size - r.offset
	if left == 0 {
		return io.EOF
	}
	b := r.block[:min(int64(len(r.block)), left)]
	if _, err := r.file.ReadAt(b, r.offset); err != nil {
		return r.corrupt(fmt.Sprintf("reading at %d: %v", r.offset, err))
	}
	r.offset += int64(len(b))
	r.sum = crc32.Update(r.sum, castagnoli, b)
	if r.offset == r.snap.meta.Size && r.sum != r.snap.meta.CRC32C {
		return r.corrupt(fmt.Sprintf("the checksum is %08x, it was written with %08x", r.sum, r.snap.meta.CRC32C))
	}
	r.pending = b
	return nil
}

// drain reads to the end.
func (r *reader) drain() error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{r})
	return err
}

// Close implements io.Closer.
func (r *reader) Close() error { return r.file.Close() }
