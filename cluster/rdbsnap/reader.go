package rdbsnap

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hashicorp/raft"
)

// Open opens the snapshot of that id. Reading gives its last bytes only when the
// checksum over all is right, else a *CorruptError in their place. The caller
// closes the reader; the snapshot may be pruned meanwhile.
func (s *Store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	snap, err := s.findNameLocked(id)
	if err == nil {
		err = snap.bad
	}
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
	if snap.meta == nil {
		return nil, s.badness(snap)
	}
	r := &reader{store: s, snap: snap, path: s.path(snap.id, rdbSuffix)}
	var err error
	if r.file, err = s.opts.FS.OpenFile(r.path, openExisting, 0); err != nil {
		return nil, r.corrupt(err.Error())
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

func (s *Store) badness(snap *snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return snap.bad
}

// corrupt notes the damage with the store and returns it. A file that can't be
// read counts as damaged: this node has nothing else to restore from.
func (r *reader) corrupt(reason string) error {
	err := &CorruptError{ID: r.snap.id.String(), File: r.path, Reason: reason}
	r.store.markBad(r.snap, err)
	return err
}

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
