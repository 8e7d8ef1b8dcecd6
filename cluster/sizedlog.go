package cluster

import (
	"sort"
	"sync"

	"github.com/hashicorp/raft"
)

// entryOverhead is about what an entry takes in a log beside its data.
const entryOverhead = 64

// sizer says how many bytes of log there are.
type sizer interface {
	// BytesFrom returns the bytes of the entries from index on.
	BytesFrom(index uint64) int64
	// IndexWithin returns the smallest index from which on the entries take at
	// most limit bytes; one past the last entry if that alone is larger.
	IndexWithin(limit int64) uint64
}

// sizedLog counts the bytes of a log store that does not do so itself. Entries
// that were there when it was made count for nothing.
type sizedLog struct {
	raft.LogStore

	mu    sync.Mutex
	first uint64  // guarded by mu; index of the first entry counted
	sums  []int64 // guarded by mu; sums[i] is the bytes stored up to entry first+i, with all before it
	base  int64   // guarded by mu; the sum before first
}

var _ sizer = (*sizedLog)(nil)

// StoreLog implements raft.LogStore.
func (l *sizedLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements raft.LogStore.
func (l *sizedLog) StoreLogs(logs []*raft.Log) error {
	if err := l.LogStore.StoreLogs(logs); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, log := range logs {
		l.addLocked(log.Index, int64(len(log.Data)+len(log.Extensions))+entryOverhead)
	}
	return nil
}

func (l *sizedLog) addLocked(index uint64, size int64) {
	switch next := l.first + uint64(len(l.sums)); {
	case len(l.sums) == 0 || index < l.first || index > next: // also behind a snapshot
		l.first, l.sums, l.base = index, l.sums[:0], 0
	case index < next:
		l.sums = l.sums[:index-l.first]
	}
	sum := l.base
	if n := len(l.sums); n > 0 {
		sum = l.sums[n-1]
	}
	l.sums = append(l.sums, sum+size)
}

// DeleteRange implements raft.LogStore.
func (l *sizedLog) DeleteRange(lo, hi uint64) error {
	if err := l.LogStore.DeleteRange(lo, hi); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.first + uint64(len(l.sums))
	switch {
	case len(l.sums) == 0 || hi < l.first || lo >= end:
	case lo > l.first:
		l.sums = l.sums[:lo-l.first]
	case hi+1 >= end:
		l.sums = l.sums[:0]
	default:
		n := hi + 1 - l.first
		l.base, l.first = l.sums[n-1], hi+1
		l.sums = append([]int64(nil), l.sums[n:]...)
	}
	return nil
}

// BytesFrom implements sizer.
func (l *sizedLog) BytesFrom(index uint64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.sums)
	switch {
	case n == 0 || index >= l.first+uint64(n):
		return 0
	case index <= l.first:
		return l.sums[n-1] - l.base
	}
	return l.sums[n-1] - l.sums[index-l.first-1]
}

// IndexWithin implements sizer.
func (l *sizedLog) IndexWithin(limit int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.sums)
	if n == 0 {
		return l.first
	}
	// The first whose predecessors' sum leaves no more than limit.
	least := l.sums[n-1] - limit
	i := sort.Search(n, func(i int) bool {
		before := l.base
		if i > 0 {
			before = l.sums[i-1]
		}
		return before >= least
	})
	return l.first + uint64(i)
}
