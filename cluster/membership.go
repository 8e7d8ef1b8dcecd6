package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/discovery"
	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// Membership. Gossip, join lists and the nodes' own words tell where nodes are
// and how they are; only the leader changes who is a member, one server at a
// time: non-voter first, voter when it has caught up and stayed healthy.

const (
	pollEvery = 500 * time.Millisecond
	// offlineAfter is how long a member may be silent and still be shown online.
	offlineAfter = 2 * time.Second
	// promoteAfter is how long a non-voter must have been caught up.
	promoteAfter = time.Second
	// promoteLag is by how many entries it may be behind.
	promoteLag = 256
	// deadAfter is how long a voter must have been silent before a healthy
	// replacement takes its place.
	deadAfter = 30 * time.Second
	// forgottenAfter is how long a node that was a member waits to hear its leader.
	forgottenAfter = 3 * time.Second
	// candidatesMax bounds the addresses that are remembered.
	candidatesMax = 256
)

// Status is what a node says of itself.
type Status struct {
	ID        string
	ClusterID string            // "" while it belongs to none
	Addr      string            // host:port of its node-to-node port
	Listeners map[string]string // where clients reach it, by listener
	Expect    int               // with how many others it waits to found a cluster
	Known     []string          // node-to-node ports it has heard of, while it belongs to no cluster
	Leader    string            // id of the leader it follows
	Term      uint64
	Commit    uint64
	Applied   uint64
	Last      uint64
	Version   string
	DiskFull  bool // it has no room to lead
	DiskSlow  bool `json:",omitempty"` // its fsyncs are too slow to lead
	// Attempt is its latest to found a cluster, while it has nothing to do
	// with any.
	Attempt attempt

	Semantic    uint16 // the semantic version in force there; 0 before there were any
	SemanticMax uint16 // the newest that it knows
	Distrusted  bool   // its state is in doubt
}

// known is what this node knows of another.
type known struct {
	Status
	seen     time.Time
	caughtUp time.Time // since when it has been; zero if it is not
}

type membership struct {
	node     *Node
	hasState bool
	raft     atomic.Pointer[raft.Raft] // nil until there is one: raft asks for addresses as soon as it is made
	started  time.Time
	since    time.Time // of run's goroutine; since when this node has been a member, zero if it is not

	dismissed bool // of run's goroutine; the removal was logged
	followed  bool // of run's goroutine; this process has known a leader

	listeners atomic.Pointer[map[string]string] // where clients reach this node
	news      chan struct{}                     // of one place: something of this node to tell at once

	mu         sync.Mutex
	peers      map[raft.ServerID]*known // guarded by mu
	candidates map[string]time.Time     // guarded by mu; addresses heard of, and when last
	gossip     *discovery.Gossip        // set before run; nil until then
	promises   promises                 // guarded by mu
}

func newMembership(n *Node) *membership {
	m := &membership{
		node: n, started: time.Now(), peers: make(map[raft.ServerID]*known), candidates: make(map[string]time.Time),
		promises: promises{life: n.firstIncarnation, load: n.store.promise, store: n.store.setPromise},
		news:     make(chan struct{}, 1),
	}
	m.listeners.Store(&n.opts.Listeners)
	return m
}

// SetListeners changes where clients reach this node (Options.Listeners), and tells the
// other nodes.
func (n *Node) SetListeners(listeners map[string]string) {
	n.members.listeners.Store(&listeners)
	select {
	case n.members.news <- struct{}{}:
	default:
	}
}

// noteLocked remembers an address. The one not heard of for the longest time
// makes room: addresses come and go with containers.
func (m *membership) noteLocked(addr string, now time.Time) {
	if addr == "" {
		return
	}
	m.candidates[addr] = now
	if len(m.candidates) <= candidatesMax {
		return
	}
	oldest := addr
	for other, at := range m.candidates {
		if at.Before(m.candidates[oldest]) {
			oldest = other
		}
	}
	delete(m.candidates, oldest)
}

// raftAddress is a server's address in raft's configuration. It must differ
// between servers, but a node that lost its disk comes back at the same place
// under a new id: so the id is part of it.
func raftAddress(id raft.ServerID, addr string) raft.ServerAddress {
	return raft.ServerAddress(addr + "/" + string(id[:8]))
}

// dialAddress returns the host:port in a raft address.
func dialAddress(addr raft.ServerAddress) string {
	host, _, _ := strings.Cut(string(addr), "/")
	return host
}

// ServerAddr implements raft.ServerAddressProvider: where a server was last
// heard, or where the configuration says it is.
func (m *membership) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if status, _ := m.peer(id); status.Addr != "" {
		return raft.ServerAddress(status.Addr), nil
	}
	if r := m.raft.Load(); r != nil {
		for _, s := range r.GetConfiguration().Configuration().Servers {
			if s.ID == id {
				return raft.ServerAddress(dialAddress(s.Address)), nil
			}
		}
	}
	return "", fmt.Errorf("cluster: the address of node %s is unknown", id)
}

// startGossip makes nodes that know some of the others find all of them.
func (m *membership) startGossip() error {
	n := m.node
	var err error
	m.gossip, err = discovery.Start(discovery.Options{
		Streams: n.port.Listener(peer.KindGossip), Secret: n.opts.Secret, NodeID: n.ID(), ClusterName: n.opts.Name,
		Meta: discovery.Meta{ClusterID: n.ClusterID(), PeerAddr: n.port.Advertised()}, Log: n.opts.Log,
	})
	return err
}

// followGossip takes in the addresses that gossip knows, until ctx ends.
func (m *membership) followGossip(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		m.hearGossip()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *membership) hearGossip() {
	members := m.gossip.Members()
	if len(members) < 2 {
		_, _ = m.gossip.Join(m.node.opts.Join) // tried again at the next tick
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, member := range members {
		if member.State == discovery.Alive {
			m.noteLocked(member.Meta.PeerAddr, time.Now())
		}
	}
}

// serve begins to answer other nodes.
func (m *membership) serve() {
	port := m.node.port
	port.HandleCall(callStatus, func(_ context.Context, from peer.Info, req []byte) ([]byte, error) {
		var s Status
		if err := json.Unmarshal(req, &s); err != nil || s.ID != from.NodeID {
			return nil, errors.New("malformed status")
		}
		m.heard(s)
		return json.Marshal(m.node.Status())
	})
	port.HandleCall(callJoin, m.serveJoin)
	port.HandleCall(callPropose, m.servePropose)
}

// Status returns what this node says of itself.
func (n *Node) Status() Status {
	attempt := n.members.attempt() // before fresh is asked: it goes on only while that is so
	_, leader := n.raft.LeaderWithID()
	s := Status{
		ID: n.ID(), ClusterID: n.ClusterID(), Addr: n.port.Advertised(), Listeners: *n.members.listeners.Load(),
		Leader: string(leader), Term: n.raft.CurrentTerm(), Commit: n.commitIndex(),
		Applied: n.applied.value.Load(), Last: n.raft.LastIndex(), Version: Version, DiskFull: n.disk.full.Load(), DiskSlow: n.disk.slow.Load(),
		Semantic: n.fsm.Semantic(), SemanticMax: SemanticMax, Distrusted: n.proof.out.Load(),
	}
	if !n.members.isMember() {
		s.Expect = n.opts.BootstrapExpect
		s.Known = n.members.addresses()
	}
	if n.members.fresh() {
		s.Attempt = attempt
	}
	return s
}

// heard notes what another node said of itself.
func (m *membership) heard(s Status) {
	id := raft.ServerID(s.ID)
	if id == m.node.id() || len(s.ID) != 2*len(entry.NodeID{}) {
		return
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.peers[id]
	if k == nil {
		k = new(known)
		m.peers[id] = k
	}
	k.Status, k.seen = s, now
	m.promises.hear(&s)
	switch {
	case s.Applied+promoteLag < m.node.raft.CommitIndex():
		k.caughtUp = time.Time{}
	case k.caughtUp.IsZero():
		k.caughtUp = now
	}
	for _, addr := range append(s.Known[:min(len(s.Known), candidatesMax)], s.Addr) {
		m.noteLocked(addr, now)
	}
}

func (m *membership) addresses() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.node.opts.Join)
	for addr := range m.candidates {
		all = append(all, addr)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// peer returns what is known of a node, and whether it was heard lately.
func (m *membership) peer(id raft.ServerID) (Status, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.peers[id]
	if k == nil {
		return Status{}, false
	}
	return k.Status, time.Since(k.seen) < offlineAfter
}

func (m *membership) servers() []raft.Server {
	return m.node.raft.GetConfiguration().Configuration().Servers
}

func (m *membership) isMember() bool { return m.has(m.node.id()) }

// has reports whether a node is a member, voter or not.
func (m *membership) has(id raft.ServerID) bool {
	return slices.ContainsFunc(m.servers(), func(s raft.Server) bool { return s.ID == id })
}

// run keeps in touch with the other nodes, enters the cluster, and, on the
// leader, keeps the configuration.
func (m *membership) run(ctx context.Context) {
	if !m.hasState && len(m.node.opts.Join) == 0 {
		_ = m.bootstrap([]raft.Server{m.self()}) // logged; a restart tries again
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var foreign foreignCheck
	for {
		m.poll(ctx)
		if err := foreign.look(ctx, m); err != nil {
			m.node.exit(err)
			return
		}
		switch {
		case !m.isMember():
			m.outside(ctx)
		case m.seemsForgotten():
			m.enter(ctx)
		case m.since.IsZero():
			m.since = time.Now()
		case m.node.readyTerm.Load() != 0:
			m.keep()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.news:
		}
	}
}

// seemsForgotten reports whether this node was removed while it was down, and so
// does not know: since its start it has heard of no leader, whom others follow.
// Asking to be taken in changes nothing if it is a member still.
func (m *membership) seemsForgotten() bool {
	if _, leader := m.node.raft.LeaderWithID(); leader != "" {
		m.followed = true
	}
	if m.followed || time.Since(m.started) < forgottenAfter {
		return false
	}
	return slices.ContainsFunc(m.online(), func(s Status) bool { return s.Leader != "" && s.ClusterID == m.node.ClusterID() })
}

func (m *membership) self() raft.Server {
	return raft.Server{ID: m.node.id(), Address: raftAddress(m.node.id(), m.node.port.Advertised())}
}

// poll exchanges words with every member. Before this node is one, and while
// one of them is silent, it does so with every address it has heard of: that
// one may have moved, or all of them at once.
func (m *membership) poll(ctx context.Context) {
	targets := make(map[string]bool)
	searching := !m.isMember()
	for _, s := range m.servers() {
		if s.ID == m.node.id() {
			continue
		}
		targets[m.node.addrOf(s.ID)] = true
		if _, online := m.peer(s.ID); !online {
			searching = true
		}
	}
	if searching {
		for _, addr := range m.addresses() {
			targets[addr] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	own, err := json.Marshal(m.node.Status())
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	for addr := range targets {
		if addr == "" || addr == m.node.port.Advertised() {
			continue
		}
		wg.Go(func() {
			answer, err := m.node.port.Call(ctx, addr, callStatus, own)
			var s Status
			if err != nil || json.Unmarshal(answer, &s) != nil {
				m.node.opts.Log.Debug("node not reached", "addr", addr, "error", err)
				return
			}
			m.heard(s)
		})
	}
	wg.Wait()
}

// outside is what a node does that is no member: it enters a cluster, unless it
// has been one for long. Then an operator has removed it, and it would be back at
// once; a restart asks again.
func (m *membership) outside(ctx context.Context) {
	const long = 10 * time.Second
	switch {
	case m.since.IsZero() || time.Since(m.since) < long:
		m.since = time.Time{}
		m.enter(ctx)
	case !m.dismissed:
		m.dismissed = true
		m.node.opts.Log.Warn("this node was removed from the cluster: stop it, or start it again to have it taken in again")
	}
}

// enter asks to be taken into a cluster, or founds one with others as fresh.
func (m *membership) enter(ctx context.Context) {
	if m.awaitsFounder() {
		return
	}
	var fresh []Status
	asked := false
	for _, s := range m.online() {
		if s.ClusterID == "" && s.Leader == "" {
			fresh = append(fresh, s)
			continue
		}
		if s.Semantic > SemanticMax {
			m.node.exit(fmt.Errorf("the cluster of %s is at semantic version %d, and this release knows no more than %d: upgrade this node", s.Addr, s.Semantic, SemanticMax))
			return
		}
		asked = true
		if err := m.askToJoin(ctx, s.Addr); err != nil {
			m.node.opts.Log.Info("not taken in yet", "by", s.Addr, "error", err)
			continue
		}
		return
	}
	if !asked && !m.hasState {
		m.found(ctx, fresh)
	}
}

// online returns the nodes heard lately, sorted by id.
func (m *membership) online() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Status
	for _, k := range m.peers {
		if time.Since(k.seen) < offlineAfter {
			all = append(all, k.Status)
		}
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func (m *membership) askToJoin(ctx context.Context, addr string) error {
	own, err := json.Marshal(m.node.Status())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = m.node.port.Call(ctx, addr, callJoin, own)
	return err
}

// serveJoin takes a node in as a non-voter, or passes the request on to the
// leader.
func (m *membership) serveJoin(ctx context.Context, _ peer.Info, req []byte) ([]byte, error) {
	var s Status
	if err := json.Unmarshal(req, &s); err != nil {
		return nil, errors.New("malformed request to join")
	}
	if _, err := entry.ParseNodeID(s.ID); err != nil {
		return nil, err
	}
	if m.node.readyTerm.Load() == 0 {
		_, leader := m.node.raft.LeaderWithID()
		if leader == "" || leader == m.node.id() {
			return nil, errors.New("no leader is known")
		}
		return m.node.port.Call(ctx, m.node.addrOf(leader), callJoin, req)
	}
	for _, server := range m.servers() {
		if string(server.ID) == s.ID {
			return nil, nil
		}
	}
	if inForce := m.node.fsm.Semantic(); max(s.SemanticMax, 1) < inForce {
		return nil, fmt.Errorf("the cluster is at semantic version %d, and the node's release knows no more than %d: upgrade it", inForce, max(s.SemanticMax, 1))
	}
	m.heard(s)
	id := raft.ServerID(s.ID)
	m.node.opts.Log.Info("taking a node in", "id", s.ID, "addr", s.Addr)
	return nil, m.node.raft.AddNonvoter(id, raftAddress(id, s.Addr), 0, 5*time.Second).Error()
}

// keep is the leader's care for the configuration: one change at a time.
func (m *membership) keep() {
	a := decide(time.Now(), m.node.id(), m.servers(), m.picture())
	if a.change == nothing {
		return
	}
	m.node.opts.Log.Info(a.change.String(), "id", string(a.id), "addr", string(a.addr))
	if err := m.carryOut(a); err != nil {
		m.node.opts.Log.Warn("the configuration was not changed", "error", err)
	}
}

func (m *membership) carryOut(a action) error {
	const patience = 5 * time.Second
	r := m.node.raft
	switch a.change {
	case move, promote:
		return r.AddVoter(a.id, a.addr, 0, patience).Error()
	case moveApart:
		return r.AddNonvoter(a.id, a.addr, 0, patience).Error()
	case dismiss:
		return r.RemoveServer(a.id, 0, patience).Error()
	}
	return nil
}

// picture returns the nodes as last heard, this one included. The silence of a
// member that was never heard counts from now.
func (m *membership) picture() map[raft.ServerID]known {
	servers := m.servers()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(servers)
	all := make(map[raft.ServerID]known, len(servers))
	for _, s := range servers {
		if m.peers[s.ID] == nil {
			m.peers[s.ID] = &known{seen: time.Now().Add(-offlineAfter)}
		}
		all[s.ID] = *m.peers[s.ID]
	}
	all[m.node.id()] = known{Status: Status{Addr: m.node.port.Advertised()}}
	return all
}

// forgetLocked forgets nodes that are no members and have long been silent.
func (m *membership) forgetLocked(servers []raft.Server) {
	const long = 10 * time.Minute
	for id, k := range m.peers {
		member := slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == id })
		if !member && time.Since(k.seen) > long {
			delete(m.peers, id)
		}
	}
}

// Forget removes a member, on the word of an operator.
func (n *Node) Forget(id string) error {
	if n.readyTerm.Load() == 0 {
		_, leader := n.raft.LeaderWithID()
		return fmt.Errorf("only the leader removes a member; it is node %s", leader)
	}
	if id == n.ID() {
		return errors.New("this is the leader itself: hand leadership over first, by QUORATE TRANSFER")
	}
	return n.raft.RemoveServer(raft.ServerID(id), 0, 5*time.Second).Error()
}
