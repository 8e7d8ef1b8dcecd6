package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stage is what the suite can run against.
type stage struct {
	name  string
	nodes int
	// argv is the command line of one of the nodes, beside port and folder.
	argv func(quorate string, first, i int) []string
	role string // of the node that the suite talks to, as ROLE says it
	// files are run when none are named; nil: all that the suite has.
	files []string
}

// own reports whether the suite starts the servers itself: then it runs what it leaves
// out with servers that others have started, and gives each the configuration it needs.
func (st stage) own() bool { return st.nodes == 0 }

var stages = map[string]stage{
	"node":     {name: "node", nodes: 1, argv: alone, role: "master"},
	"leader":   {name: "leader", nodes: 3, argv: member, role: "master"},
	"follower": {name: "follower", nodes: 3, argv: member, role: "slave"},
	// The files in which little is about what a node is not: a replica of its own kind.
	"started": {name: "started", files: []string{
		"unit/acl", "unit/acl-v2", "unit/auth", "unit/client-eviction", "unit/dump", "unit/info", "unit/introspection", "unit/limits",
		"unit/maxmemory", "unit/multi", "unit/networking", "unit/obuf-limits", "unit/other", "unit/pubsubshard", "unit/type/stream-cgroups",
	}},
	"redis-server": {name: "redis-server", nodes: 1, role: "master", argv: func(string, int, int) []string {
		return []string{"redis-server", "--save", "", "--enable-debug-command", "yes"}
	}},
}

// Budgets of scripts are far larger than the default: tests of SCRIPT KILL and FUNCTION
// KILL want to find a script still running 200 ms after its start, and beyond the default
// budget none runs so long. Three nodes on one machine take three times as long for one,
// and a leader that is in a script for two seconds resigns: they have less.

// alone is a cluster of one node. That it writes without syncing changes no
// reply, and the suite is not what tests storage.
func alone(quorate string, first, _ int) []string {
	return append(server(quorate, first, 0), "--appendfsync", "no", "--lua-instructions-max", "1000000000", "--lua-bytes-max", "2000000000")
}

// member is one of three nodes. They are in no haste to elect: the suite keeps two
// processors busy for minutes, and is not what tests elections.
func member(quorate string, first, i int) []string {
	join := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", first+10, first+11, first+12)
	return append(server(quorate, first, i), "--bootstrap-expect", "3", "--join", join, "--heartbeat-timeout", "2000",
		"--lua-instructions-max", "300000000", "--lua-bytes-max", "1000000000")
}

func server(quorate string, first, i int) []string {
	return []string{quorate, "server", "--cluster-port", strconv.Itoa(first + 10 + i), "--save", "", "--enable-debug-command", "yes"}
}

// servers are those of a stage that run.
type servers struct {
	port int // the suite's
	cmds []*exec.Cmd
	dir  string
}

// start starts the stage's servers on ports from first on, logging into logs.
func (st stage) start(ctx context.Context, quorate string, first int, logs string) (*servers, error) {
	dir, err := os.MkdirTemp("", "quorate-compat-")
	if err != nil {
		return nil, err
	}
	s := &servers{dir: dir}
	for i := range st.nodes {
		home := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(home, 0o755); err != nil {
			return nil, errors.Join(err, s.stop())
		}
		argv := append(st.argv(quorate, first, i), "--port", strconv.Itoa(first+i), "--dir", home)
		if err := s.spawn(ctx, argv, filepath.Join(logs, fmt.Sprintf("%s-%d.log", st.name, first+i))); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	if err := s.await(ctx, st, first); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// spawn starts one server whose output is appended to a file.
func (s *servers) spawn(ctx context.Context, argv []string, log string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	return nil
}

// startMax is how long servers may take to start, on a machine that others use too.
const startMax = 2 * time.Minute

// await waits until all nodes answer and one has the stage's role.
func (s *servers) await(ctx context.Context, st stage, first int) error {
	deadline := time.Now().Add(startMax)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		s.port = 0
		up := 0
		for i := range st.nodes {
			if redisCLI(first+i, "ping") == "PONG" {
				up++
			}
			role, _, _ := strings.Cut(redisCLI(first+i, "role"), "\n")
			if role == st.role && s.port == 0 {
				s.port = first + i
			}
		}
		if up == st.nodes && s.port != 0 && st.ready(s.port) {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // other processes: nothing to wait on
	}
	return fmt.Errorf("%s: no server for the suite on ports from %d", st.name, first)
}

// ready reports whether writes are taken.
func (st stage) ready(port int) bool { return redisCLI(port, "flushall") == "OK" }

// redisCLI returns what redis-cli prints for a command, or "" if it fails.
func redisCLI(port int, args ...string) string {
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(port)}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// stop ends the servers and removes their data.
func (s *servers) stop() error {
	for _, cmd := range s.cmds {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait() // killed: an error is what it should be
	}
	return os.RemoveAll(s.dir)
}
