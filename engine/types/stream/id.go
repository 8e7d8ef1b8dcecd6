package stream

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/quorate/quorate/engine/types/listpack"
)

// ID names an entry of a stream: a time in Unix milliseconds and a number among
// the entries of that millisecond. IDs are ordered.
type ID struct{ Ms, Seq uint64 }

// MaxID is the largest ID.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// Compare returns -1, 0 or +1 as a is before, equal to or after b.
func (a ID) Compare(b ID) int {
	if c := cmp.Compare(a.Ms, b.Ms); c != 0 {
		return c
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// Less reports whether a is before b.
func (a ID) Less(b ID) bool { return a.Compare(b) < 0 }

// IsZero reports whether a is 0-0, the ID that no entry has.
func (a ID) IsZero() bool { return a == ID{} }

// Next returns the ID after a; false if a is the largest.
func (a ID) Next() (ID, bool) {
	switch {
	case a.Seq < math.MaxUint64:
		return ID{a.Ms, a.Seq + 1}, true
	case a.Ms < math.MaxUint64:
		return ID{a.Ms + 1, 0}, true
	}
	return ID{}, false
}

// Prev returns the ID before a; false if a is 0-0.
func (a ID) Prev() (ID, bool) {
	switch {
	case a.Seq > 0:
		return ID{a.Ms, a.Seq - 1}, true
	case a.Ms > 0:
		return ID{a.Ms - 1, math.MaxUint64}, true
	}
	return ID{}, false
}

// Append appends the text of a, "ms-seq", to dst.
func (a ID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, a.Ms, 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, a.Seq, 10)
}

// String returns the text of a, "ms-seq".
func (a ID) String() string { return string(a.Append(nil)) }

// Key returns a as 16 bytes, big endian, whose order is that of IDs. It is how
// Redis writes IDs in RDB files.
func (a ID) Key() (k [16]byte) {
	binary.BigEndian.PutUint64(k[:8], a.Ms)
	binary.BigEndian.PutUint64(k[8:], a.Seq)
	return k
}

// IDFromKey is the opposite of [ID.Key]; k has 16 bytes.
func IDFromKey(k []byte) ID {
	return ID{binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(k[8:16])}
}

// ParseID parses "ms-seq", or "ms" with missingSeq in the place of the number.
// With "ms-*" it returns seq 0 and anySeq. As in Redis 7.0 a part may be what C's
// strtoull takes, so with leading spaces, zeros, a sign; and text ends at a zero
// byte.
func ParseID(text []byte, missingSeq uint64) (id ID, anySeq, ok bool) {
	const textMax = 127
	if len(text) > textMax {
		return ID{}, false, false
	}
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	ms, seq, hasSeq := bytes.Cut(text, []byte{'-'})
	if id.Ms, ok = parseUint(ms); !ok {
		return ID{}, false, false
	}
	switch {
	case !hasSeq:
		id.Seq = missingSeq
		return id, false, true
	case len(seq) == 1 && seq[0] == '*':
		return id, true, true
	}
	id.Seq, ok = parseUint(seq)
	return id, false, ok
}

// parseUint parses a number: strictly as an int64, where a negative one is
// refused, or else as strtoull does, where it wraps around.
func parseUint(text []byte) (uint64, bool) {
	if n, ok := listpack.ParseInt(text); ok {
		return uint64(n), n >= 0
	}
	digits := bytes.TrimLeft(text, " \t\n\v\f\r")
	negative := len(digits) > 0 && digits[0] == '-'
	if negative || len(digits) > 0 && digits[0] == '+' {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}
