package rdb

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/quorate/quorate/engine/types/listpack"
)

const (
	// chunkBytes is how much is gathered before it is written or after it was
	// read.
	chunkBytes = 256 << 10

	// headBytes is how much is read at first: many files are no longer.
	headBytes = 4 << 10

	// compressMax bounds what is compressed, and so what the compressor holds
	// beside the value itself.
	compressMax = 16 << 20
)

// encoder appends the primitives of the format to a buffer, which it hands on to
// out, if there is one, with the checksum kept.
type encoder struct {
	buf []byte
	out io.Writer   // nil: everything stays in buf
	lzf *compressor // nil: no compression
	crc uint64      // of what went to out
	err error       // of out; nothing is written after it

	noFieldTimes bool // hashes are written as if their fields did not expire
}

// spill hands the buffer on when it is full.
func (e *encoder) spill() {
	if e.out != nil && len(e.buf) >= chunkBytes {
		e.flush()
	}
}

func (e *encoder) flush() {
	e.crc = checksum(e.crc, e.buf)
	e.write(e.buf)
	e.buf = e.buf[:0]
}

func (e *encoder) write(b []byte) {
	if e.err == nil {
		_, e.err = e.out.Write(b)
	}
}

func (e *encoder) byte(b byte) { e.buf = append(e.buf, b) }

// length writes a length or another unsigned number.
func (e *encoder) length(n uint64) {
	switch {
	case n < 1<<6:
		e.buf = append(e.buf, byte(n))
	case n < 1<<14:
		e.buf = append(e.buf, byte(n>>8)|lengthForm14<<6, byte(n))
	case n <= math.MaxUint32:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, length32), uint32(n))
	default:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, length64), n)
	}
}

func (e *encoder) double(f float64) {
	e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(f))
}

func (e *encoder) millis(ms int64) {
	e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(ms))
}

// string writes s, as an integer or compressed where that is shorter.
func (e *encoder) string(s []byte) {
	if len(s) <= intTextMax {
		if n, ok := listpack.ParseInt(s); ok && n == int64(int32(n)) {
			e.integer(int32(n))
			return
		}
	}
	if e.lzf != nil && len(s) > compressMin && len(s) <= compressMax {
		if packed, ok := e.lzf.compress(s); ok {
			e.byte(stringForm | stringLZF)
			e.length(uint64(len(packed)))
			e.length(uint64(len(s)))
			e.raw(packed)
			return
		}
	}
	e.length(uint64(len(s)))
	e.raw(s)
}

// integer writes the string that is the decimal text of n.
func (e *encoder) integer(n int32) {
	switch {
	case n == int32(int8(n)):
		e.buf = append(e.buf, stringForm|stringInt8, byte(n))
	case n == int32(int16(n)):
		e.buf = binary.LittleEndian.AppendUint16(append(e.buf, stringForm|stringInt16), uint16(n))
	default:
		e.buf = binary.LittleEndian.AppendUint32(append(e.buf, stringForm|stringInt32), uint32(n))
	}
}

// raw writes b as it is. What is longer than the buffer does not go through it.
func (e *encoder) raw(b []byte) {
	if e.out != nil && len(b) >= chunkBytes {
		e.flush()
		e.crc = checksum(e.crc, b)
		e.write(b)
		return
	}
	e.buf = append(e.buf, b...)
	e.spill()
}
