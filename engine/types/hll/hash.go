package hll

import (
	"encoding/binary"
	"math/bits"
)

// Place returns the register that an element chooses, and the rank that it has
// for it: one more than the number of zeros before the first one among the bits
// of its hash that choose no register.
func Place(element []byte) (index int, rank byte) {
	h := murmur64a(element)
	index = int(h & (Registers - 1))
	h >>= indexBits
	h |= 1 << (rankMax - 1)
	return index, byte(bits.TrailingZeros64(h) + 1)
}

// murmur64a is MurmurHash64A with the seed that Redis takes.
func murmur64a(b []byte) uint64 {
	const (
		seed  = 0xadc83b19
		m     = 0xc6a4a7935bd1e995
		shift = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> shift
		h ^= k * m
		h *= m
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h ^= binary.LittleEndian.Uint64(tail[:])
		h *= m
	}
	h ^= h >> shift
	h *= m
	h ^= h >> shift
	return h
}
