package rdb

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// A ziplist is what small lists, hashes and sorted sets were before Redis 7:
//
//	bytes uint32 LE | offset of the last entry uint32 LE | entries uint16 LE | entry ... entry | 0xFF
//
// where an entry is the length of the one before it (one byte, or 0xFE and four
// bytes LE), an encoding, and data. All of it is checked.
const (
	ziplistHead     = 10
	ziplistEnd      = 0xFF
	ziplistLongPrev = 0xFE
	ziplistUncount  = 1<<16 - 1 // in the place of a number of entries that does not fit
)

var errZiplist = errors.New("corrupt ziplist")

// eachOfZiplist gives the elements to add, and returns how many there were.
func eachOfZiplist(b []byte, add func(element []byte)) (n int, err error) {
	if len(b) <= ziplistHead || binary.LittleEndian.Uint32(b) != uint32(len(b)) || b[len(b)-1] != ziplistEnd {
		return 0, errZiplist
	}
	tail := binary.LittleEndian.Uint32(b[4:])
	end := len(b) - 1
	pos, previous := ziplistHead, 0
	last := ziplistHead
	for pos < end {
		at := pos
		var digits [20]byte
		element, next, ok := ziplistEntry(b[:end], pos, previous, digits[:0])
		if !ok {
			return n, errZiplist
		}
		n++
		previous, last, pos = next-at, at, next
		add(element)
	}
	claimed := int(binary.LittleEndian.Uint16(b[8:]))
	if claimed != n && claimed != ziplistUncount || int(tail) != last {
		return n, errZiplist
	}
	return n, nil
}

// ziplistEntry returns the element at pos, an integer as text in digits, and where
// the next one begins. The entry before it has the given length.
func ziplistEntry(b []byte, pos, previous int, digits []byte) (element []byte, next int, ok bool) {
	rest := b[pos:]
	long := rest[0] == ziplistLongPrev
	switch {
	case long && (len(rest) < 6 || binary.LittleEndian.Uint32(rest[1:]) != uint32(previous)):
		return nil, 0, false
	case long:
		rest = rest[5:]
	case len(rest) < 2 || int(rest[0]) != previous:
		return nil, 0, false
	default:
		rest = rest[1:]
	}
	head, size := 1, 0
	encoding := rest[0]
	switch {
	case encoding>>6 == 0:
		size = int(encoding & 0x3f)
	case encoding>>6 == 1 && len(rest) >= 2:
		head, size = 2, int(encoding&0x3f)<<8|int(rest[1])
	case encoding == 0x80 && len(rest) >= 5:
		head, size = 5, int(binary.BigEndian.Uint32(rest[1:]))
	case encoding>>6 == 3:
		return ziplistInt(b, rest, digits)
	default:
		return nil, 0, false
	}
	if size > len(rest)-head {
		return nil, 0, false
	}
	return rest[head : head+size], len(b) - len(rest) + head + size, true
}

// ziplistInt is ziplistEntry for an integer whose encoding and data are at the
// beginning of rest, the rest of b.
func ziplistInt(b, rest, digits []byte) (element []byte, next int, ok bool) {
	var value int64
	var size int
	data := rest[1:]
	switch encoding := rest[0]; encoding {
	case 0xFE:
		size = 1
	case 0xC0:
		size = 2
	case 0xF0:
		size = 3
	case 0xD0:
		size = 4
	case 0xE0:
		size = 8
	default:
		if encoding < 0xF1 || encoding > 0xFD {
			return nil, 0, false
		}
		value = int64(encoding) - 0xF1
	}
	if size > len(data) {
		return nil, 0, false
	}
	if size > 0 {
		for i := size - 1; i >= 0; i-- {
			value = value<<8 | int64(data[i])
		}
		unused := 64 - 8*size
		value = value << unused >> unused
	}
	return strconv.AppendInt(digits, value, 10), len(b) - len(rest) + 1 + size, true
}

// A zipmap is what small hashes were before Redis 2.6:
//
//	fields uint8 | field | value | ... | 0xFF
//
// where fields and values are a length (one byte, or 0xFE and four bytes LE) and
// text; a value has after its length a byte that tells how many unused bytes
// follow the text.
const (
	zipmapEnd        = 0xFF
	zipmapLongLength = 0xFE
	zipmapUncount    = 0xFE // in the place of a number of fields that does not fit
)

var errZipmap = errors.New("corrupt zipmap")

// eachOfZipmap gives the fields and values to add.
func eachOfZipmap(b []byte, add func(field, value []byte)) error {
	if len(b) < 2 || b[len(b)-1] != zipmapEnd {
		return errZipmap
	}
	claimed, n := int(b[0]), 0
	for rest := b[1 : len(b)-1]; len(rest) > 0; n++ {
		var field, value []byte
		var ok bool
		if field, rest, ok = zipmapText(rest, false); !ok {
			return errZipmap
		}
		if value, rest, ok = zipmapText(rest, true); !ok {
			return errZipmap
		}
		add(field, value)
	}
	if claimed < zipmapUncount && claimed != n {
		return errZipmap
	}
	return nil
}

func zipmapText(b []byte, isValue bool) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] == zipmapEnd {
		return nil, nil, false
	}
	size, head := int(b[0]), 1
	if b[0] == zipmapLongLength {
		if len(b) < 5 {
			return nil, nil, false
		}
		size, head = int(binary.LittleEndian.Uint32(b[1:])), 5
	}
	unused := 0
	if isValue {
		if len(b) <= head {
			return nil, nil, false
		}
		unused = int(b[head])
		head++
	}
	if size+unused > len(b)-head {
		return nil, nil, false
	}
	return b[head : head+size], b[head+size+unused:], true
}
