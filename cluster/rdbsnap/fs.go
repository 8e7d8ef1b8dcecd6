package rdbsnap

import (
	"io"
	"io/fs"
)

// File is an open file of an FS: the same unnamed type as raftlog.File, so that
// one implementation serves both.
type File = interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Allocate(size int64) error
	Size() (int64, error)
}

// FS is what the store needs of a file system; raftlog.Disk is one.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	Link(from, to string) error
	ReadDir(dir string) ([]string, error)
	MkdirAll(dir string, perm fs.FileMode) error
	SyncDir(dir string) error
}
