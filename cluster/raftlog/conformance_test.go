package raftlog

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// store is what both log stores are.
type store interface {
	raft.LogStore
	Close() error
}

// opener opens the store that it stands for, again and again the same one.
type opener func(t *testing.T) store

func logStores(t *testing.T) map[string]opener {
	diskDir, boltDir, mem := t.TempDir(), t.TempDir(), faultfs.New()
	return map[string]opener{
		"segments": func(t *testing.T) store {
			return mustOpen(t, diskDir, Options{SegmentBytes: 8 << 10})
		},
		"segments without tail": func(t *testing.T) store {
			return mustOpen(t, "log", Options{FS: mem, SegmentBytes: 4 << 10, TailBytes: -1, Inline: true})
		},
		"boltdb": func(t *testing.T) store {
			s, err := OpenBolt(filepath.Join(boltDir, "raft.db"))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
}

func mustOpen(t testing.TB, dir string, opts Options) *Store {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entryOf(i, term uint64) *raft.Log {
	l := &raft.Log{Index: i, Term: term, Type: raft.LogCommand, AppendedAt: time.Unix(1700000000, int64(i))}
	for n := range i*7%300 + 1 {
		l.Data = append(l.Data, byte(n+i+term))
	}
	return l
}

func entries(from, to, term uint64) []*raft.Log {
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		logs = append(logs, entryOf(i, term))
	}
	return logs
}

func sameEntry(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && a.AppendedAt.Equal(b.AppendedAt) &&
		string(a.Data) == string(b.Data) && string(a.Extensions) == string(b.Extensions)
}

// mustHold checks that s holds exactly want.
func mustHold(t *testing.T, s raft.LogStore, want []*raft.Log) {
	t.Helper()
	if problem := differs(s, want); problem != "" {
		t.Fatal(problem)
	}
}

// TestLogStore holds both stores to what raft expects of a log.
func TestLogStore(t *testing.T) {
	cases := []struct {
		name string
		do   func(t *testing.T, s store)
		want []*raft.Log
	}{
		{"empty", func(*testing.T, store) {}, nil},
		{"append", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 10, 1)))
			must(t, s.StoreLog(entryOf(11, 1)))
		}, entries(1, 11, 1)},
		{"no logs", func(t *testing.T, s store) { must(t, s.StoreLogs(nil)) }, nil},
		{"begins late", func(t *testing.T, s store) { must(t, s.StoreLogs(entries(100, 105, 1))) }, entries(100, 105, 1)},
		{"gap between writes", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 5, 1)))
			must(t, s.StoreLogs(entries(31, 35, 2)))
		}, append(entries(1, 5, 1), entries(31, 35, 2)...)},
		{"gap in a write", func(t *testing.T, s store) {
			must(t, s.StoreLogs(append(entries(1, 5, 1), entries(31, 35, 2)...)))
		}, append(entries(1, 5, 1), entries(31, 35, 2)...)},
		{"compact", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 100, 1)))
			must(t, s.DeleteRange(1, 60))
		}, entries(61, 100, 1)},
		{"compact over a gap", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 20, 1)))
			must(t, s.StoreLogs(entries(31, 40, 1)))
			must(t, s.DeleteRange(1, 25))
		}, entries(31, 40, 1)},
		{"cut", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 100, 1)))
			must(t, s.DeleteRange(61, 100))
		}, entries(1, 60, 1)},
		{"cut and append", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 100, 1)))
			must(t, s.DeleteRange(61, 100))
			must(t, s.StoreLogs(entries(61, 70, 2)))
		}, append(entries(1, 60, 1), entries(61, 70, 2)...)},
		{"delete all", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 100, 1)))
			must(t, s.DeleteRange(1, 100))
		}, nil},
		{"delete all and begin again", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 100, 1)))
			must(t, s.DeleteRange(1, 100))
			must(t, s.StoreLogs(entries(5, 9, 3)))
		}, entries(5, 9, 3)},
		{"delete what is not there", func(t *testing.T, s store) {
			must(t, s.DeleteRange(1, 100))
			must(t, s.StoreLogs(entries(10, 20, 1)))
			must(t, s.DeleteRange(1, 9))
			must(t, s.DeleteRange(21, 30))
		}, entries(10, 20, 1)},
		{"overwrite one", func(t *testing.T, s store) {
			must(t, s.StoreLogs(entries(1, 10, 1)))
			must(t, s.StoreLog(entryOf(10, 2)))
		}, append(entries(1, 9, 1), entryOf(10, 2))},
		{"every type, extensions, no data", func(t *testing.T, s store) { must(t, s.StoreLogs(oddEntries())) }, oddEntries()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for name, open := range logStores(t) {
				t.Run(name, func(t *testing.T) {
					s := open(t)
					c.do(t, s)
					mustHold(t, s, c.want)
					must(t, s.Close())
					s = open(t)
					mustHold(t, s, c.want)
					must(t, s.Close())
				})
			}
		})
	}
}

func oddEntries() []*raft.Log {
	return []*raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: []byte("conf")},
		{Index: 2, Term: 1, Type: raft.LogNoop},
		{Index: 3, Term: 1, Type: raft.LogBarrier},
		{Index: 4, Term: 9, Type: raft.LogCommand, Extensions: []byte("ext")},
		{Index: 5, Term: 9, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(0, 1)},
		{Index: 6, Term: 9, Type: raft.LogCommand, Data: make([]byte, 100<<10)},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenBoltInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s, err := OpenBolt(path)
	must(t, err)
	if _, err := OpenBolt(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
	must(t, s.Close())
}

func TestStableStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s, err := OpenBolt(path)
	must(t, err)
	if _, err := s.GetUint64([]byte("CurrentTerm")); err == nil || err.Error() != "not found" {
		t.Fatalf("missing key: %v, raft wants %q", err, "not found")
	}
	must(t, s.SetUint64([]byte("CurrentTerm"), 7))
	must(t, s.Set([]byte("LastVoteCand"), []byte("n1")))
	must(t, s.Close())
	s, err = OpenBolt(path)
	must(t, err)
	term, err := s.GetUint64([]byte("CurrentTerm"))
	must(t, err)
	vote, err := s.Get([]byte("LastVoteCand"))
	must(t, err)
	if term != 7 || string(vote) != "n1" {
		t.Fatalf("term %d, vote %q", term, vote)
	}
	must(t, s.Close())
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	l, err := LockDir(dir)
	must(t, err)
	if _, err := LockDir(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v, want ErrLocked", err)
	}
	must(t, l.Unlock())
	l, err = LockDir(dir)
	must(t, err)
	must(t, l.Unlock())
	if _, err := LockDir(filepath.Join(dir, "none")); err == nil {
		t.Fatal("locked a directory that is not there")
	}
}
