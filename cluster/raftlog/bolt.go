package raftlog

import (
	"errors"
	"fmt"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// boltLockWait bounds the wait for another process's lock on the file.
const boltLockWait = time.Second

// OpenBolt opens or creates the bbolt file at path, usable as raft.StableStore
// and as raft.LogStore. Every change is fsynced before it returns, whatever
// appendfsync says: term and vote must never be forgotten. A file that another
// process has open gives an error that names it and is ErrLocked.
func OpenBolt(path string) (*raftboltdb.BoltStore, error) {
	store, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout:      boltLockWait,
			FreelistType: bbolt.FreelistMapType,
		},
		MsgpackUseNewTimeFormat: true,
	})
	if errors.Is(err, bbolt.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return store, nil
}
