package listpack

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt is what every error of [Validate] wraps.
var ErrCorrupt = errors.New("corrupt listpack")

// Validate checks a block from an untrusted source completely, reading nothing
// outside it: after a nil error every function of the package is safe on it. It
// takes time linear in the number of elements.
func Validate(lp []byte) error {
	if len(lp) < EmptySize || len(lp) > MaxSize {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, len(lp))
	}
	if n := binary.LittleEndian.Uint32(lp); uint64(n) != uint64(len(lp)) {
		return fmt.Errorf("%w: header says %d bytes of %d", ErrCorrupt, n, len(lp))
	}
	end := len(lp) - 1
	if lp[end] != endByte {
		return fmt.Errorf("%w: no end mark", ErrCorrupt)
	}
	count, pos := 0, headerSize
	for pos < end {
		next, ok := checkElement(lp[:end], pos)
		if !ok {
			return fmt.Errorf("%w: element %d at byte %d", ErrCorrupt, count, pos)
		}
		pos = next
		count++
	}
	if n := headerCount(lp); n != countUnknown && n != count {
		return fmt.Errorf("%w: header says %d elements of %d", ErrCorrupt, n, count)
	}
	return nil
}

// checkElement checks that a whole element with a fitting back length stands at
// pos in b, and returns the position after it.
func checkElement(b []byte, pos int) (next int, ok bool) {
	c, left := b[pos], len(b)-pos
	switch {
	case c > encInt64:
		return 0, false
	case c == encStr32 && left < 5, c >= 0xE0 && c < 0xF0 && left < 2:
		return 0, false // the length itself is cut off
	}
	n := dataSize(b, pos)
	back := backSize(n)
	if n+back > left {
		return 0, false
	}
	var want [5]byte
	putBack(want[:back], n)
	next = pos + n + back
	return next, string(b[pos+n:next]) == string(want[:back])
}
