package rdbsnap

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is what errors.Is finds in a *CorruptError.
	ErrCorrupt = errors.New("rdbsnap: corrupt snapshot")

	// ErrNotRDB says that what was written does not begin as an RDB does.
	ErrNotRDB = errors.New("rdbsnap: the snapshot does not begin with REDIS")

	// ErrUnknown says that there is no snapshot of that id.
	ErrUnknown = errors.New("rdbsnap: no such snapshot")
)

// CorruptError says which snapshot is damaged, and what to do about it.
type CorruptError struct {
	ID     string // of the snapshot
	File   string // the damaged file
	Reason string
}

// Error implements error. It names the file and the way out.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("rdbsnap: corrupt snapshot %s: %s: %s; while the other nodes have a quorum, remove this node "+
		"from the cluster, move its data directory away and let it join as a new node", e.ID, e.File, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
