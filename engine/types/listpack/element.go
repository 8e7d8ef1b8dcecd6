package listpack

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The first byte of an element tells its encoding:
//
//	0xxxxxxx  integer 0..127
//	10xxxxxx  string of x bytes, up to 63
//	110xxxxx  integer of 13 bits, the low 8 in the next byte
//	1110xxxx  string of up to 4095 bytes, the low 8 bits of the length in the next
//	11110000  string, its length in four bytes
//	11110001  integer of 2 bytes, 0xF2 of 3, 0xF3 of 4, 0xF4 of 8
//
// Integers are little endian and signed, but the first form; the split ones are
// big endian.
const (
	encStr32 = 0xF0
	encInt16 = 0xF1
	encInt24 = 0xF2
	encInt32 = 0xF3
	encInt64 = 0xF4
)

// maxIntText is the length of the longest text that can be an integer.
const maxIntText = 20

// Get returns the element at pos: a string s, which aliases the block, or, with
// a nil s, the integer n. The empty string is not nil.
func Get(lp []byte, pos int) (s []byte, n int64) {
	c := lp[pos]
	switch {
	case c < 0x80:
		return nil, int64(c)
	case c < 0xC0:
		end := pos + 1 + int(c&0x3F)
		return lp[pos+1 : end : end], 0
	case c < 0xE0:
		return nil, int64(int16(uint16(c)<<11|uint16(lp[pos+1])<<3) >> 3)
	case c < 0xF0:
		end := pos + 2 + int(c&0x0F)<<8 + int(lp[pos+1])
		return lp[pos+2 : end : end], 0
	}
	return getWide(lp, pos)
}

func getWide(lp []byte, pos int) (s []byte, n int64) {
	data := lp[pos+1:]
	switch lp[pos] {
	case encStr32:
		end := 4 + int(binary.LittleEndian.Uint32(data))
		return data[4:end:end], 0
	case encInt16:
		return nil, int64(int16(binary.LittleEndian.Uint16(data)))
	case encInt24:
		u := uint32(data[0])<<8 | uint32(data[1])<<16 | uint32(data[2])<<24
		return nil, int64(int32(u) >> 8)
	case encInt32:
		return nil, int64(int32(binary.LittleEndian.Uint32(data)))
	case encInt64:
		return nil, int64(binary.LittleEndian.Uint64(data))
	}
	panic("listpack: unknown encoding " + strconv.Itoa(int(lp[pos])))
}

// Text returns the text of the element at pos. A string aliases the block, an
// integer is written to buf[:0] in decimal; 20 bytes of capacity are enough.
func Text(lp []byte, pos int, buf []byte) []byte {
	s, n := Get(lp, pos)
	if s == nil {
		return strconv.AppendInt(buf[:0], n, 10)
	}
	return s
}

// AppendElement appends the text of the element at pos to dst.
func AppendElement(dst, lp []byte, pos int) []byte {
	s, n := Get(lp, pos)
	if s == nil {
		return strconv.AppendInt(dst, n, 10)
	}
	return append(dst, s...)
}

// Int returns the element at pos as an integer, and whether its text is the
// canonical form of one.
func Int(lp []byte, pos int) (int64, bool) {
	s, n := Get(lp, pos)
	if s == nil {
		return n, true
	}
	return ParseInt(s)
}

// Equal reports whether the text of the element at pos is val.
func Equal(lp []byte, pos int, val []byte) bool {
	s, n := Get(lp, pos)
	if s != nil {
		return string(s) == string(val)
	}
	m, ok := ParseInt(val)
	return ok && m == n
}

// ParseInt parses s if it is the canonical decimal form of an int64: no sign but
// a leading '-', no leading zeros, no "-0", nothing around it. These are the
// texts that a listpack stores as integers.
func ParseInt(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) > maxIntText {
		return 0, false
	}
	if len(s) == 1 && s[0] == '0' {
		return 0, true
	}
	digits, negative := s, s[0] == '-'
	if negative {
		digits = s[1:]
	}
	if len(digits) == 0 || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		d := uint64(c - '0')
		if d > 9 || u > (math.MaxUint64-d)/10 {
			return 0, false
		}
		u = u*10 + d
	}
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

// Size returns the number of bytes that val takes as an element.
func Size(val []byte) int {
	e := encode(val)
	return e.size()
}

// element is an encoded element but for its back length: a head, then raw bytes.
type element struct {
	head [9]byte
	n    uint8 // bytes used of head
	raw  []byte
}

// size returns the bytes the element takes with its back length; none for the
// zero element.
func (e *element) size() int {
	n := int(e.n) + len(e.raw)
	if n == 0 {
		return 0
	}
	return n + backSize(n)
}

// put writes the element and its back length to the front of b.
func (e *element) put(b []byte) {
	n := int(e.n) + len(e.raw)
	if n == 0 {
		return
	}
	copy(b, e.head[:e.n])
	copy(b[e.n:], e.raw)
	putBack(b[n:n+backSize(n)], n)
}

func encode(val []byte) (e element) {
	if n, ok := ParseInt(val); ok {
		return encodeInt(n)
	}
	e.raw = val
	switch n := len(val); {
	case n < 64:
		e.head[0], e.n = 0x80|byte(n), 1
	case n < 4096:
		e.head[0], e.head[1], e.n = 0xE0|byte(n>>8), byte(n), 2
	default:
		checkSize(n)
		e.head[0], e.n = encStr32, 5
		binary.LittleEndian.PutUint32(e.head[1:], uint32(n))
	}
	return e
}

func encodeInt(v int64) (e element) {
	h := e.head[:]
	switch {
	case v >= 0 && v <= 127:
		h[0], e.n = byte(v), 1
	case v >= -4096 && v <= 4095:
		h[0], h[1], e.n = 0xC0|byte(v>>8)&0x1F, byte(v), 2
	case v >= math.MinInt16 && v <= math.MaxInt16:
		h[0], e.n = encInt16, 3
		binary.LittleEndian.PutUint16(h[1:], uint16(v))
	case v >= -1<<23 && v < 1<<23:
		h[0], h[1], h[2], h[3], e.n = encInt24, byte(v), byte(v>>8), byte(v>>16), 4
	case v >= math.MinInt32 && v <= math.MaxInt32:
		h[0], e.n = encInt32, 5
		binary.LittleEndian.PutUint32(h[1:], uint32(v))
	default:
		h[0], e.n = encInt64, 9
		binary.LittleEndian.PutUint64(h[1:], uint64(v))
	}
	return e
}

// skip returns the position after the element at pos.
func skip(lp []byte, pos int) int {
	n := dataSize(lp, pos)
	return pos + n + backSize(n)
}

// dataSize returns the bytes of the element at pos without its back length.
func dataSize(lp []byte, pos int) int {
	c := lp[pos]
	switch {
	case c < 0x80:
		return 1
	case c < 0xC0:
		return 1 + int(c&0x3F)
	case c < 0xE0:
		return 2
	case c < 0xF0:
		return 2 + int(c&0x0F)<<8 + int(lp[pos+1])
	}
	switch c {
	case encStr32:
		return 5 + int(binary.LittleEndian.Uint32(lp[pos+1:]))
	case encInt16:
		return 3
	case encInt24:
		return 4
	case encInt32:
		return 5
	case encInt64:
		return 9
	}
	panic("listpack: unknown encoding " + strconv.Itoa(int(c)))
}

// before returns the position of the element that ends at pos, or -1.
func before(lp []byte, pos int) int {
	if pos <= headerSize {
		return -1
	}
	n, shift, p := 0, 0, pos-1
	for ; ; p-- {
		n |= int(lp[p]&0x7F) << shift
		if lp[p]&0x80 == 0 {
			return p - n
		}
		shift += 7
	}
}

// backSize returns the bytes that the back length n takes. That the limits are
// one short of what seven bits a byte could say is Redis' layout.
func backSize(n int) int {
	switch {
	case n <= 127:
		return 1
	case n < 1<<14-1:
		return 2
	case n < 1<<21-1:
		return 3
	case n < 1<<28-1:
		return 4
	}
	return 5
}

// putBack fills b with the back length n: seven bits a byte, the lowest last, all
// but the first byte marked.
func putBack(b []byte, n int) {
	for i := len(b) - 1; i > 0; i-- {
		b[i] = byte(n) | 0x80
		n >>= 7
	}
	b[0] = byte(n)
}
