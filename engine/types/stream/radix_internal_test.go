package stream

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveNodes counts the nodes for sorted keys that agree in their first depth
// bytes: one for what more they have in common, one for where they part, and
// those below.
func naiveNodes(keys [][16]byte, depth int) int {
	first, last, common := &keys[0], &keys[len(keys)-1], depth
	for common < len(first) && first[common] == last[common] {
		common++
	}
	n := 1
	if common > depth {
		n++
	}
	if common == len(first) {
		return n
	}
	for from := 0; from < len(keys); {
		to := from + 1
		for to < len(keys) && keys[to][common] == keys[from][common] {
			to++
		}
		n += naiveNodes(keys[from:to], common+1)
		from = to
	}
	return n
}

func TestRadixNodesAreThoseOfTheTree(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		var ids []ID
		for range 1 + r.IntN(60) {
			ids = append(ids, ID{r.Uint64() >> (r.UintN(8) * 8), r.Uint64() >> (r.UintN(8) * 8)})
			if r.IntN(3) == 0 {
				ids[len(ids)-1].Ms = ids[r.IntN(len(ids))].Ms
			}
		}
		slices.SortFunc(ids, ID.Compare)
		ids = slices.Compact(ids)
		s, keys := new(Stream), make([][16]byte, len(ids))
		for i, id := range ids {
			s.chunks = append(s.chunks, &chunk{nodes: []node{{id: id}}})
			binary.BigEndian.PutUint64(keys[i][:], id.Ms)
			binary.BigEndian.PutUint64(keys[i][8:], id.Seq)
		}
		if got, want := s.RadixNodeCount(), naiveNodes(keys, 0); got != want {
			t.Fatalf("%v: %d nodes, want %d", ids, got, want)
		}
	}
}
