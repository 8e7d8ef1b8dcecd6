// Package chain hashes the history of a state: every change is mixed into a
// rolling value of 128 bits, in time that grows with what the change writes and
// with nothing else. Nodes that changed their state in the same way have the same
// value; nodes that once did not have different ones ever after.
//
// It is made to find faults, not forgeries: whoever knows the value can find two
// histories that lead to the same one.
//
// # The function
//
// The value is two lanes of 64 bits. A lane takes a word w by
//
//	lane = rotl(lane + w*k1 + k3, 31) * k2
//
// which undoes itself for whoever knows w. So for the same words two different
// lanes stay different: a difference is never forgotten. After each call the
// lanes trade places and one is added to the other, which can be undone too.
// Bytes are words in little endian order, so all architectures agree.
package chain

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Odd numbers without a pattern in their bits.
const (
	k1 = 0xc2b2ae3d27d4eb4f
	k2 = 0x9e3779b185ebca87
	k3 = 0x165667b19e3779f9
)

// Size is the number of bytes of a value.
const Size = 16

// Chain is a rolling value. The zero Chain is ready for use; a copy goes its own
// way.
type Chain struct{ a, b uint64 }

// Words mixes two words.
func (c *Chain) Words(x, y uint64) {
	c.a, c.b = trade(step(c.a, x), step(c.b, y))
}

// Bytes mixes p and its length.
func (c *Chain) Bytes(p []byte) {
	a, b := c.a+uint64(len(p))*k3, c.b
	for len(p) > 16 {
		a = step(a, binary.LittleEndian.Uint64(p))
		b = step(b, binary.LittleEndian.Uint64(p[8:]))
		p = p[16:]
	}
	x, y := last(p)
	c.a, c.b = trade(step(a, x), step(b, y))
}

// String mixes the bytes of s as Bytes does.
func (c *Chain) String(s string) { c.Bytes([]byte(s)) }

func step(lane, word uint64) uint64 { return bits.RotateLeft64(lane+(word*k1+k3), 31) * k2 }

func trade(a, b uint64) (uint64, uint64) { return b, a + bits.RotateLeft64(b, 23) }

// last returns at most 16 bytes as two words. With the length, which is mixed
// too, they tell all bytes: some may be there twice.
func last(p []byte) (x, y uint64) {
	switch n := len(p); {
	case n >= 8:
		return binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(p)), uint64(binary.LittleEndian.Uint32(p[n-4:]))
	case n > 0:
		return uint64(p[0]) | uint64(p[n/2])<<8 | uint64(p[n-1])<<16, 0
	}
	return 0, 0
}

// Value is a Chain as text or in a file.
type Value [Size]byte

// Value returns the value so far.
func (c Chain) Value() Value {
	var v Value
	binary.LittleEndian.PutUint64(v[:], c.a)
	binary.LittleEndian.PutUint64(v[8:], c.b)
	return v
}

// From returns the chain that goes on from v.
func From(v Value) Chain {
	return Chain{a: binary.LittleEndian.Uint64(v[:]), b: binary.LittleEndian.Uint64(v[8:])}
}

// String returns the value as 32 hexadecimal digits.
func (v Value) String() string { return hex.EncodeToString(v[:]) }

// Note mixes a change within a value: what was done (a number or a letter, within
// the value's type), to what, and what it is now. On a nil Chain it does nothing:
// a value that belongs to no state yet is no part of its history.
func (c *Chain) Note(done byte, where uint64, what, now []byte) {
	if c == nil {
		return
	}
	c.Words(uint64(done), where)
	c.Bytes(what)
	c.Bytes(now)
}
