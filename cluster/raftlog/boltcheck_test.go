package raftlog

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// TestBoltCheckAcceptsWhatBboltWrites: a file of many pages, of long values, after
// deletions at both ends, is never taken for damaged.
func TestBoltCheckAcceptsWhatBboltWrites(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 0))
		path := filepath.Join(t.TempDir(), "raft.db")
		first, last := uint64(1), uint64(0)
		for round := range 8 {
			s, err := OpenBolt(path)
			if err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			for range 6 {
				var logs []*raft.Log
				for range 1 + r.IntN(120) {
					last++
					logs = append(logs, &raft.Log{Index: last, Data: make([]byte, r.IntN(50)*r.IntN(50)*r.IntN(8))})
				}
				must(t, s.StoreLogs(logs))
				must(t, s.Set(fmt.Appendf(nil, "key %d", r.IntN(300)), make([]byte, r.IntN(200))))
				if to := first + uint64(r.IntN(int(last-first)+1)); r.IntN(3) == 0 {
					must(t, s.DeleteRange(first, to))
					first = to + 1
				}
				if from := last - uint64(r.IntN(10)); r.IntN(3) == 0 && from > first {
					must(t, s.DeleteRange(from, last))
					last = from - 1
				}
			}
			must(t, s.Close())
			must(t, checkBolt(path))
		}
	}
}
