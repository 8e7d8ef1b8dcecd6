package rdb

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
)

// Sealed returns a value with its type as a DUMP payload.
func Sealed(value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(bytes.Clone(value), Version)
	return binary.LittleEndian.AppendUint64(b, checksum(0, b))
}

func TestChecksum(t *testing.T) {
	if got := checksum(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("checksum %x", got)
	}
	if got := checksum(checksum(0, []byte("1234")), []byte("56789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("checksum in two pieces %x", got)
	}
}

// decompress appends what LZF data stands for, as a reader of that data would have it
// that gives so many bytes at once.
func decompress(dst, in []byte, size, pieces int) ([]byte, error) {
	e := encoder{}
	e.length(uint64(len(in)))
	e.length(uint64(size))
	data := append(e.buf, in...)
	s := source{r: &pieceReader{data, pieces}, buf: make([]byte, 0, 64)}
	dst = s.compressed(dst)
	return dst, s.err
}

type pieceReader struct {
	rest   []byte
	pieces int
}

func (r *pieceReader) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), r.pieces)], r.rest)
	r.rest = r.rest[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func roundTrip(t *testing.T, c *compressor, in []byte) {
	t.Helper()
	packed, ok := c.compress(in)
	if !ok {
		return
	}
	if len(packed) > len(in)-4 {
		t.Fatalf("%d bytes became %d", len(in), len(packed))
	}
	for _, pieces := range []int{1, 7, 1 << 20} {
		out, err := decompress([]byte("before"), packed, len(in), pieces)
		if err != nil || !bytes.Equal(out, append([]byte("before"), in...)) {
			t.Fatalf("%v: %q became %q", err, in, out)
		}
	}
	for _, size := range []int{len(in) - 1, len(in) + 1} {
		if _, err := decompress(nil, packed, size, 100); err == nil {
			t.Fatalf("%d bytes claimed to be %d: no error", len(in), size)
		}
	}
	for n := range min(len(packed), 100) {
		if _, err := decompress(nil, packed[:n], len(in), 100); err == nil {
			t.Fatalf("cut at %d: no error", n)
		}
	}
}

func TestLZF(t *testing.T) {
	d := rand.New(rand.NewPCG(1, 2))
	c := new(compressor)
	for size := 0; size < 300; size += 1 + size/16 {
		for letters := range 5 {
			in := make([]byte, size)
			for i := range in {
				in[i] = byte(d.IntN(letters + 1))
			}
			roundTrip(t, c, in)
		}
	}
	far := make([]byte, 40_000)
	for i := range far {
		far[i] = byte(d.Uint32())
	}
	copy(far[len(far)-9000:], far[:4000])
	copy(far[len(far)-4000:], far[len(far)-12000:])
	roundTrip(t, c, far)

	c.base = 1<<32 - 100 // the table begins anew
	roundTrip(t, c, bytes.Repeat([]byte("abc"), 100))
	roundTrip(t, c, bytes.Repeat([]byte("abc"), 100))
}

func FuzzLZF(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 40)
	f.Add([]byte("\x00a\xE0\x00\x00"), 10)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		roundTrip(t, new(compressor), in)
		if size >= 0 && size <= len(in)*lzfRatioMax {
			_, _ = decompress(nil, in, size, 50)
		}
	})
}
