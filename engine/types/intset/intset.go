// Package intset reads and edits small sets of integers in one block of bytes,
// laid out exactly as Redis lays them out.
//
// A block is a plain []byte:
//
//	| width uint32 LE | members uint32 LE | member ... member |
//
// where members are signed integers of width bytes (2, 4 or 8), little endian,
// in ascending order. The width only ever grows. Because the layout is Redis',
// a block can be stored in an RDB file or a DUMP payload as it is.
//
// Functions that read never write to the block, so any number of goroutines may
// read one. Functions that edit take the block over: they change it in place
// when its capacity allows, or else copy it, and return the result; the argument
// must not be used afterwards.
//
// All functions but [Validate] trust the block.
package intset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

const headerSize = 8

// ErrCorrupt is what every error of [Validate] wraps.
var ErrCorrupt = errors.New("corrupt intset")

// Append appends an empty set to dst.
func Append(dst []byte) []byte {
	return append(dst, 2, 0, 0, 0, 0, 0, 0, 0)
}

// Len returns the number of members.
func Len(b []byte) int { return int(binary.LittleEndian.Uint32(b[4:])) }

func width(b []byte) int { return int(b[0]) }

func widthOf(v int64) int {
	switch {
	case v >= math.MinInt16 && v <= math.MaxInt16:
		return 2
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return 4
	}
	return 8
}

// At returns the member with the given rank, which must be in [0, Len(b)).
func At(b []byte, rank int) int64 { return load(b[headerSize:], width(b), rank) }

func load(members []byte, width, i int) int64 {
	switch width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(members[2*i:])))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(members[4*i:])))
	}
	return int64(binary.LittleEndian.Uint64(members[8*i:]))
}

func store(members []byte, width, i int, v int64) {
	switch width {
	case 2:
		binary.LittleEndian.PutUint16(members[2*i:], uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(members[4*i:], uint32(v))
	default:
		binary.LittleEndian.PutUint64(members[8*i:], uint64(v))
	}
}

// Find returns the rank of v, or the rank it would have, and whether it is a
// member.
func Find(b []byte, v int64) (rank int, found bool) {
	low, high := 0, Len(b)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if At(b, mid) < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < Len(b) && At(b, low) == v
}

// Add adds v and reports whether it is new.
func Add(b []byte, v int64) ([]byte, bool) {
	rank, found := Find(b, v)
	if found {
		return b, false
	}
	if w := widthOf(v); w > width(b) {
		b = widen(b, w)
	}
	n, w := Len(b), width(b)
	b = slices.Grow(b, w)[:len(b)+w]
	at := headerSize + w*rank
	copy(b[at+w:], b[at:])
	store(b[headerSize:], w, rank, v)
	binary.LittleEndian.PutUint32(b[4:], uint32(n+1))
	return b, true
}

// widen gives every member w bytes, from the last to the first so that none is
// overwritten before it is read.
func widen(b []byte, w int) []byte {
	n, old := Len(b), width(b)
	grow := n * (w - old)
	b = slices.Grow(b, grow+w)[:len(b)+grow]
	for i := n - 1; i >= 0; i-- {
		store(b[headerSize:], w, i, load(b[headerSize:], old, i))
	}
	binary.LittleEndian.PutUint32(b, uint32(w))
	return b
}

// Remove removes v and reports whether it was a member.
func Remove(b []byte, v int64) ([]byte, bool) {
	rank, found := Find(b, v)
	if !found {
		return b, false
	}
	n, w := Len(b), width(b)
	at := headerSize + w*rank
	b = append(b[:at], b[at+w:]...)
	binary.LittleEndian.PutUint32(b[4:], uint32(n-1))
	return b, true
}

// Validate checks a block from an untrusted source completely.
func Validate(b []byte) error {
	if len(b) < headerSize {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	w := binary.LittleEndian.Uint32(b)
	if w != 2 && w != 4 && w != 8 {
		return fmt.Errorf("%w: members of %d bytes", ErrCorrupt, w)
	}
	if n := uint64(binary.LittleEndian.Uint32(b[4:])); n*uint64(w) != uint64(len(b)-headerSize) {
		return fmt.Errorf("%w: %d members of %d bytes in %d", ErrCorrupt, n, w, len(b))
	}
	for i := 1; i < Len(b); i++ {
		if At(b, i-1) >= At(b, i) {
			return fmt.Errorf("%w: member %d is not greater than the one before", ErrCorrupt, i)
		}
	}
	return nil
}
