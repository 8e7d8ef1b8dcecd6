package raftlog

import "sort"

// run is a stretch of entries with consecutive indexes in one segment.
type run struct {
	first   uint64
	seg     *segment
	offsets []uint32 // of the entries first, first+1, ...; never empty
	limit   uint32   // end of the last entry
}

func (r *run) last() uint64 { return r.first + uint64(len(r.offsets)) - 1 }

// index maps an entry's index to its place. It costs 4 bytes an entry.
//
// Invariant: runs are in ascending order of index and of place, and do not
// overlap; between two of them may be a gap.
type index struct {
	runs []*run
}

// first returns the first entry's index, 0 when there is none.
func (x *index) first() uint64 {
	if len(x.runs) == 0 {
		return 0
	}
	return x.runs[0].first
}

// last returns the last entry's index, 0 when there is none.
func (x *index) last() uint64 {
	if len(x.runs) == 0 {
		return 0
	}
	return x.runs[len(x.runs)-1].last()
}

// add notes that entry i, larger than any other, stands at offset of seg.
func (x *index) add(i uint64, seg *segment, offset, size int64) {
	limit := uint32(offset + size)
	if n := len(x.runs); n > 0 {
		if r := x.runs[n-1]; r.seg == seg && r.last()+1 == i {
			r.offsets = append(r.offsets, uint32(offset))
			r.limit = limit
			return
		}
	}
	x.runs = append(x.runs, &run{first: i, seg: seg, offsets: []uint32{uint32(offset)}, limit: limit})
}

// find returns where entry i stands.
func (x *index) find(i uint64) (seg *segment, offset int64, ok bool) {
	k := sort.Search(len(x.runs), func(k int) bool { return x.runs[k].last() >= i })
	if k == len(x.runs) || x.runs[k].first > i {
		return nil, 0, false
	}
	r := x.runs[k]
	return r.seg, int64(r.offsets[i-r.first]), true
}

// truncate forgets the entries from i on.
func (x *index) truncate(i uint64) {
	k := sort.Search(len(x.runs), func(k int) bool { return x.runs[k].last() >= i })
	if k == len(x.runs) {
		return
	}
	r := x.runs[k]
	if r.first >= i {
		x.cut(k)
		return
	}
	keep := i - r.first
	r.limit = r.offsets[keep]
	r.offsets = r.offsets[:keep]
	x.cut(k + 1)
}

// cut forgets the runs from k on.
func (x *index) cut(k int) {
	clear(x.runs[k:])
	x.runs = x.runs[:k]
}

// compact forgets the entries before i.
func (x *index) compact(i uint64) {
	k := sort.Search(len(x.runs), func(k int) bool { return x.runs[k].last() >= i })
	x.runs = append([]*run(nil), x.runs[k:]...)
	if len(x.runs) == 0 || x.runs[0].first >= i {
		return
	}
	r := *x.runs[0]
	r.offsets = r.offsets[i-r.first:]
	r.first = i
	x.runs[0] = &r
}

// oldestFrom returns the segment of the first entry at or after i, nil if none.
func (x *index) oldestFrom(i uint64) *segment {
	k := sort.Search(len(x.runs), func(k int) bool { return x.runs[k].last() >= i })
	if k == len(x.runs) {
		return nil
	}
	return x.runs[k].seg
}

// bytesFrom returns the bytes on disk of the entries from i on.
func (x *index) bytesFrom(i uint64) int64 {
	var n int64
	for k := len(x.runs) - 1; k >= 0; k-- {
		r := x.runs[k]
		if r.last() < i {
			break
		}
		from := r.offsets[0]
		if i > r.first {
			from = r.offsets[i-r.first]
		}
		n += int64(r.limit - from)
	}
	return n
}

// within returns the smallest index from which on the entries take at most
// limit bytes; one past the last when even that one is larger.
func (x *index) within(limit int64) uint64 {
	i := x.last() + 1
	for k := len(x.runs) - 1; k >= 0; k-- {
		r := x.runs[k]
		if all := int64(r.limit - r.offsets[0]); all <= limit {
			limit -= all
			i = r.first
			continue
		}
		n := sort.Search(len(r.offsets), func(n int) bool { return int64(r.limit-r.offsets[n]) <= limit })
		if n < len(r.offsets) {
			i = r.first + uint64(n)
		}
		break
	}
	return i
}
