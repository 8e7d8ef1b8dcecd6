//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/wire"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// A redis-server that follows a node holds what the node holds, after random commands of
// all kinds, in transactions and scripts too.
func TestRedisServerFollows(t *testing.T) {
	f, port := newFollowed(t)
	has, err := commandsOf(f.replica)
	if err != nil {
		t.Fatal(err)
	}
	f.follow()
	payloads, err := makePayloads(f.node)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3) {
		w, err := workload.New(workload.Options{Seed: seed + 1, Clients: 4, Payloads: payloads, Has: func(name string) bool { return has[name] }})
		if err != nil {
			t.Fatal(err)
		}
		f.clients = nil
		for range 4 {
			f.clients = append(f.clients, dialled(t, local(port)))
		}
		for range 20 {
			f.steps(w, 500)
			f.settle()
			f.compare()
		}
		for _, c := range f.clients {
			_ = c.Close()
		}
	}
}

// newFollowed starts a node and a redis-server, which follows once follow is called.
func newFollowed(t *testing.T) (f *followed, port int) {
	t.Helper()
	binary := os.Getenv("QUORATE_BIN")
	if _, err := exec.LookPath("redis-server"); binary == "" || err != nil {
		t.Skip("needs QUORATE_BIN and redis-server")
	}
	port = 24500
	if p, err := strconv.Atoi(os.Getenv("QUORATE_PORT")); err == nil {
		port = p
	}
	s := &servers{dir: t.TempDir(), logs: t.TempDir(), redis: local(port + 1), endpoints: []string{local(port)}}
	t.Cleanup(s.stop)
	for _, err := range []error{
		s.start("node", binary, "server", "--port", strconv.Itoa(port), "--cluster-port", strconv.Itoa(port+10), "--appendfsync", "no", "--save", "", "--enable-debug-command", "yes"),
		s.start("replica", "redis-server", "--port", strconv.Itoa(port+1), "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--repl-diskless-load", "swapdb"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return &followed{t: t, port: port, node: dialled(t, local(port)), replica: dialled(t, local(port+1))}, port
}

// follow has the redis-server follow the node.
func (f *followed) follow() {
	f.t.Helper()
	f.ask(f.replica, "REPLICAOF", "127.0.0.1", strconv.Itoa(f.port))
	f.settle()
}

// ask returns the reply to a command as text.
func (f *followed) ask(c *wire.Conn, args ...string) string {
	f.t.Helper()
	raw := make([][]byte, len(args))
	for i, arg := range args {
		raw[i] = []byte(arg)
	}
	b, err := c.Do(raw...)
	if err != nil {
		f.t.Fatalf("%q: %v", args, err)
	}
	v, _, err := reply.Read(b)
	if err != nil {
		f.t.Fatalf("%q: %v", args, err)
	}
	if len(v.Elems) > 0 {
		return fmt.Sprint(len(v.Elems), " elements")
	}
	if len(v.Text) > 0 {
		return string(v.Text)
	}
	return strconv.FormatInt(v.Int, 10)
}

// A redis-server that follows has the libraries, those that were there before and those
// that come later; it has the fields that expire, and loses them when the node does.
func TestRedisServerFollowsLibrariesAndFields(t *testing.T) {
	f, _ := newFollowed(t)
	library := func(name string) string {
		return "#!lua name=" + name + "\nredis.register_function{function_name='" + name + "', callback=function() return '" + name + "' end, flags={'no-writes'}}"
	}
	f.ask(f.node, "FUNCTION", "LOAD", library("before"))
	f.ask(f.node, "HSET", "h", "a", "1", "b", "2", "c", "3")
	f.ask(f.node, "HPEXPIRE", "h", "600000", "FIELDS", "1", "a")
	f.follow()
	want := func(want string, args ...string) {
		t.Helper()
		f.settle()
		if got := f.ask(f.replica, args...); got != want {
			t.Errorf("%q is %q on the replica, want %q", args, got, want)
		}
	}
	want("before", "FCALL_RO", "before", "0")
	want("3", "HLEN", "h")
	f.ask(f.node, "FUNCTION", "LOAD", library("later"))
	want("later", "FCALL", "later", "0")
	f.ask(f.node, "FUNCTION", "DELETE", "before")
	want("ERR Function not found", "FCALL_RO", "before", "0")
	payload := f.ask(f.node, "FUNCTION", "DUMP")
	f.ask(f.node, "FUNCTION", "FLUSH")
	want("ERR Function not found", "FCALL_RO", "later", "0")
	f.ask(f.node, "FUNCTION", "RESTORE", payload)
	want("later", "FCALL", "later", "0")

	f.ask(f.node, "RESTORE", "copy", "0", f.ask(f.node, "DUMP", "h"))
	want("3", "HLEN", "copy")
	f.ask(f.node, "HPEXPIRE", "h", "20", "FIELDS", "2", "a", "b")
	for until := time.Now().Add(startPatience); f.ask(f.node, "HLEN", "h") != "1"; {
		if time.Now().After(until) {
			t.Fatal("the fields do not go")
		}
	}
	for until := time.Now().Add(startPatience); f.ask(f.replica, "HLEN", "h") != "1"; {
		if time.Now().After(until) {
			t.Fatal("the fields do not go on the replica")
		}
	}
}

// Messages reach the subscribers of a redis-server that follows.
func TestRedisServerFollowsMessages(t *testing.T) {
	f, port := newFollowed(t)
	f.follow()
	listener := dialled(t, local(port+1))
	f.ask(listener, "SUBSCRIBE", "c")
	if got := f.ask(f.node, "PUBLISH", "c", "text"); got != "0" {
		t.Errorf("PUBLISH counts %s receivers", got)
	}
	b, err := listener.Next()
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := reply.Read(b)
	if err != nil || len(v.Elems) != 3 || string(v.Elems[2].Text) != "text" {
		t.Errorf("heard %v, %v", v, err)
	}
}

type followed struct {
	port          int
	t             *testing.T
	node, replica *wire.Conn
	clients       []*wire.Conn
	recent        []string
}

// dialled connects to a server, once it serves.
func dialled(t *testing.T, addr string) *wire.Conn {
	t.Helper()
	for until := time.Now().Add(startPatience); ; time.Sleep(20 * time.Millisecond) {
		c, err := wire.Dial(addr)
		if err == nil {
			if v, err := c.Ask("PING"); err == nil && string(v.Text) == "PONG" {
				return c
			}
			_ = c.Close()
		}
		if time.Now().After(until) {
			t.Fatalf("%s does not serve: %v", addr, err)
		}
	}
}

func (f *followed) steps(w *workload.Workload, n int) {
	f.recent = nil
	for len(f.recent) < n {
		for _, s := range w.Next() {
			if s.Args == nil {
				time.Sleep(min(s.Wait, 20*time.Millisecond)) // for keys to become due
				continue
			}
			f.recent = append(f.recent, fmt.Sprintf("%d: %.200q", s.Client, s.Args))
			if _, err := f.clients[s.Client%len(f.clients)].Do(s.Args...); err != nil {
				f.t.Fatalf("%q: %v", s.Args, err)
			}
		}
	}
	for _, c := range f.clients {
		if _, err := c.Do([]byte("DISCARD")); err != nil { // of a transaction, if one is open
			f.t.Fatal(err)
		}
	}
}

// settle waits until the replica has what the node has.
func (f *followed) settle() {
	f.t.Helper()
	var sent, taken string
	for until := time.Now().Add(startPatience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if f.fact(f.replica, "master_link_status") != "up" {
			continue
		}
		sent, taken = f.fact(f.node, "psync_offset"), f.fact(f.replica, "slave_repl_offset")
		if sent == taken {
			return
		}
	}
	f.t.Fatalf("the replica is at %s of %s", taken, sent)
}

func (f *followed) fact(c *wire.Conn, name string) string {
	f.t.Helper()
	v, err := c.Ask("INFO", "replication")
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(v.Text), "\r\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return value
		}
	}
	return ""
}

// compare compares the data of the two, key by key where they differ.
func (f *followed) compare() {
	f.t.Helper()
	var a, b string
	// What is due goes with the node's log clock, and so to the replica.
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		va, _ := f.node.Ask("DEBUG", "DIGEST")
		vb, err := f.replica.Ask("DEBUG", "DIGEST")
		if err != nil {
			f.t.Fatal(err)
		}
		if a, b = string(va.Text), string(vb.Text); a == b {
			return
		}
		f.settle()
	}
	for db := range 16 {
		number := strconv.Itoa(db)
		names := map[string]bool{}
		for _, c := range []*wire.Conn{f.node, f.replica} {
			_, _ = c.Ask("SELECT", number)
			v, _ := c.Ask("KEYS", "*")
			for _, e := range v.Elems {
				names[string(e.Text)] = true
			}
		}
		for name := range names {
			va, _ := f.node.Ask("DEBUG", "DIGEST-VALUE", name)
			vb, _ := f.replica.Ask("DEBUG", "DIGEST-VALUE", name)
			ta, _ := f.node.Ask("PEXPIRETIME", name)
			tb, _ := f.replica.Ask("PEXPIRETIME", name)
			if string(va.Elems[0].Text) == string(vb.Elems[0].Text) && ta.Int == tb.Int {
				continue
			}
			f.t.Errorf("database %d, key %q: expires %d and %d", db, name, ta.Int, tb.Int)
			for _, c := range f.recent {
				if strings.Contains(c, strconv.Quote(name)) || strings.Contains(strings.ToLower(c), "flush") {
					f.t.Log(c)
				}
			}
		}
	}
	f.t.Fatalf("digests are %s and %s", a, b)
}
