package cluster

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/hashicorp/raft"
)

// checkedStable is a raft.StableStore whose values carry a checksum: a term or
// a vote that the disk has changed must not be believed. The checksum covers
// key and value, so that values can't change places either.
type checkedStable struct{ inner raft.StableStore }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const stableSumLen = 4

func stableSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// Set implements raft.StableStore.
func (s checkedStable) Set(key, value []byte) error {
	sealed := binary.LittleEndian.AppendUint32(slices.Clone(value), stableSum(key, value))
	return s.inner.Set(key, sealed)
}

// Get implements raft.StableStore.
func (s checkedStable) Get(key []byte) ([]byte, error) {
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
func (s checkedStable) SetUint64(key []byte, n uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// GetUint64 implements raft.StableStore.
func (s checkedStable) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("%s: the value of %s has %d bytes, not 8: %s", fileStable, key, len(value), wayOut)
	}
	return binary.BigEndian.Uint64(value), nil
}
