package raftlog

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// faults are what one operation may answer.
var faults = map[string]func(faultfs.Op) error{
	"EIO":    func(faultfs.Op) error { return syscall.EIO },
	"ENOSPC": func(faultfs.Op) error { return syscall.ENOSPC },
	"short write": func(op faultfs.Op) error {
		if op.Kind == faultfs.Write {
			return &faultfs.Short{Bytes: op.Len / 2, Err: io.ErrShortWrite}
		}
		return nil
	},
}

// TestFaultEverywhere lets each operation of the work on the file system fail in
// turn, once. Then either nothing of it mattered, or there was no room and the
// same is done again, or the store is at its end: it says so, takes nothing more,
// and a restart finds what was acknowledged, with or without a loss of power.
func TestFaultEverywhere(t *testing.T) {
	rounds := faultfs.Rounds(t, 1)
	for name, fault := range faults {
		for _, opts := range []Options{{Policy: Always, Spares: 2}, {Policy: EverySec, Spares: -1}} {
			t.Run(fmt.Sprintf("%s, %s", name, opts.Policy), func(t *testing.T) {
				opts.SegmentBytes, opts.Inline = minSegmentBytes, true
				for at := 1; failAt(t, opts, fault, at, rounds); at++ {
				}
			})
		}
	}
}

// failAt does the work with a fault in its operation at. It reports whether there
// is such an operation.
func failAt(t *testing.T, opts Options, fault func(faultfs.Op) error, at int, rounds uint64) bool {
	t.Helper()
	fsys := faultfs.New()
	var failed faultfs.Op
	n := 0
	fsys.Fault = func(op faultfs.Op) error {
		if op.Kind == faultfs.Read {
			return nil
		}
		if n++; n != at {
			return nil
		}
		failed = op
		return fault(op)
	}
	var fatal []error
	opts.OnFatal = func(err error) { fatal = append(fatal, err) }
	opts.FS = fsys
	l := &life{model: newModel(opts.Policy), opts: opts}
	for k, step := range work {
		err := step(l)
		if errors.Is(err, ErrNoSpace) && l.store != nil {
			if len(fatal) > 0 {
				t.Fatalf("fault %d, in step %d, %+v: no room is fatal: %v", at, k, failed, fatal)
			}
			err = step(l) // there is room again
		}
		if err == nil {
			continue
		}
		if !isFault(err) {
			t.Fatalf("fault %d, in step %d, %+v: %v", at, k, failed, err)
		}
		if l.store != nil && l.store.failed.Load() != nil {
			mustBeAtItsEnd(t, l, fatal)
		}
		opts.OnFatal = nil
		l.opts = opts
		for name, after := range losses(fsys, rounds, uint64(at)) {
			if err := recoversOnce(after(), l, name != "the process only"); err != nil {
				t.Fatalf("fault %d, in step %d, %+v, then %s: %v", at, k, failed, name, err)
			}
		}
		return true
	}
	if problem := differsAfter(fsys, opts, l.model); problem != "" {
		t.Fatalf("fault %d, %+v, was passed over: %s", at, failed, problem)
	}
	return n >= at
}

func isFault(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite)
}

// mustBeAtItsEnd checks a store of which a write has failed.
func mustBeAtItsEnd(t *testing.T, l *life, fatal []error) {
	t.Helper()
	if len(fatal) != 1 || !isFault(fatal[0]) {
		t.Fatalf("OnFatal got %v", fatal)
	}
	for _, err := range []error{l.store.StoreLog(entryOf(1000, 9)), l.store.DeleteRange(1, 1000)} {
		if err == nil || err.Error() != l.store.failed.Load().Error() {
			t.Fatalf("a later write: %v, want %v", err, l.store.failed.Load())
		}
	}
	for _, want := range l.model.acked {
		var got raft.Log
		if err := l.store.GetLog(want.Index, &got); err != nil || !sameEntry(&got, want) {
			t.Fatalf("entry %d can't be read any more: %v", want.Index, err)
		}
	}
}

// differsAfter says in what the closed log differs from the model.
func differsAfter(fsys *faultfs.FS, opts Options, m *model) string {
	opts.FS = fsys.Crash(nil)
	s, err := Open("log", opts)
	if err != nil {
		return err.Error()
	}
	return differs(s, m.acked)
}
