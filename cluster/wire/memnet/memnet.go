// Package memnet is a network of byte streams in memory whose directed links can
// be delayed, held and cut: the ground for simulations of the cluster in virtual
// time. It is for tests only.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Network connects nodes. All links work at first, without delay.
type Network struct {
	// Jitter, if set, is asked with each write how much later than the link's
	// delay it arrives; what is written to one connection keeps its order. Set it
	// before use.
	Jitter func(from, to string) time.Duration

	mu    sync.Mutex
	nodes map[string]*Node   // guarded by mu; by address
	links map[[2]string]link // guarded by mu; by ids from, to; absent = plain
	pipes []*pipe            // guarded by mu; open directions of connections, oldest first
}

// link is the state of one direction between two nodes.
type link struct {
	delay time.Duration
	rate  int  // bytes a second of each connection; 0 = no limit
	held  bool // bytes wait, as under TCP while packets are lost
	cut   bool // connections break, and no new ones are made
}

// New returns a network without nodes.
func New() *Network {
	return &Network{nodes: make(map[string]*Node), links: make(map[[2]string]link)}
}

// Node is a node's place in the network: a listener and a dialer. It implements
// wire.Streams.
type Node struct {
	network *Network
	id      string
	addr    string

	incoming chan accepted
	done     chan struct{}
	once     sync.Once
	silent   atomic.Bool
}

type accepted struct {
	conn net.Conn
	from string
}

// Node adds a node. A node of the same address is replaced: it restarted.
func (n *Network) Node(id, addr string) *Node {
	node := &Node{network: n, id: id, addr: addr, incoming: make(chan accepted), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[addr] = node
	return node
}

// Delay makes everything that from sends to to arrive d later.
func (n *Network) Delay(from, to string, d time.Duration) {
	n.change(from, to, func(l *link) { l.delay = d })
}

// Rate lets each connection carry only so many bytes a second from from to to; 0
// lifts the limit, and lets what waits arrive.
func (n *Network) Rate(from, to string, bytesPerSecond int) {
	n.change(from, to, func(l *link) { l.rate = bytesPerSecond })
	if bytesPerSecond > 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pipes {
		if p.from == from && p.to == to {
			p.hurry()
		}
	}
}

// Hold keeps what from sends to to, from now on, until Release. New connections
// between them are not made meanwhile.
func (n *Network) Hold(from, to string) { n.change(from, to, func(l *link) { l.held = true }) }

// Release delivers what was held, in order.
func (n *Network) Release(from, to string) { n.change(from, to, func(l *link) { l.held = false }) }

// Cut breaks the connections between two nodes, in both directions, and refuses
// new ones until Heal.
func (n *Network) Cut(a, b string) {
	n.change(a, b, func(l *link) { l.cut = true })
	n.change(b, a, func(l *link) { l.cut = true })
	n.breakAll(func(p *pipe) bool { return p.between(a, b) })
}

// Heal undoes Cut.
func (n *Network) Heal(a, b string) {
	n.change(a, b, func(l *link) { l.cut = false })
	n.change(b, a, func(l *link) { l.cut = false })
}

// Reset breaks the connections between two nodes; they can be made anew.
func (n *Network) Reset(a, b string) {
	n.breakAll(func(p *pipe) bool { return p.between(a, b) })
}

func (n *Network) change(from, to string, edit func(*link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.links[[2]string{from, to}]
	edit(&l)
	n.links[[2]string{from, to}] = l
	for _, p := range n.pipes {
		if p.from == from && p.to == to {
			p.notify()
		}
	}
}

func (n *Network) breakAll(which func(*pipe) bool) {
	n.mu.Lock()
	var broken []*pipe
	for _, p := range n.pipes {
		if which(p) {
			broken = append(broken, p)
		}
	}
	n.mu.Unlock()
	for _, p := range broken {
		p.close(errReset)
	}
}

func (n *Network) state(from, to string) link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.links[[2]string{from, to}]
}

var (
	errRefused = errors.New("memnet: connection refused")
	errReset   = errors.New("memnet: connection reset")
)

// Dial connects to the node at addr.
func (n *Node) Dial(ctx context.Context, addr string) (net.Conn, string, error) {
	n.network.mu.Lock()
	far := n.network.nodes[addr]
	n.network.mu.Unlock()
	if far == nil {
		return nil, "", errRefused
	}
	there, back := n.network.state(n.id, far.id), n.network.state(far.id, n.id)
	if there.cut || back.cut {
		return nil, "", errRefused
	}
	if there.held || back.held {
		<-ctx.Done()
		return nil, "", fmt.Errorf("memnet: dial %s: %w", addr, ctx.Err())
	}
	if err := n.handshake(ctx, far.id); err != nil {
		return nil, "", err
	}
	out, in := n.network.pipe(n, far), n.network.pipe(far, n)
	select {
	case far.incoming <- accepted{&conn{node: far, r: out, w: in}, n.id}:
		return &conn{node: n, r: in, w: out}, far.id, nil
	case <-far.done:
		out.close(errReset)
		in.close(errReset)
		return nil, "", errRefused
	case <-ctx.Done():
		out.close(errReset)
		in.close(errReset)
		return nil, "", ctx.Err()
	}
}

// handshake takes the time that a connection takes to be made: jitter, there and
// back. The links' delay does not count.
func (n *Node) handshake(ctx context.Context, to string) error {
	wait := n.network.jitter(n.id, to) + n.network.jitter(to, n.id)
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Network) jitter(from, to string) time.Duration {
	if n.Jitter == nil {
		return 0
	}
	return n.Jitter(from, to)
}

// Accept waits for a connection.
func (n *Node) Accept() (net.Conn, string, error) {
	select {
	case a := <-n.incoming:
		return a.conn, a.from, nil
	case <-n.done:
		return nil, "", net.ErrClosed
	}
}

// Addr returns the node's address.
func (n *Node) Addr() string { return n.addr }

// Close ends Accept and breaks all connections of the node, as a crash does.
func (n *Node) Close() error {
	n.once.Do(func() { close(n.done) })
	n.network.breakAll(func(p *pipe) bool { return p.ends[0] == n || p.ends[1] == n })
	return nil
}

// Silence makes the node's end of all connections dumb, as when its power goes:
// the others hear nothing more of it, not even that a connection is closed,
// until Close.
func (n *Node) Silence() { n.silent.Store(true) }

// pipe is one direction of a connection.
type pipe struct {
	network  *Network
	ends     [2]*Node
	from, to string // their ids

	mu     sync.Mutex
	chunks []chunk       // guarded by mu; written, not read
	err    error         // guarded by mu; why it is closed; io.EOF by the writer
	busy   time.Time     // guarded by mu; until then what was written under a rate takes
	change chan struct{} // guarded by mu; closed and renewed when a reader should look again
}

type chunk struct {
	due  time.Time
	data []byte
}

func (n *Network) pipe(from, to *Node) *pipe {
	p := &pipe{network: n, ends: [2]*Node{from, to}, from: from.id, to: to.id, change: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pipes = append(n.pipes, p)
	return p
}

func (p *pipe) between(a, b string) bool {
	return p.from == a && p.to == b || p.from == b && p.to == a
}

func (p *pipe) notify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notifyLocked()
}

func (p *pipe) notifyLocked() {
	close(p.change)
	p.change = make(chan struct{})
}

func (p *pipe) close(err error) {
	p.network.mu.Lock()
	p.network.pipes = slices.DeleteFunc(p.network.pipes, func(other *pipe) bool { return other == p })
	p.network.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil && err == io.EOF {
		return
	}
	p.err = err
	if err != io.EOF {
		p.chunks = nil
	}
	p.notifyLocked()
}

func (p *pipe) write(b []byte) (int, error) {
	l := p.network.state(p.from, p.to)
	delay := l.delay + p.network.jitter(p.from, p.to)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, errReset
	}
	sent := time.Now()
	if l.rate > 0 {
		if p.busy.After(sent) {
			sent = p.busy
		}
		sent = sent.Add(time.Duration(len(b)) * time.Second / time.Duration(l.rate))
		p.busy = sent
	}
	p.chunks = append(p.chunks, chunk{sent.Add(delay), append([]byte(nil), b...)})
	p.notifyLocked()
	return len(b), nil
}

// hurry lets all that waits arrive now.
func (p *pipe) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for i := range p.chunks {
		if p.chunks[i].due.After(now) {
			p.chunks[i].due = now
		}
	}
	p.busy = time.Time{}
	p.notifyLocked()
}

// take reads what has arrived. If nothing has, it returns the channel that tells
// of a change, and how long the next chunk will take (0 = unknown).
func (p *pipe) take(b []byte) (n int, change chan struct{}, wait time.Duration, err error) {
	held := p.network.state(p.from, p.to).held
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.chunks) == 0 {
		return 0, p.change, 0, p.err
	}
	if held {
		return 0, p.change, 0, nil
	}
	if wait = time.Until(p.chunks[0].due); wait > 0 {
		return 0, p.change, wait, nil
	}
	n = copy(b, p.chunks[0].data)
	if n == len(p.chunks[0].data) {
		p.chunks = p.chunks[1:]
	} else {
		p.chunks[0].data = p.chunks[0].data[n:]
	}
	return n, nil, 0, nil
}

// conn is one end of a connection.
type conn struct {
	node *Node // whose end it is
	r, w *pipe

	mu       sync.Mutex
	deadline time.Time // guarded by mu; of reads; writes never wait
	closed   bool      // guarded by mu; by this end
}

// Read waits for bytes that have arrived.
func (c *conn) Read(b []byte) (int, error) {
	for {
		if _, err := c.mayRead(); err != nil {
			return 0, err
		}
		n, change, wait, err := c.r.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		// Again: what has changed before there was a channel to hear of it.
		deadline, err := c.mayRead()
		if err != nil {
			return 0, err
		}
		if left := time.Until(deadline); !deadline.IsZero() && (wait == 0 || left < wait) {
			wait = left
		}
		if wait == 0 {
			<-change
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-change:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// mayRead returns until when a read may wait, or why it may not.
func (c *conn) mayRead() (deadline time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return c.deadline, net.ErrClosed
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return c.deadline, os.ErrDeadlineExceeded
	}
	return c.deadline, nil
}

// Write never waits.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return 0, net.ErrClosed
	case c.node.silent.Load():
		return len(b), nil // it is lost
	}
	return c.w.write(b)
}

// Close ends both directions.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if c.node.silent.Load() {
		c.r.notify()
		return nil
	}
	c.w.close(io.EOF)
	c.r.close(errReset)
	return nil
}

// SetDeadline sets the deadline of reads.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline sets the deadline of reads, also of one that waits now.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	c.r.notify()
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) LocalAddr() net.Addr  { return addr(c.w.from) }
func (c *conn) RemoteAddr() net.Addr { return addr(c.w.to) }

// addr is a node's id as an address.
type addr string

func (addr) Network() string  { return "mem" }
func (a addr) String() string { return string(a) }
