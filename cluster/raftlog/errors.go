package raftlog

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrNoSpace says that no room could be reserved for a new segment. Nothing
	// of the refused entries is stored, what was stored before stays good, and
	// the next write may succeed.
	ErrNoSpace = errors.New("raftlog: no space left for a log segment")

	// ErrCorrupt is what errors.Is finds in a *CorruptError.
	ErrCorrupt = errors.New("raftlog: corrupt log")

	// ErrClosed is the answer of a closed store.
	ErrClosed = errors.New("raftlog: closed")

	// ErrCut says that entries were cut off the end, or replaced, before they
	// were durable.
	ErrCut = errors.New("raftlog: cut off before it was durable")

	// ErrTooLarge says that an entry is larger than MaxEntryBytes.
	ErrTooLarge = errors.New("raftlog: entry too large")

	// ErrLocked says that another process uses the directory.
	ErrLocked = errors.New("in use by another process")
)

// CorruptError says where acknowledged data was found damaged or missing, and
// what to do about it.
type CorruptError struct {
	File   string // path of the segment
	Offset int64  // of the damaged record in it
	Index  uint64 // of the entry concerned; the first one that may be affected
	Reason string
}

// Error implements error. It names the place and the way out.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("raftlog: corrupt log: %s at offset %d, entry %d: %s; "+
		"this node must not go on with this log: while the other nodes have a quorum, remove this node from the cluster, "+
		"move its data directory away and let it join as a new node", e.File, e.Offset, e.Index, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// failedError is the first write or fsync failure, repeated to every later write.
type failedError struct {
	cause error
}

func (e *failedError) Error() string {
	return "raftlog: an earlier write failed, the log takes no more until the process is restarted: " + e.cause.Error()
}

func (e *failedError) Unwrap() error { return e.cause }

// noSpace tells whether err is the file system's or the quota's "full".
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
