package raftlog

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// TestIndex walks the index at random beside a plain list of entries.
func TestIndex(t *testing.T) {
	type entry struct {
		i            uint64
		seg          *segment
		offset, size int64
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		var x index
		var list []entry
		seg, offset := &segment{seq: 1}, int64(0)
		for range 60 {
			switch r.IntN(8) {
			case 0:
				seg, offset = &segment{seq: seg.seq + 1}, 0
			case 1:
				i := uint64(r.IntN(150))
				x.truncate(i)
				list = slices.DeleteFunc(list, func(e entry) bool { return e.i >= i })
				seg, offset = &segment{seq: seg.seq + 1}, 0 // cut entries between others count as bytes
			case 2:
				i := uint64(r.IntN(50))
				x.compact(i)
				list = slices.DeleteFunc(list, func(e entry) bool { return e.i < i })
			default:
				e := entry{x.last() + 1 + uint64(r.IntN(6)/5*r.IntN(9)), seg, offset, int64(8 + r.IntN(4)*8)}
				x.add(e.i, e.seg, e.offset, e.size)
				list = append(list, e)
				offset += e.size
			}
			var total int64
			for _, e := range list {
				total += e.size
				if g, off, ok := x.find(e.i); !ok || g != e.seg || off != e.offset {
					t.Fatalf("seed %d: find(%d) = %v %d %v", seed, e.i, g, off, ok)
				}
			}
			if x.bytesFrom(0) != total {
				t.Fatalf("seed %d: %d bytes, want %d", seed, x.bytesFrom(0), total)
			}
			i := uint64(r.IntN(150))
			if _, _, ok := x.find(i); ok != slices.ContainsFunc(list, func(e entry) bool { return e.i == i }) {
				t.Fatalf("seed %d: find(%d) is wrong", seed, i)
			}
			var wantFrom int64
			var wantSeg *segment
			for _, e := range list {
				if e.i >= i {
					wantFrom += e.size
					if wantSeg == nil {
						wantSeg = e.seg
					}
				}
			}
			if x.bytesFrom(i) != wantFrom || x.oldestFrom(i) != wantSeg {
				t.Fatalf("seed %d: from %d: %d bytes, want %d", seed, i, x.bytesFrom(i), wantFrom)
			}
			limit := int64(r.IntN(int(total) + 10))
			if i := x.within(limit); x.bytesFrom(i) > limit || i > x.first() && len(list) > 0 && !tight(list[0].i, i, limit, x.bytesFrom) {
				t.Fatalf("seed %d: within(%d) = %d of %d bytes", seed, limit, i, x.bytesFrom(i))
			}
		}
	}
}

// tight tells whether one entry before i would break the limit.
func tight(first, i uint64, limit int64, bytesFrom func(uint64) int64) bool {
	for k := i - 1; k >= first; k-- {
		if bytesFrom(k) != bytesFrom(i) {
			return bytesFrom(k) > limit
		}
	}
	return true
}

// TestTail: what is in memory is the newest entries, within the limit.
func TestTail(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		tl := tail{limit: int64(r.IntN(5000))}
		var last uint64
		stored := make(map[uint64]*raft.Log)
		for range 300 {
			switch r.IntN(20) {
			case 0:
				last -= min(last, uint64(r.IntN(5)))
				tl.truncate(last + 1)
			case 1:
				tl.compact(last - min(last, uint64(r.IntN(10))))
			case 2:
				last += 3
				fallthrough
			default:
				last++
				l := entryOf(last, r.Uint64())
				stored[last] = l
				tl.add(l)
			}
			var bytes int64
			n := 0
			for i := uint64(0); i <= last+2; i++ {
				l := tl.get(i)
				if l == nil {
					if n > 0 && i <= last {
						t.Fatalf("seed %d: a hole at %d of %d", seed, i, last)
					}
					continue
				}
				n++
				bytes += tailSize(l)
				if i > last || !sameEntry(l, stored[i]) {
					t.Fatalf("seed %d: entry %d is not the one stored", seed, i)
				}
			}
			if bytes > tl.limit || bytes != tl.bytes || n != tl.n {
				t.Fatalf("seed %d: %d entries of %d bytes; it counts %d, %d; limit %d", seed, n, bytes, tl.n, tl.bytes, tl.limit)
			}
		}
	}
}

func TestPolicies(t *testing.T) {
	fsys := faultfs.New()
	opts := small(fsys)
	opts.SegmentBytes = 1 << 20
	s := mustOpen(t, "log", opts)
	syncs := func() uint64 { return s.Stats().Fsyncs }
	step := func(name string, want uint64, do func() error) {
		t.Helper()
		before := syncs()
		must(t, do())
		if got := syncs() - before; got != want {
			t.Errorf("%s: %d fsyncs, want %d", name, got, want)
		}
	}
	next := uint64(0)
	store := func() error {
		next += 3
		return s.StoreLogs(entries(next-2, next, 1))
	}
	tick := func() error { s.tick(); return nil }
	step("always", 1, store)
	step("always, tick", 0, tick)
	s.SetPolicy(EverySec)
	step("everysec", 0, store)
	if s.Stats().UnsyncedFor == 0 {
		t.Error("nothing counted as unsynced")
	}
	step("everysec, tick", 1, tick)
	if d := s.Stats().UnsyncedFor; d != 0 {
		t.Errorf("unsynced for %s after the fsync", d)
	}
	step("everysec, cut", 1, func() error { return s.DeleteRange(next, next) })
	next--
	s.SetPolicy(No)
	step("no", 0, store)
	step("no, tick", 0, tick)
	step("no, compaction", 1, func() error { return s.DeleteRange(1, 2) })
	step("no", 0, store)
	s.SetPolicy(Always)
	step("always again", 1, store)
	if st := s.Stats(); st.Policy != Always || st.FirstIndex != 3 || st.LastIndex != next || st.Segments != 1 ||
		st.DiskBytes != 1<<20 || st.Bytes != s.BytesFrom(3) || st.LastFsync <= 0 {
		t.Errorf("stats %+v", st)
	}
	if i := s.IndexWithin(s.BytesFrom(5)); i != 5 {
		t.Errorf("IndexWithin of the bytes from 5 = %d", i)
	}
}

func TestParsePolicy(t *testing.T) {
	for _, p := range []Policy{Always, EverySec, No} {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%s: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("sometimes"); err == nil {
		t.Error("no error")
	}
}

// TestSlowSince: a write that hangs is seen from outside, and readers go on.
func TestSlowSince(t *testing.T) {
	fsys := faultfs.New()
	hung, release := make(chan struct{}), make(chan struct{})
	armed := false
	fsys.Fault = func(op faultfs.Op) error {
		if armed && op.Kind == faultfs.Sync {
			close(hung)
			<-release
		}
		return nil
	}
	s := mustOpen(t, "log", small(fsys))
	must(t, s.StoreLogs(entries(1, 3, 1)))
	if d := s.SlowSince(); d != 0 {
		t.Fatalf("slow for %s while idle", d)
	}
	armed = true
	done := make(chan error)
	go func() { done <- s.StoreLogs(entries(4, 5, 1)) }()
	<-hung
	if s.SlowSince() <= 0 {
		t.Error("the hung write is not seen")
	}
	mustHold(t, s, entries(1, 3, 1))
	close(release)
	must(t, <-done)
	if d := s.SlowSince(); d != 0 {
		t.Errorf("slow for %s when it is over", d)
	}
}

// TestRecycle: freed segments are used again, so the disk's use stays bounded;
// readers beside the recycling get the entry or ErrLogNotFound.
func TestRecycle(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{SegmentBytes: 8 << 10, TailBytes: -1, Policy: No})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for i := uint64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				first, _ := s.FirstIndex()
				last, _ := s.LastIndex()
				if last == 0 {
					continue
				}
				var l raft.Log
				k := first + i%(last-first+1)
				err := s.GetLog(k, &l)
				if err != nil && !errors.Is(err, raft.ErrLogNotFound) || err == nil && !sameEntry(&l, entryOf(k, 1)) {
					t.Errorf("entry %d: %v %+v", k, err, l)
					return
				}
			}
		})
	}
	for i := uint64(1); i < 3000; i += 10 {
		must(t, s.StoreLogs(entries(i, i+9, 1)))
		if i > 101 && i%50 == 1 {
			must(t, s.DeleteRange(1, i-100))
		}
	}
	close(stop)
	wg.Wait()
	segments := s.Stats().Segments
	if segments > 10 {
		t.Errorf("%d segments for 149 entries", segments)
	}
	must(t, s.Close())
	names, err := Disk{}.ReadDir(dir)
	must(t, err)
	if len(names) > segments+DefaultSpares {
		t.Errorf("%d files for %d segments: %v", len(names), segments, names)
	}
	s = mustOpen(t, dir, Options{SegmentBytes: 8 << 10})
	mustHold(t, s, entries(2852, 3000, 1))
	must(t, s.Close())
}

// TestTailSharesData: reading the newest entries costs no copy.
func TestTailSharesData(t *testing.T) {
	opts := small(faultfs.New())
	opts.TailBytes = 1 << 20
	s := mustOpen(t, "log", opts)
	l := entryOf(7, 1)
	must(t, s.StoreLog(l))
	var got raft.Log
	if n := testing.AllocsPerRun(100, func() { must(t, s.GetLog(7, &got)) }); n != 0 {
		t.Errorf("%.1f allocations", n)
	}
	if &got.Data[0] != &l.Data[0] {
		t.Error("the data was copied")
	}
}

// TestWriteAllocations: a write costs no allocation per entry.
func TestWriteAllocations(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{Policy: No})
	i := uint64(0)
	logs := entries(1, 64, 1)
	n := testing.AllocsPerRun(200, func() {
		for _, l := range logs {
			i++
			l.Index = i
		}
		must(t, s.StoreLogs(logs))
	})
	if n > 3 {
		t.Errorf("%.1f allocations for 64 entries", n)
	}
	must(t, s.Close())
}

func TestRefusals(t *testing.T) {
	s := mustOpen(t, "log", small(faultfs.New()))
	must(t, s.StoreLogs(entries(1, 9, 1)))
	if err := s.DeleteRange(3, 5); err == nil {
		t.Error("a hole was cut")
	}
	for name, logs := range map[string][]*raft.Log{
		"index 0":       {{Index: 0}},
		"descending":    {entryOf(11, 1), entryOf(10, 1)},
		"same twice":    {entryOf(10, 1), entryOf(10, 1)},
		"too much data": {{Index: 10, Data: make([]byte, MaxEntryBytes+1)}},
	} {
		if err := s.StoreLogs(logs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	mustHold(t, s, entries(1, 9, 1))
	must(t, s.Close())
	must(t, s.Close())
	if err := s.StoreLogs(entries(10, 10, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	for _, n := range []int64{1, minSegmentBytes - 1, maxSegmentBytes + 1} {
		if _, err := Open("other", Options{FS: faultfs.New(), SegmentBytes: n}); err == nil {
			t.Errorf("segments of %d bytes: no error", n)
		}
	}
}

// FuzzDecodeRecord: no input crashes the decoder, and what it accepts is what
// the encoder makes of it.
func FuzzDecodeRecord(f *testing.F) {
	p := place{generation: 9, offset: 64, durable: 64, session: 1}
	for _, l := range oddEntries()[:5] {
		f.Add(appendEntry(nil, p, l))
	}
	f.Add(appendControl(nil, p, kindTruncate, 7, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= recordHeader {
			sealRecord(b, 0) // let the fuzzer past the checksum
		}
		r, ok := decodeRecord(b)
		if !ok {
			return
		}
		if r.size != int64(len(b)) || len(r.data)+len(r.extensions) > len(b)-recordHeader {
			t.Fatalf("%d bytes give %+v", len(b), r)
		}
	})
}

// FuzzOpen: whatever is in a segment file, Open gives a log or an error.
func FuzzOpen(f *testing.F) {
	seed := faultfs.New()
	s := mustOpen(f, "log", small(seed))
	must(f, s.StoreLogs(entries(1, 5, 1)))
	path := s.newest.path
	f.Add(uint16(70), []byte{1, 2, 3})
	f.Add(uint16(4000), []byte{})
	f.Fuzz(func(t *testing.T, at uint16, b []byte) {
		fsys := seed.Clone()
		whole := fsys.Content(path)
		if int(at) < len(whole) {
			copy(whole[at:], b)
		}
		fsys.SetContent(path, whole)
		s, err := Open("log", small(fsys))
		if err != nil {
			return
		}
		last, _ := s.LastIndex()
		mustHold(t, s, entries(1, last, 1)) // bytes in front of the end are never trusted unverified
	})
}

func BenchmarkStoreLogs(b *testing.B) {
	for _, bench := range []struct {
		name   string
		policy Policy
		logs   int
		bytes  int
	}{
		{"always/1x100B", Always, 1, 100},
		{"always/1x4KiB", Always, 1, 4 << 10},
		{"always/64x4KiB", Always, 64, 4 << 10},
		{"always/1x1MiB", Always, 1, 1 << 20},
		{"everysec/1x4KiB", EverySec, 1, 4 << 10},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), Options{Policy: bench.policy})
			logs := make([]*raft.Log, bench.logs)
			for i := range logs {
				logs[i] = &raft.Log{Term: 1, Type: raft.LogCommand, Data: make([]byte, bench.bytes), AppendedAt: time.Unix(1, 0)}
			}
			i := uint64(0)
			b.SetBytes(int64(bench.logs * bench.bytes))
			b.ReportAllocs()
			for b.Loop() {
				for _, l := range logs {
					i++
					l.Index = i
				}
				must(b, s.StoreLogs(logs))
				if i%100000 < uint64(bench.logs) && i > 100000 {
					must(b, s.DeleteRange(1, i-1000))
				}
			}
			must(b, s.Close())
		})
	}
}

// BenchmarkOpen reads and verifies a log of 256 MiB.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := mustOpen(b, dir, Options{Policy: No})
	l := &raft.Log{Term: 1, Type: raft.LogCommand, Data: make([]byte, 4<<10)}
	for range 64 << 10 {
		l.Index++
		must(b, s.StoreLog(l))
	}
	must(b, s.Close())
	b.SetBytes(256 << 20)
	for b.Loop() {
		must(b, mustOpen(b, dir, Options{}).Close())
	}
}

// BenchmarkBolt is what BenchmarkStoreLogs is compared with.
func BenchmarkBolt(b *testing.B) {
	s, err := OpenBolt(b.TempDir() + "/raft.db")
	must(b, err)
	l := &raft.Log{Term: 1, Type: raft.LogCommand, Data: make([]byte, 4<<10)}
	b.ReportAllocs()
	for b.Loop() {
		l.Index++
		must(b, s.StoreLog(l))
	}
	must(b, s.Close())
}
