package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

var (
	// ErrCorrupt is wrapped by the errors that tell that the data is no RDB file,
	// damaged, or cut off.
	ErrCorrupt = errors.New("corrupt RDB data")
	// ErrUnsupported is wrapped by the errors that tell that the data may be right
	// but holds what is not supported here.
	ErrUnsupported = errors.New("unsupported RDB data")
)

// trustBytes is how much memory is allocated because data claims that it will
// follow. Beyond it memory grows as the data comes.
const trustBytes = 1 << 20

// source reads the primitives of the format from untrusted input. The first error
// stays in err; from then on all that is read is zero, so that loops must look at
// it and straight code need not.
type source struct {
	r   io.Reader // nil: all is in buf
	err error

	buf    []byte
	pos    int // what was read of buf
	summed int // what of it is in crc
	crc    uint64

	packed []byte // LZF data
}

func (s *source) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
}

// fill makes at least one more byte available.
func (s *source) fill() bool {
	if s.err != nil {
		return false
	}
	if s.r == nil {
		s.fail("unexpected end")
		return false
	}
	s.sum()
	n, err := io.ReadAtLeast(s.r, s.buf[:cap(s.buf)], 1)
	s.buf, s.pos, s.summed = s.buf[:n], 0, 0
	if n > 0 {
		return true
	}
	if errors.Is(err, io.EOF) {
		s.fail("unexpected end")
		return false
	}
	s.err = err
	return false
}

// sum returns the checksum of all that was read.
func (s *source) sum() uint64 {
	s.crc = checksum(s.crc, s.buf[s.summed:s.pos])
	s.summed = s.pos
	return s.crc
}

func (s *source) byte() byte {
	if s.pos == len(s.buf) && !s.fill() {
		return 0
	}
	b := s.buf[s.pos]
	s.pos++
	return b
}

// append appends the next n bytes to dst.
func (s *source) append(dst []byte, n uint64) []byte {
	dst = slices.Grow(dst, int(min(n, trustBytes)))
	for n > 0 {
		if s.pos == len(s.buf) && !s.fill() {
			return dst
		}
		k := int(min(n, uint64(len(s.buf)-s.pos)))
		dst = append(dst, s.buf[s.pos:s.pos+k]...)
		s.pos += k
		n -= uint64(k)
	}
	return dst
}

func (s *source) uint16() uint16 {
	var b [2]byte
	return binary.LittleEndian.Uint16(s.append(b[:0], 2)[:2])
}

func (s *source) uint32() uint32 {
	var b [4]byte
	return binary.LittleEndian.Uint32(s.append(b[:0], 4)[:4])
}

func (s *source) uint64() uint64 {
	var b [8]byte
	return binary.LittleEndian.Uint64(s.append(b[:0], 8)[:8])
}

func (s *source) double() float64 { return math.Float64frombits(s.uint64()) }

// length reads a length or another unsigned number.
func (s *source) length() uint64 { return s.lengthFrom(s.byte()) }

// lengthFrom is length whose first byte was read.
func (s *source) lengthFrom(b byte) uint64 {
	switch {
	case b>>6 == lengthForm6:
		return uint64(b)
	case b>>6 == lengthForm14:
		return uint64(b&0x3f)<<8 | uint64(s.byte())
	case b == length32:
		var room [4]byte
		return uint64(binary.BigEndian.Uint32(s.append(room[:0], 4)[:4]))
	case b == length64:
		var room [8]byte
		return binary.BigEndian.Uint64(s.append(room[:0], 8)[:8])
	}
	s.fail("length begins with %#x", b)
	return 0
}

// string appends the next string to dst.
func (s *source) string(dst []byte) []byte {
	b := s.byte()
	if b>>6 != lengthFormString {
		return s.append(dst, s.lengthFrom(b))
	}
	switch b & 0x3f {
	case stringInt8:
		return strconv.AppendInt(dst, int64(int8(s.byte())), 10)
	case stringInt16:
		return strconv.AppendInt(dst, int64(int16(s.uint16())), 10)
	case stringInt32:
		return strconv.AppendInt(dst, int64(int32(s.uint32())), 10)
	case stringLZF:
		return s.compressed(dst)
	}
	s.fail("string begins with %#x", b)
	return dst
}

func (s *source) compressed(dst []byte) []byte {
	packed, size := s.length(), s.length()
	s.packed = s.append(s.packed[:0], packed)
	if size > uint64(len(s.packed))*lzfRatioMax {
		s.fail("%d bytes of LZF data claim to be %d", len(s.packed), size)
	}
	if s.err != nil {
		return dst
	}
	dst, err := decompress(slices.Grow(dst, int(min(size, trustBytes))), s.packed, int(size))
	if err != nil {
		s.fail("%v", err)
	}
	s.packed = scratch(s.packed)
	return dst
}

// scratch returns b for the next use, unless it has become too large to keep.
func scratch(b []byte) []byte {
	if cap(b) > trustBytes {
		return nil
	}
	return b
}
