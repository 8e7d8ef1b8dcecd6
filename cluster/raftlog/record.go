package raftlog

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// A record is a 64-byte header and a payload, padded with zeros to a multiple
// of 8 bytes; all numbers are little-endian:
//
//	 0  u32  CRC32C of everything behind it, padding included
//	 4  u8   kind
//	 5  u8   raft.LogType, entries only
//	 6  u16  zero
//	 8  u32  length of the data
//	12  u32  length of the extensions, which follow the data
//	16  u64  generation of the segment
//	24  u64  offset of the record in the segment
//	32  u64  offset up to which the segment was durable when this was written
//	40  u32  session that wrote it
//	44  u32  zero
//	48  u64  index (see the kinds)
//	56  u64  term, or the oldest segment still needed
//
// An entry's payload begins with its AppendedAt in Unix nanoseconds, 0 for none.
const (
	recordHeader = 64
	recordAlign  = 8
	stampBytes   = 8
)

// MaxEntryBytes is the limit of one entry's data and extensions together.
const MaxEntryBytes = 1 << 30

type kind uint8

// The kinds of records. Their numbers are part of the format.
const (
	kindEntry    kind = 1 // an entry
	kindTruncate kind = 2 // the entries from index on are gone
	kindCompact  kind = 3 // the entries before index are gone; term is the oldest segment needed
	kindMark     kind = 4 // nothing but that the durable offset is known
	kindOpen     kind = 5 // a session begins; what follows of older sessions is void
	kindSeal     kind = 6 // the segment ends here, segment index follows
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// place is what ties a record to where and when it is written.
type place struct {
	generation uint64
	offset     int64
	durable    int64
	session    uint32
}

// record is a decoded record. Data and extensions alias the decoded buffer.
type record struct {
	place
	kind       kind
	logType    raft.LogType
	index      uint64
	term       uint64
	appendedAt int64
	data       []byte
	extensions []byte
	size       int64 // in the segment, header and padding included
}

// padded returns n rounded up to the record alignment.
func padded(n int64) int64 { return (n + recordAlign - 1) &^ (recordAlign - 1) }

// entrySize returns the bytes that an entry takes in a segment.
func entrySize(l *raft.Log) int64 {
	return padded(recordHeader + stampBytes + int64(len(l.Data)) + int64(len(l.Extensions)))
}

// appendEntry appends the record of l to dst.
func appendEntry(dst []byte, p place, l *raft.Log) []byte {
	from := len(dst)
	dst = appendHeader(dst, p, kindEntry, uint8(l.Type), len(l.Data), len(l.Extensions), l.Index, l.Term)
	var stamp int64
	if !l.AppendedAt.IsZero() {
		stamp = l.AppendedAt.UnixNano()
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(stamp))
	dst = append(dst, l.Data...)
	dst = append(dst, l.Extensions...)
	for len(dst)-from < int(entrySize(l)) {
		dst = append(dst, 0)
	}
	return sealRecord(dst, from)
}

// appendControl appends a record without payload to dst.
func appendControl(dst []byte, p place, k kind, index, term uint64) []byte {
	from := len(dst)
	dst = appendHeader(dst, p, k, 0, 0, 0, index, term)
	return sealRecord(dst, from)
}

func appendHeader(dst []byte, p place, k kind, logType uint8, data, extensions int, index, term uint64) []byte {
	le := binary.LittleEndian
	dst = append(dst, 0, 0, 0, 0, uint8(k), logType, 0, 0)
	dst = le.AppendUint32(dst, uint32(data))
	dst = le.AppendUint32(dst, uint32(extensions))
	dst = le.AppendUint64(dst, p.generation)
	dst = le.AppendUint64(dst, uint64(p.offset))
	dst = le.AppendUint64(dst, uint64(p.durable))
	dst = le.AppendUint32(dst, p.session)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, index)
	return le.AppendUint64(dst, term)
}

// sealRecord fills in the checksum of the record that starts at from and ends dst.
func sealRecord(dst []byte, from int) []byte {
	binary.LittleEndian.PutUint32(dst[from:], crc32.Checksum(dst[from+4:], castagnoli))
	return dst
}

// sizeAt returns the size of the record whose header h is, without any check
// but that the size is possible: ok is false when no record has this header.
func sizeAt(h []byte) (size int64, ok bool) {
	le := binary.LittleEndian
	payload := int64(le.Uint32(h[8:])) + int64(le.Uint32(h[12:]))
	if payload > MaxEntryBytes {
		return 0, false
	}
	if kind(h[4]) == kindEntry {
		payload += stampBytes
	}
	return padded(recordHeader + payload), true
}

// belongs tells, by the header alone, whether a record claims to be of the
// generation and at the offset. It is the cheap test before the checksum.
func belongs(h []byte, generation uint64, offset int64) bool {
	return binary.LittleEndian.Uint64(h[16:]) == generation && binary.LittleEndian.Uint64(h[24:]) == uint64(offset)
}

// decodeRecord decodes b, exactly one record, and verifies its checksum. It does
// not judge whether generation, offset and session are the expected ones.
func decodeRecord(b []byte) (r record, ok bool) {
	if len(b) < recordHeader {
		return r, false
	}
	size, ok := sizeAt(b)
	le := binary.LittleEndian
	if !ok || size != int64(len(b)) || le.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return r, false
	}
	r = record{
		place: place{
			generation: le.Uint64(b[16:]),
			offset:     int64(le.Uint64(b[24:])),
			durable:    int64(le.Uint64(b[32:])),
			session:    le.Uint32(b[40:]),
		},
		kind:    kind(b[4]),
		logType: raft.LogType(b[5]),
		index:   le.Uint64(b[48:]),
		term:    le.Uint64(b[56:]),
		size:    size,
	}
	data, extensions := int(le.Uint32(b[8:])), int(le.Uint32(b[12:]))
	if r.kind != kindEntry {
		return r, data == 0 && extensions == 0
	}
	r.appendedAt = int64(le.Uint64(b[recordHeader:]))
	payload := b[recordHeader+stampBytes:]
	if data > 0 {
		r.data = payload[:data:data]
	}
	if extensions > 0 {
		r.extensions = payload[data : data+extensions : data+extensions]
	}
	return r, true
}

// entry writes the entry that r is into l. Its slices alias r's.
func (r *record) entry(l *raft.Log) {
	*l = raft.Log{Index: r.index, Term: r.term, Type: r.logType, Data: r.data, Extensions: r.extensions}
	if r.appendedAt != 0 {
		l.AppendedAt = time.Unix(0, r.appendedAt)
	}
}
