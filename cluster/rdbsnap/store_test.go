package rdbsnap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

var (
	_ FS = raftlog.Disk{}
	_ FS = (*faultfs.FS)(nil)
)

var servers = raft.Configuration{Servers: []raft.Server{
	{Suffrage: raft.Voter, ID: "n1", Address: "10.0.0.1:17001"},
	{Suffrage: raft.Nonvoter, ID: "n2", Address: "10.0.0.2:17001"},
}}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory returns the options of a store in fsys, in which the data directory is.
func memory(fsys *faultfs.FS) Options {
	if err := errors.Join(fsys.MkdirAll("data", 0), fsys.SyncDir(".")); err != nil && !errors.Is(err, faultfs.ErrCrashed) {
		panic(err)
	}
	return Options{FS: fsys, Dir: "data", Now: func() time.Time { return time.Unix(1700000000, 0) }}
}

func mustNew(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := New(opts)
	must(t, err)
	return s
}

// rdb returns an RDB stream, as far as this package looks, of n bytes.
func rdb(index uint64, n int) []byte {
	b := []byte("REDIS0010")
	for i := len(b); i < n; i++ {
		b = append(b, byte(i)*byte(index)+byte(i>>8))
	}
	return b
}

// save stores b as the snapshot of index.
func save(s *Store, index uint64, b []byte) (id string, err error) {
	sink, err := s.Create(1, index, 3, servers, 2, nil)
	if err != nil {
		return "", err
	}
	for rest := b; len(rest) > 0; { // as a stream comes
		n := min(len(rest), 1000)
		if _, err := sink.Write(rest[:n]); err != nil {
			return "", errors.Join(err, sink.Cancel())
		}
		rest = rest[n:]
	}
	return sink.ID(), sink.Close()
}

func mustSave(t testing.TB, s *Store, index uint64, b []byte) string {
	t.Helper()
	id, err := save(s, index, b)
	must(t, err)
	return id
}

// newest returns the index and the bytes of the newest snapshot, 0 if there is none.
func newest(s *Store) (uint64, []byte, error) {
	metas, err := s.List()
	if err != nil || len(metas) == 0 {
		return 0, nil, err
	}
	meta, r, err := s.Open(metas[0].ID)
	if err != nil {
		return 0, nil, err
	}
	b, err := io.ReadAll(r)
	return meta.Index, b, errors.Join(err, r.Close())
}

func TestSaveAndOpen(t *testing.T) {
	for _, n := range []int{9, 1000, blockBytes - 1, blockBytes, blockBytes + 1, syncBytes + 3*blockBytes + 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			fsys := faultfs.New()
			s := mustNew(t, memory(fsys))
			b := rdb(7, n)
			id := mustSave(t, s, 7, b)
			for range 2 {
				metas, err := s.List()
				must(t, err)
				if len(metas) != 1 || metas[0].ID != id {
					t.Fatalf("List gives %+v", metas)
				}
				meta, r, err := s.Open(id)
				must(t, err)
				got, err := io.ReadAll(r)
				must(t, err)
				must(t, r.Close())
				if !bytes.Equal(got, b) {
					t.Fatal("other bytes come back")
				}
				if meta.Index != 7 || meta.Term != 3 || meta.ConfigurationIndex != 2 || meta.Size != int64(n) || meta.Version != 1 ||
					!slices.Equal(meta.Configuration.Servers, servers.Servers) {
					t.Fatalf("meta %+v", meta)
				}
				if !bytes.Equal(fsys.Content("data/dump.rdb"), b) {
					t.Fatal("dump.rdb is not the snapshot")
				}
				s = mustNew(t, memory(fsys.Kill()))
			}
			if st := s.Stats(); st.Index != 7 || st.Term != 3 || st.Size != int64(n) || st.Count != 1 || st.LinkErr != nil ||
				!st.Saved.Equal(time.Unix(1700000000, 0)) || st.ID != id {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestEmptyStore(t *testing.T) {
	s := mustNew(t, memory(faultfs.New()))
	if metas, err := s.List(); len(metas) != 0 || err != nil {
		t.Errorf("List gives %v, %v", metas, err)
	}
	for _, id := range []string{"", "1-1-1", "../1-1-1", "01-1-1", "x"} {
		if _, _, err := s.Open(id); !errors.Is(err, ErrUnknown) {
			t.Errorf("Open(%q): %v, want ErrUnknown", id, err)
		}
	}
	if st := s.Stats(); st != (Stats{}) {
		t.Errorf("stats %+v", st)
	}
	if got := s.Check(); len(got) != 0 {
		t.Errorf("Check gives %v", got)
	}
}

func TestKeep(t *testing.T) {
	fsys := faultfs.New()
	s := mustNew(t, memory(fsys))
	for i := uint64(1); i <= 5; i++ {
		mustSave(t, s, i, rdb(i, 100))
	}
	if _, b, err := newest(s); err != nil || !bytes.Equal(b, rdb(5, 100)) {
		t.Fatal(err)
	}
	want := []string{
		"data/dump.rdb", "data/snapshots/4-3-1.meta", "data/snapshots/4-3-1.rdb",
		"data/snapshots/5-3-1.meta", "data/snapshots/5-3-1.rdb",
	}
	if got := fsys.Names(); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	// The same index again is another snapshot and the newer one.
	if id := mustSave(t, s, 5, rdb(6, 100)); id != "5-3-2" {
		t.Errorf("id %s", id)
	}
	// A late, older one can be opened by its id, as raft does, but is not the newest.
	late := mustSave(t, s, 3, rdb(3, 100))
	_, r, err := s.Open(late)
	must(t, err)
	must(t, r.Close())
	if i, b, err := newest(s); i != 5 || !bytes.Equal(b, rdb(6, 100)) || err != nil {
		t.Errorf("newest is %d, %v", i, err)
	}
}

// TestOpenWhilePruned: a reader in use outlives its snapshot.
func TestOpenWhilePruned(t *testing.T) {
	dir := t.TempDir()
	s := mustNew(t, Options{FS: raftlog.Disk{}, Dir: dir, Keep: 1})
	id := mustSave(t, s, 1, rdb(1, 2*blockBytes))
	_, r, err := s.Open(id)
	must(t, err)
	mustSave(t, s, 2, rdb(2, 10))
	b, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(b, rdb(1, 2*blockBytes)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	must(t, r.Close())
	if _, _, err := s.Open(id); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
}

func TestNotAnRDB(t *testing.T) {
	for _, content := range []string{"", "R", "REDI", "redis0010", "HELLO WORLD"} {
		fsys := faultfs.New()
		s := mustNew(t, memory(fsys))
		if _, err := save(s, 1, []byte(content)); !errors.Is(err, ErrNotRDB) {
			t.Errorf("%q: %v, want ErrNotRDB", content, err)
		}
		if names := fsys.Names(); len(names) != 0 {
			t.Errorf("%q left %v", content, names)
		}
	}
}

func TestCancel(t *testing.T) {
	fsys := faultfs.New()
	s := mustNew(t, memory(fsys))
	sink, err := s.Create(1, 5, 3, servers, 1, nil)
	must(t, err)
	_, err = sink.Write(rdb(5, blockBytes+10))
	must(t, err)
	must(t, sink.Cancel())
	must(t, sink.Cancel())
	if sink.Close() == nil {
		t.Error("Close after Cancel says that there is a snapshot") // raft would compact its log
	}
	if names := fsys.Names(); len(names) != 0 {
		t.Errorf("left %v", names)
	}
	if _, err := sink.Write([]byte("x")); err == nil {
		t.Error("a cancelled sink takes data")
	}
	if id := mustSave(t, s, 5, rdb(5, 10)); id != "5-3-1" {
		t.Errorf("id %s", id)
	}
	if _, err := s.Create(0, 5, 1, servers, 1, nil); err == nil {
		t.Error("version 0 was taken")
	}
}

// TestTwoSinks: raft may install one while it takes another.
func TestTwoSinks(t *testing.T) {
	s := mustNew(t, memory(faultfs.New()))
	a, err := s.Create(1, 5, 1, servers, 1, nil)
	must(t, err)
	b, err := s.Create(1, 5, 1, servers, 1, nil)
	must(t, err)
	for k, sink := range []raft.SnapshotSink{a, b} {
		_, err := sink.Write(rdb(uint64(k), 50))
		must(t, err)
	}
	must(t, a.Close())
	must(t, b.Close())
	for k, sink := range []raft.SnapshotSink{a, b} {
		_, r, err := s.Open(sink.ID())
		must(t, err)
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, rdb(uint64(k), 50)) {
			t.Errorf("sink %d: %v", k, err)
		}
		must(t, r.Close())
	}
}

// TestDamage changes each byte of the newest snapshot's files: opening or reading
// it fails, before its last byte is handed out, and no older one is offered.
func TestDamage(t *testing.T) {
	base := faultfs.New()
	s := mustNew(t, memory(base))
	mustSave(t, s, 4, rdb(4, 300))
	id := mustSave(t, s, 5, rdb(5, 500))
	for _, name := range []string{id + ".rdb", id + ".meta"} {
		path := filepath.Join("data/snapshots", name)
		whole := base.Content(path)
		damaged := [][]byte{nil, whole[:len(whole)-1], append(slices.Clone(whole), 0)}
		for i := range whole {
			b := slices.Clone(whole)
			b[i] ^= 1 << (i % 8)
			damaged = append(damaged, b)
		}
		for k, b := range damaged {
			fsys := base.Clone()
			fsys.SetContent(path, b)
			var told []error
			opts := memory(fsys)
			opts.OnCorrupt = func(err error) { told = append(told, err) }
			s := mustNew(t, opts)
			i, got, err := newest(s)
			if !errors.Is(err, ErrCorrupt) || i == 5 && len(got) == 500 {
				t.Fatalf("%s, damage %d: %v and %d bytes", name, k, err, len(got))
			}
			if metas, err := s.List(); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s, damage %d: List gives %v, %v afterwards", name, k, metas, err)
			}
			if strings.HasSuffix(name, ".rdb") && len(told) != 1 {
				t.Fatalf("OnCorrupt got %v", told)
			}
			checkAndSetAside(t, s, id)
		}
	}
}

// checkAndSetAside is what an operator does about a damaged newest snapshot when
// the log reaches back to the one behind it.
func checkAndSetAside(t *testing.T, s *Store, id string) {
	t.Helper()
	found := s.Check()
	if len(found) != 2 || !errors.Is(found[0].Err, ErrCorrupt) || found[0].ID != id || found[1].Err != nil || found[1].Index != 4 {
		t.Fatalf("Check gives %+v", found)
	}
	must(t, s.SetAside(id))
	if i, b, err := newest(s); i != 4 || !bytes.Equal(b, rdb(4, 300)) || err != nil {
		t.Fatalf("set aside, the newest is %d, %v", i, err)
	}
	again := mustNew(t, Options{FS: s.opts.FS, Dir: "data"})
	if i, _, err := newest(again); i != 4 || err != nil {
		t.Fatalf("after a restart the newest is %d, %v", i, err)
	}
}

func TestMissingRDB(t *testing.T) {
	fsys := faultfs.New()
	s := mustNew(t, memory(fsys))
	id := mustSave(t, s, 5, rdb(5, 500))
	must(t, fsys.Remove("data/snapshots/"+id+".rdb"))
	if _, _, err := newest(mustNew(t, memory(fsys))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

// TestForeignFiles: what is not ours stays; a dump.rdb that is there at start is
// not replaced before there is a newer snapshot.
func TestForeignFiles(t *testing.T) {
	fsys := faultfs.New()
	mustSave(t, mustNew(t, memory(fsys)), 5, rdb(5, 10))
	ours := []string{"7-1-1.rdb", "7-1-1.rdb.tmp", "7-1-1.meta.tmp", "link.tmp"}
	foreign := []string{"notes.txt", "x.rdb", "7-1.rdb", "a.tmp", "5-3-1.meta.corrupt"}
	for _, name := range append(slices.Clone(ours), foreign...) {
		fsys.SetContent("data/snapshots/"+name, []byte("x"))
	}
	fsys.SetContent("data/dump.rdb", []byte("the user's"))
	mustNew(t, memory(fsys))
	names := fsys.Names()
	for _, name := range ours {
		if slices.Contains(names, "data/snapshots/"+name) {
			t.Errorf("leftover %s stayed", name)
		}
	}
	for _, name := range foreign {
		if !slices.Contains(names, "data/snapshots/"+name) {
			t.Errorf("%s was removed", name)
		}
	}
	if got := fsys.Content("data/dump.rdb"); string(got) != "the user's" {
		t.Errorf("dump.rdb is now %q", got)
	}
}

func TestName(t *testing.T) {
	fsys := faultfs.New()
	opts := memory(fsys)
	opts.Name = "mine.rdb"
	s := mustNew(t, opts)
	mustSave(t, s, 5, rdb(5, 10))
	for range 2 { // the second time the link is there already
		must(t, s.SetName("other.rdb"))
		if fsys.Content("data/snapshots/link.tmp") != nil {
			t.Error("link.tmp stayed")
		}
	}
	for _, name := range []string{"mine.rdb", "other.rdb"} {
		if !bytes.Equal(fsys.Content("data/"+name), rdb(5, 10)) {
			t.Errorf("%s is not the snapshot", name)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "/etc/passwd", "snapshots"} {
		if s.SetName(name) == nil {
			t.Errorf("SetName(%q) was taken", name)
		}
		opts.Name = name
		if _, err := New(opts); err == nil && name != "" {
			t.Errorf("Name %q was taken", name)
		}
	}
}

// TestFaults lets each operation of a save fail in turn. The snapshot is then
// either there and whole, or there is no trace of it and the old one stands.
func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	for at := 1; ; at++ {
		fsys := faultfs.New()
		s := mustNew(t, memory(fsys))
		mustSave(t, s, 4, rdb(4, 300))
		n, armed := 0, true
		fsys.Fault = func(op faultfs.Op) error {
			if n++; armed && n == at {
				return fmt.Errorf("%s %s: %w", op.Kind, op.Name, broken)
			}
			return nil
		}
		before := fsys.Names()
		_, err := save(s, 5, rdb(5, 2*blockBytes))
		armed = false
		if names := fsys.Names(); err != nil && !slices.Equal(names, before) {
			t.Fatalf("fault %d: left %v", at, names)
		}
		switch i, b, openErr := newest(s); {
		case openErr != nil:
			t.Fatalf("fault %d: %v", at, openErr)
		case err != nil && (i != 4 || !errors.Is(err, broken)):
			t.Fatalf("fault %d: %v, and the newest is %d", at, err, i)
		case err == nil && (i != 5 || !bytes.Equal(b, rdb(5, 2*blockBytes))):
			t.Fatalf("fault %d: no error, and the newest is %d", at, i)
		}
		mustSave(t, s, 6, rdb(6, 10)) // and it goes on
		if s.Stats().LinkErr != nil || !bytes.Equal(fsys.Content("data/dump.rdb"), rdb(6, 10)) {
			t.Fatalf("fault %d: dump.rdb is not the newest: %v", at, s.Stats().LinkErr)
		}
		for _, name := range fsys.Names() {
			if strings.HasSuffix(name, tmpSuffix) && err == nil {
				t.Fatalf("fault %d: %s stayed", at, name)
			}
		}
		if n < at {
			break
		}
	}
}

// TestNoSpace gives a save less room than it needs, by a little more each time.
func TestNoSpace(t *testing.T) {
	const size = 3 * blockBytes
	refused := 0
	for room := int64(0); ; room += 20011 {
		fsys := faultfs.New()
		s := mustNew(t, memory(fsys))
		mustSave(t, s, 4, rdb(4, 300))
		before := fsys.Names()
		free, err := fsys.Free("")
		must(t, err)
		fsys.SetCapacity(1<<40 - int64(free) + 900 + room)
		_, err = save(s, 5, rdb(5, size))
		i, b, openErr := newest(s)
		switch {
		case openErr != nil:
			t.Fatalf("room of %d: %v", room, openErr)
		case err == nil && (i != 5 || !bytes.Equal(b, rdb(5, size))):
			t.Fatalf("room of %d: no error, and the newest is %d", room, i)
		case err == nil:
			if refused < 10 {
				t.Errorf("only %d rooms were too small", refused)
			}
			return
		case !errors.Is(err, syscall.ENOSPC) || i != 4 || !bytes.Equal(b, rdb(4, 300)):
			t.Fatalf("room of %d: %v, and the newest is %d", room, err, i)
		}
		refused++
		if names := fsys.Names(); !slices.Equal(names, before) {
			t.Fatalf("room of %d: left %v", room, names)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	b, err := (&meta{Format: metaFormat, Version: 1, Index: 5, Term: 2, Configuration: servers, Size: 9}).encode()
	must(f, err)
	f.Add(b)
	f.Add([]byte("{}\n00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		must(t, err)
		if _, err := decodeMeta(again); err != nil {
			t.Fatalf("%q: %v", again, err)
		}
	})
}
