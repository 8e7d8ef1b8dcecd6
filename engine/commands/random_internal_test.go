package commands

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/engine/call"
)

func TestRandomRanksAreDistinctAndReachAll(t *testing.T) {
	r := call.NewRand(1, 2)
	first := make([]int, 5) // how often each rank came first
	for range 1000 {
		ranks := randomRanks(r, 3, 5)
		first[ranks[0]]++
		slices.Sort(ranks)
		if len(slices.Compact(ranks)) != 3 || ranks[0] < 0 || ranks[2] >= 5 {
			t.Fatalf("got %v", ranks)
		}
	}
	if slices.Min(first) < 150 {
		t.Errorf("ranks came first %v times of 1000", first)
	}
	all := randomRanks(r, 5, 5)
	slices.Sort(all)
	if !slices.Equal(all, []int{0, 1, 2, 3, 4}) {
		t.Errorf("all of five: %v", all)
	}
}

// A deck on the table is dealt like one of which only the moved cards are known.
func TestRanksDoNotHangOnHowTheyAreDealt(t *testing.T) {
	const n = 1000
	few := randomRanks(call.NewRand(7, 1), n/8, n)
	all := shuffled(call.NewRand(7, 1), n/8, n)
	if !slices.Equal(few, all) {
		t.Errorf("got %v and %v", few, all)
	}
}
