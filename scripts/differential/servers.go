package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/scripts/differential/wire"
)

const (
	nodes         = 3
	startPatience = 60 * time.Second
)

// servers are processes of our own: a redis-server and a cluster.
type servers struct {
	dir       string // for their data
	logs      string // directory, which stays
	processes []*process
	redis     string   // its address
	endpoints []string // of the cluster's nodes
}

// process is a server that was started.
type process struct {
	name  string
	log   string // file
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended, with cmd.ProcessState set
}

// startServers starts them on ports from first on; data stays in memory where
// the system has a place for it, for nothing is to survive but the logs.
func startServers(binary string, first int, logs string) (_ *servers, err error) {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	s := &servers{logs: logs, redis: local(first), endpoints: []string{local(first + 1), local(first + 2), local(first + 3)}}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(base, "quorate-differential-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	err = s.start(fmt.Sprintf("redis-%d", first), "redis-server", "--port", strconv.Itoa(first), "--save", "", "--appendonly", "no",
		"--enable-debug-command", "yes", "--sanitize-dump-payload", "yes")
	if err != nil {
		return nil, err
	}
	peers := make([]string, nodes)
	for i := range peers {
		peers[i] = local(first + 11 + i)
	}
	for i := range nodes {
		err := s.start(fmt.Sprintf("node-%d", first+1+i), binary, "server", "--port", strconv.Itoa(first+1+i), "--cluster-port", strconv.Itoa(first+11+i),
			// On a busy machine a node must not be taken for dead; nothing is to outlive a loss of power.
			"--heartbeat-timeout", "2000", "--appendfsync", "no", "--save", "", "--enable-debug-command", "yes", "--bootstrap-expect", strconv.Itoa(nodes), "--join", strings.Join(peers, ","))
		if err != nil {
			return nil, err
		}
	}
	if err := s.await(); err != nil {
		return nil, err
	}
	return s, nil
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// start starts a server with a folder of its own.
func (s *servers) start(name, program string, args ...string) error {
	home := filepath.Join(s.dir, name)
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	p := &process{name: name, log: filepath.Join(s.logs, name+".log"), cmd: exec.Command(program, append(args, "--dir", home)...), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, p)
	go func() { // ends with the process, for which stop waits
		_ = p.cmd.Wait() // how it ended is in the ProcessState
		close(p.ended)
	}()
	return nil
}

// Of a process that died so many lines of its log are told, and so long is waited
// for the end of one that may have closed a connection.
const (
	lastLines   = 40
	endPatience = 500 * time.Millisecond
)

// obituary tells how processes ended that were not stopped, and what they logged
// last; "" if all are alive.
func (s *servers) obituary() string {
	var b strings.Builder
	for _, p := range s.processes {
		if !p.endsWithin(endPatience) {
			continue
		}
		log, err := os.ReadFile(p.log)
		if err != nil {
			log = []byte(err.Error())
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		fmt.Fprintf(&b, "%s ended: %v; its log is %s, which ends so:\n", p.name, p.cmd.ProcessState, p.log)
		for _, line := range lines[max(0, len(lines)-lastLines):] {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	return b.String()
}

func (s *servers) anyEnded() bool {
	return slices.ContainsFunc(s.processes, func(p *process) bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
}

func (p *process) endsWithin(d time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// await waits until every server takes a write.
func (s *servers) await() error {
	deadline := time.Now().Add(startPatience)
	for _, addr := range append([]string{s.redis}, s.endpoints...) {
		for {
			err := tryWrite(addr)
			if s.anyEnded() { // another may answer in its place, on the port that it did not get
				return errors.New("a server ended as it started:\n" + s.obituary())
			}
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not serve: %w; see the logs in %s", addr, err, s.logs)
			}
			time.Sleep(100 * time.Millisecond) // another process: nothing to wait on
		}
	}
	return nil
}

func tryWrite(addr string) error {
	c, err := wire.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Ask("SET", "ready", "yes")
	return err
}

// stop ends the servers and removes their data.
func (s *servers) stop() {
	for _, p := range s.processes {
		_ = p.cmd.Process.Kill() // an error: it has ended
		<-p.ended
	}
	_ = os.RemoveAll(s.dir)
}
