package raftlog

import "github.com/hashicorp/raft"

// tailEntryBytes is what one kept entry is counted for beside its data.
const tailEntryBytes = 128

// tail keeps the newest entries in memory, for replication and for apply.
//
// Invariant: ring[head], ring[head+1], ... (modulo its length) are the n entries
// from index first on, without a gap; bytes is their size and at most limit.
type tail struct {
	ring  []raft.Log // its length is a power of two or zero
	head  int
	n     int
	first uint64
	bytes int64
	limit int64
}

func tailSize(l *raft.Log) int64 {
	return int64(len(l.Data)) + int64(len(l.Extensions)) + tailEntryBytes
}

// add keeps l, whose index is larger than any kept, and drops the oldest
// entries past the limit. A gap drops all that came before.
func (t *tail) add(l *raft.Log) {
	if t.n > 0 && t.first+uint64(t.n) != l.Index {
		t.reset()
	}
	size := tailSize(l)
	if size > t.limit {
		t.reset()
		return
	}
	for t.bytes+size > t.limit {
		t.dropOldest()
	}
	if t.n == len(t.ring) {
		t.grow()
	}
	if t.n == 0 {
		t.first = l.Index
	}
	t.ring[(t.head+t.n)&(len(t.ring)-1)] = *l
	t.n++
	t.bytes += size
}

// get returns the kept entry i, or nil.
func (t *tail) get(i uint64) *raft.Log {
	if i < t.first || i-t.first >= uint64(t.n) {
		return nil
	}
	return &t.ring[(t.head+int(i-t.first))&(len(t.ring)-1)]
}

// truncate drops the entries from i on.
func (t *tail) truncate(i uint64) {
	for t.n > 0 && t.first+uint64(t.n) > i {
		l := &t.ring[(t.head+t.n-1)&(len(t.ring)-1)]
		t.bytes -= tailSize(l)
		*l = raft.Log{}
		t.n--
	}
}

// compact drops the entries before i.
func (t *tail) compact(i uint64) {
	for t.n > 0 && t.first < i {
		t.dropOldest()
	}
}

func (t *tail) dropOldest() {
	l := &t.ring[t.head]
	t.bytes -= tailSize(l)
	*l = raft.Log{}
	t.head = (t.head + 1) & (len(t.ring) - 1)
	t.first++
	t.n--
}

func (t *tail) reset() {
	clear(t.ring)
	t.head, t.n, t.bytes = 0, 0, 0
}

func (t *tail) grow() {
	ring := make([]raft.Log, max(64, 2*len(t.ring)))
	for i := range t.n {
		ring[i] = t.ring[(t.head+i)&(len(t.ring)-1)]
	}
	t.ring, t.head = ring, 0
}
