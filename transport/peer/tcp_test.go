package peer

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
)

// A socket that got joined with itself, since it dials from the port that it dials and
// nobody listens there, is closed at once; who wants to listen there can, even with a
// socket that does not pass over the remains of closed connections.
func TestOwnPortIsNotTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.84.0.1:0") // where no other test is
	if err != nil {
		t.Skipf("no address to be alone on: %v", err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	c, err := tcp{loopback: true, from: addr}.Dial(context.Background(), addr.String())
	if !errors.Is(err, errOwnPort) {
		if err == nil {
			c.Close()
		}
		t.Fatalf("dialled itself: %v", err)
	}
	strict := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) {
			set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		})
		return errors.Join(err, set)
	}}
	l, err = strict.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		t.Fatalf("the port is taken: %v", err)
	}
	l.Close()
}
