//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// network is three namespaces on a bridge, as containers have them: each has
// one node at the same ports, and is reached from this machine by a relay on a
// port of 127.0.0.1.
type network struct {
	t      *testing.T
	prefix string
	names  []string // of the namespaces
}

// newNetwork makes n namespaces 10.213.7.1 ..., which go with the test.
func newNetwork(t *testing.T, n int) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces are made by root alone")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip command to make network namespaces with")
	}
	w := &network{t: t, prefix: fmt.Sprintf("q%d", os.Getpid()%10000)}
	if out, err := exec.Command("ip", "netns", "add", w.prefix+"probe").CombinedOutput(); err != nil {
		t.Skipf("this machine makes no network namespaces: %s", out)
	}
	w.ip("netns", "del", w.prefix+"probe")
	// The bridge has a namespace of its own: this machine's firewall may
	// forbid bridged traffic.
	hub, own := w.prefix+"hub", w.prefix+"own"
	w.namespace(hub)
	w.ip("-n", hub, "link", "add", "br0", "type", "bridge")
	w.ip("-n", hub, "link", "set", "br0", "up")
	w.ip("link", "add", own, "type", "veth", "peer", "name", own, "netns", hub)
	w.ip("-n", hub, "link", "set", own, "master", "br0", "up")
	w.ip("addr", "add", w.host(254)+"/24", "dev", own)
	w.ip("link", "set", own, "up")
	for i := 1; i <= n; i++ {
		name, port := fmt.Sprintf("%sn%d", w.prefix, i), fmt.Sprintf("port%d", i)
		w.namespace(name)
		w.ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
		w.ip("-n", hub, "link", "set", port, "master", "br0", "up")
		w.ip("-n", name, "addr", "add", w.host(i)+"/24", "dev", "eth0")
		w.ip("-n", name, "link", "set", "eth0", "up")
		w.ip("-n", name, "link", "set", "lo", "up")
		w.names = append(w.names, name)
	}
	return w
}

// namespace makes a namespace, which goes with the test, and what is in it.
func (w *network) namespace(name string) {
	w.t.Helper()
	w.ip("netns", "add", name)
	w.t.Cleanup(func() { w.ip("netns", "del", name) })
}

func (w *network) host(i int) string { return fmt.Sprintf("10.213.7.%d", i) }

func (w *network) ip(args ...string) {
	w.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// relay hands connections to a port of 127.0.0.1 on to addr.
func relay(t *testing.T, addr string) (port int) {
	t.Helper()
	port = freePort(t)
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				in.Close()
				continue
			}
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			wg.Go(func() { pipe(in, out) })
			wg.Go(func() { pipe(out, in) })
		}
	})
	return port
}

// TestListenersAcrossNetworks: a cluster client on the host and one inside the
// nodes' network follow redirections at the same time, each to addresses that
// it can reach.
func TestListenersAcrossNetworks(t *testing.T) {
	w := newNetwork(t, 3)
	c := &testCluster{t: t}
	var join, inside, outside []string
	for i := range w.names {
		join = append(join, w.host(i+1)+":16379")
		inside = append(inside, w.host(i+1)+":6379")
	}
	for i, name := range w.names {
		n := c.add()
		host := w.host(i + 1)
		published := "127.0.0.1:" + strconv.Itoa(relay(t, host+":7379"))
		outside = append(outside, published)
		args := []string{
			"netns", "exec", name, binary, "server", "--dir", n.dir, "--bind", host, "--protected-mode", "no",
			"--cluster-secret", "between the nodes", "--bootstrap-expect", "3", "--join", strings.Join(join, ","),
			"--listen", "host", host + ":7379", "advertise", published, "--enable-debug-command", "yes",
		}
		log, err := os.Create(n.logPath())
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		n.run(exec.Command("ip", args...), log)
	}
	for i, name := range w.names {
		eventually(t, readyWithin, "node is ready", func() error {
			out, err := exec.Command("ip", "netns", "exec", name, binary, "health", "--host", w.host(i+1)).CombinedOutput()
			if err != nil {
				return fmt.Errorf("node %d: %s", i+1, out)
			}
			return nil
		})
	}
	var wg sync.WaitGroup
	follow := func(what string, want []string, told func() ([]string, error)) {
		wg.Go(func() {
			got, err := told()
			slices.Sort(got)
			if slices.Sort(want); err != nil || !slices.Equal(got, want) {
				t.Errorf("the client %s was told %v, %v; want %v", what, got, err, want)
			}
		})
	}
	follow("on the host", outside, func() ([]string, error) { return self(outside[0]) })
	follow("inside", inside, func() ([]string, error) {
		return self(inside[1], "ip", "netns", "exec", w.names[0])
	})
	wg.Wait()
	digests := make(map[string]bool)
	for _, addr := range outside {
		out := redisCLI(t, "-p", strings.TrimPrefix(addr, "127.0.0.1:"), "DEBUG", "DIGEST")
		digests[out] = true
	}
	if len(digests) != 1 {
		t.Errorf("digests %v", digests)
	}
	if _, err := os.Stat(filepath.Join(c.nodes[0].dir, "node-id")); err != nil {
		t.Error(err)
	}
}
