package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/transport/peer"
)

// foreignCheck is the care of a node with state for being where it belongs: if
// its join list leads to nodes of another cluster, and to none of its own, it
// was given the wrong directory or the wrong list. It would hold its own data
// under the others' addresses.
type foreignCheck struct {
	settled bool // nodes of the own cluster answered, or there is nothing to check
}

// look returns the reason why this node must not go on, if there is one. It is
// called until the check is settled.
func (f *foreignCheck) look(ctx context.Context, m *membership) error {
	id := m.node.ClusterID()
	if f.settled = f.settled || !m.hasState || id == "" || m.heardMember(); f.settled {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	foreign := ""
	for _, addr := range m.node.opts.Join {
		if addr == m.node.port.Advertised() {
			continue
		}
		_, err := m.node.port.PeerOf(ctx, addr)
		var refused *peer.RefusedError
		switch {
		case err == nil:
			f.settled = true
			return nil
		case errors.As(err, &refused) && refused.ForeignCluster():
			foreign = addr
		}
	}
	if foreign == "" {
		return nil // nobody is there yet
	}
	dir := m.node.opts.Dir
	return fmt.Errorf("%s belongs to cluster %s, and %s in join to another cluster: "+
		"mend join, or, to enter that cluster as a new node, move %s away and start again with an empty directory", dir, id, foreign, dir)
}

// heardMember reports whether another member has been heard.
func (m *membership) heardMember() bool {
	for _, s := range m.servers() {
		if s.ID != m.node.id() && m.known(s.ID) {
			return true
		}
	}
	return false
}

func (m *membership) known(id raft.ServerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.peers[id]
	return k != nil && k.ID != ""
}
