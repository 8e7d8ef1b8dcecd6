package rdb

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/quorate/quorate/engine/keyspace"
)

// Writer writes one RDB file. Errors of the output show in Close, and in the
// other methods that return one, as soon as they are known.
type Writer struct {
	e encoder
}

// NewWriter begins a file on w with the fields that redis-server expects in one.
// unixTime is the time in seconds that the file tells as its own.
func NewWriter(w io.Writer, unixTime int64) *Writer {
	f := &Writer{e: encoder{out: w, lzf: new(compressor), buf: make([]byte, 0, chunkBytes+chunkBytes/4)}}
	f.e.buf = fmt.Appendf(f.e.buf, "%s%0*d", magic, versionDigits, Version)
	f.aux("redis-ver", []byte("7.0.15"))
	f.aux("redis-bits", []byte("64"))
	f.aux("ctime", fmt.Appendf(nil, "%d", unixTime))
	f.aux("aof-base", []byte("0"))
	return f
}

// LeaveOutFieldTimes has hashes whose fields expire written without the times, so that
// redis-server 7.0 loads the file whatever it holds.
func (f *Writer) LeaveOutFieldTimes() { f.e.noFieldTimes = true }

func (f *Writer) aux(name string, value []byte) {
	f.e.byte(opAux)
	f.e.string([]byte(name))
	f.e.string(value)
	f.e.spill()
}

// Aux writes a field beside the data, which Redis ignores if it does not know the
// name. It may stand before any key.
func (f *Writer) Aux(name string, value []byte) error {
	f.aux(name, value)
	return f.e.err
}

// Database begins a database with the given numbers of keys, and of those with
// an expiry time; readers make room by them.
func (f *Writer) Database(db, keys, expires int) error {
	f.e.byte(opSelectDB)
	f.e.length(uint64(db))
	f.e.byte(opResizeDB)
	f.e.length(uint64(keys))
	f.e.length(uint64(expires))
	return f.e.err
}

// Key writes a key of the database begun last.
func (f *Writer) Key(entry *keyspace.Entry) error {
	if entry.ExpireAt != keyspace.NoExpiry {
		f.e.byte(opExpireMs)
		f.e.millis(entry.ExpireAt)
	}
	f.e.byte(f.e.valueType(&entry.Value))
	f.e.string(entry.Key)
	f.e.value(&entry.Value)
	f.e.spill()
	return f.e.err
}

// Close ends the file with its checksum. It does not close the output.
func (f *Writer) Close() error {
	f.e.byte(opEOF)
	f.e.flush()
	f.e.write(binary.LittleEndian.AppendUint64(nil, f.e.crc))
	return f.e.err
}
