package nemesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The networks that a cluster can be run in.
const (
	Loopback   = "loopback" // ports of 127.0.0.1
	Namespaces = "netns"    // a network namespace for each node, on a bridge; root
	Proxy      = "proxy"    // loopback, with a proxy on every directed link between nodes
)

// The disks that nodes can be given.
const (
	PlainDir = ""      // folders of Dir
	Tmpfs    = "tmpfs" // a small file system in memory for each node; root
	Ext4     = "ext4"  // a small ext4 in an image file for each node; root
)

// Options say what cluster is started.
type Options struct {
	// Binary is the quorate that nodes run; OtherBinary is the one that the
	// upgrade fault goes to and back from, "" for none.
	Binary, OtherBinary string
	// Nodes is their number, 1 to 9.
	Nodes int
	// Dir holds data, logs and images. It must exist and should be empty.
	Dir string
	// FirstPort is the first of a hundred ports that are used, below 32768.
	FirstPort int
	// Network is Loopback (the default), Namespaces or Proxy.
	Network string
	// Disk is PlainDir, Tmpfs or Ext4.
	Disk string
	// Args are directives that every node is given beside its own.
	Args []string
	// Log is told what is done to the cluster; nil: nobody is.
	Log io.Writer
}

// startPatience bounds how long a cluster may take to be whole.
const startPatience = 60 * time.Second

// Cluster is a cluster of processes. Endpoints may be called at any time, the
// rest by one goroutine.
type Cluster struct {
	opts  Options
	net   network
	disk  disk
	nodes []*node // the first opts.Nodes are those of the beginning
	ids   *idBook

	logMu sync.Mutex
}

// Start starts the nodes and waits until the cluster is whole.
func Start(o Options) (_ *Cluster, err error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	sweep(&o)
	c := &Cluster{opts: o, ids: &idBook{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.disk, err = newDisk(&c.opts); err != nil {
		return nil, err
	}
	if c.net, err = newNetwork(&c.opts, c.ids); err != nil {
		return nil, err
	}
	for range o.Nodes {
		if _, err := c.add(); err != nil {
			return nil, err
		}
	}
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	if err := c.awaitWhole(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (o *Options) validate() error {
	if o.Network == "" {
		o.Network = Loopback
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Nodes < 1 || o.Nodes > 9 {
		return fmt.Errorf("nemesis: %d nodes: 1 to 9 can be run", o.Nodes)
	}
	if o.FirstPort < 1024 || o.FirstPort+portsPerCluster > 32768 {
		return fmt.Errorf("nemesis: first port %d: it must lie between 1024 and %d", o.FirstPort, 32768-portsPerCluster)
	}
	for _, path := range []*string{&o.Binary, &o.OtherBinary, &o.Dir} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("nemesis: %w", err)
		}
		*path = abs
	}
	if _, err := os.Stat(o.Binary); err != nil {
		return fmt.Errorf("nemesis: the binary to run: %w", err)
	}
	return nil
}

// Endpoints returns the addresses of the nodes of the beginning for clients, by
// node. They stay the same, whatever happens to the nodes.
func (c *Cluster) Endpoints() []string {
	all := make([]string, c.opts.Nodes)
	for i := range all {
		all[i] = c.net.client(i)
	}
	return all
}

// Stop ends all nodes and removes namespaces and mounts; data and logs stay
// where they are on a plain directory.
func (c *Cluster) Stop() error {
	var errs []error
	for _, n := range c.nodes {
		n.kill()
	}
	if c.net != nil {
		errs = append(errs, c.net.close())
	}
	if c.disk != nil {
		errs = append(errs, c.disk.close())
	}
	return errors.Join(errs...)
}

// add makes one more node, which is not started.
func (c *Cluster) add() (*node, error) {
	i := len(c.nodes)
	home := filepath.Join(c.opts.Dir, fmt.Sprintf("node-%d", i))
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, fmt.Errorf("nemesis: %w", err)
	}
	if err := c.disk.mount(home); err != nil {
		return nil, err
	}
	n := &node{
		cluster: c, number: i, home: home, dir: filepath.Join(home, "data"),
		log: filepath.Join(c.opts.Dir, fmt.Sprintf("node-%d.log", i)), binary: c.opts.Binary,
	}
	c.ids.watch(i, n.dir)
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return nil, fmt.Errorf("nemesis: %w", err)
	}
	if err := c.net.attach(i); err != nil {
		return nil, err
	}
	join := make([]string, c.opts.Nodes)
	for j := range join {
		join[j] = c.net.peer(j)
	}
	n.args = []string{"server", "--dir", n.dir, "--enable-debug-command", "yes", "--join", strings.Join(join, ",")}
	if i < c.opts.Nodes {
		n.args = append(n.args, "--bootstrap-expect", strconv.Itoa(c.opts.Nodes))
	}
	n.args = append(n.args, c.net.args(i)...)
	n.args = append(n.args, c.opts.Args...)
	c.nodes = append(c.nodes, n)
	return n, nil
}

// drop forgets the node that was added last.
func (c *Cluster) drop(n *node) error {
	n.kill()
	if last := c.nodes[len(c.nodes)-1]; last != n || n.number < c.opts.Nodes {
		return fmt.Errorf("nemesis: node %d was not the last that was added", n.number)
	}
	c.nodes = c.nodes[:n.number]
	if err := n.wipe(); err != nil {
		return err
	}
	return errors.Join(c.net.detach(n.number), c.disk.unmount(n.home))
}

// logf tells what was done.
func (c *Cluster) logf(format string, args ...any) {
	c.logMu.Lock()
	defer c.logMu.Unlock()
	fmt.Fprintf(c.opts.Log, "%s nemesis: %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// others returns the nodes but some, in order.
func (c *Cluster) others(but ...*node) []*node {
	var all []*node
next:
	for _, n := range c.nodes {
		for _, b := range but {
			if n == b {
				continue next
			}
		}
		all = append(all, n)
	}
	return all
}
