package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/rdb/redistest"
	"github.com/quorate/quorate/engine/reply"
)

// libraries returns the names and the code in a reply of FUNCTION LIST WITHCODE, sorted.
func libraries(list reply.Value) string {
	var all []string
	for _, lib := range list.Elems {
		fields := map[string]string{}
		for i := 0; i+1 < len(lib.Elems); i += 2 {
			fields[string(lib.Elems[i].Text)] = string(lib.Elems[i+1].Text)
		}
		all = append(all, fmt.Sprintf("%s %q", fields["library_name"], fields["library_code"]))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func (n *node) libraries(t testing.TB) string {
	t.Helper()
	v, _, err := reply.Read(n.ask(0, "FUNCTION", "LIST", "WITHCODE"))
	if err != nil {
		t.Fatal(err)
	}
	return libraries(v)
}

const (
	firstLibrary  = "#!lua name=first\nredis.register_function('f', function() return redis.call('INCR', 'calls') end)"
	secondLibrary = "#!lua name=second\nredis.register_function{function_name='g', flags={'no-writes'}, callback=function() return redis.call('GET', 'calls') end}"
)

// Libraries are state: they outlive FLUSHALL, come by way of snapshots, and are part of the
// chain and of the recount.
func TestLibrariesAreState(t *testing.T) {
	n := newNode()
	n.proto = reply.RESP2
	n.do(0, "FUNCTION", "LOAD", firstLibrary)
	n.do(0, "FUNCTION", "LOAD", secondLibrary)
	n.do(0, "FLUSHALL")
	if got := n.do(0, "FCALL", "f", "0"); got != ":1\r\n" {
		t.Fatalf("after FLUSHALL: %q", got)
	}
	counted, file := n.recount(t), n.snapshot(t)
	came := n.restored(t, file)
	for _, m := range []*node{n, came} {
		if got := m.do(0, "FCALL", "f", "0"); got != ":2\r\n" {
			t.Errorf("got %q", got)
		}
		if got := string(m.ask(0, "FCALL_RO", "g", "0")); got != "$1\r\n2\r\n" {
			t.Errorf("read: %q", got)
		}
		if got := m.libraries(t); !strings.Contains(got, "first") || !strings.Contains(got, "second") {
			t.Errorf("libraries %s", got)
		}
	}
	if n.Chain() != came.Chain() {
		t.Error("the chains differ")
	}
	chain := n.Chain()
	n.do(0, "SET", "calls", "1") // as it was
	n.do(0, "FUNCTION", "DELETE", "second")
	if n.Chain() == chain || n.recount(t) == counted {
		t.Error("a library is gone, and neither the chain nor the recount tells")
	}
	other := newNode()
	other.do(0, "FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('h', function() end)")
	if err := other.Restore(bytes.NewReader(file), nil); err != nil {
		t.Fatal(err)
	}
	if got := other.libraries(t); strings.Contains(got, "other") {
		t.Errorf("after a snapshot came: %s", got)
	}
}

// A function that says that it does not write is read, also from memory; one that was
// replaced meanwhile is not executed there.
func TestFunctionsThatReadAreReads(t *testing.T) {
	n := newNode()
	n.proto = reply.RESP2
	n.do(0, "SET", "calls", "7")
	n.do(0, "FUNCTION", "LOAD", secondLibrary)
	if !n.AnyNoWrites() {
		t.Error("nobody is told that there are functions that only read")
	}
	if got := string(n.ask(0, "FCALL", "g", "0")); got != "$1\r\n7\r\n" {
		t.Errorf("read: %q", got)
	}
	n.do(0, "FUNCTION", "LOAD", "REPLACE", "#!lua name=second\nredis.register_function('g', function() return redis.call('SET', 'calls', 1) end)")
	if got := string(n.ask(0, "FCALL", "g", "0")); got != "-"+string(reply.ErrScriptChanged)+"\r\n" {
		t.Errorf("replaced: %q", got)
	}
	if n.AnyNoWrites() {
		t.Error("there are no functions that only read")
	}
	sha := strings.Fields(n.do(0, "SCRIPT", "LOAD", "#!lua flags=no-writes\nreturn redis.call('GET', 'calls')"))[1]
	if got := string(n.ask(0, "EVALSHA", sha, "0")); !n.AnyNoWrites() || got != "$1\r\n7\r\n" {
		t.Errorf("a script that only reads: %q", got)
	}
}

// TestDumpsBesideRedis carries libraries to a redis-server and back.
func TestDumpsBesideRedis(t *testing.T) {
	srv := redistest.Start(t, nil)
	n := newNode()
	long := "#!lua name=long\n-- " + strings.Repeat("compresses well ", 200) + "\nredis.register_function('l', function() return 'l' end)"
	for _, codes := range [][]string{{}, {firstLibrary}, {long}, {firstLibrary, secondLibrary, long}} {
		n.do(0, "FUNCTION", "FLUSH")
		srv.Do("FUNCTION", "FLUSH")
		for _, code := range codes {
			n.do(0, "FUNCTION", "LOAD", code)
			srv.Do("FUNCTION", "LOAD", code)
		}
		ours, _, err := reply.Read(n.ask(0, "FUNCTION", "DUMP"))
		if err != nil {
			t.Fatal(err)
		}
		theirs := srv.Do("FUNCTION", "DUMP")
		if len(codes) < 2 && !bytes.Equal(ours.Text, theirs.Text) { // of more the order is redis-server's
			t.Errorf("ours %q, redis-server's %q", ours.Text, theirs.Text)
		}
		want := n.libraries(t)
		if got := srv.Do("FUNCTION", "RESTORE", string(ours.Text), "FLUSH"); string(got.Text) != "OK" {
			t.Errorf("redis-server: %s", got.Text)
		}
		if got := libraries(srv.Do("FUNCTION", "LIST", "WITHCODE")); got != want {
			t.Errorf("redis-server has\n%s\nand not\n%s", got, want)
		}
		n.do(0, "FUNCTION", "FLUSH")
		if got := n.do(0, "FUNCTION", "RESTORE", string(theirs.Text)); got != "+OK\r\n" {
			t.Errorf("restored: %q", got)
		}
		if got := n.libraries(t); got != want {
			t.Errorf("restored from redis-server\n%s\nand not\n%s", got, want)
		}
	}
}
