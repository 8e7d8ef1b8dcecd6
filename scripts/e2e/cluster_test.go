//go:build e2e || compose

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/cluster"
)

// testCluster is a cluster of processes on this machine.
type testCluster struct {
	t     *testing.T
	nodes []*testNode
	extra []string // directives that every node is given
}

// testNode is one process of it. Its methods are for the test's goroutine.
type testNode struct {
	t       *testing.T
	number  int // from 1
	port    int
	cluster int // its node-to-node port
	dir     string
	args    []string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
}

const (
	// readyWithin is how long a cluster may take to serve after its start; the
	// machines that run this are slow and shared.
	readyWithin = 30 * time.Second
	clusterPort = 10000
)

// newCluster makes n nodes that are not started. Each is given extra.
func newCluster(t *testing.T, n int, extra ...string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, extra: extra}
	for range n {
		c.add()
	}
	join := c.addrs()
	for _, node := range c.nodes {
		node.args = append(node.args, "--bootstrap-expect", strconv.Itoa(n), "--join", join)
		node.args = append(node.args, extra...)
	}
	return c
}

// startCluster starts n nodes and waits until each serves.
func startCluster(t *testing.T, n int, extra ...string) *testCluster {
	t.Helper()
	c := newCluster(t, n, extra...)
	for _, node := range c.nodes {
		node.start()
	}
	c.waitReady()
	return c
}

// add makes one more node, without its directives on the others.
func (c *testCluster) add() *testNode {
	n := newNode(c.t, len(c.nodes)+1)
	c.nodes = append(c.nodes, n)
	return n
}

func (c *testCluster) addrs() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.clusterAddr())
	}
	return strings.Join(all, ",")
}

func newNode(t *testing.T, number int) *testNode {
	t.Helper()
	n := &testNode{t: t, number: number, port: freePort(t), dir: filepath.Join(t.TempDir(), fmt.Sprintf("node-%d", number))}
	n.cluster = n.port + clusterPort
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n.args = []string{
		"server", "--port", strconv.Itoa(n.port), "--dir", n.dir, "--enable-debug-command", "yes",
		// A machine that is busy with other things elects slower than the
		// default allows before commands are refused.
		"--no-leader-wait", "10000",
	}
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			n.keepLog()
		}
	})
	return n
}

// lastPort is the last port that was given to a node. Ports stay below 22768:
// the node-to-node ports above them must stay below those of outgoing
// connections.
var lastPort atomic.Int32

func init() { lastPort.Store(int32(15000 + os.Getpid()%6000)) }

func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := int(lastPort.Add(1))
		if port >= 22000 {
			lastPort.Store(15000)
		}
		if portFree(port) && portFree(port+clusterPort) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (n *testNode) addr() string { return "127.0.0.1:" + strconv.Itoa(n.port) }

func (n *testNode) clusterAddr() string { return "127.0.0.1:" + strconv.Itoa(n.cluster) }

func (n *testNode) logPath() string { return filepath.Join(filepath.Dir(n.dir), "quorate.log") }

// start runs the node's command; the same one restarts it.
func (n *testNode) start() {
	n.t.Helper()
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	n.run(exec.Command(binary, n.args...), log)
}

// run starts the node by a command that becomes it.
func (n *testNode) run(cmd *exec.Cmd, log io.Writer) {
	n.t.Helper()
	fmt.Fprintf(log, "--- %s %s\n", time.Now().Format("15:04:05.000"), strings.Join(cmd.Args, " "))
	n.cmd = cmd
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatalf("start node %d: %v", n.number, err)
	}
	n.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(n.cmd, n.ended)
}

func (n *testNode) running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// kill ends the node with SIGKILL and waits for its end.
func (n *testNode) kill() { n.end(syscall.SIGKILL) }

// terminate ends the node with SIGTERM, and waits for its end.
func (n *testNode) terminate() { n.end(syscall.SIGTERM) }

func (n *testNode) end(sig syscall.Signal) {
	n.t.Helper()
	if !n.running() {
		return
	}
	_ = n.cmd.Process.Signal(sig)
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		n.t.Errorf("node %d did not end on %v", n.number, sig)
		_ = n.cmd.Process.Kill()
		<-n.ended
	}
}

// exitCode waits for the node's end by itself and returns its exit code.
func (n *testNode) exitCode() int {
	n.t.Helper()
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		n.t.Fatalf("node %d did not end", n.number)
	}
	return n.cmd.ProcessState.ExitCode()
}

func (n *testNode) log() string {
	text, err := os.ReadFile(n.logPath())
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

// keepLog shows the end of the node's log and keeps the whole of it.
func (n *testNode) keepLog() {
	text, err := os.ReadFile(n.logPath())
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if more := len(lines) - 25; more > 0 {
		lines = append([]string{fmt.Sprintf("... %d lines before", more)}, lines[more:]...)
	}
	n.t.Logf("log of node %d:\n%s", n.number, strings.Join(lines, "\n"))
	dir := filepath.Join(root, "bin", "e2e-logs")
	if os.MkdirAll(dir, 0o755) == nil {
		name := fmt.Sprintf("%s-node-%d.log", strings.ReplaceAll(n.t.Name(), "/", "-"), n.number)
		_ = os.WriteFile(filepath.Join(dir, name), text, 0o644)
	}
}

// quorate runs a subcommand and returns its output, both streams, and its
// exit code.
func quorate(args ...string) (string, int) {
	out, err := exec.Command(binary, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	case err != nil:
		return err.Error(), -1
	}
	return string(out), 0
}

// healthy reports whether quorate health says so.
func (n *testNode) healthy() bool {
	_, code := quorate("health", "--port", strconv.Itoa(n.port), "--timeout", "1s")
	return code == 0
}

func (n *testNode) waitReady() {
	n.t.Helper()
	deadline := time.Now().Add(readyWithin)
	for !n.healthy() {
		if !n.running() {
			n.t.Fatalf("node %d ended while it was waited for", n.number)
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("node %d is not ready after %v", n.number, readyWithin)
		}
		time.Sleep(20 * time.Millisecond) // a poll: the process tells nobody when it is ready
	}
}

// waitReady waits until every running node serves linearizable reads, and
// knows where clients reach the others.
func (c *testCluster) waitReady() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.running() {
			n.waitReady()
		}
	}
	running := c.running()
	eventually(c.t, readyWithin, "nodes know each other", func() error {
		for _, n := range running {
			report, err := n.report()
			if err != nil {
				return err
			}
			known := 0
			for _, m := range report.Members {
				if m.Online && m.Client != "" {
					known++
				}
			}
			if known < len(running) {
				return fmt.Errorf("node %d knows %d of %d", n.number, known, len(running))
			}
		}
		return nil
	})
}

func (c *testCluster) running() []*testNode {
	var all []*testNode
	for _, n := range c.nodes {
		if n.running() {
			all = append(all, n)
		}
	}
	return all
}

// report asks the node how the cluster is, as operators do.
func (n *testNode) report() (*cluster.Report, error) {
	out, code := quorate("cluster", "status", "--port", strconv.Itoa(n.port), "--json")
	if code != 0 {
		return nil, fmt.Errorf("cluster status of node %d: exit code %d: %s", n.number, code, out)
	}
	var r cluster.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return nil, fmt.Errorf("cluster status of node %d: %w in %s", n.number, err, out)
	}
	return &r, nil
}

// leader returns the node that all running ones follow.
func (c *testCluster) leader() *testNode {
	c.t.Helper()
	var leader *testNode
	eventually(c.t, readyWithin, "a leader that all follow", func() error {
		leader = nil
		for _, n := range c.running() {
			report, err := n.report()
			if err != nil {
				return err
			}
			found := c.byReport(report)
			if found == nil || leader != nil && found != leader {
				return fmt.Errorf("node %d follows %q", n.number, report.Leader)
			}
			leader = found
		}
		return nil
	})
	return leader
}

func (c *testCluster) byReport(r *cluster.Report) *testNode {
	for _, m := range r.Members {
		for _, n := range c.nodes {
			if m.ID == r.Leader && m.Client == n.addr() {
				return n
			}
		}
	}
	return nil
}

// others returns the nodes but one, in order.
func (c *testCluster) others(but *testNode) []*testNode {
	var all []*testNode
	for _, n := range c.nodes {
		if n != but {
			all = append(all, n)
		}
	}
	return all
}

// client returns a plain client of the node that resends nothing: what it
// tells is what the node answered.
func (n *testNode) client() *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: n.addr(), MaxRetries: -1, PoolSize: 16,
		ReadTimeout: 20 * time.Second, DialTimeout: 5 * time.Second,
	})
	n.t.Cleanup(func() { client.Close() })
	return client
}

// checkDigests fails the test unless all running nodes come to hold the same.
// A digest is of the node's own memory, so followers are given time to apply.
func (c *testCluster) checkDigests() {
	c.t.Helper()
	var digests []string
	eventually(c.t, 10*time.Second, "equal digests", func() error {
		digests = digests[:0]
		for _, n := range c.running() {
			digest, err := n.client().Do(context.Background(), "DEBUG", "DIGEST").Text()
			if err != nil {
				return fmt.Errorf("node %d: %w", n.number, err)
			}
			digests = append(digests, digest)
		}
		for _, d := range digests {
			if d != digests[0] {
				return fmt.Errorf("digests %v", digests)
			}
		}
		return nil
	})
}

// eventually fails the test unless f succeeds within the time. Other processes
// tell nobody when they are done: they are asked again.
func eventually(t testing.TB, within time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(10 * time.Millisecond) // a poll with a deadline
	}
}
