package fields

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestFields(t *testing.T) {
	b := binary.AppendUvarint(nil, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = binary.LittleEndian.AppendUint64(b, 7)
	b = append(b, 'x')
	b = append(binary.AppendUvarint(b, 3), "abc"...)
	b = append(binary.AppendUvarint(b, 0), "de"...)
	read := func(b []byte) (d Decoder, right bool) {
		d = Decoder{Rest: b}
		right = d.Uvarint() == math.MaxUint64
		right = d.Varint() == math.MinInt64 && right
		right = d.Uint64() == 7 && right
		right = d.Byte() == 'x' && right
		right = string(d.Bytes()) == "abc" && right
		right = len(d.Bytes()) == 0 && right
		right = string(d.Take(2)) == "de" && right
		return d, right
	}
	if d, right := read(b); !right || !d.Whole() {
		t.Errorf("right %t, %+v", right, d)
	}
	for n := range b {
		if d, right := read(b[:n]); right || !d.Failed || d.Rest != nil || d.Whole() {
			t.Errorf("of %d bytes: right %t, %+v", n, right, d)
		}
	}
	if d, _ := read(append(b, 0)); d.Failed || d.Whole() {
		t.Errorf("with a byte more: %+v", d)
	}
}

// What was taken can be appended to without harm to what follows.
func TestTakenEndsWhereItEnds(t *testing.T) {
	b := []byte("\x02abcd")
	d := Decoder{Rest: b}
	_ = append(d.Bytes(), 'X')
	if string(d.Rest) != "cd" {
		t.Errorf("%q follows", d.Rest)
	}
}

// Whatever the bytes, fields come from the front and in order, and after a
// failure there are none.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("uvbtsck"), []byte("\x01\x02\x03abc\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("cs"), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, program, b []byte) {
		d := Decoder{Rest: b}
		for _, op := range program {
			before, failed := d.Rest, d.Failed
			zero := true
			switch op {
			case 'u':
				zero = d.Uvarint() == 0
			case 'v':
				zero = d.Varint() == 0
			case '8':
				zero = d.Uint64() == 0
			case 'b':
				zero = d.Byte() == 0
			case 'c':
				n := d.Count()
				zero = n == 0
				if n < 0 || n > len(d.Rest) {
					t.Fatalf("%d things in %d bytes", n, len(d.Rest))
				}
			case 't':
				zero = d.Take(int(op)%5) == nil
			case 's':
				s := d.Bytes()
				zero = s == nil
				if !d.Failed && !bytes.HasSuffix(before[:len(before)-len(d.Rest)], s) {
					t.Fatalf("%q is not what stands before %q", s, d.Rest)
				}
			case 'k':
				d.Skip(2)
			}
			switch {
			case failed && (!d.Failed || !zero):
				t.Fatalf("%q gives something after a failure", op)
			case d.Failed && (d.Rest != nil || !zero):
				t.Fatalf("%q failed and gives something", op)
			case !d.Failed && !bytes.HasSuffix(before, d.Rest):
				t.Fatalf("%q leaves %q of %q", op, d.Rest, before)
			}
		}
	})
}
