package nemesis

import (
	"bytes"
	"context"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/quorate/quorate/transport/peer"
)

// hello is the beginning of a connection by a node with an id.
func hello(id string) []byte {
	body := make([]byte, helloRandom)
	for _, name := range []string{"quorate", "cluster", id} {
		body = append(append(body, byte(len(name))), name...)
	}
	head := append([]byte(helloMagic), 1, 1, 0, byte(len(body)>>8), byte(len(body)))
	return append(head, body...)
}

// proxyRig is a proxy from node 0 to node 1, with a connection through it.
type proxyRig struct {
	mesh         *mesh
	proxy        *proxy
	dialer, node net.Conn
}

func newProxyRig(t *testing.T) *proxyRig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := newMesh()
	number := func(id string) int {
		if id == "zero" {
			return 0
		}
		return Everybody
	}
	p, err := newProxy("127.0.0.1:0", l.Addr().String(), 1, number, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	rig := &proxyRig{mesh: m, proxy: p}
	if rig.dialer, err = net.Dial("tcp", p.listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if _, err := rig.dialer.Write(hello("zero")); err != nil {
		t.Fatal(err)
	}
	if rig.node, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rig.dialer.Close(); rig.node.Close() })
	got := make([]byte, len(hello("zero")))
	if _, err := io.ReadFull(rig.node, got); err != nil || !bytes.Equal(got, hello("zero")) {
		t.Fatalf("the node read %q, %v", got, err)
	}
	return rig
}

// carry writes to one side and returns what the other reads, and how long it
// took.
func carry(t *testing.T, from, to net.Conn, b []byte) ([]byte, time.Duration) {
	t.Helper()
	began := time.Now()
	go from.Write(b)
	got := make([]byte, len(b))
	to.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	return got, time.Since(began)
}

func TestProxyCarriesBothWays(t *testing.T) {
	rig := newProxyRig(t)
	text := bytes.Repeat([]byte("between nodes "), 20_000)
	if got, _ := carry(t, rig.dialer, rig.node, text); !bytes.Equal(got, text) {
		t.Error("other bytes arrive at the node")
	}
	if got, _ := carry(t, rig.node, rig.dialer, text); !bytes.Equal(got, text) {
		t.Error("other bytes arrive at the dialer")
	}
}

// TestProxyDelaysOneDirection: a link is directed, whoever dialled.
func TestProxyDelaysOneDirection(t *testing.T) {
	const late = 100 * time.Millisecond
	rig := newProxyRig(t)
	rig.mesh.set(map[[2]int]link{{1, 0}: {delay: late}})
	if _, took := carry(t, rig.node, rig.dialer, []byte("x")); took < late {
		t.Errorf("a byte on the slow link took %v", took)
	}
	rig.mesh.set(map[[2]int]link{{1, 0}: {hang: true}})
	carry(t, rig.dialer, rig.node, []byte("the other way is open"))
}

func TestProxyDrips(t *testing.T) {
	rig := newProxyRig(t)
	rig.mesh.set(map[[2]int]link{{0, 1}: {drip: 4}})
	text := bytes.Repeat([]byte("drop"), 20)
	got, took := carry(t, rig.dialer, rig.node, text)
	if !bytes.Equal(got, text) || took < 20*dripEvery {
		t.Errorf("%q after %v", got, took)
	}
}

// TestProxyHangs: what is sent while a link hangs arrives when it goes on.
func TestProxyHangs(t *testing.T) {
	rig := newProxyRig(t)
	rig.mesh.set(map[[2]int]link{{0, 1}: {hang: true}})
	if _, err := rig.dialer.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	rig.node.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := rig.node.Read(make([]byte, 9)); n > 0 || err == nil {
		t.Errorf("%d bytes passed, %v", n, err)
	}
	rig.mesh.set(nil)
	if got, _ := carry(t, rig.dialer, rig.node, nil); len(got) != 0 {
		t.Error("bytes from nowhere")
	}
	got := make([]byte, 4)
	rig.node.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(rig.node, got); err != nil || string(got) != "late" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestProxyFlipsBits(t *testing.T) {
	rig := newProxyRig(t)
	rig.mesh.set(map[[2]int]link{{0, 1}: {flip: 100}})
	text := make([]byte, 10_000)
	got, _ := carry(t, rig.dialer, rig.node, text)
	flipped := 0
	for _, b := range got {
		flipped += bits.OnesCount8(b)
	}
	if want := int(rig.proxy.flipped.Load()); flipped != want || flipped < 30 || flipped > 300 {
		t.Errorf("%d bits of %d bytes are turned over, %d by count", flipped, len(text), want)
	}
}

func TestProxyResets(t *testing.T) {
	rig := newProxyRig(t)
	if n := rig.proxy.reset(5); n != 0 {
		t.Errorf("%d connections of a stranger were reset", n)
	}
	if n := rig.proxy.reset(0); n != 1 {
		t.Errorf("%d connections were reset", n)
	}
	for _, side := range []net.Conn{rig.dialer, rig.node} {
		side.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := side.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("the connection lives: %v", err)
		}
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestHelloOfANode reads who dials from what a node really sends.
func TestHelloOfANode(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port, err := peer.Listen(peer.Options{Bind: "127.0.0.1:0", NodeID: "the dialer's id", ClusterName: "quorate", Secret: []byte("s")})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		_, _, _ = port.Dial(ctx, l.Addr().String(), peer.KindRaft)
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if id, _, err := readHello(c); err != nil || id != "the dialer's id" {
		t.Errorf("the dialer is %q, %v", id, err)
	}
	cancel()
	<-dialled
}

func TestHelloRefusesStrangers(t *testing.T) {
	whole := hello("zero")
	for n := range whole {
		if id, _, err := readHello(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("%d bytes of %d name %q", n, len(whole), id)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := bytes.Clone(whole)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		_, _, _ = readHello(bytes.NewReader(b)) // must not panic
	}
}
