package cluster

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/transport/peer"
)

// Host is what a node needs of the machine that it runs on. The zero value is
// the real machine; package simulation gives nodes one whose network, disk and
// time are its own.
type Host struct {
	// Network carries the node-to-node port. nil: TCP.
	Network peer.Network
	// FS holds log, snapshots and the node's id. nil: the disk, which a node
	// takes for itself by a lock.
	FS FS
	// OpenStable opens or makes the stable store at path in FS. Each change must
	// be durable when it returns. nil: bbolt on the disk.
	OpenStable func(path string) (StableStore, error)
	// SegmentBytes is the size of a segment of the log. 0: raftlog's own.
	SegmentBytes int64
	// InlineLog makes the log do all its work in its callers: see raftlog.Options.
	InlineLog bool
	// Sleep pauses a goroutine, for less than a millisecond. nil: the system's.
	Sleep func(time.Duration)
	// Wall is the wall clock. nil: the system's.
	Wall func() time.Time
	// Chance returns random bits, which choose among keys that may go for want of
	// memory. nil: the system's.
	Chance func() uint64
	// WrapLog puts something between raft and its log. nil: nothing.
	WrapLog func(raft.LogStore) raft.LogStore
}

// FS is what a node needs of a file system.
type FS interface {
	raftlog.FS
	Link(from, to string) error
}

// StableStore is where term, vote, incarnation and ids are kept.
type StableStore interface {
	raft.StableStore
	io.Closer
}

// complete fills in the real machine.
func (h *Host) complete() {
	if h.Chance == nil {
		h.Chance = rand.Uint64
	}
	if h.FS == nil {
		h.FS = raftlog.Disk{}
	}
	if h.OpenStable == nil {
		h.OpenStable = func(path string) (StableStore, error) { return raftlog.OpenBolt(path) }
	}
	if h.Sleep == nil {
		h.Sleep = nap
	}
	if h.Wall == nil {
		h.Wall = time.Now
	}
	if h.WrapLog == nil {
		h.WrapLog = func(log raft.LogStore) raft.LogStore { return log }
	}
	h.SegmentBytes = cmp.Or(h.SegmentBytes, raftlog.DefaultSegmentBytes)
}

// lock takes the data directory for this process, if others can get at it.
func (h *Host) lock(dir string) (io.Closer, error) {
	if _, real := h.FS.(raftlog.Disk); !real {
		return closerFunc(func() error { return nil }), nil
	}
	lock, err := raftlog.LockDir(dir)
	if err != nil {
		return nil, err
	}
	return closerFunc(lock.Unlock), nil
}

// makeDir makes a data directory that is there after a crash, with those above it.
func (h *Host) makeDir(dir string) error {
	if err := h.FS.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	switch there, err := h.exists(filepath.Join(dir, fileNodeID)); {
	case err != nil:
		return err
	case there:
		return nil // done before the id was written
	}
	return h.syncAbove(dir)
}

// exists reports whether there is a file of that name. An error, which names it,
// means that this can't be known.
func (h *Host) exists(path string) (bool, error) {
	f, err := h.FS.OpenFile(path, os.O_RDONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	_ = f.Close() // nothing was written
	return true, nil
}

// syncAbove makes the name of dir, and those of the directories above it, durable:
// they may have just been made, by this process or by one that was killed.
func (h *Host) syncAbove(dir string) error {
	for d := filepath.Clean(dir); filepath.Dir(d) != d; d = filepath.Dir(d) {
		err := h.FS.SyncDir(filepath.Dir(d))
		if err != nil && !unsyncable(err) {
			return err
		}
	}
	return nil
}

// unsyncable recognizes directories that are not ours to sync: they can't be
// read, or belong to a file system that is not written to or has no such thing.
func unsyncable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP)
}

// isEmpty reports whether there is a file of that name, without a byte.
func (h *Host) isEmpty(path string) bool {
	content, err := h.readFile(path)
	return err == nil && len(content) == 0
}

// hasLog reports whether a log, of either kind, is in the data directory.
func (h *Host) hasLog(dir string) (bool, error) {
	bolt, err := h.exists(filepath.Join(dir, fileBoltLog))
	return bolt || h.hasSegments(filepath.Join(dir, dirLog)), err
}

// hasSegments reports whether a log of our own is in dir.
func (h *Host) hasSegments(dir string) bool {
	names, _ := h.FS.ReadDir(dir) // what can't be read has none, and Open says why
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			return true
		}
	}
	return false
}

func (h *Host) readFile(path string) ([]byte, error) {
	f, err := h.FS.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, 0, size))
}

// writeDurably creates a file that is there, whole, after a crash, or not at all.
func (h *Host) writeDurably(path string, content []byte) error {
	temp := path + ".tmp"
	f, err := h.FS.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := h.FS.Rename(temp, path); err != nil {
		return err
	}
	return h.FS.SyncDir(filepath.Dir(path))
}
