//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// demoProcess is a running quorate demo and what it has printed.
type demoProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	keys  io.WriteCloser
	lines chan string
	said  []string
	dir   string
	port  int
	ended bool
}

func startDemo(t *testing.T, args ...string) *demoProcess {
	t.Helper()
	d := &demoProcess{t: t, lines: make(chan string, 100), dir: t.TempDir(), port: freePorts(t, 3)}
	args = append([]string{"demo", "--port", strconv.Itoa(d.port), "--dir", d.dir}, args...)
	d.cmd = exec.Command(binary, args...)
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if d.keys, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d.cmd.Stdout
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			d.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		d.interrupt()
		if t.Failed() {
			t.Logf("the demo said:\n%s", strings.Join(d.said, "\n"))
		}
	})
	return d
}

// freePorts returns the first of n free ports in a row.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first := freePort(t)
		row := true
		for range n - 1 {
			row = row && freePort(t) < first+n
		}
		if row {
			return first
		}
	}
	t.Fatal("no free ports in a row")
	return 0
}

// await returns the next line that begins so.
func (d *demoProcess) await(prefix string) string {
	d.t.Helper()
	timeout := time.After(readyWithin)
	for {
		select {
		case line, ok := <-d.lines:
			if !ok {
				d.t.Fatalf("the demo ended before it said %q", prefix)
			}
			d.said = append(d.said, line)
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-timeout:
			d.t.Fatalf("the demo does not say %q", prefix)
		}
	}
}

// interrupt presses Ctrl-C and waits for the end.
func (d *demoProcess) interrupt() {
	d.t.Helper()
	if d.ended {
		return
	}
	d.ended = true
	_ = d.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(20*time.Second, func() {
		d.t.Error("the demo does not end on Ctrl-C")
		_ = d.cmd.Process.Kill()
	})
	defer kill.Stop()
	for line := range d.lines {
		d.said = append(d.said, line)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the demo ended with %v", err)
	}
}

func (d *demoProcess) pid(node int) int {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "node-"+strconv.Itoa(node), "quorate.pid"))
	if err != nil {
		d.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		d.t.Fatal(err)
	}
	return pid
}

func (d *demoProcess) client(node int) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + strconv.Itoa(d.port+node-1), MaxRetries: -1, ReadTimeout: 20 * time.Second})
	d.t.Cleanup(func() { client.Close() })
	return client
}

// TestDemo kills a node of the demo, goes on, starts it again by its number,
// and stops all.
func TestDemo(t *testing.T) {
	ctx := context.Background()
	d := startDemo(t)
	d.await("node")
	for node := 1; node <= 3; node++ {
		line := d.await(strconv.Itoa(node) + " ")
		for _, word := range []string{"127.0.0.1:" + strconv.Itoa(d.port+node-1), strconv.Itoa(d.pid(node))} {
			if !strings.Contains(line, word) {
				t.Errorf("the table's row does not say %s: %s", word, line)
			}
		}
	}
	d.await("cluster ready")
	leader := strings.Fields(d.await("leader is node"))[3]
	victim, err := strconv.Atoi(leader)
	if err != nil {
		t.Fatal(err)
	}
	survivor := victim%3 + 1
	must[string](t, "SET")(d.client(victim).Set(ctx, "k", "v", 0).Result())
	if err := syscall.Kill(d.pid(victim), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := must[string](t, "GET")(d.client(survivor).Get(ctx, "k").Result()); got != "v" {
		t.Errorf("GET on a survivor: %q", got)
	}
	d.await("node " + leader + " is gone")
	d.await("leader is node")
	if _, err := io.WriteString(d.keys, leader+"\n"); err != nil {
		t.Fatal(err)
	}
	d.await("starting node " + leader)
	eventually(t, readyWithin, "the node is back", func() error { return d.client(victim).Incr(ctx, "count").Err() })
	pids := []int{d.pid(1), d.pid(2), d.pid(3)}
	d.interrupt()
	for i, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("node %d still runs after the demo", i+1)
		}
	}
}

// TestDemoRestart: with --restart nobody presses a number.
func TestDemoRestart(t *testing.T) {
	ctx := context.Background()
	d := startDemo(t, "--restart")
	d.await("cluster ready")
	before := d.pid(1)
	must[string](t, "SET")(d.client(1).Set(ctx, "k", "v", 0).Result())
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.await("node 1 is gone")
	d.await("starting node 1")
	client := d.client(1)
	eventually(t, readyWithin, "the node is back", func() error { return client.Get(ctx, "k").Err() })
	if after := d.pid(1); after == before {
		t.Errorf("quorate.pid still says %d", before)
	}
}

// TestDemoPortTaken: the demo says which node did not start, and why.
func TestDemoPortTaken(t *testing.T) {
	n := newNode(t, 1)
	n.start()
	n.waitReady()
	out, code := quorate("demo", "--port", strconv.Itoa(n.port), "--dir", t.TempDir())
	if code != 1 || !strings.Contains(out, strconv.Itoa(n.port)) || !strings.Contains(out, "in use") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
