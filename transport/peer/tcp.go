package peer

import (
	"context"
	"net"
	"syscall"
	"time"
)

// tcp is the real Network. With loopback set it reaches this machine alone.
type tcp struct{ loopback bool }

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
	return d.DialContext(ctx, "tcp", addr)
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
