package peer

import (
	"context"
	"net"
	"sync"
)

// Listener is a port narrowed to one kind of connection: what a package below
// raft or memberlist needs, in types of the standard library alone.
type Listener struct {
	port *Port
	kind Kind

	incoming chan accepting
	done     chan struct{}
	once     sync.Once
}

type accepting struct {
	conn net.Conn
	info Info
}

// Listener returns the port's listener for a kind. It takes the kind over from
// any handler; make it once per kind.
func (p *Port) Listener(k Kind) *Listener {
	l := &Listener{port: p, kind: k, incoming: make(chan accepting), done: make(chan struct{})}
	p.Handle(k, func(c net.Conn, info Info) {
		select {
		case l.incoming <- accepting{c, info}:
		case <-l.done:
			c.Close()
		case <-p.closing:
			c.Close()
		}
	})
	return l
}

// Accept waits for a connection and returns it with the proved id of the node that dialled.
func (l *Listener) Accept() (net.Conn, string, error) {
	select {
	case a := <-l.incoming:
		return a.conn, a.info.NodeID, nil
	case <-l.done:
		return nil, "", ErrClosed
	case <-l.port.closing:
		return nil, "", ErrClosed
	}
}

// Dial connects to addr and returns the connection with the proved id of the
// node that answered, which the caller compares with the one it wants.
func (l *Listener) Dial(ctx context.Context, addr string) (net.Conn, string, error) {
	c, info, err := l.port.Dial(ctx, addr, l.kind)
	return c, info.NodeID, err
}

// Addr returns the advertised host:port of the port.
func (l *Listener) Addr() string { return l.port.Advertised() }

// Close ends Accept; connections handed out stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}
