package raftlog

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// differs says in what s differs from exactly want, "" if in nothing.
func differs(s raft.LogStore, want []*raft.Log) string {
	first, err := s.FirstIndex()
	if err != nil {
		return err.Error()
	}
	last, err := s.LastIndex()
	if err != nil {
		return err.Error()
	}
	var wantFirst, wantLast uint64
	if len(want) > 0 {
		wantFirst, wantLast = want[0].Index, want[len(want)-1].Index
	}
	if first != wantFirst || last != wantLast {
		return fmt.Sprintf("holds %d to %d, want %d to %d", first, last, wantFirst, wantLast)
	}
	for i := max(first, 1) - 1; i <= last+1; i++ {
		var got raft.Log
		err := s.GetLog(i, &got)
		k := slices.IndexFunc(want, func(l *raft.Log) bool { return l.Index == i })
		switch {
		case k < 0 && !errors.Is(err, raft.ErrLogNotFound):
			return fmt.Sprintf("entry %d, which should not be there: %v", i, err)
		case k >= 0 && err != nil:
			return fmt.Sprintf("entry %d: %v", i, err)
		case k >= 0 && !sameEntry(&got, want[k]):
			return fmt.Sprintf("entry %d is %+v, want %+v", i, got, *want[k])
		}
	}
	return ""
}

// small returns the options of tests whose log is a few kilobytes.
func small(fsys FS) Options {
	return Options{FS: fsys, SegmentBytes: minSegmentBytes, TailBytes: -1, Inline: true}
}

// TestTornTail damages the last, unacknowledged write from every byte on, as a
// crash in its middle does, in three ways.
func TestTornTail(t *testing.T) {
	base := faultfs.New()
	s := mustOpen(t, "log", small(base))
	must(t, s.StoreLogs(entries(1, 5, 1)))
	must(t, s.DeleteRange(4, 5))
	must(t, s.StoreLogs(entries(4, 6, 2)))
	acked := append(entries(1, 3, 1), entries(4, 6, 2)...)
	from := s.end
	must(t, s.StoreLogs(entries(7, 9, 2)))
	to, path := s.end, s.newest.path
	whole := base.Content(path)
	for cut := from; cut <= to; cut++ {
		for name, fill := range map[string]func(i int64) byte{
			"zeros":   func(int64) byte { return 0 },
			"garbage": func(i int64) byte { return byte(i*31 + cut) },
			"hole":    func(i int64) byte { return map[bool]byte{true: 0, false: whole[i]}[i < cut+8] },
		} {
			b := slices.Clone(whole)
			for i := cut; i < to; i++ {
				b[i] = fill(i)
			}
			fsys := base.Clone()
			fsys.SetContent(path, b)
			s, err := Open("log", small(fsys))
			if err != nil {
				t.Fatalf("%s from byte %d: %v", name, cut, err)
			}
			n, _ := s.LastIndex()
			if n < 6 || n > 9 {
				t.Fatalf("%s from byte %d: last entry %d", name, cut, n)
			}
			mustHold(t, s, append(slices.Clone(acked), entries(7, n, 2)...))
			// What is left of the torn write must stay dead.
			must(t, s.StoreLogs([]*raft.Log{entryOf(n+1, 3)}))
			s, err = Open("log", small(fsys.Kill()))
			must(t, err)
			mustHold(t, s, append(append(slices.Clone(acked), entries(7, n, 2)...), entryOf(n+1, 3)))
		}
	}
}

// TestDamage changes each byte of a closed log. Open or a read must notice, or
// nothing may be different.
func TestDamage(t *testing.T) {
	base := faultfs.New()
	s := mustOpen(t, "log", small(base))
	must(t, s.StoreLogs(entries(1, 30, 1)))
	must(t, s.DeleteRange(25, 30))
	must(t, s.StoreLogs(entries(25, 40, 2)))
	must(t, s.DeleteRange(1, 3))
	must(t, s.Close())
	want := append(entries(4, 24, 1), entries(25, 40, 2)...)
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for _, path := range base.Names() {
		whole := base.Content(path)
		for i := range whole {
			b := slices.Clone(whole)
			b[i] ^= 1 << r.IntN(8)
			fsys := base.Clone()
			fsys.SetContent(path, b)
			s, err := Open("log", small(fsys))
			if err != nil {
				found++
				continue
			}
			if problem := differs(s, want); problem != "" {
				t.Fatalf("byte %d of %s: %s", i, path, problem)
			}
		}
	}
	if found < 7000 {
		t.Fatalf("only %d flips were found", found)
	}
}

// TestDamageBeforeCrash changes each byte of a log that was not closed: only the
// last write may be taken for torn.
func TestDamageBeforeCrash(t *testing.T) {
	base := faultfs.New()
	s := mustOpen(t, "log", small(base))
	must(t, s.StoreLogs(entries(1, 4, 1)))
	must(t, s.StoreLogs(entries(5, 8, 1)))
	lastWrite := s.end
	must(t, s.StoreLogs(entries(9, 10, 1)))
	path := s.newest.path
	whole := base.Content(path)
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 0x10
		fsys := base.Clone()
		fsys.SetContent(path, b)
		s, err := Open("log", small(fsys))
		switch {
		case int64(i) < lastWrite && !errors.Is(err, ErrCorrupt):
			t.Fatalf("byte %d: %v, want ErrCorrupt", i, err)
		case int64(i) >= lastWrite && err != nil:
			t.Fatalf("byte %d: %v, want a torn tail", i, err)
		case err == nil:
			n, _ := s.LastIndex()
			mustHold(t, s, entries(1, max(n, 8), 1))
		}
	}
}

// TestDamageAfterQuiet: a second without writes makes the last write's damage
// known for what it is, also when the process is killed.
func TestDamageAfterQuiet(t *testing.T) {
	base := faultfs.New()
	s := mustOpen(t, "log", small(base))
	must(t, s.StoreLogs(entries(1, 4, 1)))
	at := s.end - 16
	s.tick()
	s.tick()
	b := base.Content(s.newest.path)
	b[at] ^= 1
	base.SetContent(s.newest.path, b)
	_, err := Open("log", small(base.Kill()))
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.Index != 4 || corrupt.File == "" || corrupt.Offset == 0 {
		t.Fatalf("%v, want entry 4 corrupt", err)
	}
}

// TestZeroedPage is the damage that cut another log store to 13 entries silently.
func TestZeroedPage(t *testing.T) {
	fsys := faultfs.New()
	opts := small(fsys)
	opts.SegmentBytes = 256 << 10
	s := mustOpen(t, "log", opts)
	for i := range uint64(100) {
		must(t, s.StoreLogs(entries(5*i+1, 5*i+5, 1)))
	}
	path := s.newest.path
	b := fsys.Content(path)
	clear(b[4096:8192])
	fsys.SetContent(path, b)
	if _, err := Open("log", opts); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v, want ErrCorrupt", err)
	}
}

func TestMissingAndCutFiles(t *testing.T) {
	base := faultfs.New()
	s := mustOpen(t, "log", small(base))
	must(t, s.StoreLogs(entries(1, 60, 1)))
	must(t, s.Close())
	names := base.Names()
	if len(names) < 3 {
		t.Fatalf("%d segments are too few for this test", len(names))
	}
	for _, name := range names {
		fsys := base.Clone()
		must(t, fsys.Remove(name))
		if _, err := Open("log", small(fsys)); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("without %s: %v, want ErrCorrupt", name, err)
		}
		for size := 0; size < minSegmentBytes; size += 97 {
			fsys := base.Clone()
			fsys.SetContent(name, base.Content(name)[:size])
			if _, err := Open("log", small(fsys)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s cut to %d bytes: %v, want ErrCorrupt", name, size, err)
			}
		}
	}
	fsys := base.Clone()
	fsys.SetContent(names[0], base.Content(names[1]))
	if _, err := Open("log", small(fsys)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("segments swapped: %v, want ErrCorrupt", err)
	}
}

// TestReadDamage: what rots while the store is open is found by the read.
func TestReadDamage(t *testing.T) {
	fsys := faultfs.New()
	var fatal []error
	opts := small(fsys)
	opts.OnFatal = func(err error) { fatal = append(fatal, err) }
	s := mustOpen(t, "log", opts)
	must(t, s.StoreLogs(entries(1, 5, 1)))
	_, at, _ := s.index.find(3)
	whole := fsys.Content(s.newest.path)
	for i := at; i < at+entrySize(entryOf(3, 1)); i++ {
		b := slices.Clone(whole)
		b[i] ^= 4
		fsys.SetContent(s.newest.path, b)
		var l raft.Log
		if err := s.GetLog(3, &l); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: %v, want ErrCorrupt", i-at, err)
		}
	}
	fsys.SetContent(s.newest.path, whole[:at+70])
	var l raft.Log
	if err := s.GetLog(3, &l); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("cut file: %v, want ErrCorrupt", err)
	}
	if len(fatal) != 1 || !errors.Is(fatal[0], ErrCorrupt) {
		t.Fatalf("OnFatal got %v, want one ErrCorrupt", fatal)
	}
}

// TestNoSpace: a full disk refuses the write, harms nothing, and is over when
// compaction has freed a segment.
func TestNoSpace(t *testing.T) {
	fsys := faultfs.New()
	fsys.SetCapacity(3 * minSegmentBytes)
	s := mustOpen(t, "log", small(fsys))
	var err error
	var n uint64
	for n = 0; err == nil; n++ {
		err = s.StoreLogs(entries(n+1, n+1, 1))
	}
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ErrNoSpace for ENOSPC", err)
	}
	mustHold(t, s, entries(1, n-1, 1))
	if free, err := s.FreeBytes(); free != 0 || err != nil {
		t.Fatalf("free %d, %v", free, err)
	}
	if err := s.StoreLogs(entries(n, n, 1)); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("again: %v, want ErrNoSpace", err)
	}
	must(t, s.DeleteRange(1, n-10))
	must(t, s.StoreLogs(entries(n, n+5, 1)))
	mustHold(t, s, entries(n-9, n+5, 1))
	s = mustOpen(t, "log", small(fsys.Kill()))
	mustHold(t, s, entries(n-9, n+5, 1))
}

// TestFailedWrite: after the first failed write or fsync every later write fails
// with it, reads go on, and a restart has what was acknowledged.
func TestFailedWrite(t *testing.T) {
	broken := errors.New("disk is broken")
	faults := map[string]func(faultfs.Op) error{
		"fsync": func(op faultfs.Op) error { return map[faultfs.Kind]error{faultfs.Sync: broken}[op.Kind] },
		"write": func(op faultfs.Op) error { return map[faultfs.Kind]error{faultfs.Write: broken}[op.Kind] },
		"short write": func(op faultfs.Op) error {
			if op.Kind == faultfs.Write {
				return &faultfs.Short{Bytes: op.Len / 2, Err: io.ErrShortWrite}
			}
			return nil
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			fsys := faultfs.New()
			armed := false
			fsys.Fault = func(op faultfs.Op) error {
				if !armed {
					return nil
				}
				return fault(op)
			}
			var fatal []error
			opts := small(fsys)
			opts.OnFatal = func(err error) { fatal = append(fatal, err) }
			s := mustOpen(t, "log", opts)
			must(t, s.StoreLogs(entries(1, 5, 1)))
			armed = true
			first := s.StoreLogs(entries(6, 7, 1))
			if first == nil {
				t.Fatal("no error")
			}
			armed = false
			for _, err := range []error{s.StoreLogs(entries(6, 7, 1)), s.DeleteRange(1, 2), s.StoreLog(entryOf(6, 1))} {
				if err == nil || err.Error() != first.Error() {
					t.Fatalf("later write: %v, want %v", err, first)
				}
			}
			if len(fatal) != 1 || s.Stats().Failed == nil {
				t.Fatalf("OnFatal got %v, stats %v", fatal, s.Stats().Failed)
			}
			mustHold(t, s, entries(1, 5, 1))
			ops := fsys.Ops()
			must(t, s.Close())
			if fsys.Ops() != ops {
				t.Fatal("Close wrote to a failed file")
			}
			for seed := range uint64(20) {
				killed := fsys.Kill()
				again, err := Open("log", small(killed))
				must(t, err)
				n, _ := again.LastIndex()
				mustHold(t, again, entries(1, max(n, 5), 1))
				// What the restarted process says it has must now be on the disk.
				lost, err := Open("log", small(killed.Crash(rand.New(rand.NewPCG(seed, 0)))))
				must(t, err)
				mustHold(t, lost, entries(1, max(n, 5), 1))
			}
		})
	}
}

// TestFailedRotation: a failure other than a full disk while a segment is made
// is final as well.
func TestFailedRotation(t *testing.T) {
	fsys := faultfs.New()
	broken := errors.New("disk is broken")
	armed := false
	fsys.Fault = func(op faultfs.Op) error {
		if armed && op.Kind == faultfs.Rename {
			return broken
		}
		return nil
	}
	s := mustOpen(t, "log", small(fsys))
	armed = true
	err := s.StoreLogs(entries(1, 100, 1))
	if !errors.Is(err, broken) {
		t.Fatalf("%v, want the rename's error", err)
	}
	if again := s.StoreLog(entryOf(200, 1)); !errors.Is(again, broken) {
		t.Fatalf("%v, want the first error", again)
	}
}

// TestRemainsStayVoid lays a new record exactly so that an intact record of a
// torn write follows it. It was void and must stay so.
func TestRemainsStayVoid(t *testing.T) {
	fsys := faultfs.New()
	s := mustOpen(t, "log", small(fsys))
	must(t, s.StoreLogs(entries(1, 2, 1)))
	from := s.end
	sized := func(i uint64, n int) *raft.Log {
		return &raft.Log{Index: i, Term: 1, Type: raft.LogCommand, Data: make([]byte, n)}
	}
	must(t, s.StoreLogs([]*raft.Log{sized(3, 1000), sized(4, 10)}))
	b := fsys.Content(s.newest.path)
	clear(b[from : from+512]) // entry 3's first sector never reached the disk
	fsys.SetContent(s.newest.path, b)

	s = mustOpen(t, "log", small(fsys))
	if !s.Recovery().Torn {
		t.Error("the torn write was not noticed")
	}
	mustHold(t, s, entries(1, 2, 1))
	filler := sized(3, 1000-recordHeader) // beside it the new session's record
	must(t, s.StoreLog(filler))
	s = mustOpen(t, "log", small(fsys.Kill()))
	mustHold(t, s, append(entries(1, 2, 1), filler))
}
