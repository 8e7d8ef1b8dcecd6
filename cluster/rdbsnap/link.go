package rdbsnap

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
)

// linkTmp is the stem of the name that the link has before it is renamed.
const linkTmp = "link"

// loadLink makes the link if there is nothing of its name.
func (s *Store) loadLink() error {
	names, err := s.opts.FS.ReadDir(s.opts.Dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(names, s.name) {
		s.linkLocked()
	}
	return nil
}

// linkLocked makes the newest snapshot's RDB known under the name in the data
// directory. A failure is no failure of the snapshot: it is kept for Stats.
func (s *Store) linkLocked() {
	if len(s.snaps) == 0 || s.snaps[0].bad != nil {
		return
	}
	s.linkErr = s.link(s.path(s.snaps[0].id, rdbSuffix), filepath.Join(s.opts.Dir, s.name))
}

// link makes to another name of from, atomically replacing what is there.
func (s *Store) link(from, to string) error {
	tmp := filepath.Join(s.dir, linkTmp+tmpSuffix)
	if err := s.remove(tmp); err != nil {
		return fmt.Errorf("link %s: %w", to, err)
	}
	if err := s.opts.FS.Link(from, tmp); err != nil {
		return fmt.Errorf("link %s: %w", to, err)
	}
	if err := s.opts.FS.Rename(tmp, to); err != nil {
		return fmt.Errorf("link %s: %w", to, errors.Join(err, s.remove(tmp)))
	}
	// Renaming one name of a file to another of the same file does nothing.
	if err := s.remove(tmp); err != nil {
		return fmt.Errorf("link %s: %w", to, err)
	}
	if err := s.opts.FS.SyncDir(s.opts.Dir); err != nil {
		return fmt.Errorf("link %s: %w", to, err)
	}
	return nil
}

// remove removes path if it is there.
func (s *Store) remove(path string) error {
	if err := s.opts.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
