package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DirLock is a directory taken by this process.
type DirLock struct {
	f *os.File
}

// LockDir takes dir for this process until Unlock or the process's end, however
// it ends. The directory must exist. A directory that is taken already gives an
// error that names it and is ErrLocked.
func LockDir(dir string) (*DirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		_ = f.Close()
		return nil, fmt.Errorf("data directory %s: %w", dir, ErrLocked)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return &DirLock{f: f}, nil
}

// Unlock gives the directory back. The lock's file stays: removing it would let
// two processes lock two files of one name.
func (l *DirLock) Unlock() error { return l.f.Close() }
