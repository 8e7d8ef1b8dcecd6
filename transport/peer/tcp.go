package peer

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// tcp is the real Network. With loopback set it reaches this machine alone.
type tcp struct {
	loopback bool
	from     *net.TCPAddr // where it dials from; nil lets the system choose
}

// errOwnPort says that a connection came about between a socket and itself.
var errOwnPort = errors.New("peer: nobody listens there, and the system chose the same port to dial from")

// keepAlive notices a far side that vanished without a word after about ten
// seconds of silence.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 5}

// Listen implements Network.
func (tcp) Listen(addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	return lc.Listen(context.Background(), "tcp", addr)
}

// Dial implements Network.
func (t tcp) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	if t.loopback {
		d.Control = loopbackOnly
	}
	if t.from != nil {
		d.LocalAddr = t.from
	}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// Where nobody listens yet, at a port from which this machine also dials, TCP's
	// simultaneous open joins a socket with itself. It would keep the port from the node
	// that is to listen there. So it goes at once, and without the minute of TIME_WAIT.
	if c.LocalAddr().String() == c.RemoteAddr().String() {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		return nil, errOwnPort
	}
	return c, nil
}

// loopbackOnly refuses to connect to anything but loopback. It sees the resolved
// address.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return ErrInsecure
	}
	return nil
}
