package set

import (
	"encoding/binary"
	"slices"

	"github.com/quorate/quorate/engine/types/byhash"
	"github.com/quorate/quorate/engine/types/seed"
)

// A compact set is a block of bytes:
//
//	| 0 | members (1 byte) | member ... member |
//
// in the order of byhash.Compare, where a member is the upper two bytes of its
// hash (big endian), its length (uvarint) and its text. The two bytes spare most
// comparisons of texts, and nearly all hashing of members on the way. The first
// byte tells it from an intset, which begins with 2, 4 or 8.
const (
	compactHeader  = 2
	compactMembers = 64   // more members make a set large
	compactBytes   = 1024 // so does a block longer than this
	tagBytes       = 2
)

func isCompact(b []byte) bool { return b[0] == 0 }

func appendCompact(dst []byte) []byte { return append(dst, 0, 0) }

func compactLen(b []byte) int { return int(b[1]) }

// compactFits reports whether m may be added.
func compactFits(b, m []byte) bool {
	return compactLen(b) < compactMembers && len(b)+memberSize(m) <= compactBytes
}

func memberSize(m []byte) int {
	var width [binary.MaxVarintLen64]byte
	return tagBytes + binary.PutUvarint(width[:], uint64(len(m))) + len(m)
}

func tagOf(hash uint64) uint16 { return uint16(hash >> 48) }

// compactMember returns the member at pos and where the next one begins.
func compactMember(b []byte, pos int) (tag uint16, m []byte, next int) {
	size, width := binary.Uvarint(b[pos+tagBytes:])
	at := pos + tagBytes + width
	next = at + int(size)
	return binary.BigEndian.Uint16(b[pos:]), b[at:next:next], next
}

// compactFind returns where m, whose hash is given, is or would be.
func compactFind(b []byte, s seed.Seed, hash uint64, m []byte) (pos int, found bool) {
	want := tagOf(hash)
	for pos = compactHeader; pos < len(b); {
		tag, other, next := compactMember(b, pos)
		switch {
		case tag > want:
			return pos, false
		case tag == want && string(other) == string(m):
			return pos, true
		case tag == want && byhash.Compare(s.Hash(other), other, hash, m) > 0:
			return pos, false
		}
		pos = next
	}
	return pos, false
}

// compactAdd adds m, which fits, and reports whether it is new.
func compactAdd(b []byte, s seed.Seed, m []byte) ([]byte, bool) {
	hash := s.Hash(m)
	pos, found := compactFind(b, s, hash, m)
	if found {
		return b, false
	}
	size := memberSize(m)
	b = slices.Grow(b, size)[:len(b)+size]
	copy(b[pos+size:], b[pos:])
	binary.BigEndian.PutUint16(b[pos:], tagOf(hash))
	width := binary.PutUvarint(b[pos+tagBytes:], uint64(len(m)))
	copy(b[pos+tagBytes+width:], m)
	b[1]++
	return b, true
}

// compactRemove removes m and reports whether it was a member.
func compactRemove(b []byte, s seed.Seed, m []byte) ([]byte, bool) {
	pos, found := compactFind(b, s, s.Hash(m), m)
	if !found {
		return b, false
	}
	_, _, next := compactMember(b, pos)
	b = append(b[:pos], b[next:]...)
	b[1]--
	return b, true
}

func compactAt(b []byte, rank int) []byte {
	pos := compactHeader
	for range rank {
		_, _, pos = compactMember(b, pos)
	}
	_, m, _ := compactMember(b, pos)
	return m
}

func compactAll(b []byte, yield func([]byte) bool) {
	for pos := compactHeader; pos < len(b); {
		var m []byte
		_, m, pos = compactMember(b, pos)
		if !yield(m) {
			return
		}
	}
}

// compactScan does what byhash.Map.Scan does, so that a scan can go on when the
// set has become large.
func compactScan(b []byte, s seed.Seed, cursor uint64, count int, visit func([]byte)) uint64 {
	n, last := 0, uint64(0)
	for pos := compactHeader; pos < len(b); {
		var m []byte
		_, m, pos = compactMember(b, pos)
		position := byhash.Position(s.Hash(m))
		if position < cursor {
			continue
		}
		if n >= max(1, count) && position != last {
			return position
		}
		visit(m)
		n++
		last = position
	}
	return 0
}
