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
	// ErrTruncated is the ErrCorrupt of data that is cut off.
	ErrTruncated = fmt.Errorf("%w: unexpected end", ErrCorrupt)
	// ErrUnsupported is wrapped by the errors that tell that the data may be right
	// but holds what is not supported here.
	ErrUnsupported = errors.New("unsupported RDB data")
)

// trustBytes is how much memory is allocated because data claims that it will
// follow, where it is not known how much does. Beyond it memory doubles as the
// data comes, so that half of it is always filled.
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
	before int64 // what was read before buf
	size   int64 // of all data; 0: not known
	most   int   // bytes that a string may have after expansion; 0: any number
}

func (s *source) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
}

// fill makes at least one more byte available, behind those not yet read.
func (s *source) fill() bool {
	if s.err != nil {
		return false
	}
	if s.r == nil {
		s.err = ErrTruncated
		return false
	}
	s.sum()
	s.before += int64(s.pos)
	rest := s.buf[s.pos:]
	if s.before > 0 && cap(s.buf) < chunkBytes {
		s.buf = make([]byte, 0, chunkBytes)
	}
	kept := copy(s.buf[:cap(s.buf)], rest)
	n, err := io.ReadAtLeast(s.r, s.buf[kept:cap(s.buf)], 1)
	s.buf, s.pos, s.summed = s.buf[:kept+n], 0, 0
	if n > 0 {
		return true
	}
	if errors.Is(err, io.EOF) {
		err = ErrTruncated
	}
	s.err = err
	return false
}

// offset returns how much was read.
func (s *source) offset() int64 { return s.before + int64(s.pos) }

// backed returns how much of n bytes that the data claims may be allocated at once.
func (s *source) backed(n uint64) int {
	if s.r == nil {
		return int(min(n, uint64(len(s.buf)-s.pos)))
	}
	return int(min(n, uint64(max(s.size-s.offset(), trustBytes))))
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
	dst = withRoom(dst, s.backed(n))
	for n > 0 {
		if s.pos == len(s.buf) && !s.fill() {
			return dst
		}
		dst = double(dst, n)
		k := int(min(n, uint64(len(s.buf)-s.pos), uint64(cap(dst)-len(dst))))
		dst = append(dst, s.buf[s.pos:s.pos+k]...)
		s.pos += k
		n -= uint64(k)
	}
	return dst
}

// double doubles the room of b if it is full and n more bytes are to come, but to no
// more than they need.
func double(b []byte, n uint64) []byte {
	if len(b) < cap(b) {
		return b
	}
	return regrow(b, len(b)+int(min(n, uint64(max(len(b), trustBytes)))))
}

// withRoom returns b with room for n more bytes. Where b is empty that is slices.Grow,
// which a build for the race detector makes allocate twice.
func withRoom(b []byte, n int) []byte {
	if len(b) > 0 || cap(b) >= n {
		return slices.Grow(b, n)
	}
	return make([]byte, 0, n)
}

// regrow returns b with exactly so much room: append alone would take up to a quarter
// more.
func regrow(b []byte, room int) []byte {
	return append(make([]byte, 0, room), b...)
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

// compressed appends the string whose LZF data comes next, piece by piece: the data
// is held nowhere but in the buffer.
func (s *source) compressed(dst []byte) []byte {
	packed, size := s.length(), s.length()
	if size/lzfRatioMax > packed || s.most > 0 && size > uint64(s.most) {
		s.fail("%d bytes of LZF data claim to be %d", packed, size)
	}
	if s.err != nil {
		return dst
	}
	dst = withRoom(dst, int(min(size, trustBytes)))
	out := expander{dst: dst, start: len(dst), end: len(dst) + int(size)}
	for packed > 0 && s.err == nil {
		in := s.peek(int(min(packed, lzfPieceMax)))
		in = in[:min(uint64(len(in)), packed)]
		n, ok := out.expand(in)
		if !ok || n == 0 {
			s.fail("%v", errLZF)
		}
		s.pos += n
		packed -= uint64(n)
	}
	if len(out.dst) != out.end {
		s.fail("%v", errLZF)
	}
	return out.dst
}

// peek returns all bytes that are there, at least n, without reading them.
func (s *source) peek(n int) []byte {
	for len(s.buf)-s.pos < n && s.fill() {
	}
	return s.buf[s.pos:]
}

// scratch returns b for the next use, unless it has become too large to keep.
func scratch(b []byte) []byte {
	if cap(b) > trustBytes {
		return nil
	}
	return b
}
