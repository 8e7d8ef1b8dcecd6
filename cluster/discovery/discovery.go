package discovery

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// maxMembers bounds the table: beyond it, nodes that are gone are forgotten.
const maxMembers = 256

// State is how a member seems to be.
type State uint8

// The states of a member.
const (
	Alive  State = iota // it answers, to us or to others
	Failed              // it stopped answering
	Left                // it said goodbye
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Failed:
		return "failed"
	case Left:
		return "left"
	default:
		return fmt.Sprintf("state %d", uint8(s))
	}
}

// Member is a node as gossip knows it.
type Member struct {
	ID    string
	Addr  string // ip:port its gossip comes from; Meta.PeerAddr is what to dial
	Meta  Meta
	State State
	Since time.Time // when it came into this state, as seen here
}

// Options configure Start. Streams, NodeID and ClusterName are required.
type Options struct {
	Streams     Streams
	Packets     net.PacketConn // UDP at the node-to-node port's number; nil = packets go inside streams
	Secret      []byte         // cluster secret; nil = packets are not encrypted
	NodeID      string
	ClusterName string // must be the same on all nodes
	Meta        Meta   // Meta.PeerAddr is what others dial

	// OnChange is called after the members or what they say of themselves
	// changed, never concurrently with itself; it may call any method but Close.
	OnChange func()

	ProbeInterval time.Duration // 0 = 1 s; a silent node has failed after about five of them
	Log           *slog.Logger  // nil = slog.Default()
}

// Gossip is this node's part in the gossip. Its methods may be called concurrently.
type Gossip struct {
	opts      Options
	log       *slog.Logger
	memberLog *memberLog
	list      *memberlist.Memberlist
	wire      *transport
	change    chan struct{} // cap 1
	stop      chan struct{}
	once      sync.Once
	wg        sync.WaitGroup

	mu      sync.Mutex
	said    Meta              // guarded by mu; what this node says of itself
	meta    []byte            // guarded by mu; the same, encoded
	members map[string]Member // guarded by mu; by id, this node too
}

// ListenPackets opens the UDP socket at the address of the node-to-node port's
// listener.
func ListenPackets(listener net.Addr) (net.PacketConn, error) {
	c, err := net.ListenPacket("udp", listener.String())
	if err != nil {
		return nil, fmt.Errorf("discovery: gossip packets use UDP at the number of the cluster port: %w", err)
	}
	return c, nil
}

// Start begins to gossip. It knows nobody until Join finds somebody, or is found.
// Streams and Packets belong to it from now on; Close closes them.
func Start(o Options) (*Gossip, error) {
	if o.Streams == nil || o.NodeID == "" || o.ClusterName == "" {
		return nil, errors.New("discovery: Streams, NodeID and ClusterName are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	g := &Gossip{
		opts: o, log: o.Log, memberLog: &memberLog{to: o.Log},
		change:  make(chan struct{}, 1),
		stop:    make(chan struct{}),
		members: make(map[string]Member),
	}
	if err := g.setMeta(o.Meta); err != nil {
		return nil, err
	}
	g.wire = newTransport(o.Streams, o.Packets, g.peerAddr)
	conf := memberlist.DefaultLANConfig()
	conf.Name = o.NodeID
	conf.Transport = g.wire
	conf.Label = o.ClusterName
	conf.BindAddr, conf.BindPort, conf.AdvertisePort = "", 0, 0
	if o.ProbeInterval > 0 {
		conf.ProbeInterval = o.ProbeInterval
		conf.ProbeTimeout = o.ProbeInterval / 2
	}
	conf.TCPTimeout = 3 * time.Second
	// A restarted node comes back under its id from another address. Its id is
	// proved on streams, so there is nobody to protect a dead one's name from.
	conf.DeadNodeReclaimTime = time.Second
	conf.Delegate, conf.Events, conf.Alive = delegate{g}, events{g}, veto{g}
	conf.Logger = log.New(g.memberLog, "", 0)
	if len(o.Secret) > 0 {
		key, err := gossipKey(o.Secret)
		if err != nil {
			return nil, err
		}
		conf.SecretKey = key
	}
	list, err := memberlist.Create(conf)
	if err != nil {
		g.wire.Shutdown()
		return nil, fmt.Errorf("discovery: %w", err)
	}
	g.list = list
	g.wg.Go(g.tell)
	return g, nil
}

// gossipKey derives the packets' AES-256 key. It differs from the key that
// proves nodes to each other.
func gossipKey(secret []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, "quorate gossip 1", 32)
}

// tell calls OnChange, apart from memberlist's loops.
func (g *Gossip) tell() {
	for {
		select {
		case <-g.stop:
			return
		case <-g.change:
			if g.opts.OnChange != nil {
				g.opts.OnChange()
			}
		}
	}
}

func (g *Gossip) changed() {
	select {
	case g.change <- struct{}{}:
	default:
	}
}

// Join asks the nodes at the given host:port addresses, names resolved anew, for
// the members they know, and tells them of this node. It returns how many
// answered, and why none did. Our own address among them counts for nothing. The
// caller tries again.
func (g *Gossip) Join(addrs []string) (int, error) {
	g.wire.resolve()
	targets := make([]string, 0, len(addrs))
	for _, a := range addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return 0, fmt.Errorf("discovery: join address %q is not host:port", a)
		}
		// The part before the slash reaches our transport as it stands, which
		// dials it; memberlist would resolve it, and a certificate for a name
		// does not fit the address. The part behind is for memberlist alone.
		targets = append(targets, a+"/127.0.0.1:1")
	}
	n, err := g.list.Join(targets)
	if err != nil {
		return n, fmt.Errorf("discovery: join: %w", err)
	}
	return n, nil
}

// Members returns the nodes known, in order of their ids, this one too.
func (g *Gossip) Members() []Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Member, 0, len(g.members))
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		out = append(out, g.members[id])
	}
	return out
}

// Member returns the node of an id.
func (g *Gossip) Member(id string) (Member, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, ok := g.members[id]
	return m, ok
}

// peerAddr returns the address to dial for a node, "" if none is known.
func (g *Gossip) peerAddr(id string) string {
	m, _ := g.Member(id)
	return m.Meta.PeerAddr
}

// UpdateMeta changes what this node says of itself and spreads it, waiting up to
// two seconds for the first others to be told.
func (g *Gossip) UpdateMeta(m Meta) error {
	if err := g.setMeta(m); err != nil {
		return err
	}
	// A time-out only means that nobody was told yet.
	if err := g.list.UpdateNode(2 * time.Second); err != nil {
		g.log.Debug("gossip: nobody told yet", "error", err)
	}
	return nil
}

func (g *Gossip) setMeta(m Meta) error {
	b, err := m.append(nil)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.said, g.meta = m, b
	return nil
}

// Leave says goodbye to the others, for up to twice timeout. Close follows.
func (g *Gossip) Leave(timeout time.Duration) error {
	g.mu.Lock()
	last := g.said
	g.mu.Unlock()
	last.leaving = true
	if err := g.setMeta(last); err != nil {
		return err
	}
	if err := g.list.UpdateNode(timeout); err != nil {
		g.log.Debug("gossip: nobody told of leaving", "error", err)
	}
	if err := g.list.Leave(timeout); err != nil {
		return fmt.Errorf("discovery: leave: %w", err)
	}
	return nil
}

// Close ends the gossip: nothing is logged nor told by it later. Without Leave
// the others notice a failure.
func (g *Gossip) Close() error {
	g.once.Do(func() {
		close(g.stop)
		g.list.Shutdown() // logs its errors
		g.wg.Wait()
		g.memberLog.close()
	})
	return nil
}

// note takes over what memberlist knows of a node.
func (g *Gossip) note(n *memberlist.Node, s State) {
	meta, err := parseMeta(n.Meta)
	if err != nil {
		return // vetoed before, or a node that is gone
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := Member{ID: n.Name, Addr: n.Address(), Meta: meta, State: s, Since: time.Now()}
	if old, ok := g.members[n.Name]; ok && old.State == s {
		m.Since = old.Since
	}
	g.members[n.Name] = m
	if len(g.members) > maxMembers {
		g.forgetLocked()
	}
	g.changed()
}

// forgetLocked forgets the node that has been gone the longest.
func (g *Gossip) forgetLocked() {
	oldest := ""
	for id, m := range g.members {
		if m.State != Alive && (oldest == "" || m.Since.Before(g.members[oldest].Since)) {
			oldest = id
		}
	}
	delete(g.members, oldest)
}

// events hears from memberlist who comes and goes. It is called under
// memberlist's lock: it must not call back, nor wait.
type events struct{ g *Gossip }

func (e events) NotifyJoin(n *memberlist.Node)   { e.g.note(n, Alive) }
func (e events) NotifyUpdate(n *memberlist.Node) { e.g.note(n, Alive) }

func (e events) NotifyLeave(n *memberlist.Node) {
	s := Failed
	if m, err := parseMeta(n.Meta); err == nil && m.leaving {
		s = Left
	}
	e.g.note(n, s)
}

// veto keeps nodes out of the member list that can't be of this cluster.
type veto struct{ g *Gossip }

func (v veto) NotifyAlive(n *memberlist.Node) error {
	meta, err := parseMeta(n.Meta)
	if err != nil {
		return err
	}
	v.g.mu.Lock()
	own := v.g.said.ClusterID
	v.g.mu.Unlock()
	if own != "" && meta.ClusterID != "" && meta.ClusterID != own && n.Name != v.g.opts.NodeID {
		return fmt.Errorf("discovery: node %s belongs to cluster %s", n.Name, meta.ClusterID)
	}
	return nil
}

// delegate tells memberlist what this node says of itself. Payloads do not
// travel by gossip: packets are small, unordered and may be lost.
type delegate struct{ g *Gossip }

func (d delegate) NodeMeta(int) []byte {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	return d.g.meta // replaced whole, never changed in place
}

func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// memberLog passes memberlist's lines on: its errors are warnings to the
// operator of a node that works without gossip, the rest is debugging.
//
// Memberlist does not wait for its goroutines at Shutdown. A probe may end, and
// tell of it, long after: whoever closed the gossip hears no more of it.
type memberLog struct {
	to *slog.Logger

	mu     sync.RWMutex
	closed bool // guarded by mu
}

func (l *memberLog) Write(p []byte) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return len(p), nil
	}
	line := strings.TrimSpace(string(bytes.TrimSpace(p)))
	if text, ok := strings.CutPrefix(line, "[ERR] "); ok {
		l.to.Warn(text)
		return len(p), nil
	}
	if _, text, ok := strings.Cut(line, "] "); ok {
		line = text
	}
	l.to.Debug(line)
	return len(p), nil
}

// close waits for the line being written, and drops what comes later.
func (l *memberLog) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
}
