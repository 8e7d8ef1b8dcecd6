package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// checkedStable is a raft.StableStore that believes the disk nothing: a term or
// a vote that has changed, or gone, must be noticed.
//
// A value carries a checksum over key and value, so that values can't change
// places either. A page of bbolt has none, and a flipped bit in one may hide a
// key: so the names of all keys that were ever set are a value themselves. A name
// is added after its value is durable: a crash between leaves a key too many, never
// one too few.
//
// And bbolt takes a damaged meta page for one that was being written, and goes back
// to the state before the last change. So when nothing has changed for a while, and
// at the end, seal makes one more change: from then on damage to one meta page costs
// that one alone.
type checkedStable struct {
	inner raft.StableStore
	// failed is told of damage, and of a change that failed for another reason
	// than want of room: what the disk holds then is unknown. It must not call the
	// store.
	failed func(error)

	mu      sync.Mutex
	keys    []string  // guarded by mu; that have been set, sorted
	changed time.Time // guarded by mu; zero when the last change was seal's
	broken  error     // guarded by mu; the first change that failed, and the answer to all later ones
}

// stableKeys are the keys that raft and this package use.
var stableKeys = [][]byte{
	[]byte("CurrentTerm"), []byte("LastVoteTerm"), []byte("LastVoteCand"),
	keyIncarnation, keyClusterID, keyNodeID, keyLogBegan,
}

// newCheckedStable reads everything that inner holds and fails if any of it is
// damaged or missing.
func newCheckedStable(inner raft.StableStore, failed func(error)) (*checkedStable, error) {
	s := &checkedStable{inner: inner, failed: failed}
	names, err := s.read(keyKeys)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	listed := strings.Fields(string(names))
	for _, key := range stableKeys {
		switch _, err := s.read(key); {
		case err == nil:
			s.keys = append(s.keys, string(key))
		case !isNotFound(err):
			return nil, err
		case slices.Contains(listed, string(key)):
			return nil, fmt.Errorf("%s: the value of %s is gone: %s", fileStable, key, wayOut)
		}
	}
	slices.Sort(s.keys)
	if len(s.keys) == len(listed) {
		return s, nil
	}
	return s, s.writeKeys(s.keys) // a crash, or a version without the list, left some out
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const stableSumLen = 4

func stableSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// Set implements raft.StableStore. After a change that failed it makes none.
func (s *checkedStable) Set(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	err := s.write(key, value)
	if err == nil {
		err = s.listLocked(string(key))
	}
	return s.lookLocked(err)
}

// lookLocked returns err, after it has done what a failed change calls for.
func (s *checkedStable) lookLocked(err error) error {
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		s.broken = fmt.Errorf("%s takes no more changes, one has failed: %w", fileStable, err)
		s.failed(s.broken)
		return s.broken
	}
	return err
}

func (s *checkedStable) write(key, value []byte) error {
	sealed := binary.LittleEndian.AppendUint32(slices.Clone(value), stableSum(key, value))
	return s.inner.Set(key, sealed)
}

// listLocked notes that key has been set.
func (s *checkedStable) listLocked(key string) error {
	s.changed = time.Now()
	i, known := slices.BinarySearch(s.keys, key)
	if known {
		return nil
	}
	keys := slices.Insert(slices.Clone(s.keys), i, key)
	if err := s.writeKeys(keys); err != nil {
		return err
	}
	s.keys = keys
	return nil
}

// seal makes sure of what was changed before the last quiet.
func (s *checkedStable) seal(quiet time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed.IsZero() || s.broken != nil || time.Since(s.changed) < quiet {
		return
	}
	s.changed = time.Time{}
	_ = s.lookLocked(s.writeKeys(s.keys)) // without room for it, a second fault may count
}

func (s *checkedStable) writeKeys(keys []string) error {
	return s.write(keyKeys, []byte(strings.Join(keys, " ")))
}

// Get implements raft.StableStore.
func (s *checkedStable) Get(key []byte) ([]byte, error) {
	value, err := s.read(key)
	if err != nil && !isNotFound(err) {
		s.failed(err)
	}
	return value, err
}

func (s *checkedStable) read(key []byte) ([]byte, error) {
	sealed, err := s.inner.Get(key)
	if err != nil {
		return nil, err
	}
	n := len(sealed) - stableSumLen
	if n < 0 || binary.LittleEndian.Uint32(sealed[n:]) != stableSum(key, sealed[:n]) {
		return nil, fmt.Errorf("%s: the value of %s is damaged: %s", fileStable, key, wayOut)
	}
	return sealed[:n], nil
}

// SetUint64 implements raft.StableStore.
func (s *checkedStable) SetUint64(key []byte, n uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// GetUint64 implements raft.StableStore.
func (s *checkedStable) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("%s: the value of %s has %d bytes, not 8: %s", fileStable, key, len(value), wayOut)
	}
	return binary.BigEndian.Uint64(value), nil
}
