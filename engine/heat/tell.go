package heat

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// The leader says which keys go, and does not see the reads of other nodes. So each of them
// tells it now and then which keys it has read since it told the last time: a bit in each
// word says so, which is set by what is not in the log alone. What it tells is a hint. It
// may be late, or lost, and then keys that are in use go; nothing else depends on it.
//
// A hint is no key but a word's place and tag, and when and how often the key was used:
// three to five bytes. Tables of nodes may differ in size; the teller's comes first.
//
//	mode, log2 of the teller's buckets
//	for each word, by place:
//	  buckets beyond the one before, uvarint
//	  tag 12 bits, length of the age's number of ticks 4 bits
//	  frequency, under LFU alone

const (
	// tellBytesMax bounds what is told at once. Whoever hears it holds a lock for 0.1 ms.
	tellBytesMax = 4 << 10
	// tellWordsMax bounds what is looked at at once, 512 KiB of memory: about as long.
	tellWordsMax = 1 << 16

	hintBytesMax = binary.MaxVarintLen64 + 3
)

// ErrMalformed means that what was heard is no hint.
var ErrMalformed = errors.New("heat: malformed hint")

// SetLogged says whether what follows is done by all nodes, so that nobody need be told.
func (m *Map) SetLogged(logged bool) { m.logged = logged }

// Tell appends to dst what Hear of another node's Map is to know, or nothing. What does
// not fit is told by the next calls.
func (m *Map) Tell(dst []byte) []byte {
	if m.rules.Mode == Plain || len(m.words) == 0 {
		return dst
	}
	start := len(dst)
	dst = append(dst, byte(m.rules.Mode), byte(bits.Len(uint(len(m.words)/ways))-1))
	head := len(dst)
	if m.told >= len(m.words) {
		m.told = 0
	}
	limit := min(len(m.words), m.told+tellWordsMax)
	bucket := 0
	for ; m.told < limit && len(dst)-start <= tellBytesMax-hintBytesMax; m.told++ {
		w := m.words[m.told].Load()
		if w&untoldBit == 0 {
			continue
		}
		m.words[m.told].And(^uint64(untoldBit))
		dst = binary.AppendUvarint(dst, uint64(m.told/ways-bucket))
		bucket = m.told / ways
		dst = binary.BigEndian.AppendUint16(dst, uint16(w>>tagShift<<4)|uint16(min(bits.Len64(m.age(w)), 15)))
		if m.rules.Mode == LFU {
			dst = append(dst, byte(m.freq(w)))
		}
	}
	if len(dst) == head {
		return dst[:start]
	}
	return dst
}

// spreadMax is by how many powers of two a table may be larger than that of a node which
// tells: each hint is looked up in all buckets that may be meant.
const spreadMax = 4

// Hear takes what another node has told. What it says under another policy is of no use.
func (m *Map) Hear(hints []byte) error {
	if len(hints) < 2 || hints[1] > 63 {
		return ErrMalformed
	}
	if m.rules.Mode == Plain || hints[0] != byte(m.rules.Mode) || len(m.words) == 0 {
		return nil
	}
	theirs, own := int(hints[1]), bits.Len(uint(len(m.words)/ways))-1
	if own-theirs > spreadMax {
		return nil
	}
	hints = hints[2:]
	hint := 2
	if m.rules.Mode == LFU {
		hint = 3
	}
	for bucket := uint64(0); len(hints) > 0; {
		skip, n := binary.Uvarint(hints)
		if n <= 0 || len(hints) < n+hint || skip >= 1<<theirs || bucket+skip >= 1<<theirs {
			return ErrMalformed
		}
		bucket += skip
		word := binary.BigEndian.Uint16(hints[n:])
		age := uint64(1) << (word & 15) >> 1
		freq := uint8(FreqInit)
		if m.rules.Mode == LFU {
			freq = hints[n+2]
		}
		hints = hints[n+hint:]
		m.hear(bucket, theirs-own, uint64(word>>4), freq, age)
	}
	return nil
}

// hear notes a use of the key of a tag in a bucket of a table that is larger than this one
// by so many powers of two.
func (m *Map) hear(bucket uint64, larger int, tag uint64, freq uint8, age uint64) {
	first, count := bucket, uint64(1)
	if larger >= 0 {
		first >>= larger
	} else {
		first <<= -larger
		count <<= -larger
	}
	now := m.now.Load()
	used := now - min(age, now)
	for b := first; b < first+count; b++ { // in which of several is not known
		if i := m.find(int(b)*ways, tag); i >= 0 {
			m.words[i].Store(m.newer(m.words[i].Load(), freq, used))
			return
		}
	}
	if count > 1 {
		return
	}
	w := m.word(tag, freq, now, used)
	if i := m.leastOf(int(first) * ways); m.words[i].Load() == 0 || m.score(m.words[i].Load()) > m.score(w) {
		m.words[i].Store(w)
	}
}

// newer returns a word with the higher of two frequencies and the later of two times.
func (m *Map) newer(w uint64, freq uint8, used uint64) uint64 {
	now := m.now.Load()
	if m.age(w) > now-used {
		w = w&^usedMask | used&usedMask
	}
	if m.rules.Mode == LFU && uint64(freq) > m.freq(w) {
		w = w&^(freqMask<<freqShift|minuteMask<<minuteShift) | uint64(freq)<<freqShift | minuteOf(now)<<minuteShift
	}
	return w
}
