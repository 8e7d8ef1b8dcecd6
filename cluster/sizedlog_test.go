package cluster

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// sizedLog answers like a list of sizes.
func TestSizedLogCounts(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 3))
		log := &sizedLog{LogStore: raft.NewInmemStore()}
		first, sizes := uint64(1), []int64(nil)
		for range 200 {
			last := first + uint64(len(sizes)) - 1
			switch random.IntN(6) {
			case 0, 1, 2:
				data := make([]byte, random.IntN(1000))
				if err := log.StoreLog(&raft.Log{Index: last + 1, Data: data}); err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, int64(len(data))+entryOverhead)
			case 3: // compaction
				if n := random.IntN(len(sizes) + 1); n > 0 {
					if err := log.DeleteRange(first, first+uint64(n)-1); err != nil {
						t.Fatal(err)
					}
					first, sizes = first+uint64(n), sizes[n:]
				}
			case 4: // conflict
				if n := random.IntN(len(sizes) + 1); n < len(sizes) {
					if err := log.DeleteRange(first+uint64(n), last); err != nil {
						t.Fatal(err)
					}
					sizes = sizes[:n]
				}
			case 5: // a snapshot is installed
				if random.IntN(10) == 0 && len(sizes) > 0 {
					if err := log.DeleteRange(first, last); err != nil {
						t.Fatal(err)
					}
					first, sizes = last+10, nil
				}
			}
			from, limit := first+uint64(random.IntN(len(sizes)+2)), int64(random.IntN(5000))
			var want int64
			for i, size := range sizes {
				if first+uint64(i) >= from {
					want += size
				}
			}
			if got := log.BytesFrom(from); got != want {
				t.Fatalf("seed %d: %d bytes from %d, want %d", seed, got, from, want)
			}
			within, sum := first+uint64(len(sizes)), int64(0)
			for i := len(sizes) - 1; i >= 0 && sum+sizes[i] <= limit; i-- {
				sum += sizes[i]
				within--
			}
			if got := log.IndexWithin(limit); len(sizes) > 0 && got != within {
				t.Fatalf("seed %d: %d bytes begin at %d, want %d", seed, limit, got, within)
			}
		}
	}
}

// The log of every kind of node is freed behind a snapshot that its growth
// called for.
func TestLogDoesNotGrowForEver(t *testing.T) {
	for name, set := range map[string]func(*Options){
		"own":    func(*Options) {},
		"boltdb": func(o *Options) { o.LogStore = "boltdb" },
		"memory": func(o *Options) { o.Memory = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), nil, 0)
			o.LogKeepBytes, o.LogSnapshotBytes = 2000, 4000
			set(&o)
			n, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Halt()
			cl := newClient()
			for range 100 {
				if got := cl.do(t, n, "SET k 0123456789012345678901234567890123456789"); got != "+OK" {
					t.Fatal(got)
				}
			}
			eventually(t, "the log's beginning is freed", func() bool {
				first, _ := n.store.log.FirstIndex()
				return first > 50
			})
		})
	}
}
