package discovery

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Streams makes the byte streams under the gossip, each side proved to the
// other. *peer.Listener of the gossip kind is one.
type Streams interface {
	// Dial connects to addr and returns the proved id of the node there.
	Dial(ctx context.Context, addr string) (net.Conn, string, error)
	// Accept waits for a connection and returns the proved id of its dialer.
	Accept() (net.Conn, string, error)
	// Addr is the host:port that others dial to reach this node.
	Addr() string
	// Close ends Accept.
	Close() error
}

const (
	// The first byte of a stream: memberlist's own, or packets, each
	// preceded by its length as u16.
	markStream  = 1
	markPackets = 2

	maxPacket    = 65535
	maxCarriers  = 64 // streams of packets kept open, one per address
	carrierQueue = 64 // packets waiting on one of them; more are lost, as packets are
	firstByte    = 3 * time.Second
	writeTimeout = 3 * time.Second
)

// transport is memberlist's network: streams of the node-to-node port, and
// packets over UDP or inside streams.
type transport struct {
	streams  Streams
	packets  net.PacketConn                // nil = packets go inside streams
	peerAddr func(id string) (addr string) // what to dial for a node

	packetCh chan *memberlist.Packet
	streamCh chan net.Conn
	stop     chan struct{}
	ctx      context.Context
	cancel   context.CancelFunc
	once     sync.Once
	wg       sync.WaitGroup

	mu       sync.Mutex
	ip       net.IP                // guarded by mu; of our advertised address
	port     int                   // guarded by mu
	carriers map[string]*carrier   // guarded by mu; by dialled address
	conns    map[net.Conn]struct{} // guarded by mu; that carry packets here
	closed   bool                  // guarded by mu
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

func newTransport(s Streams, packets net.PacketConn, peerAddr func(string) string) *transport {
	t := &transport{
		streams: s, packets: packets, peerAddr: peerAddr,
		packetCh: make(chan *memberlist.Packet),
		streamCh: make(chan net.Conn),
		stop:     make(chan struct{}),
		carriers: make(map[string]*carrier),
		conns:    make(map[net.Conn]struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.resolve()
	t.wg.Go(t.acceptLoop)
	if packets != nil {
		t.wg.Go(t.packetLoop)
	}
	return t
}

// resolve looks up the IP address of our advertised name. Gossip needs one; it is
// looked up anew at every Join. A name that does not resolve (yet) is replaced by
// an address of this host.
func (t *transport) resolve() {
	host, portText, err := net.SplitHostPort(t.streams.Addr())
	if err != nil {
		host = ""
	}
	port, _ := strconv.Atoi(portText)
	ip := net.ParseIP(host)
	if ip == nil {
		ctx, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		if ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host); err == nil && len(ips) > 0 {
			ip = ips[0]
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ip == nil && t.ip == nil {
		ip = hostIP()
	}
	if ip != nil {
		t.ip = ip
	}
	t.port = port
}

// hostIP returns an address of this host, loopback if it has no other.
func hostIP() net.IP {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP
		}
	}
	return net.IPv4(127, 0, 0, 1)
}

// FinalAdvertiseAddr returns the IP address and port that gossip spreads.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ip, t.port, nil
}

// target returns what to dial: memberlist's name of a node is its id, for which
// the node told its address, or, in Join, the address itself.
func (t *transport) target(a memberlist.Address) string {
	if strings.Contains(a.Name, ":") {
		return a.Name
	}
	if addr := t.peerAddr(a.Name); addr != "" {
		return addr
	}
	return a.Addr
}

// WriteTo sends a packet to ip:port.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a packet to a node. It never waits.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if t.packets == nil {
		return time.Now(), t.carry(b, t.target(a))
	}
	to, err := net.ResolveUDPAddr("udp", a.Addr) // an IP address: nothing is looked up
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.packets.WriteTo(b, to)
	return time.Now(), err
}

// PacketCh returns the packets that arrive.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packetCh }

// StreamCh returns the streams that arrive.
func (t *transport) StreamCh() <-chan net.Conn { return t.streamCh }

// DialTimeout opens a stream to ip:port.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout opens a stream to a node, and makes sure that it is the one.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	c, id, err := t.streams.Dial(ctx, t.target(a))
	if err != nil {
		return nil, err
	}
	if a.Name != "" && !strings.Contains(a.Name, ":") && a.Name != id {
		c.Close()
		return nil, fmt.Errorf("at %s answers node %s instead of %s", t.target(a), id, a.Name)
	}
	c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := c.Write([]byte{markStream}); err != nil {
		c.Close()
		return nil, err
	}
	return c, c.SetWriteDeadline(time.Time{})
}

func (t *transport) acceptLoop() {
	for {
		c, _, err := t.streams.Accept()
		if err != nil {
			select {
			case <-t.stop:
				return
			case <-time.After(10 * time.Millisecond):
				continue
			}
		}
		t.wg.Go(func() { t.receive(c) })
	}
}

// receive hands an accepted stream to memberlist, or takes packets from it.
func (t *transport) receive(c net.Conn) {
	if !t.keep(c) {
		return
	}
	var mark [1]byte
	c.SetReadDeadline(time.Now().Add(firstByte))
	_, err := io.ReadFull(c, mark[:])
	c.SetReadDeadline(time.Time{})
	if err == nil && mark[0] == markStream {
		t.release(c)
		select {
		case t.streamCh <- c:
			return
		case <-t.stop:
		}
	} else if err == nil && mark[0] == markPackets {
		t.unpack(c)
	}
	t.release(c)
	c.Close()
}

func (t *transport) keep(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.Close()
		return false
	}
	t.conns[c] = struct{}{}
	return true
}

func (t *transport) release(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// unpack takes packets out of a stream.
func (t *transport) unpack(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		if !t.deliver(b, c.RemoteAddr()) {
			return
		}
	}
}

func (t *transport) deliver(b []byte, from net.Addr) bool {
	if len(b) == 0 {
		return true
	}
	select {
	case t.packetCh <- &memberlist.Packet{Buf: b, From: from, Timestamp: time.Now()}:
		return true
	case <-t.stop:
		return false
	}
}

func (t *transport) packetLoop() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := t.packets.ReadFrom(buf)
		if err != nil {
			select {
			case <-t.stop:
				return
			case <-time.After(10 * time.Millisecond):
				continue
			}
		}
		if !t.deliver(append([]byte(nil), buf[:n]...), from) {
			return
		}
	}
}

// Shutdown closes everything and waits for it.
func (t *transport) Shutdown() error {
	t.once.Do(func() {
		t.mu.Lock()
		t.closed = true
		for c := range t.conns {
			c.Close()
		}
		t.mu.Unlock()
		close(t.stop)
		t.cancel()
		t.streams.Close()
		if t.packets != nil {
			t.packets.Close()
		}
	})
	t.wg.Wait()
	return nil
}

// carrier carries packets to one address inside a stream.
type carrier struct {
	queue chan []byte
}

var errLost = errors.New("discovery: packet lost, the carrier is busy")

// carry queues a packet on the carrier to addr, and makes one if there is none.
func (t *transport) carry(b []byte, addr string) error {
	if len(b) > maxPacket {
		return fmt.Errorf("discovery: packet of %d bytes", len(b))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.carriers[addr]
	if c == nil {
		if t.closed || len(t.carriers) >= maxCarriers {
			return errLost
		}
		c = &carrier{queue: make(chan []byte, carrierQueue)}
		t.carriers[addr] = c
		t.wg.Go(func() { t.run(c, addr) })
	}
	select {
	case c.queue <- append([]byte(nil), b...):
		return nil
	default:
		return errLost
	}
}

// run is a carrier's goroutine. It ends with the first error, after ten idle
// seconds, or with the transport; what it had queued is lost.
func (t *transport) run(c *carrier, addr string) {
	defer func() {
		t.mu.Lock()
		delete(t.carriers, addr)
		t.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(t.ctx, writeTimeout)
	conn, _, err := t.streams.Dial(ctx, addr)
	cancel()
	if err != nil {
		return
	}
	defer conn.Close()
	head := []byte{markPackets}
	for {
		select {
		case b := <-c.queue:
			head = binary.BigEndian.AppendUint16(head, uint16(len(b)))
			conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := conn.Write(append(head, b...)); err != nil {
				return
			}
			head = head[:0]
		case <-time.After(10 * time.Second):
			return
		case <-t.stop:
			return
		}
	}
}
