package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/quorate/quorate/cluster/raftlog"
)

// lived returns the options of a single node that has written, taken two
// snapshots, written more, and stopped.
func lived(t *testing.T) Options {
	t.Helper()
	o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), nil, 0)
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	cl := newClient()
	for round := range 3 {
		if got := cl.do(t, n, fmt.Sprintf("SET k %d", round)); got != "+OK" {
			t.Fatal(got)
		}
		if round == 2 {
			break
		}
		if err := n.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Halt(); err != nil {
		t.Fatal(err)
	}
	o.Engine = newEngine()
	return o
}

func remove(t *testing.T, o Options, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(o.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// spoil changes a byte in the middle of the newest snapshot's file of that kind.
func spoil(t *testing.T, o Options, suffix string, which int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(o.Dir, dirSnaps, "*"+suffix))
	if err != nil || len(names) != 2 {
		t.Fatalf("snapshots %q, %v", names, err)
	}
	var index [2]int
	for i, name := range names {
		if _, err := fmt.Sscanf(filepath.Base(name), "%d-", &index[i]); err != nil {
			t.Fatal(err)
		}
	}
	if index[0] < index[1] {
		names[0], names[1] = names[1], names[0]
	}
	b, err := os.ReadFile(names[which])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(names[which], b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, o Options, name string, size int64) {
	t.Helper()
	if err := os.Truncate(filepath.Join(o.Dir, name), size); err != nil {
		t.Fatal(err)
	}
}

// unreadable is a file system on which one name is there, and can't be read.
type unreadable struct {
	FS
	name string
}

func (u unreadable) OpenFile(name string, flag int, perm os.FileMode) (raftlog.File, error) {
	if filepath.Base(name) == u.name {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EIO}
	}
	return u.FS.OpenFile(name, flag, perm)
}

// A part that can't be read is not taken for one that is there, or missing: the
// refusal names the file, and what is wrong with it.
func TestDataDirectoryThatCannotBeRead(t *testing.T) {
	for _, name := range []string{fileNodeID, fileStable, fileFounded, fileBoltLog, dirSnaps} {
		o := lived(t)
		o.Host.FS = unreadable{raftlog.Disk{}, name}
		n, err := Open(o)
		if err == nil {
			n.Halt()
			t.Errorf("%s: it was taken", name)
			continue
		}
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), filepath.Join(o.Dir, name)+": ") {
			t.Errorf("%s: error %q", name, err)
		}
	}
}

func TestDataDirectoryWithAPartMissingIsRefused(t *testing.T) {
	cases := []struct {
		name   string
		change func(*testing.T, *Options)
		want   string // in the error
	}{
		{"no id", func(t *testing.T, o *Options) { remove(t, *o, fileNodeID) }, "node-id is missing"},
		{"no votes", func(t *testing.T, o *Options) { remove(t, *o, fileStable) }, "with this node's votes, is missing"},
		{"no votes in the file", func(t *testing.T, o *Options) { truncate(t, *o, fileStable, 0) }, "is empty"},
		{"half of the votes", func(t *testing.T, o *Options) { truncate(t, *o, fileStable, 12288) }, "is damaged"},
		{"nothing but the id", func(t *testing.T, o *Options) { remove(t, *o, fileStable, dirLog, dirSnaps) }, "with this node's votes, is missing"},
		{"no log", func(t *testing.T, o *Options) { remove(t, *o, dirLog) }, "is gone"},
		{"no log and no snapshot", func(t *testing.T, o *Options) { remove(t, *o, dirLog, dirSnaps) }, "is gone"},
		{"no id and no votes, but a log, and the newest snapshot by its name", func(t *testing.T, o *Options) {
			remove(t, *o, fileNodeID, fileStable)
		}, "with this node's votes, is missing"},
		{"another node's id", func(t *testing.T, o *Options) {
			id := strings.Repeat("ab", 20) + "\n"
			if err := os.WriteFile(filepath.Join(o.Dir, fileNodeID), []byte(id), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "restore the right one"},
		{"the other store", func(_ *testing.T, o *Options) { o.LogStore = "boltdb" }, "set log-store own"},
		{"in memory", func(_ *testing.T, o *Options) { o.Memory = true }, "set appendonly yes"},
		{"both snapshots damaged", func(t *testing.T, o *Options) {
			spoil(t, *o, ".rdb", 0)
			spoil(t, *o, ".rdb", 1)
		}, "corrupt snapshot"},
		{"another cluster's id", func(t *testing.T, o *Options) {
			if err := os.WriteFile(filepath.Join(o.Dir, fileNodeID), []byte("no id\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "restore the file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := lived(t)
			c.change(t, &o)
			n, err := Open(o)
			if err == nil {
				n.Halt()
				t.Fatal("it was taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
			// What was refused was closed: the directory can be opened again.
			if _, err := Open(o); err == nil || strings.Contains(err.Error(), "in use by another process") {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

// A redis-server's data are neither passed over nor replaced.
func TestDirectoryOfARedisServerIsRefused(t *testing.T) {
	for _, memory := range []bool{false, true} {
		o := testNode(t, t.TempDir(), freeAddr(t), nil, 0)
		o.Memory = memory
		dump := filepath.Join(o.Dir, o.SnapshotName)
		if err := os.WriteFile(dump, []byte("REDIS0010"), 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := Open(o)
		if err == nil {
			n.Halt()
			t.Fatal("it was taken")
		}
		if !strings.Contains(err.Error(), dump+" is there") {
			t.Errorf("error %q", err)
		}
		if names, err := filepath.Glob(filepath.Join(o.Dir, "*")); err != nil || slices.Contains(names, filepath.Join(o.Dir, fileNodeID)) {
			t.Errorf("the directory holds %q, %v", names, err)
		}
	}
}

// One that can't be read is not taken for one that is not there.
func TestUnreadableDumpIsRefused(t *testing.T) {
	o := testNode(t, t.TempDir(), freeAddr(t), nil, 0)
	o.Host.FS = unreadable{raftlog.Disk{}, o.SnapshotName}
	n, err := Open(o)
	if err == nil {
		n.Halt()
		t.Fatal("it was taken")
	}
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("error %q", err)
	}
}

func TestDamagedSnapshotIsLeftOutIfTheLogReachesBack(t *testing.T) {
	for _, suffix := range []string{".rdb", ".meta"} {
		t.Run(suffix, func(t *testing.T) {
			o := lived(t)
			spoil(t, o, suffix, 0)
			n, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Halt()
			if got := read(t, n, "GET k"); got != "$1\r\n2\r\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestNodeKilledBeforeItsFirstEntryMayStart(t *testing.T) {
	o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), []string{freeAddr(t)}, 0)
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.store.stable.SetUint64([]byte("CurrentTerm"), 3); err != nil {
		t.Fatal(err)
	}
	if err := n.Halt(); err != nil {
		t.Fatal(err)
	}
	o.Engine = newEngine()
	if n, err = Open(o); err != nil {
		t.Fatal(err)
	}
	if err := n.Halt(); err != nil {
		t.Error(err)
	}
}

// brokenStable has lost every value's checksum.
type brokenStable struct{ StableStore }

func (s brokenStable) Get(key []byte) ([]byte, error) {
	value, err := s.StableStore.Get(key)
	if err != nil {
		return nil, err
	}
	return value[:len(value)-1], nil
}

// A node whose votes are damaged refuses to start, and says so.
func TestDamagedVotesAreRefused(t *testing.T) {
	o := testNode(t, t.TempDir(), freeAddr(t), nil, 0)
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	o.Host.OpenStable = func(path string) (StableStore, error) {
		s, err := raftlog.OpenBolt(path)
		return brokenStable{s}, err
	}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}
