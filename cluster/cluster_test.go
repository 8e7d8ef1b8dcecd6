package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// client is a connection as the node sees it: replies in order.
type client struct {
	mu      sync.Mutex
	out     *reply.Writer
	answers chan string
}

func newClient() *client {
	return &client{out: reply.NewWriter(reply.RESP2, nil), answers: make(chan string, 1000)}
}

func (c *client) BeginReplies() *reply.Writer {
	c.mu.Lock()
	return c.out
}

func (c *client) EndReplies(int) {
	rest := c.out.Bytes()
	for len(rest) > 0 {
		_, after, err := reply.Read(rest)
		if err != nil {
			panic(err)
		}
		c.answers <- strings.TrimRight(string(rest[:len(rest)-len(after)]), "\r\n")
		rest = after
	}
	c.out.Reset(c.out.Bytes())
	c.mu.Unlock()
}

func words(s string) [][]byte {
	var args [][]byte
	for _, w := range strings.Fields(s) {
		args = append(args, []byte(w))
	}
	return args
}

// do submits one write and waits for its answer.
func (c *client) do(t *testing.T, n *Node, command string) string {
	t.Helper()
	n.Submit(&fsm.Request{Conn: c, Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: words(command)}}})
	select {
	case a := <-c.answers:
		return a
	case <-time.After(15 * time.Second):
		t.Fatalf("%s: no answer", command)
		return ""
	}
}

// read reads linearizably from a node's memory.
func read(t *testing.T, n *Node, command string) string {
	t.Helper()
	got, err := tryRead(t, n, command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return got
}

// tryRead is read where it may be that no majority can be had.
func tryRead(t *testing.T, n *Node, command string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.Barrier(ctx); err != nil {
		return "", err
	}
	out := reply.NewWriter(reply.RESP2, nil)
	n.opts.Engine.View(time.Now().UnixMilli(), 1, func(v *engine.View) { v.Do(0, words(command), false, out) })
	return string(out.Bytes()), nil
}

// nextPort is where freeAddr looks next. It stays below the ports from which the
// system takes those of outgoing connections: a node must get its own back.
var nextPort atomic.Uint32

// freeAddr returns a loopback address that nobody listens on, and that no other
// call returns.
func freeAddr(t *testing.T) string {
	t.Helper()
	const first, ports = 12000, 20000
	nextPort.CompareAndSwap(0, uint32(os.Getpid()*61))
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", first+nextPort.Add(1)%ports)
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func newEngine() *engine.Engine { return engine.New(engine.Options{}) }

// testNode returns the options of a node for tests.
func testNode(t *testing.T, dir, addr string, join []string, expect int) Options {
	t.Helper()
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	return Options{
		Dir: dir, LogStore: "own", Sync: raftlog.No, SnapshotName: "dump.rdb", Bind: addr, Name: "test",
		Join: join, BootstrapExpect: expect, HeartbeatTimeout: 150 * time.Millisecond, WriteTimeout: 5 * time.Second,
		ReadLease: true, Engine: engine.New(engine.Options{}), Receive: func(Remote) {}, Applied: func(uint64) {},
		Exit: func(err error) { t.Errorf("node exits: %v", err) },
		Log:  slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})).With("node", filepath.Base(dir)),
	}
}

// trio is a cluster of three.
type trio struct {
	t       *testing.T
	options []Options
	nodes   []*Node
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	return newTrioWith(t, func(*Options) {})
}

// newTrioWith is newTrio with options of its own.
func newTrioWith(t *testing.T, with func(*Options)) *trio {
	t.Helper()
	c := &trio{t: t}
	var addrs []string
	for range 3 {
		addrs = append(addrs, freeAddr(t))
	}
	for i, addr := range addrs {
		c.options = append(c.options, testNode(t, filepath.Join(t.TempDir(), "n"+strconv.Itoa(i)), addr, addrs, 3))
		with(&c.options[i])
		c.nodes = append(c.nodes, nil)
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

func (c *trio) start(i int) {
	c.t.Helper()
	c.options[i].Engine = engine.New(engine.Options{})
	n, err := Open(c.options[i])
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = n
}

// stop stops a node as a crash would, as far as a process can do that to
// itself: it hands nothing over.
func (c *trio) stop(i int) {
	if n := c.nodes[i]; n != nil {
		c.nodes[i] = nil
		n.Halt()
	}
}

// restart stops all nodes, starts them, and waits for a leader.
func (c *trio) restart() {
	c.t.Helper()
	for i := range c.nodes {
		c.stop(i)
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.leader()
}

// leader waits until all living nodes agree on a leader that is ready.
func (c *trio) leader() int {
	c.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		found := -1
		for i, n := range c.nodes {
			if n != nil && n.readyTerm.Load() != 0 {
				found = i
			}
		}
		agreed := found >= 0
		for _, n := range c.nodes {
			if n == nil || !agreed {
				continue
			}
			_, id := n.raft.LeaderWithID()
			agreed = id == raft.ServerID(c.nodes[found].ID())
		}
		if agreed {
			return found
		}
		time.Sleep(10 * time.Millisecond) // polling with a deadline
	}
	c.t.Fatal("no leader")
	return -1
}

func TestWritesOfEveryNodeReachAll(t *testing.T) {
	c := newTrio(t)
	c.leader()
	for i, n := range c.nodes {
		if got := newClient().do(t, n, fmt.Sprintf("SET k%d v%d", i, i)); got != "+OK" {
			t.Fatalf("node %d: %s", i, got)
		}
	}
	for i, n := range c.nodes {
		for k := range 3 {
			if got, want := read(t, n, fmt.Sprintf("GET k%d", k)), fmt.Sprintf("$2\r\nv%d\r\n", k); got != want {
				t.Errorf("node %d: k%d is %q, want %q", i, k, got, want)
			}
		}
	}
}

func TestCountersSurviveTheLeader(t *testing.T) {
	c := newTrio(t)
	first := c.leader()
	const each = 300
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		if i == first {
			continue
		}
		wg.Go(func() {
			cl := newClient()
			for k := range each {
				if got := cl.do(t, n, "INCR counter"); !strings.HasPrefix(got, ":") {
					t.Errorf("node %d, write %d: %s", i, k, got)
					return
				}
			}
		})
	}
	cl := newClient()
	for range 20 {
		cl.do(t, c.nodes[(first+1)%3], "INCR other")
	}
	c.stop(first)
	wg.Wait()
	next := c.leader()
	if got, want := read(t, c.nodes[next], "GET counter"), strconv.Itoa(2*each); !strings.Contains(got, "\r\n"+want+"\r\n") {
		t.Errorf("counter is %q, want %s", got, want)
	}
}

func TestRestartedClusterHasEverything(t *testing.T) {
	c := newTrio(t)
	c.leader()
	for k := range 50 {
		if got := newClient().do(t, c.nodes[k%3], fmt.Sprintf("SET k%d %d", k, k)); got != "+OK" {
			t.Fatal(got)
		}
	}
	c.restart()
	for i, n := range c.nodes {
		if got := read(t, n, "GET k49"); got != "$2\r\n49\r\n" {
			t.Errorf("node %d: %q", i, got)
		}
	}
	if got := newClient().do(t, c.nodes[0], "INCR k49"); got != ":50" {
		t.Errorf("after the restart: %s", got)
	}
}

// A minority answers INDOUBT for what it sent, and a definite error for what it
// did not.
func TestMinorityTellsTheDoubtfulFromTheRefused(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	cl := newClient()
	cl.do(t, c.nodes[lead], "SET a 1")
	c.stop((lead + 1) % 3)
	c.stop((lead + 2) % 3)
	got := cl.do(t, c.nodes[lead], "SET a 2")
	if !strings.HasPrefix(got, "-INDOUBT ") && !strings.HasPrefix(got, "-CLUSTERDOWN ") {
		t.Errorf("write without a majority: %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := c.nodes[lead].Barrier(ctx); err == nil {
		t.Error("a read was confirmed without a majority")
	}
}
