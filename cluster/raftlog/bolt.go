package raftlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
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
// The file is read whole: bbolt panics on damaged pages, and a file cut short
// faults, which would end the process later without a word of what is wrong.
func OpenBolt(path string) (store *raftboltdb.BoltStore, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			store, err = nil, fmt.Errorf("%s is damaged (%v): restore it, or, while the other nodes have a majority, remove this node from the cluster and empty the directory: it comes back as a new node", path, reason)
		}
	}()
	if err := readWhole(path); err != nil {
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
	return store, nil
}

// readWhole reads every key and value of a bbolt file, if there is one.
func readWhole(path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil // a new one is made
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: boltLockWait, ReadOnly: true})
	if errors.Is(err, bbolt.ErrTimeout) {
		return fmt.Errorf("open %s: %w", path, ErrLocked)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	sum := crc32.NewIEEE()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				sum.Write(k)
				sum.Write(v)
				return nil
			})
		})
	})
}
