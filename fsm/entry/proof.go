package entry

import (
	"encoding/binary"
	"fmt"
)

// ChainValue is the value of a chain of changes.
type ChainValue [16]byte

// Chain says what the chain of a leader was.
type Chain struct {
	Leader NodeID
	Index  uint64 // the last entry applied
	Value  ChainValue
}

// AppendChain appends the payload of a PartChain.
func AppendChain(dst []byte, c Chain) []byte {
	dst = append(dst, c.Leader[:]...)
	dst = binary.AppendUvarint(dst, c.Index)
	return append(dst, c.Value[:]...)
}

// DecodeChain reads the payload of a PartChain.
func DecodeChain(payload []byte) (Chain, error) {
	d := decoderOf(payload)
	var c Chain
	copy(c.Leader[:], d.Take(len(c.Leader)))
	c.Index = d.Uvarint()
	copy(c.Value[:], d.Take(len(c.Value)))
	if !d.Whole() {
		return Chain{}, fmt.Errorf("%w: chain of %d bytes", ErrCorrupt, len(payload))
	}
	return c, nil
}

// AppendRaise appends the payload of a PartRaise: the version that is in force
// from this entry on.
func AppendRaise(dst []byte, version uint16) []byte {
	return binary.LittleEndian.AppendUint16(dst, version)
}

// DecodeRaise reads the payload of a PartRaise.
func DecodeRaise(payload []byte) (version uint16, err error) {
	if len(payload) != 2 {
		return 0, fmt.Errorf("%w: raise of %d bytes", ErrCorrupt, len(payload))
	}
	return binary.LittleEndian.Uint16(payload), nil
}
