package nemesis

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// The ports of a cluster on loopback: clients, peers and proxies of node i, from
// the first port.
const (
	portsPerCluster = 100
	peerPorts       = 30
	proxyPorts      = 60
)

// network is where the nodes of a cluster live.
type network interface {
	client(i int) string // host:port of node i for clients
	peer(i int) string   // host:port of node i for other nodes
	args(i int) []string // the directives that put node i there
	command(i int, binary string, args []string) *exec.Cmd
	attach(i int) error // makes room for node i
	detach(i int) error
	close() error
}

func newNetwork(o *Options, ids *idBook) (network, error) {
	l := loopback{first: o.FirstPort}
	switch o.Network {
	case Loopback:
		return l, nil
	case Proxy:
		return newProxied(l, ids), nil
	case Namespaces:
		return newNamespaces()
	}
	return nil, fmt.Errorf("nemesis: network %q is none of %s, %s, %s", o.Network, Loopback, Namespaces, Proxy)
}

// loopback is ports of 127.0.0.1.
type loopback struct{ first int }

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func (l loopback) client(i int) string { return local(l.first + i) }
func (l loopback) peer(i int) string   { return local(l.first + peerPorts + i) }

func (l loopback) args(i int) []string {
	return []string{"--port", strconv.Itoa(l.first + i), "--cluster-port", strconv.Itoa(l.first + peerPorts + i)}
}

func (l loopback) command(_ int, binary string, args []string) *exec.Cmd {
	return exec.Command(binary, args...)
}

func (l loopback) attach(int) error { return nil }
func (l loopback) detach(int) error { return nil }
func (l loopback) close() error     { return nil }

// idBook knows which node has an id: nodes choose their ids themselves, and
// choose again when their disk is gone.
type idBook struct {
	mu   sync.Mutex
	dirs []string       // guarded by mu; by number
	byID map[string]int // guarded by mu; ids seen, old ones too
}

// watch says that node i keeps its data in dir.
func (b *idBook) watch(i int, dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.dirs) <= i {
		b.dirs = append(b.dirs, "")
	}
	b.dirs[i] = dir
}

// number returns the number of the node that has an id, Everybody for a
// stranger.
func (b *idBook) number(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.byID[id]; ok {
		return i
	}
	for i, dir := range b.dirs {
		if dir != "" && nodeID(dir) == id {
			if b.byID == nil {
				b.byID = make(map[string]int)
			}
			b.byID[id] = i
			return i
		}
	}
	return Everybody
}

// run runs a command of the system to its end.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("nemesis: %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
