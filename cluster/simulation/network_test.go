package simulation

import (
	"context"
	"net"
	"net/netip"

	"github.com/quorate/quorate/cluster/wire/memnet"
)

// network is a machine's place in the simulated network, as peer.Network.
type network struct{ *memnet.Node }

// Listen implements peer.Network.
func (n network) Listen(string) (net.Listener, error) { return listener{n.Node}, nil }

// Dial implements peer.Network.
func (n network) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, _, err := n.Node.Dial(ctx, addr)
	return c, err
}

type listener struct{ node *memnet.Node }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, _, err := l.node.Accept()
	return c, err
}

// Addr implements net.Listener.
func (l listener) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(l.node.Addr()))
}

// Close implements net.Listener.
func (l listener) Close() error { return l.node.Close() }
