// Package entry is the codec of what one Raft log entry holds.
//
// An entry is a version byte, the leader's clock stamp, a list of parts, and a
// CRC-32C over all before it:
//
//	format   1 byte
//	stamp    8 bytes  little endian, Unix milliseconds
//	parts             each: kind (1 byte), length (uvarint), payload
//	needs    2 bytes  little endian, in format 2 alone: the semantic version
//	crc      4 bytes  little endian, Castagnoli
//
// The semantic version says which rules the entry is to be applied by. A node
// that does not know them must stop: it would come to another state. An entry
// that needs version 1 has format 1, which releases read that have not heard of
// semantic versions.
//
// The checksum goes from the leader that packed the entry to every node that
// applies it, whatever disks and wires lie between. An entry that does not
// decode is a reason to stop the node: it would no longer know the state.
package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/quorate/quorate/engine/fields"
)

// The formats of entries.
const (
	formatPlain = 1 // of semantic version 1
	formatNeeds = 2 // tells which it needs
)

// PartKind tells what a part of an entry is.
type PartKind uint8

const (
	// PartBatch is a Batch of one origin.
	PartBatch PartKind = 1 + iota
	// PartTick only moves the clock, so that due keys expire.
	PartTick
	// PartGenesis is the first part of a cluster's life.
	PartGenesis
	// PartRetire ends the waiting commands of a node that is out of contact.
	PartRetire
	// PartRaise raises the cluster's semantic version.
	PartRaise
	// PartChain tells the value of the leader's chain of changes at an index.
	PartChain
	// PartRecount makes every node count its keys as they are at this entry.
	PartRecount
	// PartEvict deletes keys to make room.
	PartEvict
	// PartPressure has commands that bring data refused for the rest of the entry.
	PartPressure
)

const (
	headLen  = 1 + 8
	needsLen = 2
	crcLen   = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt means that an entry is not what its leader packed.
var ErrCorrupt = errors.New("entry: corrupt")

// Builder packs parts into an entry. The zero Builder is ready to use.
type Builder struct{ buf []byte }

// Reset begins a new entry in the same memory.
func (b *Builder) Reset() { b.buf = b.buf[:0] }

// Empty reports whether no part was added.
func (b *Builder) Empty() bool { return len(b.buf) <= headLen }

// Len returns the size of the entry so far.
func (b *Builder) Len() int { return len(b.buf) }

// Add appends a part.
func (b *Builder) Add(kind PartKind, payload []byte) {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, make([]byte, headLen)...)
	}
	b.buf = append(b.buf, byte(kind))
	b.buf = binary.AppendUvarint(b.buf, uint64(len(payload)))
	b.buf = append(b.buf, payload...)
}

// Seal stamps the entry, says which semantic version it needs, and returns it in
// memory of its own.
func (b *Builder) Seal(stampMs int64, needs uint16) []byte {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, make([]byte, headLen)...)
	}
	b.buf[0] = formatPlain
	binary.LittleEndian.PutUint64(b.buf[1:], uint64(stampMs))
	sealed := make([]byte, len(b.buf), len(b.buf)+needsLen+crcLen)
	copy(sealed, b.buf)
	if needs > 1 {
		sealed[0] = formatNeeds
		sealed = binary.LittleEndian.AppendUint16(sealed, needs)
	}
	return binary.LittleEndian.AppendUint32(sealed, crc32.Checksum(sealed, castagnoli))
}

// Entry is a decoded entry. Its parts alias the bytes decoded.
type Entry struct {
	StampMs int64
	Needs   uint16 // the semantic version by whose rules it is to be applied
	rest    []byte
}

// Decode checks the entry's format and checksum.
func Decode(b []byte) (Entry, error) {
	if len(b) < headLen+crcLen {
		return Entry{}, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	body := b[:len(b)-crcLen]
	if sum := crc32.Checksum(body, castagnoli); sum != binary.LittleEndian.Uint32(b[len(body):]) {
		return Entry{}, fmt.Errorf("%w: checksum is %08x", ErrCorrupt, sum)
	}
	e := Entry{StampMs: int64(binary.LittleEndian.Uint64(body[1:])), Needs: 1}
	switch end := len(body) - needsLen; {
	case body[0] == formatPlain:
		e.rest = body[headLen:]
	case body[0] == formatNeeds && end >= headLen:
		e.rest, e.Needs = body[headLen:end], binary.LittleEndian.Uint16(body[end:])
	case body[0] == formatNeeds:
		return Entry{}, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	default:
		return Entry{}, fmt.Errorf("entry: format %d is unknown to this release, which reads up to %d: upgrade this node", body[0], formatNeeds)
	}
	return e, nil
}

// Next returns the next part; ok is false after the last.
func (e *Entry) Next() (kind PartKind, payload []byte, ok bool, err error) {
	if len(e.rest) == 0 {
		return 0, nil, false, nil
	}
	d := fields.Decoder{Rest: e.rest[1:]}
	kind = PartKind(e.rest[0])
	payload = d.Bytes()
	if d.Failed {
		return 0, nil, false, fmt.Errorf("%w: part of kind %d is cut short", ErrCorrupt, kind)
	}
	e.rest = d.Rest
	return kind, payload, true, nil
}

// decoder takes commands and items off the front of a payload.
type decoder struct{ fields.Decoder }

func decoderOf(b []byte) decoder { return decoder{fields.Decoder{Rest: b}} }
