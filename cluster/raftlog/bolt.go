package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
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
//
// All pages in use are read first: bbolt panics on damaged pages, and a file cut
// short faults, which would end the process later without a word of what is wrong.
func OpenBolt(path string) (store *raftboltdb.BoltStore, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			store, err = nil, damagedBolt(path, reason)
		}
	}()
	_, missing := os.Stat(path)
	if missing == nil {
		err = examine(path)
	}
	if err != nil {
		return nil, err
	}
	store, err = raftboltdb.New(raftboltdb.Options{
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
	if missing != nil { // bbolt syncs the file that it makes, but not its name
		if err := (Disk{}).SyncDir(filepath.Dir(path)); err != nil {
			return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), store.Close())
		}
	}
	return store, nil
}

func damagedBolt(path string, reason any) error {
	return fmt.Errorf("%s is damaged (%v): restore it, or, while the other nodes have a majority, remove this node from the cluster and empty the directory: it comes back as a new node", path, reason)
}

// examine walks over the bbolt file at path while nobody may change it.
func examine(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: boltLockWait, ReadOnly: true})
	if errors.Is(err, bbolt.ErrTimeout) {
		return fmt.Errorf("open %s: %w", path, ErrLocked)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close() // until then nobody else may change it
	if err := checkBolt(path); err != nil {
		return damagedBolt(path, err)
	}
	return nil
}
