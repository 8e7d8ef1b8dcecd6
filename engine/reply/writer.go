// Package reply writes and reads replies in Redis' protocol, RESP2 and RESP3.
package reply

import (
	"bytes"
	"math"
	"slices"
	"strconv"
)

// Proto is a version of the protocol.
type Proto uint8

// The protocol versions. A Writer of version Discard drops what it is given.
const (
	Discard Proto = 0
	RESP2   Proto = 2
	RESP3   Proto = 3
)

// Writer appends replies to a buffer in the protocol that its client speaks.
//
// The zero Writer discards: it is what commands write to on nodes that owe
// nobody a reply. A Writer is not safe for concurrent use.
type Writer struct {
	buf   []byte
	proto Proto
}

// NewWriter returns a Writer that appends to buf.
func NewWriter(proto Proto, buf []byte) *Writer {
	return &Writer{buf: buf, proto: proto}
}

// Proto returns the protocol that w speaks.
func (w *Writer) Proto() Proto { return w.proto }

// SetProto changes the protocol of the replies that follow.
func (w *Writer) SetProto(p Proto) { w.proto = p }

// Discards reports whether nobody will see what is written: a command may
// then skip work that only builds a reply.
func (w *Writer) Discards() bool { return w.proto == Discard }

// Len returns the number of bytes written since the last Reset.
func (w *Writer) Len() int { return len(w.buf) }

// Bytes returns what has been written. It is valid until the next write.
func (w *Writer) Bytes() []byte { return w.buf }

// Reset makes w append to buf[:0], forgetting what was written.
func (w *Writer) Reset(buf []byte) { w.buf = buf[:0] }

// Truncate drops all but the first n bytes written.
func (w *Writer) Truncate(n int) { w.buf = w.buf[:n] }

// Raw appends bytes that are already a reply.
func (w *Writer) Raw(p []byte) {
	if w.proto != Discard {
		w.buf = append(w.buf, p...)
	}
}

// doubledMax is up to which size in bytes a buffer doubles when it is full. append makes
// a large one a quarter larger, and so copies it four times in all, and leaves four
// times its size to the garbage collector.
const doubledMax = 64 << 20

// room makes room for a byte string of n bytes and what frames it.
func (w *Writer) room(n int) {
	if need := n + 32; cap(w.buf)-len(w.buf) < need && len(w.buf) > 256 && len(w.buf) < doubledMax {
		w.buf = slices.Grow(w.buf, max(need, len(w.buf)))
	}
}

func (w *Writer) header(kind byte, n int64) {
	if w.proto == Discard {
		return
	}
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.buf = append(w.buf, '\r', '\n')
}

// OK writes the status OK.
func (w *Writer) OK() { w.Status("OK") }

// Status writes a status reply. s must not hold CR or LF.
func (w *Writer) Status(s string) {
	if w.proto == Discard {
		return
	}
	w.buf = append(w.buf, '+')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// Int writes an integer.
func (w *Writer) Int(n int64) { w.header(':', n) }

// Flag writes the integer 1 or 0, as most commands say yes or no.
func (w *Writer) Flag(yes bool) {
	if yes {
		w.Int(1)
		return
	}
	w.Int(0)
}

// Bulk writes a byte string.
func (w *Writer) Bulk(b []byte) {
	if w.proto == Discard {
		return
	}
	w.room(len(b))
	w.header('$', int64(len(b)))
	w.buf = append(w.buf, b...)
	w.buf = append(w.buf, '\r', '\n')
}

// BulkOf writes the byte string that appendTo appends, where it will stand. It is not
// called when nobody will see it.
func (w *Writer) BulkOf(appendTo func(dst []byte) []byte) {
	if w.proto == Discard {
		return
	}
	mark := len(w.buf)
	w.buf = appendTo(w.buf)
	w.insert(mark, '$', len(w.buf)-mark)
	w.buf = append(w.buf, '\r', '\n')
}

// BulkString writes a byte string.
func (w *Writer) BulkString(s string) {
	if w.proto == Discard {
		return
	}
	w.room(len(s))
	w.header('$', int64(len(s)))
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
}

// BulkInt writes an integer as a byte string.
func (w *Writer) BulkInt(n int64) {
	if w.proto == Discard {
		return
	}
	var digits [20]byte
	w.Bulk(strconv.AppendInt(digits[:0], n, 10))
}

// Null writes the absence of a value: a null bulk string in RESP2.
func (w *Writer) Null() { w.null("$-1\r\n") }

// NullArray writes the absence of an array: a null array in RESP2.
func (w *Writer) NullArray() { w.null("*-1\r\n") }

func (w *Writer) null(resp2 string) {
	switch w.proto {
	case RESP2:
		w.buf = append(w.buf, resp2...)
	case RESP3:
		w.buf = append(w.buf, "_\r\n"...)
	}
}

// Array begins an array of n replies, which the caller writes next.
func (w *Writer) Array(n int) { w.header('*', int64(n)) }

// Map begins a map of n pairs: 2n replies follow. RESP2 sees a flat array.
func (w *Writer) Map(n int) {
	if w.proto == RESP3 {
		w.header('%', int64(n))
		return
	}
	w.header('*', 2*int64(n))
}

// Set begins a set of n replies. RESP2 sees an array.
func (w *Writer) Set(n int) { w.resp3('~', n) }

// Push begins an out-of-band message of n replies. RESP2 sees an array.
func (w *Writer) Push(n int) { w.resp3('>', n) }

func (w *Writer) resp3(kind byte, n int) {
	if w.proto != RESP3 {
		kind = '*'
	}
	w.header(kind, int64(n))
}

// Bool writes a boolean; RESP2 sees the integer 1 or 0.
func (w *Writer) Bool(yes bool) {
	switch {
	case w.proto == Discard:
	case w.proto != RESP3:
		w.Flag(yes)
	case yes:
		w.buf = append(w.buf, "#t\r\n"...)
	default:
		w.buf = append(w.buf, "#f\r\n"...)
	}
}

// Double writes a floating point number with 17 significant digits, as
// redis-server 7.0 does; RESP2 sees a byte string.
func (w *Writer) Double(f float64) {
	if w.proto == Discard {
		return
	}
	var digits [32]byte
	w.number(AppendDouble(digits[:0], f))
}

// Decimal writes a floating point number with up to 17 digits after the point and
// no exponent; RESP2 sees a byte string.
func (w *Writer) Decimal(f float64) {
	if w.proto == Discard {
		return
	}
	var digits [48]byte
	text := strconv.AppendFloat(digits[:0], f, 'f', 17, 64)
	text = bytes.TrimRight(bytes.TrimRight(text, "0"), ".")
	if string(text) == "-0" {
		text = text[1:]
	}
	w.number(text)
}

// number writes the text of a floating point number.
func (w *Writer) number(text []byte) {
	if w.proto == RESP2 {
		w.Bulk(text)
		return
	}
	w.buf = append(w.buf, ',')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, '\r', '\n')
}

// AppendDouble appends f as C's printf("%.17g") writes it.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15 && (f != 0 || !math.Signbit(f)):
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

// BigNumber writes the decimal digits of an integer of any size; RESP2 sees
// a byte string.
func (w *Writer) BigNumber(digits string) {
	if w.proto != RESP3 {
		w.BulkString(digits)
		return
	}
	w.buf = append(w.buf, '(')
	w.buf = append(w.buf, digits...)
	w.buf = append(w.buf, '\r', '\n')
}

// Verbatim writes text of a format named by three letters ("txt", "mkd");
// RESP2 sees a byte string.
func (w *Writer) Verbatim(format, text string) {
	if w.proto != RESP3 {
		w.BulkString(text)
		return
	}
	w.header('=', int64(len(text)+4))
	w.buf = append(w.buf, format...)
	w.buf = append(w.buf, ':')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, '\r', '\n')
}

// Error writes an error. Bytes that would break the protocol are replaced by
// spaces.
func (w *Writer) Error(e Error) {
	if w.proto == Discard {
		return
	}
	w.buf = append(w.buf, '-')
	start := len(w.buf)
	w.buf = append(w.buf, e...)
	for i := start; i < len(w.buf); i++ {
		if w.buf[i] == '\r' || w.buf[i] == '\n' {
			w.buf[i] = ' '
		}
	}
	w.buf = append(w.buf, '\r', '\n')
}

// Mark notes where an aggregate begins whose size is not known yet; the
// elements are written next, then one of the End methods.
func (w *Writer) Mark() int { return len(w.buf) }

// EndArray turns what was written since mark into an array of n replies.
func (w *Writer) EndArray(mark, n int) { w.insert(mark, '*', n) }

// EndMap turns what was written since mark into a map of n pairs.
func (w *Writer) EndMap(mark, n int) {
	if w.proto == RESP3 {
		w.insert(mark, '%', n)
		return
	}
	w.insert(mark, '*', 2*n)
}

// EndSet turns what was written since mark into a set of n replies.
func (w *Writer) EndSet(mark, n int) {
	if w.proto == RESP3 {
		w.insert(mark, '~', n)
		return
	}
	w.insert(mark, '*', n)
}

func (w *Writer) insert(mark int, kind byte, n int) {
	if w.proto == Discard {
		return
	}
	var head [24]byte
	h := strconv.AppendInt(append(head[:0], kind), int64(n), 10)
	h = append(h, '\r', '\n')
	w.buf = append(w.buf, h...)
	copy(w.buf[mark+len(h):], w.buf[mark:])
	copy(w.buf[mark:], h)
}
