//go:build compose

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// project is the shipped compose file, brought up under a name of its own.
type project struct {
	t       *testing.T
	compose []string // the command
}

const projectName = "quorate-e2e"

// published are the addresses at which the shipped file publishes the nodes.
var published = []string{"127.0.0.1:6379", "127.0.0.1:6380", "127.0.0.1:6381"}

// newProject finds an engine and a compose, of either version.
func newProject(t *testing.T) *project {
	t.Helper()
	if err := exec.Command("docker", "info").Run(); err != nil {
		t.Skip("no Docker engine answers")
	}
	p := &project{t: t, compose: []string{"docker", "compose"}}
	if exec.Command("docker", "compose", "version").Run() != nil {
		p.compose = []string{"docker-compose"}
		if _, err := exec.LookPath("docker-compose"); err != nil {
			t.Skip("neither docker compose nor docker-compose is installed")
		}
	}
	return p
}

// do runs a compose command.
func (p *project) do(args ...string) string {
	p.t.Helper()
	args = slices.Concat(p.compose, []string{"-p", projectName, "-f", filepath.Join(root, "docker-compose.yml")}, args)
	return p.run(args...)
}

func (p *project) run(args ...string) string {
	p.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// container returns the id of a service's container.
func (p *project) container(service string) string {
	p.t.Helper()
	lines := strings.Fields(p.do("ps", "-a", "-q", service))
	if len(lines) == 0 {
		p.t.Fatalf("%s has no container", service)
	}
	return lines[len(lines)-1]
}

func (p *project) awaitHealthy(services ...string) {
	p.t.Helper()
	for _, service := range services {
		id := p.container(service)
		eventually(p.t, time.Minute, service+" is healthy", func() error {
			if status := p.run("docker", "inspect", "-f", "{{.State.Health.Status}}", id); status != "healthy" {
				return fmt.Errorf("it is %s", status)
			}
			return nil
		})
	}
}

// leader returns which of the services leads: its number, from 0.
func (p *project) leader() int {
	p.t.Helper()
	for i, addr := range published {
		_, port, _ := strings.Cut(addr, ":")
		out, code := quorate("cluster", "status", "--port", port)
		if code != 0 {
			continue
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, " leader ") {
				for j := range published {
					if strings.Contains(line, fmt.Sprintf("node%d:6379", j+1)) {
						return j
					}
				}
			}
		}
		p.t.Fatalf("%s shows no leader:\n%s", published[i], out)
	}
	p.t.Fatal("no node tells who leads")
	return 0
}

// TestCompose brings up the shipped compose file, uses its nodes from the host
// and from another container, and goes on without the leader's container.
func TestCompose(t *testing.T) {
	p := newProject(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	services := []string{"node1", "node2", "node3"}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.do("logs", "--tail", "25"))
		}
		p.do("down", "-v")
	})
	p.do("up", "-d")
	p.awaitHealthy(services...)

	var clients []*redis.Client
	for _, addr := range published {
		client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ReadTimeout: 20 * time.Second})
		defer client.Close()
		clients = append(clients, client)
	}
	t.Run("each node writes and reads", func(t *testing.T) {
		for i, client := range clients {
			key := fmt.Sprintf("key:%d", i)
			if err := client.Set(ctx, key, i, 0).Err(); err != nil {
				t.Fatalf("%s: SET: %v", published[i], err)
			}
			for j, other := range clients {
				if got, err := other.Get(ctx, key).Int(); err != nil || got != i {
					t.Errorf("%s: GET: %d, %v", published[j], got, err)
				}
			}
		}
	})
	t.Run("cluster clients on the host and in a container", func(t *testing.T) { followBoth(t, p) })
	t.Run("the leader's container is killed", func(t *testing.T) {
		leader := p.leader()
		p.run("docker", "kill", p.container(services[leader]))
		for i, client := range clients {
			if i == leader {
				continue
			}
			for range 50 {
				if err := client.Incr(ctx, "count").Err(); err != nil {
					t.Fatalf("%s: INCR: %v", published[i], err)
				}
			}
		}
		p.run("docker", "start", p.container(services[leader]))
		p.awaitHealthy(services...)
		if got, err := clients[leader].Get(ctx, "count").Int(); err != nil || got != 100 {
			t.Errorf("the node that came back counts %d, %v; want 100", got, err)
		}
	})
	t.Run("all containers are made anew", func(t *testing.T) {
		p.do("down")
		p.do("up", "-d")
		p.awaitHealthy(services...)
		for i, client := range clients {
			if got, err := client.Get(ctx, "count").Int(); err != nil || got != 100 {
				t.Errorf("%s counts %d, %v; want 100", published[i], got, err)
			}
		}
	})
}

// followBoth lets a cluster client on the host and one in a container of the
// nodes' network follow redirections at the same time.
func followBoth(t *testing.T, p *project) {
	// The container's client is this test, built without a C library and put
	// into an image of its own.
	dir := t.TempDir()
	build := exec.Command("go", "test", "-c", "-tags", "compose", "-o", filepath.Join(dir, "client"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the client: %v\n%s", err, out)
	}
	dockerfile := "FROM scratch\nCOPY client /client\nENTRYPOINT [\"/client\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	image := projectName + "-client"
	p.run("docker", "build", "-q", "-t", image, dir)
	defer p.run("docker", "rmi", "-f", image)

	var wg sync.WaitGroup
	wg.Go(func() {
		told, err := self(published[1])
		slices.Sort(told)
		if err != nil || !slices.Equal(told, published) {
			t.Errorf("the client on the host was told %v, %v", told, err)
		}
	})
	wg.Go(func() {
		seeds := "node1:6379,node2:6379,node3:6379"
		run := exec.Command("docker", "run", "--rm", "--network", projectName+"_quorate", "-e", envFollow+"="+seeds, image)
		out, err := run.CombinedOutput()
		told := toldOf(string(out))
		slices.Sort(told)
		if err != nil || !slices.Equal(told, strings.Split(seeds, ",")) {
			t.Errorf("the client in a container was told %v, %v: %s", told, err, out)
		}
	})
	wg.Wait()
}
