package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	dir       string
	processes []*exec.Cmd
	redis     string   // its address
	endpoints []string // of the cluster's nodes
}

// startServers starts them on ports from first on; data stays in memory where
// the system has a place for it, for nothing is to survive.
func startServers(binary string, first int) (_ *servers, err error) {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	s := &servers{redis: local(first), endpoints: []string{local(first + 1), local(first + 2), local(first + 3)}}
	if s.dir, err = os.MkdirTemp(base, "quorate-differential-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	err = s.start("redis-server", "redis-server", "--port", strconv.Itoa(first), "--save", "", "--appendonly", "no",
		"--enable-debug-command", "yes")
	if err != nil {
		return nil, err
	}
	peers := make([]string, nodes)
	for i := range peers {
		peers[i] = local(first + 11 + i)
	}
	for i := range nodes {
		err := s.start(fmt.Sprintf("node-%d", i), binary, "server", "--port", strconv.Itoa(first+1+i), "--cluster-port", strconv.Itoa(first+11+i),
			"--save", "", "--appendfsync", "no", "--enable-debug-command", "yes", "--bootstrap-expect", strconv.Itoa(nodes), "--join", strings.Join(peers, ","))
		if err != nil {
			return nil, err
		}
	}
	return s, s.await()
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// start starts a server with a folder of its own.
func (s *servers) start(name, program string, args ...string) error {
	home := filepath.Join(s.dir, name)
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	log, err := os.Create(home + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, append(args, "--dir", home)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, cmd)
	return nil
}

// await waits until every server takes a write.
func (s *servers) await() error {
	deadline := time.Now().Add(startPatience)
	for _, addr := range append([]string{s.redis}, s.endpoints...) {
		for {
			err := tryWrite(addr)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not serve: %w; see the logs in %s", addr, err, s.dir)
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

// stop ends the servers and removes what they left.
func (s *servers) stop() {
	for _, p := range s.processes {
		_ = p.Process.Kill()
		_ = p.Wait() // killed: an error is what it should be
	}
	_ = os.RemoveAll(s.dir)
}
