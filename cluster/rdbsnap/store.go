package rdbsnap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Defaults of Options.
const (
	DefaultName = "dump.rdb"
	DefaultKeep = 2
)

const (
	subdir       = "snapshots"
	rdbSuffix    = ".rdb"
	metaSuffix   = ".meta"
	tmpSuffix    = ".tmp"
	asideSuffix  = ".corrupt"
	openExisting = os.O_RDONLY
	openNew      = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	filePerm     = 0o644 // as redis-server makes its dump
)

// Options are the settings of a Store.
type Options struct {
	// FS is the file system. Required.
	FS FS

	// Dir is the node's data directory. Required.
	Dir string

	// Name is the name in Dir under which the newest snapshot's RDB is found:
	// redis.conf's dbfilename. DefaultName by default.
	Name string

	// Keep is how many snapshots are kept, at least 1. DefaultKeep by default.
	Keep int

	// OnCorrupt is called, at most once for a snapshot, when damage is found while
	// a snapshot is opened or read. It runs on the goroutine that found it and
	// must not call the store.
	OnCorrupt func(error)

	// Now gives the time that a snapshot's meta file states, time.Now by default.
	Now func() time.Time
}

// Store keeps snapshots in a directory. Its methods may be called concurrently.
type Store struct {
	opts Options
	dir  string // of the snapshots

	mu      sync.Mutex
	name    string                  // guarded by mu
	snaps   []*snapshot             // guarded by mu; newest first
	writing map[snapshotID]struct{} // guarded by mu; ids of open sinks
	linkErr error                   // guarded by mu; of the last attempt
}

// snapshot is one that has a meta file.
type snapshot struct {
	id   snapshotID
	meta *meta // nil when the meta file is damaged
	bad  error // what is known to be wrong with it
}

// Status is what Check found out about one snapshot.
type Status struct {
	ID    string
	Index uint64
	Term  uint64
	Size  int64     // of the RDB in bytes; 0 when the meta file is damaged
	Saved time.Time // zero when the meta file is damaged
	Err   error     // nil when every byte is as it was written
}

// Stats is a picture of the store for INFO.
type Stats struct {
	ID      string // of the newest snapshot, "" when there is none
	Index   uint64
	Term    uint64
	Size    int64
	Saved   time.Time
	Count   int   // of snapshots kept
	LinkErr error // why Name is not the newest snapshot, nil if it is
}

var _ raft.SnapshotStore = (*Store)(nil)

// New opens the store in opts.Dir, makes it if need be, and removes what a crash
// left unfinished. It reads meta files only: Check verifies the rest.
func New(opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	s := &Store{
		opts:    opts,
		dir:     filepath.Join(opts.Dir, subdir),
		name:    opts.Name,
		writing: make(map[snapshotID]struct{}),
	}
	if err := opts.FS.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	// A directory that the one above it forgets takes all its files with it.
	if err := opts.FS.SyncDir(opts.Dir); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	return s, nil
}

func (o *Options) complete() error {
	if o.FS == nil || o.Dir == "" {
		return errors.New("rdbsnap: Options need FS and Dir")
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if err := checkName(o.Name); err != nil {
		return err
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Keep < 1 {
		return fmt.Errorf("rdbsnap: %d snapshots to keep, want at least 1", o.Keep)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// checkName checks a dbfilename: a name in the data directory, and no path.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || name == subdir || strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("dbfilename can't be a path, just a filename: %q", name)
	}
	return nil
}

// load reads the meta files and removes leftovers. A missing dump.rdb is made;
// one that is there is left alone, it may be the user's.
func (s *Store) load() error {
	names, err := s.opts.FS.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		stem, isMeta := strings.CutSuffix(name, metaSuffix)
		id, ok := parseID(stem)
		if !isMeta || !ok {
			continue
		}
		s.snaps = append(s.snaps, s.loadMeta(id))
	}
	slices.SortFunc(s.snaps, func(a, b *snapshot) int {
		if b.id.before(a.id) {
			return -1
		}
		return 1
	})
	for _, name := range names {
		if !s.leftover(name) {
			continue
		}
		if err := s.opts.FS.Remove(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return s.loadLink()
}

// loadMeta reads the meta file of id.
func (s *Store) loadMeta(id snapshotID) *snapshot {
	snap := &snapshot{id: id}
	path := s.path(id, metaSuffix)
	b, err := s.readFile(path)
	if err == nil {
		snap.meta, err = decodeMeta(b)
	}
	if err == nil && (snap.meta.Index != id.index || snap.meta.Term != id.term) {
		snap.meta, err = nil, errors.New("it is another snapshot's")
	}
	if err != nil {
		snap.bad = &CorruptError{ID: id.String(), File: path, Reason: err.Error()}
	}
	return snap
}

// metaBytesMax bounds a meta file; a thousand servers take a tenth of it.
const metaBytesMax = 1 << 20

func (s *Store) readFile(path string) ([]byte, error) {
	f, err := s.opts.FS.OpenFile(path, openExisting, 0)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size > metaBytesMax {
		err = fmt.Errorf("%d bytes are too many", size)
	}
	var b []byte
	if err == nil && size > 0 {
		b = make([]byte, size)
		_, err = f.ReadAt(b, 0)
	}
	return b, errors.Join(err, f.Close())
}

// leftover tells whether name is a file that a crash left unfinished: a
// temporary one, or an RDB without meta. Foreign files stay.
func (s *Store) leftover(name string) bool {
	if stem, ok := strings.CutSuffix(name, tmpSuffix); ok {
		stem, _ = strings.CutSuffix(stem, metaSuffix)
		stem, _ = strings.CutSuffix(stem, rdbSuffix)
		_, ok := parseID(stem)
		return ok || stem == linkTmp
	}
	stem, ok := strings.CutSuffix(name, rdbSuffix)
	id, isID := parseID(stem)
	return ok && isID && s.find(id) < 0
}

// find returns the position of id in snaps, -1 if it is not there.
func (s *Store) find(id snapshotID) int {
	return slices.IndexFunc(s.snaps, func(snap *snapshot) bool { return snap.id == id })
}

// findNameLocked returns the snapshot that raft calls id.
func (s *Store) findNameLocked(name string) (*snapshot, error) {
	id, ok := parseID(name)
	if k := s.find(id); ok && k >= 0 {
		return s.snaps[k], nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
}

func (s *Store) path(id snapshotID, suffix string) string {
	return filepath.Join(s.dir, id.String()+suffix)
}

// List returns the newest snapshot, if there is any, and no other: raft would
// start from an older one without asking whether its log reaches back to it. It
// fails when the newest is known to be damaged.
func (s *Store) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.snaps) == 0 {
		return nil, nil
	}
	newest := s.snaps[0]
	if newest.bad != nil {
		return nil, newest.bad
	}
	return []*raft.SnapshotMeta{newest.meta.snapshotMeta(newest.id.String())}, nil
}

// Stats returns a picture of the store.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Count: len(s.snaps), LinkErr: s.linkErr}
	if len(s.snaps) == 0 {
		return st
	}
	newest := s.snaps[0]
	st.ID, st.Index, st.Term = newest.id.String(), newest.id.index, newest.id.term
	if m := newest.meta; m != nil {
		st.Size, st.Saved = m.Size, m.Saved
	}
	return st
}

// Check reads every byte of every snapshot and returns what it found, newest
// first. It takes as long as reading the files does.
//
// A damaged newest snapshot makes List fail. If the one behind it is good, and
// the log holds all entries from that one's Index+1 on, nothing is lost: SetAside
// the newest and start. Else the node has to rejoin as a new one.
func (s *Store) Check() []Status {
	s.mu.Lock()
	snaps := slices.Clone(s.snaps)
	s.mu.Unlock()
	statuses := make([]Status, 0, len(snaps))
	for _, snap := range snaps {
		if st := s.check(snap); !errors.Is(st.Err, ErrUnknown) { // else pruned meanwhile
			statuses = append(statuses, st)
		}
	}
	return statuses
}

func (s *Store) check(snap *snapshot) Status {
	st := Status{ID: snap.id.String(), Index: snap.id.index, Term: snap.id.term}
	if snap.meta != nil {
		st.Size, st.Saved = snap.meta.Size, snap.meta.Saved
	}
	r, err := s.openReader(snap)
	if err != nil {
		st.Err = err
		return st
	}
	st.Err = errors.Join(r.drain(), r.Close())
	return st
}

// SetAside takes the snapshot out of the store; its files stay beside the others
// under names that end in .corrupt. The one behind it becomes the newest.
func (s *Store) SetAside(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, err := s.findNameLocked(id)
	if err != nil {
		return err
	}
	for _, suffix := range []string{metaSuffix, rdbSuffix} {
		path := s.path(snap.id, suffix)
		if err := s.opts.FS.Rename(path, path+asideSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set snapshot aside: %w", err)
		}
	}
	if err := s.opts.FS.SyncDir(s.dir); err != nil {
		return fmt.Errorf("set snapshot aside: %w", err)
	}
	s.snaps = slices.DeleteFunc(s.snaps, func(other *snapshot) bool { return other == snap })
	s.linkLocked()
	return nil
}

// SetName changes the name in the data directory under which the newest snapshot
// is found, at once. A file of the former name stays.
func (s *Store) SetName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
	s.linkLocked()
	return s.linkErr
}
