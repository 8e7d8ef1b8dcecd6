// Package fields reads fields off the front of a byte string: uvarints, bytes,
// and byte strings behind their length.
package fields

import "encoding/binary"

// A Decoder takes fields off the front of Rest. Once one is not there it has
// failed: Rest is nil, and all that it gives is zero, so that callers look at
// Failed but once, and in loops. What it returns aliases Rest, up to its own end.
type Decoder struct {
	Rest   []byte
	Failed bool
}

// Fail makes the decoder fail: its caller has found a field that can't be.
func (d *Decoder) Fail() { d.Rest, d.Failed = nil, true }

// Whole reports whether all fields were there, and nothing beside them.
func (d *Decoder) Whole() bool { return !d.Failed && len(d.Rest) == 0 }

// Uvarint takes a number as binary.AppendUvarint writes it.
func (d *Decoder) Uvarint() uint64 {
	n, size := binary.Uvarint(d.Rest)
	if size <= 0 {
		d.Fail()
		return 0
	}
	d.Rest = d.Rest[size:]
	return n
}

// Varint takes a number as binary.AppendVarint writes it.
func (d *Decoder) Varint() int64 {
	n, size := binary.Varint(d.Rest)
	if size <= 0 {
		d.Fail()
		return 0
	}
	d.Rest = d.Rest[size:]
	return n
}

// Uint64 takes eight bytes, the lowest first.
func (d *Decoder) Uint64() uint64 {
	if b := d.Take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Count takes the number of things that follow, of at least one byte each.
func (d *Decoder) Count() int {
	n := d.Uvarint()
	if n > uint64(len(d.Rest)) {
		d.Fail()
		return 0
	}
	return int(n)
}

// Byte takes one byte.
func (d *Decoder) Byte() byte {
	if len(d.Rest) == 0 {
		d.Fail()
		return 0
	}
	c := d.Rest[0]
	d.Rest = d.Rest[1:]
	return c
}

// Take takes n bytes.
func (d *Decoder) Take(n int) []byte {
	if n > len(d.Rest) {
		d.Fail()
		return nil
	}
	taken := d.Rest[:n:n]
	d.Rest = d.Rest[n:]
	return taken
}

// Bytes takes a byte string behind its length, a uvarint.
func (d *Decoder) Bytes() []byte { return d.Take(d.Count()) }

// Skip passes over n byte strings.
func (d *Decoder) Skip(n int) {
	for ; n > 0 && !d.Failed; n-- {
		d.Bytes()
	}
}
