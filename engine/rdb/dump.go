package rdb

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/quorate/quorate/engine/keyspace"
)

// ErrPayload is returned for a DUMP payload of a newer version, or whose checksum
// is wrong.
var ErrPayload = errors.New("DUMP payload version or checksum are wrong")

// footerBytes is the length of what ends a payload: version and checksum.
const footerBytes = 2 + checksumBytes

// A Dumper makes DUMP payloads. It is for one goroutine; it holds 256 KiB.
type Dumper struct{ lzf compressor }

// Append appends what DUMP replies for v.
func (d *Dumper) Append(dst []byte, v *keyspace.Value) []byte { return d.append(dst, v, false) }

// AppendPlain appends a payload of v that redis-server 7.0 takes: fields of a hash do not
// expire in it.
func (d *Dumper) AppendPlain(dst []byte, v *keyspace.Value) []byte { return d.append(dst, v, true) }

func (d *Dumper) append(dst []byte, v *keyspace.Value, plain bool) []byte {
	start := len(dst)
	dst = slices.Grow(dst, len(v.Packed)+footerBytes+16) // and a type and lengths
	e := encoder{lzf: &d.lzf, noFieldTimes: plain}
	typ, version := e.valueType(v), uint16(Version)
	if typ == typeHashExpiring || typ == typeHashListpackEx {
		version = versionExpiring
	}
	e.buf = append(dst, typ)
	e.value(v)
	e.buf = binary.LittleEndian.AppendUint16(e.buf, version)
	return binary.LittleEndian.AppendUint64(e.buf, checksum(0, e.buf[start:]))
}

// IsPlain tells whether redis-server 7.0 knows the version of a payload.
func IsPlain(payload []byte) bool {
	return binary.LittleEndian.Uint16(payload[len(payload)-footerBytes:]) <= Version
}

// HoldsFieldTimes tells whether a payload is of a type of hashes whose fields expire.
func HoldsFieldTimes(payload []byte) bool {
	switch payload[0] {
	case typeHashExpiring, typeHashExpiringRC, typeHashListpackEx, typeHashListpackExRC:
		return true
	}
	return false
}

// Undump returns the value in a DUMP payload, which may come from anywhere. The
// value is the caller's. The error is [ErrPayload], or wraps [ErrCorrupt] or
// [ErrUnsupported].
func Undump(payload []byte, build Build) (keyspace.Value, error) {
	n := len(payload) - footerBytes
	if n < 1 {
		return keyspace.Value{}, ErrPayload
	}
	version := binary.LittleEndian.Uint16(payload[n:])
	crc := binary.LittleEndian.Uint64(payload[n+2:])
	if version > versionMax || crc != checksum(0, payload[:n+2]) {
		return keyspace.Value{}, ErrPayload
	}
	// A client's few bytes must not become more than a string that it could have sent.
	d := decoder{source: source{buf: payload[1:n], most: build.Settings.ProtoMaxBulkLen}, build: build}
	v, err := d.value(payload[0])
	if err != nil {
		return keyspace.Value{}, err
	}
	return v, nil
}
