package entry

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Genesis is what all nodes of a cluster share from its first entry on.
type Genesis struct {
	// ClusterID keeps nodes of different clusters apart.
	ClusterID [20]byte
	// Seed keys the hash of keys and members, so that nobody who does not
	// know it can make them collide. All nodes use the same: order by hash is
	// part of the answers.
	Seed [2]uint64
}

// genesisLen is the size of an encoded Genesis in bytes.
const genesisLen = 20 + 16

// AppendGenesis appends the payload of a PartGenesis without settings.
func AppendGenesis(dst []byte, g Genesis) []byte {
	dst = append(dst, g.ClusterID[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, g.Seed[0])
	return binary.LittleEndian.AppendUint64(dst, g.Seed[1])
}

// DecodeGenesis reads what AppendGenesis appends.
func DecodeGenesis(payload []byte) (Genesis, error) {
	var g Genesis
	if len(payload) != genesisLen {
		return Genesis{}, fmt.Errorf("%w: genesis of %d bytes", ErrCorrupt, len(payload))
	}
	copy(g.ClusterID[:], payload)
	g.Seed[0] = binary.LittleEndian.Uint64(payload[20:])
	g.Seed[1] = binary.LittleEndian.Uint64(payload[28:])
	return g, nil
}

// AppendFounding appends the payload of a PartGenesis that also gives the
// cluster-wide settings with which the cluster begins: names and values
// alternate. Without settings it is AppendGenesis.
func AppendFounding(dst []byte, g Genesis, settings [][]byte) []byte {
	dst = AppendGenesis(dst, g)
	if len(settings) == 0 {
		return dst
	}
	return AppendSettings(dst, settings)
}

// DecodeFounding reads the payload of a PartGenesis, with its settings if it
// has any. These point into payload.
func DecodeFounding(payload []byte) (Genesis, [][]byte, error) {
	n := min(genesisLen, len(payload))
	g, err := DecodeGenesis(payload[:n])
	if err != nil || n == len(payload) {
		return g, nil, err
	}
	var it Item
	if err := DecodeItem(payload[n:], &it); err != nil {
		return Genesis{}, nil, err
	}
	if it.Kind != ItemSettings {
		return Genesis{}, nil, fmt.Errorf("%w: genesis with an item of kind %d", ErrCorrupt, it.Kind)
	}
	return g, it.Commands[0].Args, nil
}

// ID returns the cluster's id as 40 hexadecimal digits.
func (g Genesis) ID() string { return hex.EncodeToString(g.ClusterID[:]) }

// DecodeRetire reads the payload of a PartRetire: the id of the node.
func DecodeRetire(payload []byte) (NodeID, error) {
	var id NodeID
	if len(payload) != len(id) {
		return NodeID{}, fmt.Errorf("%w: retirement of %d bytes", ErrCorrupt, len(payload))
	}
	copy(id[:], payload)
	return id, nil
}
