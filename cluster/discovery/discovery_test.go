package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/cluster/wire/memnet"
	"github.com/quorate/quorate/transport/peer"
)

var quiet = slog.New(slog.DiscardHandler)

func start(t *testing.T, n *memnet.Network, id, addr, cluster string, onChange func()) *Gossip {
	t.Helper()
	g, err := Start(Options{
		Streams: n.Node(id, addr), NodeID: id, ClusterName: "test", Secret: []byte("s"),
		Meta: Meta{ClusterID: cluster, PeerAddr: addr, Attrs: map[string]string{"port": "1"}}, OnChange: onChange, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func states(g *Gossip) string {
	var b strings.Builder
	for _, m := range g.Members() {
		fmt.Fprintf(&b, "%s=%v ", m.ID, m.State)
	}
	return strings.TrimSpace(b.String())
}

func addrOf(i int) string { return fmt.Sprintf("10.0.0.%d:17001", i) }

// Nodes find each other through any one of them, notice a death and a goodbye,
// and take a restarted node back under another address.
func TestLifeOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		var changes atomic.Int64
		a := start(t, n, "a", addrOf(1), "", func() { changes.Add(1) })
		b := start(t, n, "b", addrOf(2), "", nil)
		c := start(t, n, "c", addrOf(3), "", nil)
		for _, g := range []*Gossip{b, c} {
			if joined, err := g.Join([]string{"10.9.9.9:1", addrOf(1)}); joined != 1 || err != nil {
				t.Fatalf("joined %d: %v", joined, err)
			}
		}
		time.Sleep(2 * time.Second)
		for _, g := range []*Gossip{a, b, c} {
			if got := states(g); got != "a=alive b=alive c=alive" {
				t.Fatalf("members: %s", got)
			}
		}
		if changes.Load() == 0 {
			t.Error("OnChange was not called")
		}

		if err := b.UpdateMeta(Meta{ClusterID: "id", PeerAddr: addrOf(2), ClientAddr: "h:6379"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if m, _ := a.Member("b"); m.Meta.ClientAddr != "h:6379" || m.Meta.ClusterID != "id" {
			t.Errorf("a knows of b: %+v", m.Meta)
		}

		c.Close()
		time.Sleep(30 * time.Second)
		if got := states(a); got != "a=alive b=alive c=failed" {
			t.Errorf("after a death: %s", got)
		}
		c = start(t, n, "c", addrOf(9), "", nil)
		if _, err := c.Join([]string{addrOf(2)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if m, _ := a.Member("c"); m.State != Alive || m.Meta.PeerAddr != addrOf(9) || m.Addr != addrOf(9) {
			t.Errorf("after its return: %+v", m)
		}

		if err := b.Leave(time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := states(a); got != "a=alive b=left c=alive" {
			t.Errorf("after a goodbye: %s", got)
		}
		for _, g := range []*Gossip{a, b, c} {
			g.Close()
		}
		time.Sleep(time.Minute) // memberlist's last timers
	})
}

// A node of another cluster id is not let in; one without an id is.
func TestForeignClusterID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a := start(t, n, "a", addrOf(1), "one", nil)
		b := start(t, n, "b", addrOf(2), "two", nil)
		c := start(t, n, "c", addrOf(3), "", nil)
		b.Join([]string{addrOf(1)}) // its error is memberlist's to word
		if _, err := c.Join([]string{addrOf(1)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := states(a); got != "a=alive c=alive" {
			t.Errorf("members: %s", got)
		}
		for _, g := range []*Gossip{a, b, c} {
			g.Close()
		}
		time.Sleep(time.Minute)
	})
}

// Over real sockets: streams on the node-to-node port, packets on UDP beside it.
func TestOverPeerPorts(t *testing.T) {
	var all []*Gossip
	var addrs []string
	changed := make(chan struct{}, 1)
	for i := range 2 {
		port, err := peer.Listen(peer.Options{Bind: "127.0.0.1:0", NodeID: fmt.Sprint("n", i), ClusterName: "test", Secret: []byte("s"), Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer port.Close()
		packets, err := ListenPackets(port.Addr())
		if err != nil {
			t.Skipf("the UDP port of the same number is taken: %v", err)
		}
		g, err := Start(Options{
			Streams: port.Listener(peer.KindGossip), Packets: packets, NodeID: port.NodeID(), ClusterName: "test", Secret: []byte("s"),
			Meta: Meta{PeerAddr: port.Advertised()}, Log: quiet,
			OnChange: func() {
				select {
				case changed <- struct{}{}:
				default:
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		all, addrs = append(all, g), append(addrs, port.Advertised())
	}
	if n, err := all[1].Join(addrs); n != 1 || err != nil { // our own address is among them
		t.Fatalf("joined %d: %v", n, err)
	}
	deadline := time.After(10 * time.Second)
	for len(all[0].Members()) != 2 || len(all[1].Members()) != 2 {
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("members: %s / %s", states(all[0]), states(all[1]))
		}
	}
}

// Memberlist's probes outlive its Shutdown. What they find is not for the
// logger of a node that is closed: it may be gone.
func TestNothingIsLoggedAfterClose(t *testing.T) {
	var lines strings.Builder
	o := &slog.HandlerOptions{Level: slog.LevelDebug}
	l := &memberLog{to: slog.New(slog.NewTextHandler(&lines, o))}
	for _, line := range []string{"[ERR] memberlist: one", "[DEBUG] memberlist: two"} {
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	before := lines.String()
	if !strings.Contains(before, "one") || !strings.Contains(before, "two") {
		t.Fatalf("logged: %q", before)
	}
	l.close()
	l.Write([]byte("[ERR] memberlist: Failed fallback TCP ping: closed"))
	if lines.String() != before {
		t.Errorf("logged after close: %q", lines.String()[len(before):])
	}
}

func TestMeta(t *testing.T) {
	for _, m := range []Meta{
		{},
		{Fresh: true},
		{leaving: true},
		{ClusterID: "id", PeerAddr: "h:1", ClientAddr: "h:2", Attrs: map[string]string{"a": "1", "b": "", "": "x"}},
		{PeerAddr: strings.Repeat("x", 255)},
	} {
		b, err := m.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseMeta(b)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
			t.Errorf("%+v became %+v: %v", m, got, err)
		}
	}
	for name, m := range map[string]Meta{
		"long name": {PeerAddr: strings.Repeat("x", 256)},
		"too much":  {PeerAddr: strings.Repeat("x", 255), ClientAddr: strings.Repeat("x", 255)},
	} {
		if _, err := m.append(nil); !errors.Is(err, ErrMetaTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMeta(f *testing.F) {
	full, _ := Meta{ClusterID: "id", PeerAddr: "h:1", Fresh: true, Attrs: map[string]string{"k": "v"}}.append(nil)
	f.Add(full)
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeta(b)
		if err != nil || len(b) > maxMeta {
			return
		}
		again, err := m.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseMeta(again)
		if err != nil || fmt.Sprint(second) != fmt.Sprint(m) {
			t.Fatalf("%+v became %+v: %v", m, second, err)
		}
		if len(m.Attrs) < 2 && !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
