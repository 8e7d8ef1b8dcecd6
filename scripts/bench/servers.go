package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
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

// bench holds the servers under measurement.
type bench struct {
	binary  string
	port    int    // the first of those used
	dir     string // of all data; removed at the end
	servers []*server
}

// server is one process.
type server struct {
	group string // the target that its CPU time counts for
	port  int
	cmd   *exec.Cmd
}

// result is one run of a load.
type result struct {
	rate     float64 // requests a second
	p50, p99 float64 // of the time to a reply, ms
	cpu      float64 // of all processes of the target, microseconds a request
}

// cluster is the group of the three nodes.
const cluster = "quorate"

// start starts two redis-servers, with and without a log, and a cluster.
func (b *bench) start() error {
	dir, err := os.MkdirTemp("", "quorate-bench-")
	if err != nil {
		return err
	}
	b.dir = dir
	redis := func(name string, port int, args ...string) error {
		home := filepath.Join(dir, strconv.Itoa(port))
		if err := os.Mkdir(home, 0o755); err != nil {
			return err
		}
		return b.spawn(name, port, "redis-server", append([]string{"--port", strconv.Itoa(port), "--dir", home, "--save", ""}, args...)...)
	}
	if err := redis(fsyncing, b.port, "--appendonly", "yes", "--appendfsync", "always"); err != nil {
		return err
	}
	if err := redis(memoryDB, b.port+1, "--appendonly", "no"); err != nil {
		return err
	}
	first := b.port + 2
	join := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", first+10, first+11, first+12)
	for i := range 3 {
		home := filepath.Join(dir, "node-"+strconv.Itoa(i+1))
		err := b.spawn(cluster, first+i, b.binary, "server", "--port", strconv.Itoa(first+i), "--cluster-port", strconv.Itoa(first+10+i),
			"--dir", home, "--save", "", "--bootstrap-expect", "3", "--join", join, "--loglevel", "warning")
		if err != nil {
			return err
		}
	}
	return b.waitReady(first, 3)
}

func (b *bench) spawn(group string, port int, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	b.servers = append(b.servers, &server{group: group, port: port, cmd: cmd})
	return nil
}

// waitReady waits for nodes whose ports follow each other.
func (b *bench) waitReady(first, nodes int) error {
	deadline := time.Now().Add(30 * time.Second)
	for i := 0; i < nodes; {
		if exec.Command(b.binary, "health", "--port", strconv.Itoa(first+i)).Run() == nil {
			i++
			continue
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the node on port %d is not ready", first+i)
		}
		time.Sleep(100 * time.Millisecond) // another process: nothing to wait on
	}
	return nil
}

func (b *bench) close() error {
	for _, s := range b.servers {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // killed: an error is what it should be
	}
	return os.RemoveAll(b.dir)
}

// target returns the port to load and the group whose CPU time counts.
func (b *bench) target(name string) (port int, group string, err error) {
	if name != leader && name != follower {
		for _, s := range b.servers {
			if s.group == name {
				return s.port, s.group, nil
			}
		}
	}
	for _, s := range b.servers {
		if s.group != cluster {
			continue
		}
		out, err := exec.Command(b.binary, "cluster", "status", "--json", "--port", strconv.Itoa(s.port)).Output()
		var report struct{ Self, Leader string }
		if err != nil || json.Unmarshal(out, &report) != nil {
			continue
		}
		if leads := report.Self == report.Leader; leads == (name == leader) {
			return s.port, cluster, nil
		}
	}
	return 0, "", errors.New("no node is the " + name)
}

// once runs a load against a target.
func (b *bench) once(l load, name string, requests int) (result, error) {
	port, group, err := b.target(name)
	if err != nil {
		return result{}, err
	}
	args := []string{
		"-p", strconv.Itoa(port), "-c", strconv.Itoa(l.clients), "-P", strconv.Itoa(l.pipeline),
		"-n", strconv.Itoa(requests), "-d", "64", "-r", "100000", "--csv", "-t", l.test,
	}
	before := b.cpu(group)
	out, err := exec.Command("redis-benchmark", args...).Output()
	if err != nil {
		return result{}, fmt.Errorf("redis-benchmark %s: %w", strings.Join(args, " "), err)
	}
	spent := b.cpu(group) - before
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[1]) < 7 {
		return result{}, fmt.Errorf("redis-benchmark said %q", out)
	}
	number := func(i int) float64 { f, _ := strconv.ParseFloat(rows[1][i], 64); return f }
	// The columns: test, rps, avg, min, p50, p95, p99, max.
	return result{rate: number(1), p50: number(4), p99: number(6), cpu: spent / float64(requests) * 1e6}, nil
}

// cpu returns the CPU time, in seconds, that the processes of a group have
// taken so far.
func (b *bench) cpu(group string) float64 {
	const ticksPerSecond = 100 // USER_HZ on every Linux that Go runs on
	var ticks float64
	for _, s := range b.servers {
		if s.group != group {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		if err != nil {
			continue
		}
		// The name in parentheses may hold spaces: count from behind it.
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		for _, i := range []int{11, 12} { // utime, stime
			f, _ := strconv.ParseFloat(fields[i], 64)
			ticks += f
		}
	}
	return ticks / ticksPerSecond
}
