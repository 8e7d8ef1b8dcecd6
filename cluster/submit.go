//go:build !mutant_early_ack

package cluster

import "github.com/hashicorp/raft"

// submit hands an entry to raft. Clients are answered when it is applied: when a
// majority has it.
func (n *Node) submit(data []byte) raft.ApplyFuture { return n.raft.Apply(data, 0) }
