package rdbsnap

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// content is that of the snapshot of index.
func content(index uint64) []byte { return rdb(index, 700+int(index)*211) }

// work does what the store does in its life, until something fails, and returns
// the newest snapshot that was acknowledged.
func work(fsys *faultfs.FS) (acked uint64, err error) {
	s, err := New(memory(fsys))
	if err != nil {
		return 0, err
	}
	keep := func(index uint64) {
		if err == nil {
			if _, err = save(s, index, content(index)); err == nil {
				acked = max(acked, index)
			}
		}
	}
	keep(1)
	keep(2)
	if err == nil { // one that comes to nothing
		sink, failed := s.Create(1, 3, 3, servers, 2, nil)
		if err = failed; err == nil {
			_, _ = sink.Write(content(3))
			err = sink.Cancel()
		}
	}
	keep(4) // the first that prunes
	keep(6)
	keep(5) // an installed one that came late
	if err == nil {
		s, err = New(memory(fsys)) // killed and started again
	}
	keep(7)
	if err == nil {
		err = s.SetName("other.rdb")
	}
	keep(7 + 1)
	return acked, err
}

// TestPowerLossEverywhere takes the power away before each operation of the work
// on the file system in turn, and again before each operation of the next start.
// What is there then is whole, and is the newest one whose Close returned nil or
// the one that was under way; nothing of others is left.
func TestPowerLossEverywhere(t *testing.T) {
	rounds := faultfs.Rounds(t, 4)
	for at := 1; ; at++ {
		fsys := faultfs.New()
		fsys.StopAt(at)
		acked, err := work(fsys)
		if err != nil && !errors.Is(err, faultfs.ErrCrashed) {
			t.Fatalf("operation %d: %v", at, err)
		}
		for seed := range rounds + 2 {
			after := func() *faultfs.FS {
				switch seed {
				case 0:
					return fsys.Crash(nil)
				case 1:
					return fsys.Kill()
				}
				return fsys.Crash(rand.New(rand.NewPCG(seed, uint64(at))))
			}
			if err := recovers(after, acked, int64(at)); err != nil {
				t.Fatalf("power lost before operation %d, loss %d, %d acknowledged: %v", at, seed, acked, err)
			}
		}
		if err == nil {
			t.Logf("%d operations", at-1)
			return
		}
	}
}

// recovers checks what is found on what after returns, also with the power lost
// again before each operation of New.
func recovers(after func() *faultfs.FS, acked uint64, salt int64) error {
	if err := found(after(), acked); err != nil {
		return err
	}
	for again := 1; ; again++ {
		fsys := after()
		fsys.StopAt(again)
		_, err := New(memory(fsys))
		if err == nil {
			return nil
		}
		if !errors.Is(err, faultfs.ErrCrashed) {
			return err
		}
		if err := found(fsys.Crash(rand.New(rand.NewPCG(uint64(again), uint64(salt)))), acked); err != nil {
			return fmt.Errorf("and again before operation %d of the start: %w", again, err)
		}
	}
}

// found checks what a start finds.
func found(fsys *faultfs.FS, acked uint64) error {
	s, err := New(memory(fsys))
	if err != nil {
		return err
	}
	i, b, err := newest(s)
	switch {
	case err != nil:
		return err
	case i < acked || i > acked+2: // 3 is cancelled
		return fmt.Errorf("the newest is %d", i)
	case i > 0 && !bytes.Equal(b, content(i)):
		return fmt.Errorf("the newest, %d, is not as it was written", i)
	}
	for _, st := range s.Check() {
		if st.Err != nil {
			return st.Err
		}
	}
	dump := fsys.Content("data/dump.rdb")
	if whole := func(k uint64) bool { return bytes.Equal(dump, content(k)) }; i > 0 && !slices.ContainsFunc([]uint64{1, 2, 4, 5, 6, 7, 8}, whole) {
		return fmt.Errorf("dump.rdb has %d bytes", len(dump))
	}
	for _, name := range fsys.Names() {
		if strings.HasSuffix(name, tmpSuffix) {
			return fmt.Errorf("%s stayed", name)
		}
	}
	if _, err := save(s, 9, content(9)); err != nil { // and it goes on
		return err
	}
	if s, err = New(memory(fsys.Crash(nil))); err != nil {
		return err
	}
	if i, b, err := newest(s); err != nil || i != 9 || !bytes.Equal(b, content(9)) {
		return fmt.Errorf("after the next save and another loss of power the newest is %d, %v", i, err)
	}
	return nil
}
