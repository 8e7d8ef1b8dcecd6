//go:build !mutant_barrier

package cluster

// beforeBarrier is called when this node has been elected and does not know yet
// what of earlier terms is committed.
func (n *Node) beforeBarrier(uint64) {}
