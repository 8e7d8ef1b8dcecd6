//go:build mutant_early_ack

package cluster

import "github.com/hashicorp/raft"

// submit is wrong: the leader applies an entry, and answers, before anybody else
// has it. When it comes from the log it has been applied.
func (n *Node) submit(data []byte) raft.ApplyFuture {
	n.fsm.Apply(&raft.Log{Index: n.raft.LastIndex() + 1, Type: raft.LogCommand, Data: data})
	return n.raft.Apply(data, 0)
}
