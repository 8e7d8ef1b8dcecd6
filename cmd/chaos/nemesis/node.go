package nemesis

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// endPatience bounds how long a node may take to stop when it is told to.
const endPatience = 20 * time.Second

// quitPatience bounds how long it may take to write its goroutines to its log.
const quitPatience = 3 * time.Second

// node is one process of a cluster.
type node struct {
	cluster *Cluster
	number  int    // from 0
	home    string // where its disk is mounted
	dir     string // its data directory
	log     string // the file of its log
	binary  string
	args    []string

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	asked bool          // its end was our doing, or was to be expected
}

func (n *node) addr() string { return n.cluster.net.client(n.number) }

// start runs the node.
func (n *node) start() error {
	if n.running() {
		return nil
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("nemesis: %w", err)
	}
	defer log.Close()
	cmd := n.cluster.net.command(n.number, n.binary, n.args)
	fmt.Fprintf(log, "--- %s %s\n", time.Now().UTC().Format("15:04:05.000"), strings.Join(cmd.Args, " "))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), clockEnv+"="+n.clockFile())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("nemesis: start node %d: %w", n.number, err)
	}
	n.cmd, n.ended, n.asked = cmd, make(chan struct{}), false
	go func(ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(n.ended)
	return nil
}

// running reports whether the process lives, paused or not.
func (n *node) running() bool {
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

// signal sends a signal to the node's process.
func (n *node) signal(sig syscall.Signal) error {
	if !n.running() {
		return fmt.Errorf("nemesis: node %d does not run", n.number)
	}
	return n.cmd.Process.Signal(sig)
}

// kill ends the node with SIGKILL, also when it is paused, and waits.
func (n *node) kill() {
	if !n.running() {
		return
	}
	n.asked = true
	_ = n.cmd.Process.Kill()
	<-n.ended
}

// terminate ends the node with SIGTERM. A node that does not end in time is
// killed, which is an error.
func (n *node) terminate() error {
	if !n.running() {
		return nil
	}
	n.asked = true
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	if n.awaitEnd(endPatience) {
		return nil
	}
	_ = n.cmd.Process.Signal(syscall.SIGQUIT) // the log shall tell what it waits for
	n.awaitEnd(quitPatience)
	n.kill()
	return fmt.Errorf("node %d did not end within %v of SIGTERM", n.number, endPatience)
}

// awaitEnd waits for the process's end and reports whether it came in time.
func (n *node) awaitEnd(within time.Duration) bool {
	if n.cmd == nil {
		return true
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-n.ended:
		return true
	case <-timer.C:
		return false
	}
}

// wipe empties the data directory of a node that does not run.
func (n *node) wipe() error {
	if n.running() {
		return fmt.Errorf("nemesis: node %d runs: its directory can't be emptied", n.number)
	}
	return errors.Join(os.RemoveAll(n.dir), os.MkdirAll(n.dir, 0o755))
}

// lastWords returns how the process ended, and the end of its log.
func (n *node) lastWords() string {
	state := "it runs"
	if n.cmd != nil && !n.running() {
		state = n.cmd.ProcessState.String()
	}
	text, err := os.ReadFile(n.log)
	if err != nil {
		return state
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	last := lines[len(lines)-1]
	for i := len(lines) - 1; i >= 0 && i > len(lines)-400; i-- {
		if strings.HasPrefix(lines[i], "---") {
			break
		}
		if strings.Contains(lines[i], "quorate: fatal") || strings.HasPrefix(lines[i], "panic") || strings.HasPrefix(lines[i], "fatal error") {
			last = lines[i]
		}
	}
	return state + ": " + last
}

// id returns the id in the node's directory, "" if there is none.
func nodeID(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "node-id"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
