// Package hll estimates how many different elements a set has seen, by
// HyperLogLogs that are laid out byte for byte as Redis lays them out.
//
// A HyperLogLog is a plain []byte:
//
//	| "HYLL" | form | 0 0 0 | cached count, 8 bytes LE | registers ... |
//
// The 14 low bits of an element's hash choose one of 16384 registers, which keeps
// the longest run of zeros that ended in a one, counted with it, among the other
// bits of all elements that chose it. Registers have one of two forms:
//
//   - dense: 6 bits each, the first in the low bits of the first byte;
//   - sparse: runs of equal registers, an opcode each. 00nnnnnn is n+1 zeros,
//     01nnnnnn nnnnnnnn is n+1 zeros too, 1vvvvvnn is n+1 registers of v+1.
//
// The cached count is good unless its highest bit is set.
//
// Functions that read never write to the block. Anybody can store bytes that
// begin like a HyperLogLog: functions that read a sparse form tell when its runs
// are not those of 16384 registers, and none trusts it.
package hll

import (
	"encoding/binary"
	"errors"
)

const (
	indexBits = 14
	// Registers is the number of registers.
	Registers = 1 << indexBits
	// rankMax is the largest rank that a hash gives: all its other bits are zeros.
	rankMax = 64 - indexBits + 1

	// CountAt is where the cached count stands, in CountLen bytes.
	CountAt  = 8
	CountLen = 8
	headLen  = CountAt + CountLen

	formAt     = 4
	formDense  = 0
	formSparse = 1

	registerBits = 6
	denseLen     = headLen + Registers*registerBits/8
	// sparseLenMax is the length of the longest sparse form that can be right:
	// each register a run of its own, in two bytes.
	sparseLenMax = headLen + 2*Registers
)

const magic = "HYLL"

// ErrCorrupt means that the runs of a sparse form are not those of 16384
// registers.
var ErrCorrupt = errors.New("corrupt HyperLogLog")

// Append appends an empty HyperLogLog to dst.
func Append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, formSparse, 0, 0, 0)
	dst = append(dst, make([]byte, CountLen)...)
	return appendZeros(dst, Registers)
}

// Is reports whether b looks like a HyperLogLog: the runs of a sparse form are
// not looked at.
func Is(b []byte) bool {
	if len(b) < headLen || string(b[:len(magic)]) != magic {
		return false
	}
	switch b[formAt] {
	case formDense:
		return len(b) == denseLen
	case formSparse:
		return true
	}
	return false
}

// IsDense reports whether b has the dense form.
func IsDense(b []byte) bool { return b[formAt] == formDense }

// staleBit is the highest bit of the cached count.
const staleBit = 1 << 63

// CachedCount returns the cached count, if it is good.
func CachedCount(b []byte) (n uint64, ok bool) {
	n = binary.LittleEndian.Uint64(b[CountAt:])
	return n, n < staleBit
}

// Stale returns the bytes of b's cached count, marked as no longer good.
func Stale(b []byte) (count [CountLen]byte) {
	binary.LittleEndian.PutUint64(count[:], binary.LittleEndian.Uint64(b[CountAt:])|staleBit)
	return count
}

// Fresh returns the bytes of a cached count of n.
func Fresh(n uint64) (count [CountLen]byte) {
	binary.LittleEndian.PutUint64(count[:], n)
	return count
}
