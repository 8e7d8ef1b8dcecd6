// Package faultfs is a file system in memory for tests of durable stores: it
// loses power, tears writes, fails fsyncs, fills up and flips bits.
//
// It keeps what a program sees apart from what is on the disk. A write is seen at
// once and on the disk after the file's Sync; a change of a directory, a directory
// made in it included, is on the disk after its SyncDir. Crash loses, sector by
// sector and name by name, what was not. A failed Sync leaves the data seen and
// never written, as Linux does.
package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
)

// ErrCrashed is the answer to everything after the power is gone.
var ErrCrashed = errors.New("faultfs: crashed")

// File is the same unnamed type as the stores' own.
type File = interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Allocate(size int64) error
	Size() (int64, error)
}

// Kind says what an operation does.
type Kind string

// The kinds of operations that change something, and reads.
const (
	Create   Kind = "create"
	Write    Kind = "write"
	Sync     Kind = "sync"
	Allocate Kind = "allocate"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	Link     Kind = "link"
	Mkdir    Kind = "mkdir"
	SyncDir  Kind = "syncdir"
	Read     Kind = "read"
)

// Op is an operation about to be done.
type Op struct {
	Kind   Kind
	Name   string // the path; an open file's is the one it was opened under
	Offset int64
	Len    int
}

// Short, returned by a Fault for a write, writes the first Bytes and then fails.
type Short struct {
	Bytes int
	Err   error
}

// Error implements error.
func (s *Short) Error() string { return s.Err.Error() }

// Unwrap gives the cause.
func (s *Short) Unwrap() error { return s.Err }

// FS is the file system.
type FS struct {
	// Fault, if set, is asked before each operation; its error is the operation's.
	// It runs without the file system's lock. Set it before use.
	Fault func(Op) error

	mu       sync.Mutex
	seen     map[string]*inode // guarded by mu; by path, as programs see it
	stored   map[string]*inode // guarded by mu; as it is on the disk
	changes  []change          // guarded by mu; of directories, not yet on the disk
	ops      int               // guarded by mu; operations that change something
	stopAt   int               // guarded by mu; the power goes before this one; 0 is never
	capacity int64             // guarded by mu; bytes in all files together; 0 is unlimited
}

// change is one of a directory: path becomes a name of file, or no name at all.
type change struct {
	path string
	file *inode // nil when removed
	from string // of a rename within a directory: the name that goes
}

type inode struct {
	isDir   bool
	seen    []byte
	stored  []byte
	pending []write // seen, not stored, oldest first
}

type write struct {
	offset int64
	data   []byte
}

// New returns an empty file system.
func New() *FS {
	return &FS{seen: make(map[string]*inode), stored: make(map[string]*inode)}
}

// StopAt cuts the power before the n-th operation from now that changes
// something, counted from 1; 0 means never.
func (f *FS) StopAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopAt = 0
	if n > 0 {
		f.stopAt = f.ops + n
	}
}

// Ops returns how many operations have changed something.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// SetCapacity limits the bytes in all files; 0 is unlimited.
func (f *FS) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n
}

// begin asks for a fault and for the power. It returns with the lock held when
// the error is nil or a Short.
func (f *FS) begin(op Op) error {
	var fault error
	if f.Fault != nil {
		fault = f.Fault(op)
	}
	f.mu.Lock()
	if f.stopAt > 0 && f.ops+1 >= f.stopAt {
		f.mu.Unlock()
		return ErrCrashed
	}
	if op.Kind != Read {
		f.ops++
	}
	if fault != nil && !isShort(fault) {
		f.mu.Unlock()
	}
	return fault
}

func isShort(err error) bool {
	var s *Short
	return errors.As(err, &s)
}

// Crash returns what is on the disk when the power goes now: of everything not
// synced, random parts. Sectors are of 512 bytes; a write at the edge of what
// survives may be torn at any byte. Of the changes of directories none, all, the
// first few or any may have come to the disk. Without r, nothing that was not
// synced is left.
func (f *FS) Crash(r *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored := maps.Clone(f.stored)
	for i, keep := range survivors(r, len(f.changes)) {
		if keep {
			apply(stored, f.changes[i])
		}
	}
	n := New()
	copies := make(map[*inode]*inode)
	for _, path := range sorted(stored) {
		file := stored[path]
		if f.orphan(path, stored) {
			continue
		}
		if copies[file] == nil {
			b := file.crash(r)
			copies[file] = &inode{isDir: file.isDir, seen: b, stored: slices.Clone(b)}
		}
		n.seen[path], n.stored[path] = copies[file], copies[file]
	}
	return n
}

// survivors tells of each of n changes of directories whether it is on the disk.
func survivors(r *rand.Rand, n int) []bool {
	keep := make([]bool, n)
	if r == nil {
		return keep
	}
	style, first := r.IntN(4), r.IntN(n+1)
	for i := range keep {
		switch style {
		case 0: // none
		case 1: // all
			keep[i] = true
		case 2: // the first few
			keep[i] = i < first
		case 3: // any
			keep[i] = r.IntN(2) == 0
		}
	}
	return keep
}

// orphan tells whether a directory above path was made and is not among stored.
func (f *FS) orphan(path string, stored map[string]*inode) bool {
	for dir := filepath.Dir(path); !isRoot(dir); dir = filepath.Dir(dir) {
		if f.seen[dir] != nil && stored[dir] == nil {
			return true
		}
	}
	return false
}

func isRoot(dir string) bool { return dir == "." || dir == string(filepath.Separator) }

// Kill returns the file system as the next process finds it when only the
// process died: everything is seen, and what was not synced still is not.
func (f *FS) Kill() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	copies := make(map[*inode]*inode)
	copied := func(file *inode) *inode {
		if file != nil && copies[file] == nil {
			copies[file] = &inode{file.isDir, slices.Clone(file.seen), slices.Clone(file.stored), slices.Clone(file.pending)}
		}
		return copies[file]
	}
	n := New()
	for path, file := range f.seen {
		n.seen[path] = copied(file)
	}
	for path, file := range f.stored {
		n.stored[path] = copied(file)
	}
	for _, c := range f.changes {
		n.changes = append(n.changes, change{c.path, copied(c.file), c.from})
	}
	n.capacity = f.capacity
	return n
}

// crash returns what is left of the file.
func (n *inode) crash(r *rand.Rand) []byte {
	b := slices.Clone(n.stored)
	if r == nil {
		return b
	}
	style := r.IntN(4)
	for _, w := range n.pending {
		switch style {
		case 0: // nothing
		case 1: // all
			b = put(b, w.data, w.offset)
		case 2: // up to a byte
			if keep := r.IntN(len(w.data) + 1); keep > 0 {
				b = put(b, w.data[:keep], w.offset)
			}
		case 3: // any sectors
			for from := 0; from < len(w.data); {
				to := min(len(w.data), from+512-int((w.offset+int64(from))%512))
				if r.IntN(2) == 0 {
					b = put(b, w.data[from:to], w.offset+int64(from))
				}
				from = to
			}
		}
	}
	return b
}

// put writes data at offset of b, which grows as need be.
func put(b, data []byte, offset int64) []byte {
	if end := int(offset) + len(data); end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[offset:], data)
	return b
}

func apply(names map[string]*inode, c change) {
	if c.file == nil {
		delete(names, c.path)
		return
	}
	names[c.path] = c.file
	if c.from != "" {
		delete(names, c.from)
	}
}

func (f *FS) change(cs ...change) {
	for _, c := range cs {
		apply(f.seen, c)
		f.changes = append(f.changes, c)
	}
}

func sorted(names map[string]*inode) []string {
	paths := make([]string, 0, len(names))
	for path := range names {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

func notExist(op, path string) error {
	return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

// OpenFile opens a file; of the flags it knows O_CREATE, O_EXCL and O_TRUNC.
func (f *FS) OpenFile(path string, flag int, _ fs.FileMode) (File, error) {
	kind := Read
	if flag&syscall.O_CREAT != 0 {
		kind = Create
	}
	if err := f.begin(Op{Kind: kind, Name: path}); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	file := f.seen[path]
	switch {
	case file == nil && kind == Read:
		return nil, notExist("open", path)
	case file != nil && flag&syscall.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist}
	case file == nil || flag&syscall.O_TRUNC != 0:
		file = &inode{}
		f.change(change{path: path, file: file})
	}
	return &handle{fs: f, path: path, file: file}, nil
}

// Rename implements the stores' FS.
func (f *FS) Rename(from, to string) error {
	if err := f.begin(Op{Kind: Rename, Name: from}); err != nil {
		return err
	}
	defer f.mu.Unlock()
	file := f.seen[from]
	switch {
	case file == nil:
		return notExist("rename", from)
	case f.seen[to] == file: // POSIX: two names of one file stay
		return nil
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		f.change(change{path: to, file: file, from: from}) // both or none
	} else {
		f.change(change{path: to, file: file}, change{path: from})
	}
	return nil
}

// Link makes a second name of a file.
func (f *FS) Link(from, to string) error {
	if err := f.begin(Op{Kind: Link, Name: to}); err != nil {
		return err
	}
	defer f.mu.Unlock()
	if f.seen[from] == nil {
		return notExist("link", from)
	}
	if f.seen[to] != nil {
		return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
	}
	f.change(change{path: to, file: f.seen[from]})
	return nil
}

// Remove implements the stores' FS.
func (f *FS) Remove(path string) error {
	if err := f.begin(Op{Kind: Remove, Name: path}); err != nil {
		return err
	}
	defer f.mu.Unlock()
	if f.seen[path] == nil {
		return notExist("remove", path)
	}
	f.change(change{path: path})
	return nil
}

// ReadDir returns the names in dir, sorted.
func (f *FS) ReadDir(dir string) ([]string, error) {
	if err := f.begin(Op{Kind: Read, Name: dir}); err != nil {
		return nil, err
	}
	defer f.mu.Unlock()
	var names []string
	for _, path := range sorted(f.seen) {
		if filepath.Dir(path) == filepath.Clean(dir) {
			names = append(names, filepath.Base(path))
		}
	}
	return names, nil
}

// MkdirAll makes dir and those above it. Directories that nobody made exist as
// well, and are on the disk.
func (f *FS) MkdirAll(dir string, _ fs.FileMode) error {
	var missing []string
	f.mu.Lock()
	for d := filepath.Clean(dir); !isRoot(d) && f.seen[d] == nil && !f.holdsLocked(d); d = filepath.Dir(d) {
		missing = append(missing, d)
	}
	f.mu.Unlock()
	for _, d := range slices.Backward(missing) {
		if err := f.begin(Op{Kind: Mkdir, Name: d}); err != nil {
			return err
		}
		f.change(change{path: d, file: &inode{isDir: true}})
		f.mu.Unlock()
	}
	return nil
}

// holdsLocked tells whether there is anything in dir, which then exists.
func (f *FS) holdsLocked(dir string) bool {
	for path := range f.seen {
		if strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// SyncDir stores all changes of the directory.
func (f *FS) SyncDir(dir string) error {
	if err := f.begin(Op{Kind: SyncDir, Name: dir}); err != nil {
		return err
	}
	defer f.mu.Unlock()
	f.changes = slices.DeleteFunc(f.changes, func(c change) bool {
		if filepath.Dir(c.path) != filepath.Clean(dir) {
			return false
		}
		apply(f.stored, c)
		return true
	})
	return nil
}

// Free returns what the capacity leaves, a terabyte when there is none.
func (f *FS) Free(string) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.capacity == 0 {
		return 1 << 40, nil
	}
	return uint64(max(0, f.capacity-f.used())), nil
}

func (f *FS) used() int64 {
	var n int64
	counted := make(map[*inode]bool)
	for _, file := range f.seen {
		if !counted[file] {
			counted[file] = true
			n += int64(len(file.seen))
		}
	}
	return n
}

// Names returns the paths of all files, sorted.
func (f *FS) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(sorted(f.seen), func(path string) bool { return f.seen[path].isDir })
}

// Content returns a copy of what is seen in a file; nil when there is none.
func (f *FS) Content(path string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[path] == nil {
		return nil
	}
	return slices.Clone(f.seen[path].seen)
}

// SetContent replaces a file's content, on the disk too: damage by hand.
func (f *FS) SetContent(path string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file := f.seen[path]
	if file == nil {
		file = &inode{}
		f.seen[path], f.stored[path] = file, file
	}
	file.seen, file.stored, file.pending = slices.Clone(b), slices.Clone(b), nil
}

// Clone returns an independent copy in which everything is stored.
func (f *FS) Clone() *FS {
	n := New()
	for _, path := range f.Names() {
		n.SetContent(path, f.Content(path))
	}
	return n
}

// handle is an open file.
type handle struct {
	fs   *FS
	path string
	file *inode
}

// ReadAt implements io.ReaderAt.
func (h *handle) ReadAt(b []byte, offset int64) (int, error) {
	if err := h.fs.begin(Op{Read, h.path, offset, len(b)}); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	if offset >= int64(len(h.file.seen)) {
		return 0, io.EOF
	}
	n := copy(b, h.file.seen[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (h *handle) WriteAt(b []byte, offset int64) (int, error) {
	err := h.fs.begin(Op{Write, h.path, offset, len(b)})
	var short *Short
	if errors.As(err, &short) {
		b = b[:min(short.Bytes, len(b))]
	} else if err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	if more := offset + int64(len(b)) - int64(len(h.file.seen)); more > 0 && !h.fs.room(more) {
		return 0, &fs.PathError{Op: "write", Path: h.path, Err: syscall.ENOSPC}
	}
	h.write(b, offset)
	return len(b), err
}

func (h *handle) write(b []byte, offset int64) {
	h.file.seen = put(h.file.seen, b, offset)
	h.file.pending = append(h.file.pending, write{offset, slices.Clone(b)})
}

// Allocate makes the file at least size bytes long.
func (h *handle) Allocate(size int64) error {
	if err := h.fs.begin(Op{Kind: Allocate, Name: h.path, Len: int(size)}); err != nil {
		return err
	}
	defer h.fs.mu.Unlock()
	more := size - int64(len(h.file.seen))
	if more <= 0 {
		return nil
	}
	if !h.fs.room(more) {
		return &fs.PathError{Op: "allocate", Path: h.path, Err: syscall.ENOSPC}
	}
	h.write(make([]byte, more), size-more)
	return nil
}

func (f *FS) room(n int64) bool { return f.capacity == 0 || f.used()+n <= f.capacity }

// Sync stores what was written.
func (h *handle) Sync() error {
	err := h.fs.begin(Op{Kind: Sync, Name: h.path})
	if errors.Is(err, ErrCrashed) {
		return err
	}
	if err != nil {
		h.fs.mu.Lock()
		defer h.fs.mu.Unlock()
		h.file.pending = nil // the kernel forgets that it was to be written
		return err
	}
	defer h.fs.mu.Unlock()
	for _, w := range h.file.pending {
		h.file.stored = put(h.file.stored, w.data, w.offset)
	}
	h.file.pending = nil
	return nil
}

// Size returns the length seen.
func (h *handle) Size() (int64, error) {
	if err := h.fs.begin(Op{Kind: Read, Name: h.path}); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	return int64(len(h.file.seen)), nil
}

// Close implements io.Closer.
func (h *handle) Close() error { return nil }
