package simulation

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/quorate/quorate/cluster"
)

// stableFile is a stable store in one small file of a simulated disk, written
// anew and renamed at each change: bbolt's does real I/O.
type stableFile struct {
	disk cluster.FS
	path string

	mu     sync.Mutex
	values map[string][]byte // guarded by mu
	lost   map[string][]byte // guarded by mu; what is never written, by a planted bug
}

func openStable(disk cluster.FS, path string) (*stableFile, error) {
	s := &stableFile{disk: disk, path: path, values: make(map[string][]byte), lost: make(map[string][]byte)}
	f, err := disk.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s, s.writeLocked()
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(text, &s.values)
}

func (s *stableFile) writeLocked() error {
	text, err := json.Marshal(s.values)
	if err != nil {
		return err
	}
	f, err := s.disk.OpenFile(s.path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := s.disk.Rename(s.path+".tmp", s.path); err != nil {
		return err
	}
	return s.disk.SyncDir(filepath.Dir(s.path))
}

var errNotFound = errors.New("not found") // raft goes by the text

// set is raft.StableStore's Set; with lose, the value is gone with the process.
func (s *stableFile) set(key, value []byte, lose bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lose {
		s.lost[string(key)] = slices.Clone(value)
		return nil
	}
	s.values[string(key)] = slices.Clone(value)
	return s.writeLocked()
}

// Get implements raft.StableStore.
func (s *stableFile) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.lost[string(key)]; ok {
		return value, nil
	}
	value, ok := s.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return value, nil
}

// GetUint64 implements raft.StableStore.
func (s *stableFile) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

// Close implements io.Closer.
func (s *stableFile) Close() error { return nil }
