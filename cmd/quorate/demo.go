package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/cluster"
)

// demo is a cluster of child processes on this machine.
type demo struct {
	out     io.Writer
	dir     string
	port    int
	nodes   []*child
	restart bool
	events  chan event
}

// child is one node of the demo.
type child struct {
	number  int // from 1
	port    int
	dir     string
	cmd     *exec.Cmd // nil while it does not run
	started time.Time
}

// event is something that happened to the demo.
type event struct {
	died *child // a node ended by itself
	how  string
	key  int // the user pressed a node's number
}

// clusterPortOffset is the default distance of a node's cluster-port.
const clusterPortOffset = 10000

// runDemo starts a cluster, tells what happens to it, and stops it on Ctrl-C.
func runDemo(args []string, out io.Writer) error {
	set := flag.NewFlagSet("demo", flag.ContinueOnError)
	nodes := set.Int("nodes", 3, "`number` of nodes, 1 to 9")
	port := set.Int("port", 6379, "client `port` of the first node; the others follow")
	dir := set.String("dir", "", "`directory` for the nodes' data (default: a temporary one, removed at the end)")
	restart := set.Bool("restart", false, "start nodes that die again")
	if err := parseFlags(set, args); err != nil {
		return err
	}
	if *nodes < 1 || *nodes > 9 {
		return fmt.Errorf("demo: --nodes %d: it is 1 to 9", *nodes)
	}
	if *port < 1 || *port+*nodes-1+clusterPortOffset > 65535 {
		return fmt.Errorf("demo: --port %d: the nodes' cluster ports, %d above, must stay below 65536", *port, clusterPortOffset)
	}
	d := &demo{out: out, dir: *dir, port: *port, restart: *restart, events: make(chan event, 16)}
	if d.dir == "" {
		temp, err := os.MkdirTemp("", "quorate-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer os.RemoveAll(temp)
		d.dir = temp
	}
	for i := range *nodes {
		d.nodes = append(d.nodes, &child{number: i + 1, port: *port + i, dir: filepath.Join(d.dir, fmt.Sprintf("node-%d", i+1))})
	}
	return d.run()
}

func (d *demo) run() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer d.stopAll()
	for _, c := range d.nodes {
		if err := d.start(c); err != nil {
			return fmt.Errorf("demo: start node %d: %w", c.number, err)
		}
	}
	d.table()
	defer singleKeys()()
	go d.readKeys()
	watch := time.NewTicker(100 * time.Millisecond)
	defer watch.Stop()
	announced, leader := false, ""
	for {
		select {
		case <-stop:
			fmt.Fprintln(d.out, "stopping")
			return nil
		case e := <-d.events:
			if e.died == nil {
				d.press(e.key)
			} else if err := d.bury(e.died, e.how, announced); err != nil {
				return err
			}
		case <-watch.C:
			report, from := d.look()
			if report == nil || !report.Ready {
				continue
			}
			if !announced && d.allServe() {
				announced = true
				fmt.Fprintf(d.out, "cluster ready: %d nodes; try redis-cli -p %d; Ctrl-C stops it\n", len(d.nodes), d.port)
			}
			if now := d.leaderOf(report); now != "" && now != leader {
				leader = now
				fmt.Fprintf(d.out, "leader is %s in term %d (as node %d sees it)\n", leader, report.Term, from)
			}
		}
	}
}

func (d *demo) start(c *child) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	args := []string{"server", "--port", strconv.Itoa(c.port), "--dir", c.dir, "--cluster-port", strconv.Itoa(c.port + clusterPortOffset)}
	if len(d.nodes) > 1 {
		var join []string
		for _, other := range d.nodes {
			join = append(join, "127.0.0.1:"+strconv.Itoa(other.port+clusterPortOffset))
		}
		args = append(args, "--bootstrap-expect", strconv.Itoa(len(d.nodes)), "--join", strings.Join(join, ","))
	}
	log, err := os.OpenFile(filepath.Join(c.dir, "quorate.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C at the terminal is for the demo, which stops the nodes in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.started = cmd, time.Now()
	pid := []byte(strconv.Itoa(cmd.Process.Pid) + "\n")
	if err := os.WriteFile(filepath.Join(c.dir, "quorate.pid"), pid, 0o644); err != nil {
		return err
	}
	go func() {
		err := cmd.Wait()
		how := "ended"
		if err != nil {
			how = err.Error()
		}
		d.events <- event{died: c, how: how}
	}()
	return nil
}

func (d *demo) table() {
	w := tabwriter.NewWriter(d.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "node\tclients\tpid\tdata and log")
	for _, c := range d.nodes {
		fmt.Fprintf(w, "%d\t127.0.0.1:%d\t%d\t%s\n", c.number, c.port, c.cmd.Process.Pid, c.dir)
	}
	w.Flush()
}

// press starts the node of that number, if it does not run.
func (d *demo) press(number int) {
	for _, c := range d.nodes {
		if c.number != number || c.cmd != nil {
			continue
		}
		fmt.Fprintf(d.out, "starting node %d\n", c.number)
		if err := d.start(c); err != nil {
			fmt.Fprintf(d.out, "node %d: %v\n", c.number, err)
		}
	}
}

// bury tells of a node that ended, and how, and starts it again if that is
// wished. One that can't start at all ends the demo.
func (d *demo) bury(c *child, how string, announced bool) error {
	c.cmd = nil
	_ = os.Remove(filepath.Join(c.dir, "quorate.pid"))
	if !announced && time.Since(c.started) < 5*time.Second {
		return fmt.Errorf("demo: node %d did not start (%s): %s", c.number, how, lastLine(filepath.Join(c.dir, "quorate.log")))
	}
	if !d.restart {
		fmt.Fprintf(d.out, "node %d is gone (%s); press %d to start it again\n", c.number, how, c.number)
		return nil
	}
	fmt.Fprintf(d.out, "node %d is gone (%s); starting it again\n", c.number, how)
	time.AfterFunc(time.Second, func() { d.events <- event{key: c.number} })
	return nil
}

// readKeys turns the digits that the user types into events. It ends with the
// process: nothing wakes a read of the terminal.
func (d *demo) readKeys() {
	keys := bufio.NewReader(os.Stdin)
	for {
		key, err := keys.ReadByte()
		if err != nil {
			return
		}
		if '1' <= key && key <= '9' {
			d.events <- event{key: int(key - '0')}
		}
	}
}

// singleKeys makes the terminal, if stdin is one, hand over keys as they are
// pressed, and returns what undoes that.
func singleKeys() (undo func()) {
	stdin := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(stdin, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	single := *before
	single.Lflag &^= unix.ICANON | unix.ECHO
	if unix.IoctlSetTermios(stdin, unix.TCSETS, &single) != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(stdin, unix.TCSETS, before) }
}

// look asks the first node that answers how the cluster is.
func (d *demo) look() (report *cluster.Report, from int) {
	for _, c := range d.nodes {
		if c.cmd == nil {
			continue
		}
		node, err := dialNode(c.addr(), "", 300*time.Millisecond)
		if err != nil {
			continue
		}
		v, err := node.do("QUORATE", "STATUS")
		node.Close()
		var r cluster.Report
		if err == nil && json.Unmarshal(v.Text, &r) == nil && r.Leader != "" {
			return &r, c.number
		}
	}
	return nil, 0
}

func (c *child) addr() string { return "127.0.0.1:" + strconv.Itoa(c.port) }

// allServe reports whether every node serves linearizable reads.
func (d *demo) allServe() bool {
	for _, c := range d.nodes {
		if c.cmd == nil {
			return false
		}
		if runHealth([]string{"--port", strconv.Itoa(c.port), "--timeout", "1s"}, io.Discard) != nil {
			return false
		}
	}
	return true
}

// leaderOf returns the demo's name of the leader, or "".
func (d *demo) leaderOf(r *cluster.Report) string {
	at := slices.IndexFunc(r.Members, func(m cluster.Member) bool { return m.ID == r.Leader })
	if at < 0 {
		return ""
	}
	for _, c := range d.nodes {
		if r.Members[at].Client == c.addr() {
			return fmt.Sprintf("node %d", c.number)
		}
	}
	return ""
}

// stopAll stops the nodes; each hands leadership over if it has it.
func (d *demo) stopAll() {
	running := 0
	for _, c := range d.nodes {
		if c.cmd != nil {
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
			running++
		}
	}
	deadline := time.After(10 * time.Second)
	for running > 0 {
		select {
		case e := <-d.events:
			if e.died != nil {
				_ = os.Remove(filepath.Join(e.died.dir, "quorate.pid"))
				e.died.cmd = nil
				running--
			}
		case <-deadline:
			for _, c := range d.nodes {
				if c.cmd != nil {
					_ = c.cmd.Process.Kill()
				}
			}
			return
		}
	}
}

// lastLine returns the last line of a file, for an error message.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "its log can't be read"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
