//go:build mutant_barrier

package cluster

// beforeBarrier is wrong: it lets clients read before everything that earlier
// leaders acknowledged is known to be committed, and applied.
func (n *Node) beforeBarrier(term uint64) { n.serveTerm(term) }
