package nemesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// proxied is loopback with a proxy before the node-to-node port of every node,
// at the address that the node tells the others. Who dials is read from the
// first bytes, in which the dialer names itself (transport/peer); so both
// directions of a connection belong to a link. Nodes must not use TLS among
// themselves.
type proxied struct {
	loopback
	ids  *idBook
	mesh *mesh

	mu      sync.Mutex
	proxies map[int]*proxy // guarded by mu
}

func newProxied(l loopback, ids *idBook) *proxied {
	return &proxied{loopback: l, ids: ids, mesh: newMesh(), proxies: make(map[int]*proxy)}
}

func (p *proxied) peer(i int) string { return local(p.first + proxyPorts + i) }

func (p *proxied) args(i int) []string {
	return append(p.loopback.args(i), "--cluster-advertise", p.peer(i))
}

func (p *proxied) command(i int, binary string, args []string) *exec.Cmd {
	return p.loopback.command(i, binary, args)
}

func (p *proxied) attach(i int) error {
	x, err := newProxy(p.peer(i), p.loopback.peer(i), i, p.ids.number, p.mesh)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxies[i] = x
	return nil
}

func (p *proxied) detach(i int) error {
	p.mu.Lock()
	x := p.proxies[i]
	delete(p.proxies, i)
	p.mu.Unlock()
	if x == nil {
		return nil
	}
	return x.Close()
}

func (p *proxied) close() error {
	var errs []error
	for i := range 2 * portsPerCluster {
		errs = append(errs, p.detach(i))
	}
	return errors.Join(errs...)
}

// each calls f with every proxy.
func (p *proxied) each(f func(*proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.proxies {
		f(x)
	}
}

// proxy stands before one node, and carries connections of the others to it.
type proxy struct {
	listener net.Listener
	target   string
	to       int
	number   func(id string) int
	mesh     *mesh

	flipped atomic.Int64 // bits turned over

	mu    sync.Mutex
	conns map[*carried]struct{} // guarded by mu
	done  bool                  // guarded by mu
	wg    sync.WaitGroup
}

// carried is one connection through a proxy.
type carried struct {
	dialer, node net.Conn
	from         int
}

// helloPatience bounds how long a dialer may take to name itself.
const helloPatience = 3 * time.Second

// newProxy listens on addr for connections to node to at target. number tells
// which node has an id.
func newProxy(addr, target string, to int, number func(string) int, m *mesh) (*proxy, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("nemesis: proxy: %w", err)
	}
	p := &proxy{listener: l, target: target, to: to, number: number, mesh: m, conns: make(map[*carried]struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.carry(c) })
	}
}

// carry takes one connection to its node until either side ends.
func (p *proxy) carry(dialer net.Conn) {
	c := &carried{dialer: dialer}
	if !p.keep(c) {
		return
	}
	defer p.drop(c)
	dialer.SetReadDeadline(time.Now().Add(helloPatience))
	id, head, err := readHello(dialer)
	dialer.SetReadDeadline(time.Time{})
	if err != nil {
		return
	}
	from := p.number(id)
	node, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil {
		return
	}
	p.mu.Lock()
	c.node, c.from = node, from
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { p.pipe(node, io.MultiReader(bytes.NewReader(head), dialer), from, p.to); p.drop(c) })
	wg.Go(func() { p.pipe(dialer, node, p.to, from); p.drop(c) })
	wg.Wait()
}

func (p *proxy) keep(c *carried) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		c.dialer.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) drop(c *carried) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.dialer.Close()
	if c.node != nil {
		c.node.Close()
	}
}

// reset ends the connections of a node in either direction as a broken link
// would: with RST.
func (p *proxy) reset(node int) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.node == nil || p.to != node && c.from != node {
			continue
		}
		for _, side := range []net.Conn{c.dialer, c.node} {
			if tcp, ok := side.(*net.TCPConn); ok {
				tcp.SetLinger(0)
			}
			side.Close()
		}
		n++
	}
	return n
}

// Close ends the proxy and its connections.
func (p *proxy) Close() error {
	p.mu.Lock()
	p.done = true
	for c := range p.conns {
		c.dialer.Close()
		if c.node != nil {
			c.node.Close()
		}
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.wg.Wait()
	return err
}

// chunk is what one read gave, and when it may be written.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pipe carries bytes from one node to another as their link lets it. It returns
// when either connection has ended.
func (p *proxy) pipe(w io.Writer, r io.Reader, from, to int) {
	ctx, cancel := context.WithCancel(context.Background())
	chunks := make(chan chunk, chunksMax)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		p.write(ctx, w, chunks, from, to)
	})
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for {
		b := make([]byte, chunkMax)
		n, err := r.Read(b)
		if n > 0 {
			l, _ := p.mesh.get(from, to)
			p.flipped.Add(int64(l.spoil(b[:n], random)))
			select {
			case chunks <- chunk{b[:n], time.Now().Add(l.wait(random))}:
			case <-ctx.Done():
				err = io.ErrClosedPipe
			}
		}
		if err != nil {
			break
		}
	}
	close(chunks)
	wg.Wait()
}

// write writes chunks when they are due, until there are no more or ctx ends.
func (p *proxy) write(ctx context.Context, w io.Writer, chunks <-chan chunk, from, to int) {
	for c := range chunks {
		if !pause(ctx, time.Until(c.due)) {
			return
		}
		for len(c.bytes) > 0 {
			l, changed := p.mesh.get(from, to)
			n := len(c.bytes)
			switch {
			case l.hang:
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
				continue
			case l.drip > 0:
				n = min(n, l.drip)
				if !pause(ctx, dripEvery) {
					return
				}
			}
			if _, err := w.Write(c.bytes[:n]); err != nil {
				return
			}
			c.bytes = c.bytes[n:]
		}
	}
}
