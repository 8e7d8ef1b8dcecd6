package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNoLibrary is returned for a payload that is right but holds something else than
// libraries of functions.
var ErrNoLibrary = errors.New("the payload holds no library of functions")

// Function writes the code of a library of functions. Libraries stand before the keys.
func (f *Writer) Function(code []byte) error {
	f.e.byte(opFunction)
	f.e.string(code)
	f.e.spill()
	return f.e.err
}

// AppendLibraries appends what FUNCTION DUMP replies for libraries of that code.
func AppendLibraries(dst []byte, codes []string) []byte {
	start := len(dst)
	e := encoder{buf: dst, lzf: new(compressor)}
	for _, code := range codes {
		e.byte(opFunction)
		e.string([]byte(code))
	}
	e.buf = binary.LittleEndian.AppendUint16(e.buf, Version)
	return binary.LittleEndian.AppendUint64(e.buf, checksum(0, e.buf[start:]))
}

// librariesMax bounds what a payload's compressed code becomes.
const librariesMax = 64 << 20

// Libraries returns the code of the libraries in a payload of FUNCTION DUMP, which may
// come from anywhere. The error is [ErrPayload] or [ErrNoLibrary], or wraps
// [ErrCorrupt] or [ErrTruncated].
func Libraries(payload []byte) ([]string, error) {
	n := len(payload) - footerBytes
	if n < 0 {
		return nil, ErrPayload
	}
	version := binary.LittleEndian.Uint16(payload[n:])
	crc := binary.LittleEndian.Uint64(payload[n+2:])
	if version > versionMax || crc != checksum(0, payload[:n+2]) {
		return nil, ErrPayload
	}
	var codes []string
	d := decoder{source: source{buf: payload[:n], most: librariesMax}}
	for all := 0; int(d.offset()) < n; {
		var code []byte
		switch op := d.byte(); op {
		case opFunction:
			code = d.string(nil)
		case opFunctionPreGA:
			code = d.oldFunction()
		default:
			return nil, ErrNoLibrary
		}
		if all += len(code); all > librariesMax {
			d.fail("libraries of more than %d bytes", librariesMax)
		}
		if d.err != nil {
			return nil, d.err
		}
		codes = append(codes, string(code))
	}
	return codes, nil
}

// oldFunction reads a library as release candidates of Redis 7.0 wrote it, and returns
// the code that it would have today. Its description is dropped, as redis-server does.
func (d *decoder) oldFunction() []byte {
	name, engine := d.string(nil), d.string(nil)
	if d.length() != 0 {
		d.string(nil)
	}
	return append(fmt.Appendf(nil, "#!%s name=%s\n", engine, name), d.string(nil)...)
}
