package raftlog

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// File is an open file of an FS. It is an alias of an unnamed interface so that
// packages which declare the same seam for themselves share implementations.
type File = interface {
	io.ReaderAt
	io.WriterAt
	io.Closer

	// Sync makes everything written so far durable, the file's size included.
	// After an error nothing is known about the writes since the last success.
	Sync() error

	// Allocate reserves blocks for the first size bytes and makes the file at
	// least that long. It fails with ENOSPC rather than letting a later write.
	Allocate(size int64) error

	// Size returns the file's length in bytes.
	Size() (int64, error)
}

// FS is what the log needs of a file system. Disk is the real one; package
// faultfs has one that crashes, tears, fills up and flips bits.
type FS interface {
	// OpenFile opens a file as os.OpenFile does.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)

	// Rename replaces to by from atomically. It is durable after SyncDir.
	Rename(from, to string) error

	// Remove deletes a file. It is durable after SyncDir.
	Remove(name string) error

	// ReadDir returns the names in dir, sorted.
	ReadDir(dir string) ([]string, error)

	// MkdirAll creates dir and its parents.
	MkdirAll(dir string, perm fs.FileMode) error

	// SyncDir makes the creations, renames and removals in dir durable.
	SyncDir(dir string) error

	// Free returns the bytes that an unprivileged process may still allocate in
	// dir's file system.
	Free(dir string) (uint64, error)
}

// Disk is the operating system's file system.
type Disk struct{}

// OpenFile implements FS.
func (Disk) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f}, nil
}

// Rename implements FS.
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (Disk) Remove(name string) error { return os.Remove(name) }

// Link makes to a second name of the file from; to must not exist.
func (Disk) Link(from, to string) error { return os.Link(from, to) }

// MkdirAll implements FS.
func (Disk) MkdirAll(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }

// ReadDir implements FS.
func (Disk) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// SyncDir implements FS.
func (Disk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Free implements FS.
func (Disk) Free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// diskFile adds fdatasync and fallocate to an os.File.
type diskFile struct {
	*os.File
}

func (f *diskFile) Sync() error {
	var err error
	if ctlErr := f.control(func(fd int) { err = unix.Fdatasync(fd) }); ctlErr != nil {
		return ctlErr
	}
	if err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f *diskFile) Allocate(size int64) error {
	var err error
	if ctlErr := f.control(func(fd int) { err = unix.Fallocate(fd, 0, 0, size) }); ctlErr != nil {
		return ctlErr
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.fill(size)
	}
	if err != nil {
		return &os.PathError{Op: "allocate", Path: f.Name(), Err: err}
	}
	return nil
}

// fill allocates by writing, for file systems without fallocate. It writes only
// past the present end: what is there stays.
func (f *diskFile) fill(size int64) error {
	from, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 256<<10)
	for off := from; off < size; {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

func (f *diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// control runs fn on the descriptor without taking the file out of the
// runtime's hands, as Fd would.
func (f *diskFile) control(fn func(fd int)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { fn(int(fd)) })
}
