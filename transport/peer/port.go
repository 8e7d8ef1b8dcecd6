package peer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Kind says what a connection is for. It is part of the handshake.
type Kind uint8

// The kinds of connection.
const (
	KindRaft   Kind = 1 // raft's own messages, by package wire
	KindCall   Kind = 2 // request and reply: Port.Call
	KindStream Kind = 3 // ordered one-way streams: Port.OpenStream
	KindGossip Kind = 4 // memberlist, by package discovery
)

// String returns the kind's name for logs.
func (k Kind) String() string {
	switch k {
	case KindRaft:
		return "raft"
	case KindCall:
		return "call"
	case KindStream:
		return "stream"
	case KindGossip:
		return "gossip"
	default:
		return "kind " + strconv.Itoa(int(k))
	}
}

// Defaults and bounds.
const (
	DefaultMaxFrame         = 64 << 20        // bytes of one call or stream frame
	DefaultHandshakeTimeout = 3 * time.Second // TLS and hello together
	DefaultDialTimeout      = 1 * time.Second // TCP connect, name resolution included
	DefaultMaxConns         = 1024            // accepted and dialled, all kinds

	maxHandshakes = 64   // accepted connections that have not proved themselves yet
	maxName       = 255  // bytes of a cluster name, cluster id or node id
	maxEndpoints  = 128  // call connections kept open, one per address
	maxCallsConn  = 128  // calls in progress per accepted connection; more wait unread
	maxErrorText  = 1024 // bytes of an error's text sent to a caller
)

var (
	// ErrInsecure says that an address is not loopback while neither secret
	// nor mutual TLS protects the port.
	ErrInsecure = errors.New("peer: not a loopback address, and the cluster port is unprotected: set the same cluster-secret on every node, or TLS with a cluster CA that also verifies clients, or bind the cluster port to 127.0.0.1")
	// ErrSelf says that a node dialled itself.
	ErrSelf = errors.New("peer: this address is our own")
	// ErrClosed says that the port, stream or listener was closed.
	ErrClosed = errors.New("peer: closed")
)

// Options configure a Port. NodeID and ClusterName are required.
type Options struct {
	Bind        string // host:port to listen on; port 0 picks one
	Advertise   string // host:port told to others, may be a DNS name; "" = derived from the listener
	NodeID      string // this node's id, at most 255 bytes
	ClusterName string // must be the same on every node, at most 255 bytes
	ClusterID   string // "" while the node belongs to no cluster yet

	Secret []byte      // shared cluster secret; nil = none
	TLS    *tls.Config // for listening and dialling; nil = plain TCP. Raised to TLS 1.3.

	MaxFrame         int           // bytes; 0 = DefaultMaxFrame
	MaxConns         int           // 0 = DefaultMaxConns
	HandshakeTimeout time.Duration // 0 = DefaultHandshakeTimeout
	DialTimeout      time.Duration // 0 = DefaultDialTimeout

	Network Network      // nil = TCP
	Log     *slog.Logger // nil = slog.Default()
}

// Network is what lies under a port where it is not TCP: in simulations.
type Network interface {
	// Listen listens at addr, a host:port with an IP address.
	Listen(addr string) (net.Listener, error)
	// Dial connects to addr.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Info is what the handshake proved about the far side.
type Info struct {
	NodeID    string
	ClusterID string // "" if the far side belongs to no cluster yet
	Remote    string // address of the connection's far end, for logs
}

// Port is a node's one node-to-node port: a listener and a dialer.
// Its methods may be called concurrently.
type Port struct {
	opts      Options
	listener  net.Listener
	advertise string
	key       []byte   // proof key, nil without a secret
	instance  [16]byte // tells this process from another one with the same node id
	log       *slog.Logger

	handshakes chan struct{} // slots of unproved connections
	closing    chan struct{}
	closeOnce  sync.Once
	wg         sync.WaitGroup
	ctx        context.Context // ends with the port; handlers' contexts descend from it
	cancel     context.CancelFunc

	mu        sync.Mutex
	clusterID string                        // guarded by mu
	conns     map[*conn]struct{}            // guarded by mu; proved connections
	handlers  map[Kind]func(net.Conn, Info) // guarded by mu
	methods   map[uint16]Method             // guarded by mu
	topics    map[uint16]func(*Incoming)    // guarded by mu
	endpoints map[string]*endpoint          // guarded by mu; by dialled address
	closed    bool                          // guarded by mu

	stats counters
}

// Listen opens the port and serves it. Connections of a kind that nobody handles
// yet are refused; the dialer tries again.
func Listen(o Options) (*Port, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	addr, err := net.ResolveTCPAddr("tcp", o.Bind)
	if err != nil {
		return nil, fmt.Errorf("peer: bind address: %w", err)
	}
	if !o.protected() && !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("listen on %s: %w", o.Bind, ErrInsecure)
	}
	l, err := o.Network.Listen(o.Bind)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	p := &Port{
		opts:       o,
		listener:   l,
		advertise:  advertised(o.Advertise, l.Addr()),
		log:        o.Log,
		handshakes: make(chan struct{}, maxHandshakes),
		closing:    make(chan struct{}),
		clusterID:  o.ClusterID,
		conns:      make(map[*conn]struct{}),
		handlers:   make(map[Kind]func(net.Conn, Info)),
		methods:    make(map[uint16]Method),
		topics:     make(map[uint16]func(*Incoming)),
		endpoints:  make(map[string]*endpoint),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if _, err := rand.Read(p.instance[:]); err != nil {
		panic(fmt.Sprintf("peer: no randomness: %v", err)) // crypto/rand promises never to fail
	}
	if len(o.Secret) > 0 {
		p.key = proofKey(o.Secret)
	}
	p.handlers[KindCall] = p.serveCalls
	p.handlers[KindStream] = p.serveStream
	p.wg.Go(p.acceptLoop)
	return p, nil
}

func (o *Options) validate() error {
	if o.NodeID == "" || len(o.NodeID) > maxName {
		return fmt.Errorf("peer: node id must have 1 to %d bytes", maxName)
	}
	if o.ClusterName == "" || len(o.ClusterName) > maxName {
		return fmt.Errorf("peer: cluster name must have 1 to %d bytes", maxName)
	}
	if len(o.ClusterID) > maxName {
		return fmt.Errorf("peer: cluster id has more than %d bytes", maxName)
	}
	if o.Advertise != "" {
		if host, _, err := net.SplitHostPort(o.Advertise); err != nil || host == "" {
			return fmt.Errorf("peer: advertised address %q is not host:port", o.Advertise)
		}
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
		o.TLS.MinVersion = tls.VersionTLS13 // channel binding needs it
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = DefaultMaxFrame
	}
	if o.MaxConns == 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.Network == nil {
		o.Network = tcp{loopback: !o.protected()}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return nil
}

// protected reports whether strangers are kept out: by the secret, or by TLS in
// which both sides verify each other.
func (o *Options) protected() bool {
	if len(o.Secret) > 0 {
		return true
	}
	return o.TLS != nil && !o.TLS.InsecureSkipVerify && o.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

// advertised returns the address to tell others: the configured one, else the
// listener's, with a usable host in place of a wildcard.
func advertised(configured string, bound net.Addr) string {
	tcp, ok := bound.(*net.TCPAddr)
	if !ok {
		return bound.String()
	}
	port := strconv.Itoa(tcp.Port)
	if configured != "" {
		host, p, _ := net.SplitHostPort(configured) // validated
		if p == "0" {
			p = port
		}
		return net.JoinHostPort(host, p)
	}
	if !tcp.IP.IsUnspecified() {
		return tcp.String()
	}
	return net.JoinHostPort(interfaceIP().String(), port)
}

// interfaceIP returns the first IPv4 address of this host that is not loopback,
// else any other, else loopback.
func interfaceIP() net.IP {
	addrs, _ := net.InterfaceAddrs()
	var other net.IP
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || !n.IP.IsGlobalUnicast() {
			continue
		}
		if n.IP.To4() != nil {
			return n.IP
		}
		if other == nil {
			other = n.IP
		}
	}
	if other != nil {
		return other
	}
	return net.IPv4(127, 0, 0, 1)
}

// Addr returns the address the port listens on.
func (p *Port) Addr() net.Addr { return p.listener.Addr() }

// Advertised returns the host:port under which other nodes reach this one.
func (p *Port) Advertised() string { return p.advertise }

// NodeID returns this node's id.
func (p *Port) NodeID() string { return p.opts.NodeID }

// ClusterID returns the cluster's id, "" if the node belongs to none yet.
func (p *Port) ClusterID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clusterID
}

// SetClusterID says that the node now belongs to cluster id, and cuts the
// connections to nodes of other clusters that the missing id had let pass. An id
// once set can't be changed.
func (p *Port) SetClusterID(id string) error {
	if id == "" || len(id) > maxName {
		return fmt.Errorf("peer: cluster id must have 1 to %d bytes", maxName)
	}
	p.mu.Lock()
	if p.clusterID != "" && p.clusterID != id {
		p.mu.Unlock()
		return fmt.Errorf("peer: cluster id is %s already, can't become %s", p.clusterID, id)
	}
	p.clusterID = id
	var foreign []*conn
	for c := range p.conns {
		if c.info.ClusterID != "" && c.info.ClusterID != id {
			foreign = append(foreign, c)
		}
	}
	p.mu.Unlock()
	for _, c := range foreign {
		p.refused(refusedClusterID, c.info.Remote, nil)
		c.Close()
	}
	return nil
}

// Handle names the function that serves accepted connections of a kind. It runs
// on a goroutine of its own, owns the connection and must close it; Close of the
// port closes it too.
func (p *Port) Handle(k Kind, serve func(net.Conn, Info)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[k] = serve
}

// Dial connects to addr, a host:port whose host is resolved anew each time, and
// proves both sides to each other. The caller owns the connection.
func (p *Port) Dial(ctx context.Context, addr string, k Kind) (net.Conn, Info, error) {
	dctx, cancel := context.WithTimeout(ctx, p.opts.DialTimeout)
	defer cancel()
	raw, err := p.opts.Network.Dial(dctx, addr)
	if err != nil {
		p.stats.dialFailed.Add(1)
		return nil, Info{}, fmt.Errorf("peer: dial %s: %w", addr, err)
	}
	deadline := time.Now().Add(p.opts.HandshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	c, info, err := p.introduce(p.tlsClient(raw, addr), k)
	if !stop() && err == nil {
		err = ctx.Err() // the deadline was spoilt
	}
	if err != nil {
		raw.Close()
		p.stats.dialFailed.Add(1)
		return nil, Info{}, fmt.Errorf("peer: dial %s: %w", addr, err)
	}
	raw.SetDeadline(time.Time{})
	tracked, err := p.track(c, info)
	if err != nil {
		raw.Close()
		return nil, Info{}, err
	}
	return tracked, info, nil
}

func (p *Port) tlsClient(raw net.Conn, addr string) net.Conn {
	if p.opts.TLS == nil {
		return raw
	}
	conf := p.opts.TLS
	if conf.ServerName == "" {
		conf = conf.Clone()
		conf.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return tls.Client(raw, conf)
}

func (p *Port) acceptLoop() {
	for {
		raw, err := p.listener.Accept()
		if err != nil {
			select {
			case <-p.closing:
				return
			case <-time.After(10 * time.Millisecond): // out of descriptors, say
				continue
			}
		}
		select {
		case p.handshakes <- struct{}{}:
		default:
			p.refused(refusedBusy, raw.RemoteAddr().String(), nil)
			raw.Close()
			continue
		}
		p.wg.Go(func() { p.accept(raw) })
	}
}

// accept takes an accepted connection through the handshake and hands it to its
// handler.
func (p *Port) accept(raw net.Conn) {
	proved := make(chan struct{})
	go func() { // Close must not wait for a silent stranger's deadline
		select {
		case <-p.closing:
			raw.Close()
		case <-proved:
		}
	}()
	raw.SetDeadline(time.Now().Add(p.opts.HandshakeTimeout))
	var c net.Conn = raw
	if p.opts.TLS != nil {
		c = tls.Server(raw, p.opts.TLS)
	}
	c, k, info, err := p.admit(c)
	close(proved)
	<-p.handshakes
	if err != nil {
		raw.Close()
		return
	}
	raw.SetDeadline(time.Time{})
	tracked, err := p.track(c, info)
	if err != nil {
		raw.Close()
		return
	}
	p.stats.accepted.Add(1)
	p.mu.Lock()
	serve := p.handlers[k]
	p.mu.Unlock()
	serve(tracked, info)
}

// conn is a proved connection. Its Close is idempotent and ends the tracking.
type conn struct {
	net.Conn
	port *Port
	info Info
	once sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.port.mu.Lock()
		delete(c.port.conns, c)
		c.port.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}

// track takes a proved connection into the port's care.
func (p *Port) track(c net.Conn, info Info) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if len(p.conns) >= p.opts.MaxConns {
		p.stats.refused[refusedBusy].Add(1)
		return nil, fmt.Errorf("peer: %d connections are open, the limit", len(p.conns))
	}
	if p.clusterID != "" && info.ClusterID != "" && info.ClusterID != p.clusterID {
		// The id was set while the handshake ran.
		p.stats.refused[refusedClusterID].Add(1)
		return nil, errors.New("peer: other cluster id")
	}
	t := &conn{Conn: c, port: p, info: info}
	p.conns[t] = struct{}{}
	return t, nil
}

// Close closes the listener and all connections, and waits until every handler
// has returned.
func (p *Port) Close() error {
	p.closeOnce.Do(func() {
		p.mu.Lock()
		p.closed = true
		open := make([]*conn, 0, len(p.conns))
		for c := range p.conns {
			open = append(open, c)
		}
		p.mu.Unlock()
		p.cancel()
		close(p.closing)
		p.listener.Close()
		for _, c := range open {
			c.Close()
		}
	})
	p.wg.Wait()
	return nil
}

// Stats are the port's counters since it was opened.
type Stats struct {
	Accepted    uint64            // connections that proved themselves
	DialFailed  uint64            // dials without a proved connection
	Refused     map[string]uint64 // connections refused, by reason; every reason is present
	Open        int               // proved connections open now
	CallsSent   uint64
	CallsServed uint64
	FramesSent  uint64 // stream frames written
	FramesRead  uint64 // stream frames handed to a receiver
	FramesShed  uint64 // stream frames refused because the queue was full
	Garbled     uint64 // connections that ended because bytes had changed on the way
}

type counters struct {
	accepted, dialFailed               atomic.Uint64
	callsSent, callsServed             atomic.Uint64
	framesSent, framesRead, framesShed atomic.Uint64
	refused                            [refusals]atomic.Uint64
	lastLog                            [refusals]atomic.Int64 // unix seconds of the last line
	garbled                            atomic.Uint64
	garbledLog                         atomic.Int64 // as lastLog
}

// Stats returns the counters.
func (p *Port) Stats() Stats {
	s := Stats{
		Accepted:    p.stats.accepted.Load(),
		DialFailed:  p.stats.dialFailed.Load(),
		CallsSent:   p.stats.callsSent.Load(),
		CallsServed: p.stats.callsServed.Load(),
		FramesSent:  p.stats.framesSent.Load(),
		FramesRead:  p.stats.framesRead.Load(),
		FramesShed:  p.stats.framesShed.Load(),
		Garbled:     p.stats.garbled.Load(),
		Refused:     make(map[string]uint64, refusals),
	}
	for r := range refusals {
		s.Refused[r.String()] = p.stats.refused[r].Load()
	}
	p.mu.Lock()
	s.Open = len(p.conns)
	p.mu.Unlock()
	return s
}
