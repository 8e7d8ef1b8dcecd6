package raftlog

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// slowFS is a file system whose fsyncs wait for a word, nil or an error, once
// hold is set.
type slowFS struct {
	*faultfs.FS
	hold bool
	sync chan error
}

func (f *slowFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	file, err := f.FS.OpenFile(name, flag, perm)
	return slowFile{file, f}, err
}

type slowFile struct {
	File
	fs *slowFS
}

func (f slowFile) Sync() error {
	if f.fs.hold {
		if err := <-f.fs.sync; err != nil {
			return err
		}
	}
	return f.File.Sync()
}

// openSlow opens a store whose fsyncs are held from here on.
func openSlow(t *testing.T, policy Policy) (*Store, *slowFS) {
	t.Helper()
	disk := &slowFS{FS: faultfs.New(), sync: make(chan error)}
	s, err := Open("log", Options{FS: disk, SegmentBytes: 64 << 10, Spares: -1, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	disk.hold = true
	return s, disk
}

// waiting starts WaitDurable and returns what it will return.
func waiting(s *Store, index uint64) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.WaitDurable(index) }()
	synctest.Wait()
	return done
}

func closed[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	synctest.Wait()
	select {
	case v = <-c:
	default:
		t.Fatal("still waits")
	}
	return v
}

// What AppendLogs has written can be read, and is not durable before its fsync.
func TestAppendLogsIsAheadOfItsFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk := openSlow(t, Always)
		if err := s.AppendLogs(entries(1, 3, 1)); err != nil {
			t.Fatal(err)
		}
		mustHold(t, s, entries(1, 3, 1))
		three := waiting(s, 3)
		if len(three) != 0 || s.DurableIndex() != 0 {
			t.Fatalf("durable before the fsync: %d", s.DurableIndex())
		}
		// A second one while the first fsync is under way is not covered by it.
		if err := s.AppendLogs(entries(4, 5, 1)); err != nil {
			t.Fatal(err)
		}
		five := waiting(s, 5)
		disk.sync <- nil
		if err := closed(t, three); err != nil || s.DurableIndex() != 3 || len(five) != 0 {
			t.Fatalf("after one fsync: %v, durable to %d", err, s.DurableIndex())
		}
		disk.sync <- nil
		if err := closed(t, five); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitDurable(100); err != nil {
			t.Errorf("what is not there is waited for: %v", err)
		}
		disk.hold = false
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// StoreLogs is durable when it returns, with all that went ahead of it. Entries
// that replace others are not, as long as their own fsync lasts.
func TestDurableIndexAfterACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk := openSlow(t, Always)
		if err := s.AppendLogs(entries(1, 6, 1)); err != nil {
			t.Fatal(err)
		}
		disk.sync <- nil
		if err := closed(t, waiting(s, 6)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.StoreLogs(entries(4, 5, 2)) }()
		synctest.Wait()
		if at := s.DurableIndex(); at != 3 {
			t.Errorf("durable to %d while entry 4 is replaced", at)
		}
		disk.sync <- nil
		if err := closed(t, done); err != nil || s.DurableIndex() != 5 {
			t.Fatalf("%v, durable to %d", err, s.DurableIndex())
		}
		disk.hold = false
		if err := s.DeleteRange(5, 5); err != nil || s.DurableIndex() != 4 {
			t.Errorf("%v, durable to %d after the last was cut off", err, s.DurableIndex())
		}
		if err := s.DeleteRange(1, 4); err != nil || s.DurableIndex() != 4 {
			t.Errorf("%v, durable to %d after all was compacted", err, s.DurableIndex())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A failed fsync in the background ends the store for writers and for those who
// wait for it.
func TestFailedFsyncBehindAppendLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk := openSlow(t, Always)
		fatal := make(chan error, 1)
		s.opts.OnFatal = func(err error) { fatal <- err }
		if err := s.AppendLogs(entries(1, 1, 1)); err != nil {
			t.Fatal(err)
		}
		one := waiting(s, 1)
		broken := errors.New("EIO")
		disk.sync <- broken
		if err := closed(t, one); !errors.Is(err, broken) {
			t.Errorf("waited for: %v", err)
		}
		if err := closed(t, fatal); !errors.Is(err, broken) {
			t.Errorf("fatal: %v", err)
		}
		if err := s.AppendLogs(entries(2, 2, 1)); !errors.Is(err, broken) {
			t.Errorf("a later write: %v", err)
		}
		if err := s.WaitDurable(1); !errors.Is(err, broken) || s.DurableIndex() != 0 {
			t.Errorf("a later wait: %v, durable to %d", err, s.DurableIndex())
		}
		disk.hold = false
		s.Close()
	})
}

// Close ends those who wait. Where nothing is fsynced, written is durable.
func TestAppendLogsUnderOtherPolicies(t *testing.T) {
	for _, policy := range []Policy{EverySec, No} {
		synctest.Test(t, func(t *testing.T) {
			s, disk := openSlow(t, policy)
			if err := s.AppendLogs(entries(1, 3, 1)); err != nil || s.DurableIndex() != 3 {
				t.Errorf("%v: %v, durable to %d", policy, err, s.DurableIndex())
			}
			disk.hold = false
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Power is lost between AppendLogs and the end of its fsync: the log is any
// prefix of what was written, and all that WaitDurable confirmed.
func TestPowerLossBehindAppendLogs(t *testing.T) {
	for seed := range uint64(200) {
		disk := faultfs.New()
		s, err := Open("log", Options{FS: disk, SegmentBytes: minSegmentBytes, Spares: -1, Inline: true})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(seed, 1))
		last, confirmed := uint64(0), uint64(0)
		for range 1 + r.IntN(20) {
			n := 1 + uint64(r.IntN(5))
			if err := s.AppendLogs(entries(last+1, last+n, 1)); err != nil {
				t.Fatal(err)
			}
			last += n
			if r.IntN(3) == 0 {
				if err := s.WaitDurable(last); err != nil {
					t.Fatal(err)
				}
			}
			confirmed = s.DurableIndex()
		}
		s, err = Open("log", Options{FS: disk.Crash(r), SegmentBytes: minSegmentBytes, Spares: -1, Inline: true})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		found, _ := s.LastIndex()
		if found < confirmed || found > last {
			t.Fatalf("seed %d: %d entries of %d, of which %d were durable", seed, found, last, confirmed)
		}
		mustHold(t, s, entries(1, found, 1))
		if s.DurableIndex() != found {
			t.Fatalf("seed %d: durable to %d of %d after the start", seed, s.DurableIndex(), found)
		}
	}
}

// Another's Sync may cover what AppendLogs has written before the background
// gets to it, which then finds nothing to do.
func TestSyncMakesAppendedEntriesDurable(t *testing.T) {
	s, err := Open("log", Options{FS: faultfs.New(), SegmentBytes: minSegmentBytes, Spares: -1, Inline: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AppendLogs(entries(1, 3, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil || s.DurableIndex() != 3 {
		t.Errorf("%v, durable to %d after Sync", err, s.DurableIndex())
	}
}

// Who waits for entries that are cut off or replaced meanwhile is told so; it
// must neither wait for others to come to their places nor take them for its own.
func TestWaitDurableEndsWithACut(t *testing.T) {
	f := func(name string, cut func(*Store) error, want error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, disk := openSlow(t, Always)
			if err := s.AppendLogs(entries(1, 6, 1)); err != nil {
				t.Fatal(err)
			}
			three, six := waiting(s, 3), waiting(s, 6)
			done := make(chan error, 1)
			go func() { done <- cut(s) }()
			synctest.Wait()
			disk.sync <- nil // the background's, which then waits for the writer
			disk.sync <- nil // the cut's
			if err := closed(t, done); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := closed(t, three); err != nil {
				t.Errorf("%s: an entry before the cut: %v", name, err)
			}
			if err := closed(t, six); !errors.Is(err, want) {
				t.Errorf("%s: an entry behind the cut: %v", name, err)
			}
			disk.hold = false
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	f("deleted", func(s *Store) error { return s.DeleteRange(4, 6) }, ErrCut)
	f("replaced by fewer", func(s *Store) error { return s.StoreLogs(entries(4, 4, 2)) }, ErrCut)
	f("replaced by more", func(s *Store) error { return s.StoreLogs(entries(4, 9, 2)) }, ErrCut)
	f("compacted", func(s *Store) error { return s.DeleteRange(1, 6) }, nil)
}

// A change to always makes durable what was written under another policy, also
// if nothing is written any more.
func TestChangeToAlwaysFsyncsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk := openSlow(t, No)
		if err := s.StoreLogs(entries(1, 3, 1)); err != nil {
			t.Fatal(err)
		}
		s.SetPolicy(Always)
		synctest.Wait()
		select {
		case disk.sync <- nil:
		default:
			t.Error("nothing fsyncs")
		}
		synctest.Wait()
		if d := s.Stats().UnsyncedFor; d != 0 {
			t.Errorf("unsynced for %v", d)
		}
		disk.hold = false
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A leader's life, ahead of its fsyncs and not, with cuts, compactions and new
// segments, ends by a loss of power: the log is one of those that it was on the
// way since the last thing that was durable, with all that DurableIndex named.
func TestPowerLossWalkAhead(t *testing.T) {
	for seed := range uint64(300) {
		disk, r := faultfs.New(), rand.New(rand.NewPCG(seed, 2))
		o := Options{FS: disk, SegmentBytes: minSegmentBytes, Spares: -1, Inline: true}
		s, err := Open("log", o)
		if err != nil {
			t.Fatal(err)
		}
		first, last, term := uint64(1), uint64(0), uint64(1)
		terms := map[uint64]uint64{} // of the entries, by index
		ways := []map[uint64]uint64{{}}
		step := func() { ways = append(ways, maps.Clone(terms)) }
		for range 5 + r.IntN(40) {
			synced := true
			switch op := r.IntN(10); {
			case op < 6:
				n := 1 + uint64(r.IntN(12))
				logs := entries(last+1, last+n, term)
				for i := last + 1; i <= last+n; i++ {
					terms[i] = term
					step()
				}
				last += n
				if synced = op == 0; synced {
					err = s.StoreLogs(logs)
				} else {
					err = s.AppendLogs(logs)
				}
			case op == 6 && last > first: // another leader's entry in the place of some
				term++
				at := first + 1 + uint64(r.Int64N(int64(last-first)))
				for i := at; i <= last; i++ {
					delete(terms, i)
				}
				step()
				terms[at] = term
				step()
				last = at
				err = s.StoreLogs(entries(at, at, term))
			case op == 7 && last > first:
				to := first + uint64(r.Int64N(int64(last-first)))
				for i := first; i <= to; i++ {
					delete(terms, i)
				}
				step()
				err = s.DeleteRange(first, to)
				first = to + 1
			case op == 8:
				err = s.Sync()
			default:
				err = s.WaitDurable(last)
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if synced {
				ways = ways[len(ways)-1:]
				if s.DurableIndex() != last {
					t.Fatalf("seed %d: durable to %d of %d", seed, s.DurableIndex(), last)
				}
			}
		}
		durable := s.DurableIndex()
		o.FS = disk.Crash(r)
		if s, err = Open("log", o); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		found := map[uint64]uint64{}
		from, _ := s.FirstIndex()
		end, _ := s.LastIndex()
		for i := from; i <= end && from > 0; i++ {
			var l raft.Log
			if err := s.GetLog(i, &l); err != nil {
				t.Fatalf("seed %d: entry %d: %v", seed, i, err)
			}
			found[i] = l.Term
		}
		if !slices.ContainsFunc(ways, func(way map[uint64]uint64) bool { return maps.Equal(way, found) }) {
			t.Fatalf("seed %d: the log has been none of this: %d to %d", seed, from, end)
		}
		for i := first; i <= durable; i++ {
			if found[i] != terms[i] {
				t.Fatalf("seed %d: entry %d was durable: term %d, want %d", seed, i, found[i], terms[i])
			}
		}
	}
}
