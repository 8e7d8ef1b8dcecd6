//go:build mutant_spop

package commands

import "github.com/quorate/quorate/engine/call"

// randomRank is wrong: it chooses as the order of a map does, which is another
// one on each node.
func randomRank(_ *call.Rand, n int) int {
	ranks := make(map[int]bool, n)
	for i := range n {
		ranks[i] = true
	}
	for i := range ranks {
		return i
	}
	return 0
}
