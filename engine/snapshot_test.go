package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/engine/fields"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/engine/reply"
)

func (n *node) snapshot(t testing.TB, aux ...Aux) []byte {
	t.Helper()
	s, err := n.Freeze(aux)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var file bytes.Buffer
	if err := s.WriteRDB(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// restored returns a node that came by way of a snapshot.
func (n *node) restored(t testing.TB, file []byte) *node {
	t.Helper()
	r := &node{Engine: New(Options{}), index: n.index, now: n.now, proto: n.proto}
	if err := r.Restore(bytes.NewReader(file), nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// sameContent compares two snapshots in all but the order of keys, which a
// little depends on the table's layout.
func sameContent(t testing.TB, a, b []byte) bool {
	t.Helper()
	return slices.Equal(content(t, a), content(t, b))
}

// content returns the fields of a snapshot, and its keys with what is told of
// each, in order.
func content(t testing.TB, file []byte) []string {
	t.Helper()
	in, err := rdb.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var facts fields.Decoder
	var dumper rdb.Dumper
	for {
		item, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case item.Kind == rdb.End:
			slices.Sort(all)
			return all
		case item.Kind == rdb.Size:
			all = append(all, fmt.Sprint("size ", item.DB, item.Keys))
		case item.Kind == rdb.Key:
			line := fmt.Appendf(nil, "key %d %q %d ", item.DB, item.Entry.Key, item.Entry.ExpireAt)
			line = dumper.Append(line, &item.Entry.Value)
			told := facts.Rest
			if err := takeFacts(&facts, &item.Entry); err != nil {
				t.Fatal(err)
			}
			all = append(all, string(append(line, told[:len(told)-len(facts.Rest)]...)))
		case item.Name == auxFacts:
			facts.Rest = slices.Clone(item.Text)
		default:
			all = append(all, fmt.Sprintf("field %q %q", item.Name, item.Text))
		}
	}
}

// TestRestoredNodeAnswersAlike is invariant I1: at random points a node is
// restored from a snapshot of another, both go on with the same commands, and
// every reply is the same, and so is all that their next snapshots hold.
func TestRestoredNodeAnswersAlike(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &walker{Rand: rand.New(rand.NewPCG(seed, 7)), keys: 6, fields: seed >= 3}
			lived := newNode()
			lived.set(t, "stream-node-max-entries", "10", "list-max-listpack-size", "-1", "set-max-intset-entries", "20")
			if seed%2 == 1 {
				lived.set(t, "zset-max-listpack-entries", "12", "hash-max-listpack-entries", "12", "list-max-listpack-size", "9")
			}
			lived.do(0, "SCRIPT", "LOAD", "return 1")
			came := lived
			for step := range 6000 {
				if step%1500 == 0 {
					file := lived.snapshot(t, Aux{"other", []byte("field")})
					if !w.fields {
						redistest.Check(t, file)
					}
					came = lived.restored(t, file)
					if again := came.snapshot(t, Aux{"other", []byte("field")}); !sameContent(t, again, file) {
						t.Fatalf("step %d: the snapshot of a restored node is another", step)
					}
				}
				if step == 4000 { // lists keep the limits that they were made with
					for _, n := range []*node{lived, came} {
						n.set(t, "list-max-listpack-size", "4")
					}
				}
				db, args := w.command()
				want, got := lived.do(db, args...), came.do(db, args...)
				if got != want {
					t.Fatalf("step %d: %q\nrestored %q\nlived    %q", step, args, got, want)
				}
			}
			if !sameContent(t, lived.snapshot(t), came.snapshot(t)) {
				t.Fatal("the snapshots of both are different in the end")
			}
			if lived.Digest() != came.Digest() {
				t.Fatal("the digests of both are different in the end")
			}
			compareVersions(t, lived, came)
		})
	}
}

// compareVersions compares what WATCH sees of keys that are there and of others.
func compareVersions(t *testing.T, a, b *node) {
	t.Helper()
	versions := func(n *node) []uint64 {
		var all []uint64
		n.Apply(func(s *Step) {
			for _, kind := range []string{"s", "l", "t", "h", "z", "x", "absent"} {
				for i := range 20 {
					all = append(all, s.Version(0, fmt.Append(nil, kind, i)), s.Version(1, fmt.Append(nil, kind, i)))
				}
			}
		})
		return all
	}
	if fmt.Sprint(versions(a)) != fmt.Sprint(versions(b)) {
		t.Fatal("versions of keys differ")
	}
}

// TestSnapshotIsPointInTime writes a snapshot while another goroutine goes on
// with commands: it must hold the moment of Freeze, exactly.
func TestSnapshotIsPointInTime(t *testing.T) {
	w := &walker{Rand: rand.New(rand.NewPCG(5, 5)), keys: 900}
	n := newNode()
	n.set(t, "stream-node-max-entries", "10", "zset-max-listpack-entries", "8", "hash-max-listpack-entries", "8")
	for range 20_000 {
		db, args := w.command()
		n.do(db, args...)
	}
	filler := func(i int) { n.do(2, "SET", fmt.Sprint("filler", i), fmt.Sprint(w.Uint64(), w.Uint64())) }
	for i := range 30_000 {
		filler(i)
	}
	want := n.snapshot(t)
	digest := n.Digest()

	s, err := n.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Freeze(nil); !errors.Is(err, keyspace.ErrFrozen) {
		t.Fatalf("a second snapshot at a time: %v", err)
	}
	for range 100 { // before the first key is read
		db, args := w.command()
		n.do(db, args...)
	}
	var got bytes.Buffer
	done, stop := make(chan struct{}), make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			db, args := w.command()
			n.do(db, args...)
			filler(w.IntN(30_000))
			select {
			case done <- struct{}{}:
			case <-stop:
				return
			}
		}
	})
	pieces := 0
	out := writerFunc(func(p []byte) (int, error) { // each piece of the file waits for some commands
		for range 300 {
			<-done
		}
		pieces++
		return got.Write(p)
	})
	if err := s.WriteRDB(out); err != nil {
		t.Fatal(err)
	}
	close(stop)
	writer.Wait()
	s.Close()
	if pieces < 4 {
		t.Errorf("the file came in %d pieces: too few to be changed between them", pieces)
	}

	r := n.restored(t, got.Bytes())
	if r.Digest() != digest {
		t.Error("the snapshot is not what was there")
	}
	if n.Digest() == digest {
		t.Error("nothing was changed meanwhile")
	}
	if !sameContent(t, r.snapshot(t), want) {
		t.Error("versions or forms are not what was there")
	}
	n.snapshot(t) // possible again
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestRedisServerLoadsSnapshot compares every key of a redis-server that loaded
// the file.
func TestRedisServerLoadsSnapshot(t *testing.T) {
	// A redis-server that loads a small sorted set may make -0 a 0.
	w := &walker{Rand: rand.New(rand.NewPCG(6, 6)), keys: 60, positive: true}
	n := newNode()
	n.proto = reply.RESP2
	n.now = 4_000_000_000_000 // nothing expires while redis-server looks
	n.set(t, "stream-node-max-entries", "10", "zset-max-listpack-entries", "8", "hash-max-listpack-entries", "8")
	for range 20_000 {
		db, args := w.command()
		n.do(db, args...)
	}
	n.Apply(func(s *Step) { s.ExpireDue(1 << 30) })
	n.do(0, "FUNCTION", "LOAD", "REPLACE", "#!lua name=lib1\nredis.register_function('f1', function() return 1 end)")
	srv := redistest.Start(t, n.snapshot(t))
	if got, want := libraries(srv.Do("FUNCTION", "LIST", "WITHCODE")), n.libraries(t); got != want {
		t.Errorf("redis-server has libraries\n%s\nand we\n%s", got, want)
	}
	for db := range 2 {
		srv.Do("SELECT", fmt.Sprint(db))
		compareKeys(t, n, srv, db)
	}
	if got, want := string(srv.Do("DEBUG", "DIGEST").Text), n.Digest(); got != want {
		t.Errorf("redis-server's digest is %s, ours %s", got, want)
	}

	imported := newNode()
	imported.now = n.now
	if err := imported.Import(bytes.NewReader(srv.Save())); err != nil {
		t.Fatal(err)
	}
	if imported.Digest() != n.Digest() {
		t.Error("imported from redis-server it is not the same")
	}
	if got, want := imported.libraries(t), n.libraries(t); got != want {
		t.Errorf("imported from redis-server the libraries are\n%s\nand not\n%s", got, want)
	}
}

func compareKeys(t *testing.T, n *node, srv *redistest.Server, db int) {
	t.Helper()
	keys := srv.Do("KEYS", "*").Elems
	if size := n.ask(db, "DBSIZE"); len(keys) == 0 || fmt.Sprintf(":%d\r\n", len(keys)) != string(size) {
		t.Fatalf("redis-server has %d keys in database %d, we %q", len(keys), db, size)
	}
	for _, k := range keys {
		key := string(k.Text)
		for _, args := range questions[string(srv.Do("TYPE", key).Text)] {
			args = strings.ReplaceAll(args, "KEY", key)
			want := srv.Do(strings.Fields(args)...)
			got, _, err := reply.Read(n.ask(db, strings.Fields(args)...))
			if err != nil {
				t.Fatal(err)
			}
			if inWords(got) != inWords(want) {
				t.Errorf("database %d: %s\nours         %s\nredis-server %s", db, args, inWords(got), inWords(want))
			}
		}
		var digest string
		n.View(n.now, 1, func(v *View) { digest = v.DigestValue(db, k.Text) })
		if want := string(srv.Do("DEBUG", "DIGEST-VALUE", key).Elems[0].Text); digest != want {
			t.Errorf("digest of %s is %s, redis-server's %s", key, digest, want)
		}
	}
}

// questions are what a key of each type is asked. KEY stands for it.
var questions = map[string][]string{
	"string": {"GET KEY", "PEXPIRETIME KEY"},
	"list":   {"LRANGE KEY 0 -1", "PEXPIRETIME KEY"},
	"set":    {"SCARD KEY"},
	"hash":   {"HLEN KEY"},
	"zset":   {"ZRANGE KEY 0 -1 WITHSCORES"},
	"stream": {"XINFO STREAM KEY", "XINFO GROUPS KEY", "XINFO STREAM KEY FULL COUNT 0"},
}

// inWords writes a reply out, so that replies can be compared.
func inWords(v reply.Value) string {
	if len(v.Elems) == 0 {
		return fmt.Sprintf("%c%d%q", v.Kind, v.Int, v.Text)
	}
	var b strings.Builder
	for _, e := range v.Elems {
		b.WriteString(inWords(e) + " ")
	}
	return "[" + b.String() + "]"
}

// TestRestoreBesideSnapshot replaces the state while a snapshot is being taken of
// the old one.
func TestRestoreBesideSnapshot(t *testing.T) {
	n, other := newNode(), newNode()
	n.do(0, "SET", "k", "old")
	other.do(0, "SET", "k", "new")
	want := n.snapshot(t)
	s, err := n.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Restore(bytes.NewReader(other.snapshot(t)), nil); err != nil {
		t.Fatal(err)
	}
	n.do(0, "SET", "k", "newer")
	var got bytes.Buffer
	if err := s.WriteRDB(&got); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if !sameContent(t, got.Bytes(), want) {
		t.Error("the snapshot is not of the old state")
	}
	n.snapshot(t)
}

// TestRestoreRefuses changes nothing when a snapshot is not one, or check says no.
func TestRestoreRefuses(t *testing.T) {
	n := newNode()
	n.do(0, "SET", "k", "v")
	n.do(0, "EVAL", "return 1", "0")
	file := n.snapshot(t, Aux{"mine", []byte("value")})
	n.do(0, "SET", "k", "w")
	before := n.snapshot(t)

	refusal := errors.New("no")
	err := n.Restore(bytes.NewReader(file), func(aux map[string][]byte) error {
		if string(aux["mine"]) != "value" || string(aux["redis-ver"]) != "7.0.15" || aux[auxState] != nil {
			t.Errorf("check was shown %q", aux)
		}
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("error %v", err)
	}
	for cut := range file {
		if err := n.Restore(bytes.NewReader(file[:cut]), nil); err == nil {
			t.Fatalf("a file cut at %d was taken", cut)
		}
	}
	redis := redistest.Start(t, nil)
	redis.Do("SET", "k", "v")
	if err := n.Restore(bytes.NewReader(redis.Save()), nil); err == nil {
		t.Error("a file of a redis-server was taken")
	}
	if !bytes.Equal(n.snapshot(t), before) {
		t.Error("the state was changed")
	}
	if err := n.Restore(bytes.NewReader(file), nil); err != nil || n.do(0, "GET", "k") != "$1\r\nv\r\n" {
		t.Errorf("the whole file: %v", err)
	}
}

func TestRestoreTellsSettings(t *testing.T) {
	n := newNode()
	n.set(t, "hash-max-listpack-entries", "5")
	told := ""
	e := New(Options{Settings: func(all map[string]string) { told = all["hash-max-listpack-entries"] }})
	if err := e.Restore(bytes.NewReader(n.snapshot(t)), nil); err != nil || told != "5" {
		t.Errorf("told %q, %v", told, err)
	}
}

// How far a snapshot is shows while it is written, and how much a state had when it was
// read.
func TestSnapshotsTellHowFarTheyAre(t *testing.T) {
	e := New(Options{})
	for i := range 3000 {
		apply(e, uint64(i+1), 1, fmt.Sprintf("SET k%d v", i))
	}
	s, err := e.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int64
	var file bytes.Buffer
	err = s.WriteRDB(writerFunc(func(p []byte) (int, error) {
		done, total := e.Saving()
		if total != 3000 {
			t.Errorf("%d keys of %d", done, total)
		}
		seen = append(seen, done)
		return file.Write(p)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if done, total := e.Saving(); done != 3000 || total != 3000 || !slices.IsSorted(seen) {
		t.Errorf("%d keys of %d were written at the end; before %v", done, total, seen)
	}
	s.Close()
	if done, total := e.Saving(); done != 0 || total != 0 {
		t.Errorf("%d keys of %d, and nothing is being written", done, total)
	}
	other := New(Options{})
	if err := other.Restore(&file, func(map[string][]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := other.LastLoad(); got != 3000 {
		t.Errorf("%d keys were read", got)
	}
}
