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

// AppendGenesis appends the payload of a PartGenesis.
func AppendGenesis(dst []byte, g Genesis) []byte {
	dst = append(dst, g.ClusterID[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, g.Seed[0])
	return binary.LittleEndian.AppendUint64(dst, g.Seed[1])
}

// DecodeGenesis reads the payload of a PartGenesis.
func DecodeGenesis(payload []byte) (Genesis, error) {
	var g Genesis
	if len(payload) != len(g.ClusterID)+16 {
		return Genesis{}, fmt.Errorf("%w: genesis of %d bytes", ErrCorrupt, len(payload))
	}
	copy(g.ClusterID[:], payload)
	g.Seed[0] = binary.LittleEndian.Uint64(payload[20:])
	g.Seed[1] = binary.LittleEndian.Uint64(payload[28:])
	return g, nil
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
