package commands

import "github.com/quorate/quorate/engine/call"

// randomRanks returns k distinct ranks in [0, n) in an order by chance; k must
// not exceed n. It shuffles a deck of n cards of which it knows but those that
// it has moved.
func randomRanks(r *call.Rand, k, n int) []int {
	ranks := make([]int, k)
	moved := make(map[int]int, k)
	card := func(i int) int {
		if c, ok := moved[i]; ok {
			return c
		}
		return i
	}
	for i := range ranks {
		j := i + randomRank(r, n-i)
		ranks[i] = card(j)
		moved[j] = card(i)
	}
	return ranks
}
