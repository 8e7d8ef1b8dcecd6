//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestClientsOverFailover kills the leader beneath clients as applications
// use them: plain ones on the other nodes notice no error, and cluster clients,
// which talk to the leader itself, find the next one.
func TestClientsOverFailover(t *testing.T) {
	for _, redirect := range []string{"auto", "always"} {
		t.Run("redirect "+redirect, func(t *testing.T) {
			c := startCluster(t, 3, "--redirect", redirect)
			leader := c.leader()
			others := c.others(leader)
			steady := map[string]*steadyClient{
				"go-redis cluster client": steadyGo(t, clusterClient(c)),
				"redis-py cluster client": steadyPython(t, "--port", strconv.Itoa(others[0].port), "--cluster"),
			}
			if redirect == "auto" {
				steady["redis-py on a follower"] = steadyPython(t, "--port", strconv.Itoa(others[1].port))
			}
			for name, s := range steady {
				s.await(t, name, 20)
			}
			leader.kill()
			for name, s := range steady {
				s.await(t, name, 20)
			}
			if redirect == "always" {
				// redis-cli -c begins at a follower, which knows the new leader.
				next := c.others(c.leader())
				for _, n := range next {
					if n.running() {
						if out := redisCLI(t, "-c", "-p", strconv.Itoa(n.port), "SET", "after", "the kill"); out != "OK" {
							t.Errorf("redis-cli -c: %q", out)
						}
					}
				}
			}
			for name, s := range steady {
				if err := s.end(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			leader.start()
			leader.waitReady()
			c.checkDigests()
		})
	}
}

// Clients of Redis Sentinel find the leader, and the next one when it is killed,
// by any member's client port or by its sentinel-port.
func TestSentinelClientsOverFailover(t *testing.T) {
	c := newCluster(t, 3)
	sentinels := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		port := freePort(t)
		sentinels[i] = "127.0.0.1:" + strconv.Itoa(port)
		n.args = append(n.args, "--sentinel-port", strconv.Itoa(port))
		n.start()
	}
	c.waitReady()
	leader := c.leader()
	var clients []string
	for _, n := range c.nodes {
		clients = append(clients, n.addr())
	}
	steady := map[string]*steadyClient{
		"go-redis by client ports":   steadyGo(t, failoverClient(clients)),
		"go-redis by sentinel ports": steadyGo(t, failoverClient(sentinels)),
		"redis-py by client ports":   steadyPython(t, "--port", strconv.Itoa(leader.port), "--sentinels", strings.Join(clients, ",")),
		"redis-py by sentinel ports": steadyPython(t, "--port", strconv.Itoa(leader.port+1), "--sentinels", strings.Join(sentinels, ",")),
	}
	switched := c.others(leader)[0].client().Subscribe(t.Context(), "+switch-master")
	defer switched.Close()
	if _, err := switched.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, s := range steady {
		s.await(t, name, 20)
	}
	leader.kill()
	select {
	case m := <-switched.Channel():
		next := c.leader()
		if want := fmt.Sprintf("mymaster 127.0.0.1 %d 127.0.0.1 %d", leader.port, next.port); m.Payload != want {
			t.Errorf("+switch-master: %q, want %q", m.Payload, want)
		}
	case <-time.After(30 * time.Second):
		t.Error("no +switch-master after the leader was killed")
	}
	for name, s := range steady {
		s.await(t, name, 20)
	}
	for name, s := range steady {
		if err := s.end(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func failoverClient(sentinels []string) redis.UniversalClient {
	return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "mymaster", SentinelAddrs: sentinels, ReadTimeout: 20 * time.Second})
}

// steadyClient writes and reads back without pause.
type steadyClient struct {
	done atomic.Int64 // writes read back
	last atomic.Value // string: the last error that it got over
	stop func() error // ends it, once
}

func (s *steadyClient) await(t *testing.T, name string, more int64) {
	t.Helper()
	from := s.done.Load()
	eventually(t, 30*time.Second, name+" goes on", func() error {
		if n := s.done.Load() - from; n < more {
			return fmt.Errorf("%d writes since, last error: %v", n, s.last.Load())
		}
		return nil
	})
}

func (s *steadyClient) end() error { return s.stop() }

func clusterClient(c *testCluster) redis.UniversalClient {
	var seeds []string
	for _, n := range c.nodes {
		seeds = append(seeds, n.addr())
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: seeds, ReadTimeout: 20 * time.Second,
		// By default it looks only once a minute who owns the slots now when
		// the owner can't be reached.
		ClusterStateReloadInterval: time.Second,
	})
}

// steadyKeys numbers the keys of clients that write at the same time.
var steadyKeys atomic.Int32

// steadyGo ends client.
func steadyGo(t *testing.T, client redis.UniversalClient) *steadyClient {
	key := fmt.Sprintf("steady:go:%d", steadyKeys.Add(1))
	s, quit, failed := new(steadyClient), make(chan struct{}), make(chan error, 1)
	go func() {
		defer client.Close()
		ctx := t.Context()
		for i := 1; ; i++ {
			select {
			case <-quit:
				failed <- nil
				return
			default:
			}
			if err := client.Set(ctx, key, i, 0).Err(); err != nil {
				s.last.Store("SET: " + err.Error())
				continue
			}
			got, err := client.Get(ctx, key).Int()
			if err != nil {
				s.last.Store("GET: " + err.Error())
				continue
			}
			if got != i {
				failed <- fmt.Errorf("wrote %d and read %d", i, got)
				return
			}
			s.done.Add(1)
		}
	}()
	s.stop = sync.OnceValue(func() error {
		close(quit)
		return <-failed
	})
	t.Cleanup(func() { _ = s.stop() })
	return s
}

func steadyPython(t *testing.T, args ...string) *steadyClient {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", append([]string{"steady.py"}, args...)...)
	cmd.Dir = filepath.Join(root, "scripts", "e2e")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := new(strings.Builder)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, read := new(steadyClient), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.done.Add(1)
		}
	}()
	s.stop = sync.OnceValue(func() error {
		_ = in.Close()
		<-read
		if err := cmd.Wait(); err != nil {
			return errors.Join(err, errors.New(said.String()))
		}
		return nil
	})
	t.Cleanup(func() { _ = s.stop() })
	return s
}
