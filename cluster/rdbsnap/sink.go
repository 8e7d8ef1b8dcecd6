package rdbsnap

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
)

const (
	blockBytes = 256 << 10

	// syncBytes is written between two fsyncs of a growing snapshot, so that the
	// log's fsyncs do not wait behind gigabytes at the end.
	syncBytes = 8 << 20
)

var rdbMagic = []byte("REDIS")

var errCancelled = errors.New("rdbsnap: the snapshot was cancelled")

// Sink takes in one snapshot. It is used by one goroutine.
type Sink struct {
	store *Store
	id    snapshotID
	meta  meta
	file  File
	block []byte // not yet written; nil when the sink is done
	dirty int64  // written since the last fsync
	err   error  // the first failure
	done  bool
}

var _ raft.SnapshotSink = (*Sink)(nil)

// Create begins a snapshot. Nothing of it is visible until its Close succeeds.
func (s *Store) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("rdbsnap: snapshot version %d, want %d", version, raft.SnapshotVersionMax)
	}
	id := s.reserve(index, term)
	file, err := s.opts.FS.OpenFile(s.path(id, rdbSuffix+tmpSuffix), openNew, filePerm)
	if err != nil {
		s.release(id)
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	return &Sink{
		store: s,
		id:    id,
		file:  file,
		block: make([]byte, 0, blockBytes),
		meta: meta{
			Format:             metaFormat,
			Version:            version,
			Index:              index,
			Term:               term,
			Configuration:      configuration.Clone(),
			ConfigurationIndex: configurationIndex,
		},
	}, nil
}

// reserve finds an id that no snapshot and no open sink has.
func (s *Store) reserve(index, term uint64) snapshotID {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := snapshotID{index: index, term: term, attempt: 1}
	for _, taken := s.writing[id]; taken || s.find(id) >= 0; _, taken = s.writing[id] {
		id.attempt++
	}
	s.writing[id] = struct{}{}
	return id
}

func (s *Store) release(id snapshotID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, id)
}

// ID returns the name by which Open will find the snapshot.
func (k *Sink) ID() string { return k.id.String() }

// Write adds to the RDB stream.
func (k *Sink) Write(p []byte) (int, error) {
	if k.done {
		return 0, errors.New("rdbsnap: write to a finished snapshot")
	}
	var n int
	for n < len(p) && k.err == nil {
		room := cap(k.block) - len(k.block)
		part := p[n:min(len(p), n+room)]
		k.block = append(k.block, part...)
		n += len(part)
		if len(k.block) == cap(k.block) {
			k.err = k.flush()
		}
	}
	return n, k.err
}

// flush writes the block.
func (k *Sink) flush() error {
	if k.meta.Size == 0 && (len(k.block) < len(rdbMagic) || string(k.block[:len(rdbMagic)]) != string(rdbMagic)) {
		return ErrNotRDB
	}
	n, err := k.file.WriteAt(k.block, k.meta.Size)
	if err == nil && n < len(k.block) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	k.meta.CRC32C = crc32.Update(k.meta.CRC32C, castagnoli, k.block)
	k.meta.Size += int64(n)
	k.dirty += int64(n)
	k.block = k.block[:0]
	if k.dirty < syncBytes {
		return nil
	}
	return k.sync()
}

func (k *Sink) sync() error {
	if err := k.file.Sync(); err != nil {
		return fmt.Errorf("sync snapshot: %w", err)
	}
	k.dirty = 0
	return nil
}

// Close makes the snapshot durable and the newest one. On an error there is no
// such snapshot. Further calls give the first one's result.
func (k *Sink) Close() error {
	if k.done {
		return k.err
	}
	k.done = true
	defer k.store.release(k.id)
	if k.err == nil {
		k.err = k.finish()
	}
	if k.err != nil {
		k.err = errors.Join(k.err, k.closeFile(), k.discard())
	}
	return k.err
}

// Cancel drops the snapshot: Close will fail. It does nothing once the sink is
// closed.
func (k *Sink) Cancel() error {
	if k.done {
		return nil
	}
	k.done, k.err = true, errCancelled
	defer k.store.release(k.id)
	return errors.Join(k.closeFile(), k.discard())
}

// closeFile closes the RDB, if it is open.
func (k *Sink) closeFile() error {
	file := k.file
	k.file, k.block = nil, nil
	if file == nil {
		return nil
	}
	return file.Close()
}

// discard removes all that the sink may have made.
func (k *Sink) discard() error {
	s := k.store
	if err := s.removeMeta(k.id); err != nil {
		return err
	}
	var errs []error
	for _, suffix := range []string{metaSuffix + tmpSuffix, rdbSuffix, rdbSuffix + tmpSuffix} {
		errs = append(errs, s.remove(s.path(k.id, suffix)))
	}
	return errors.Join(errs...)
}

// removeMeta removes what makes the files of id a snapshot, durably if it is
// there: only then may its RDB go. Else a crash could bring back the meta alone.
func (s *Store) removeMeta(id snapshotID) error {
	err := s.opts.FS.Remove(s.path(id, metaSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.opts.FS.SyncDir(s.dir)
}

// finish commits the snapshot.
func (k *Sink) finish() error {
	if len(k.block) > 0 || k.meta.Size == 0 {
		if err := k.flush(); err != nil {
			return err
		}
	}
	if err := k.sync(); err != nil {
		return err
	}
	if err := k.closeFile(); err != nil {
		return fmt.Errorf("finish snapshot: %w", err)
	}
	s := k.store
	rdb := s.path(k.id, rdbSuffix)
	if err := s.opts.FS.Rename(rdb+tmpSuffix, rdb); err != nil {
		return fmt.Errorf("finish snapshot: %w", err)
	}
	// No file system promises to keep the order of two renames.
	if err := s.opts.FS.SyncDir(s.dir); err != nil {
		return fmt.Errorf("finish snapshot: %w", err)
	}
	k.meta.Saved = s.opts.Now().UTC()
	if err := s.writeMeta(k.id, &k.meta); err != nil {
		return fmt.Errorf("finish snapshot: %w", err)
	}
	s.committed(&snapshot{id: k.id, meta: &k.meta})
	return nil
}

// writeMeta makes the meta file of id durable.
func (s *Store) writeMeta(id snapshotID, m *meta) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	path := s.path(id, metaSuffix)
	f, err := s.opts.FS.OpenFile(path+tmpSuffix, openNew, filePerm)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.opts.FS.Rename(path+tmpSuffix, path); err != nil {
		return err
	}
	return s.opts.FS.SyncDir(filepath.Dir(path))
}

// committed adds snap, links it if it is the newest, and removes the oldest.
func (s *Store) committed(snap *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := slices.IndexFunc(s.snaps, func(other *snapshot) bool { return other.id.before(snap.id) })
	if k < 0 {
		k = len(s.snaps)
	}
	s.snaps = slices.Insert(s.snaps, k, snap)
	s.linkLocked()
	s.pruneLocked(snap)
}

// pruneLocked removes the oldest snapshots past Keep, but not the one just made,
// which raft opens next. What can't be removed is tried again after the next
// snapshot.
func (s *Store) pruneLocked(made *snapshot) {
	for k := len(s.snaps) - 1; k >= s.opts.Keep; k-- {
		snap := s.snaps[k]
		if snap == made {
			continue
		}
		if s.removeMeta(snap.id) != nil || s.remove(s.path(snap.id, rdbSuffix)) != nil {
			continue
		}
		s.snaps = slices.Delete(s.snaps, k, k+1)
	}
}
