package commands

import "github.com/quorate/quorate/engine/call"

// What a client gets at most for a negative count, which may repeat elements: any
// number of them could be asked for of a set of one. Redis has no such bound but
// the memory of its process.
const (
	repeatsMax      = 1 << 20  // elements
	repeatsBytesMax = 64 << 20 // of the reply
)

// errRepeats refuses to choose more elements than that.
const errRepeats = "ERR value is out of range, elements that may repeat are chosen 1048576 at most at once"

// errRepeatsLong ends a reply that grows too long.
const errRepeatsLong = "ERR elements that may repeat are chosen up to 64 MB at once"

// replyRepeats writes, behind what begin writes, n elements of size by their
// ranks, each chosen by chance without regard to the others.
func replyRepeats(c *call.Call, n, size int, begin func(n int), write func(rank int)) {
	mark := c.Out.Mark()
	begin(n)
	for range n {
		if c.Out.Len()-mark > repeatsBytesMax {
			c.Out.Truncate(mark)
			c.Fail(errRepeatsLong)
			return
		}
		write(randomRank(c.Rand, size))
	}
}

// randomRanks returns k distinct ranks in [0, n) in an order by chance; k must
// not exceed n. It shuffles a deck of n cards.
func randomRanks(r *call.Rand, k, n int) []int {
	if k > n/8 {
		return shuffled(r, k, n)
	}
	ranks := make([]int, k)
	moved := make(map[int]int, k) // the cards that are not at the place of their number
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

// shuffled is randomRanks with the whole deck on the table.
func shuffled(r *call.Rand, k, n int) []int {
	deck := make([]int, n)
	for i := range deck {
		deck[i] = i
	}
	for i := range k {
		j := i + randomRank(r, n-i)
		deck[i], deck[j] = deck[j], deck[i]
	}
	return deck[:k]
}
