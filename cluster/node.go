package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/hclogslog"
	"github.com/quorate/quorate/cluster/wire"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// What nodes say to each other beside raft's messages. The numbers are part of
// the protocol.
const (
	callReadIndex uint16 = 1
	callStatus    uint16 = 2
	callJoin      uint16 = 3
	callPropose   uint16 = 4
	callInterest  uint16 = 5
	callDurable   uint16 = 6
	callChain     uint16 = 7
	callState     uint16 = 8
	callRecount   uint16 = 9
	callSync      uint16 = 10
	callReads     uint16 = 11

	topicBatches uint16 = 1
	topicPublish uint16 = 2
)

// Timing of raft. CommitTimeout bounds how late a follower learns of a commit
// if its kick is lost.
const (
	commitTimeout = 50 * time.Millisecond
	storeHangMax  = 10 * time.Second
)

// Node is this process as a member of its cluster.
type Node struct {
	opts      Options
	store     *storage
	port      *peer.Port
	transport *wire.Transport
	loading   wire.Transfer // of a snapshot into the state
	raft      *raft.Raft
	fsm       *fsm.FSM

	sequencer *sequencer
	packer    *packer
	route     *route
	rounds    *rounds
	catchUp   *catchUp
	applied   *appliedIndex
	members   *membership
	pubsub    *publisher
	snapshots *snapshotter
	disk      diskGuard
	proof     *proof
	recounts  *recounts
	eviction  eviction
	deposals  deposals // of watchLeadership's goroutine

	firstIncarnation uint64 // the sequencer's at the start of this process

	// shown is how far the log has been applied as far as any client may know:
	// replies are written before applied moves on.
	shown     atomic.Uint64
	held      atomic.Bool   // the semantic version is not to be raised
	founded   atomic.Bool   // this node has logged the genesis
	readyTerm atomic.Uint64 // the term in which this leader may serve reads, 0 for none
	clusterID atomic.Pointer[string]
	counters  counters

	mu       sync.Mutex
	incoming map[*peer.Incoming]struct{} // guarded by mu; batches of other nodes
	leader   raft.ServerID               // guarded by mu; as last seen
	term     uint64                      // guarded by mu; as last seen

	stop    context.CancelFunc
	wg      sync.WaitGroup
	halting atomic.Bool
	halted  chan struct{} // closed when the node has stopped
	haltErr error         // set before halted is closed
}

type counters struct {
	leaseReads, indexReads, failedReads atomic.Uint64
	elections                           atomic.Uint64
}

// Open starts a node. It returns before the node has found its cluster.
func Open(o Options) (n *Node, err error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.Host.complete()
	o.NoLeaderWait = cmp.Or(o.NoLeaderWait, noLeaderWaitDefault)
	o.LogKeepBytes = cmp.Or(o.LogKeepBytes, logBytesDefault)
	o.LogSnapshotBytes = cmp.Or(o.LogSnapshotBytes, logBytesDefault)
	n = &Node{opts: o, applied: newAppliedIndex(), packer: newPacker(o.Host.Wall), route: newRoute(), incoming: make(map[*peer.Incoming]struct{}), halted: make(chan struct{})}
	fatal := n.exit
	if n.store, err = openStorage(&n.opts, fatal); err != nil {
		return nil, err
	}
	store := n.store // n is nil where an error is returned
	defer func() {
		if err != nil {
			store.close()
		}
	}()
	if n.firstIncarnation, err = n.store.raiseIncarnation(); err != nil {
		return nil, err
	}
	id, err := n.store.clusterID()
	if err != nil {
		return nil, err
	}
	n.clusterID.Store(&id)
	n.port, err = peer.Listen(peer.Options{
		Bind: o.Bind, Advertise: o.Advertise, NodeID: n.store.id.String(), ClusterName: o.Name, ClusterID: id,
		Secret: o.Secret, TLS: o.TLS, Network: o.Host.Network, Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("node-to-node port: %w", err)
	}
	port := n.port
	defer func() {
		if err != nil {
			port.Close()
		}
	}()
	n.sequencer = newSequencer(n.store.id, n.firstIncarnation, n.route, o.WriteTimeout, o.NoLeaderWait, time.Now)
	n.sequencer.pause = o.Host.Sleep
	n.sequencer.persist = n.store.setIncarnation
	n.sequencer.fatal = fatal
	n.held.Store(o.HoldVersion)
	n.proof, n.recounts = newProof(n), newRecounts(n)
	if n.proof.history, err = n.store.log.LastIndex(); err != nil {
		return nil, fmt.Errorf("read the end of the log: %w", err)
	}
	n.fsm = fsm.New(fsm.Options{
		Engine: o.Engine, Node: n.store.id, Origin: n.sequencer,
		Applying: n.shown.Store, Applied: n.advance, Restored: n.restored, Checked: n.proof.checked,
		Recount: n.recounts.take, Genesis: n.learnCluster, Fatal: fatal, Wall: o.Host.Wall,
	})
	n.members = newMembership(n)
	if err := n.members.promises.recall(); err != nil {
		return nil, err
	}
	if err := n.startRaft(); err != nil {
		return nil, err
	}
	if err := n.members.startGossip(); err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), n.raft.Shutdown().Error(), n.transport.Close())
	}
	n.assemble()
	return n, nil
}

// startRaft builds the transport and raft on it.
func (n *Node) startRaft() error {
	if err := mendAtStart(n.store.log, n.store.snaps, n.opts.Log); err != nil {
		return err
	}
	hasState, err := raft.HasExistingState(n.store.log, n.store.stable, n.store.snaps)
	if err != nil {
		return fmt.Errorf("read the node's state: %w", err)
	}
	var noVoteFor time.Duration
	if hasState {
		noVoteFor = n.opts.HeartbeatTimeout
	}
	n.members.hasState = hasState
	n.transport, err = wire.New(wire.Options{
		Streams: n.port.Listener(peer.KindRaft), LocalID: n.id(), Addresses: n.members,
		HeartbeatTimeout: n.opts.HeartbeatTimeout, NoVoteFor: noVoteFor, Durable: n.store.durable(), Log: n.opts.Log,
	})
	if err != nil {
		return fmt.Errorf("raft transport: %w", err)
	}
	n.raft, err = n.newRaft()
	if err != nil {
		return errors.Join(fmt.Errorf("start raft: %w", err), n.transport.Close())
	}
	n.members.raft.Store(n.raft)
	n.store.raft.Store(n.raft)
	n.transport.Attach(n.raft)
	return nil
}

// newRaft starts raft, from the snapshot behind the newest if that one turns
// out to be damaged and the log reaches back.
func (n *Node) newRaft() (*raft.Raft, error) {
	machine := &durableFSM{FSM: n.fsm, wait: n.store.waitDurable, fatal: n.exit, loading: &n.loading, size: n.store.newestSize}
	n.loading.What, n.loading.Log = "loading a snapshot", n.opts.Log
	start := func() (*raft.Raft, error) {
		return raft.NewRaft(n.raftConfig(), machine, n.store.log, n.store.stable, n.store.snaps, n.transport)
	}
	r, err := start()
	if err != nil {
		if damage := n.store.fallBack(n.opts.Log); damage != nil {
			return nil, damage
		}
		r, err = start()
	}
	n.store.starting.Store(false)
	return r, err
}

func (n *Node) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.ProtocolVersion = raft.ProtocolVersionMax
	c.LocalID = n.id()
	c.HeartbeatTimeout = n.opts.HeartbeatTimeout
	c.ElectionTimeout = n.opts.HeartbeatTimeout
	c.LeaderLeaseTimeout = n.opts.HeartbeatTimeout * 2 / 3
	c.CommitTimeout = commitTimeout
	c.MaxAppendEntries = 64
	c.BatchApplyCh = true
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	// Snapshots are taken by the size of the log, by the snapshotter.
	c.SnapshotInterval = 24 * 365 * time.Hour
	c.SnapshotThreshold = 1 << 62
	c.TrailingLogs = trailingLogsDefault
	c.Logger = hclogslog.New(n.opts.Log)
	return c
}

// assemble joins the parts around raft and starts them, bottom up.
func (n *Node) assemble() {
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	p := n.packer
	p.apply = n.submit
	p.applied, p.log = n.opts.Engine.Clock, n.opts.Log
	p.kick = n.transport.Kick
	p.semantic = n.fsm.Semantic
	p.failed = n.entryFailed
	p.relieve = n.eviction.relieve
	r := n.route
	r.self, r.port, r.packer, r.log = n.id(), n.port, p, n.opts.Log
	r.addr, r.opened = n.addrOf, n.sequencer.sendAgain
	n.rounds = &rounds{ctx: ctx, ask: n.askIndex, reach: n.applied.wait}
	n.catchUp = newCatchUp(n.rounds, n.applied)
	if n.store.own != nil {
		n.disk.free, n.disk.low = n.store.own.FreeBytes, n.opts.DiskLowWater
		if n.opts.freeBytes != nil {
			n.disk.free = n.opts.freeBytes
		}
	}
	n.eviction.node, n.eviction.chooser.Chance = n, n.opts.Host.Chance
	n.pubsub = newPublisher(n)
	n.snapshots = newSnapshotter(n)

	n.port.HandleCall(callReadIndex, n.serveReadIndex)
	n.port.HandleCall(callDurable, n.serveDurable)
	n.port.HandleCall(callSync, n.serveSync)
	n.port.HandleCall(callReads, n.eviction.hear)
	n.port.HandleStream(topicBatches, n.takeBatches)
	n.members.serve()
	n.pubsub.serve()
	n.proof.serve()

	r.start()
	go n.sequencer.run()
	go p.run()
	n.wg.Go(func() { n.watchLeadership(ctx) })
	n.wg.Go(func() { n.tickClock(ctx) })
	n.wg.Go(func() { n.eviction.run(ctx) })
	n.wg.Go(func() { n.eviction.tellReads(ctx) })
	n.wg.Go(func() { n.watchDisk(ctx) })
	n.wg.Go(func() { n.watchOffice(ctx) })
	n.wg.Go(func() { n.retireSilent(ctx) })
	n.wg.Go(func() { n.members.run(ctx) })
	n.wg.Go(func() { n.members.followGossip(ctx) })
	n.wg.Go(func() { n.catchUp.run(ctx) })
	n.wg.Go(func() { n.pubsub.run(ctx) })
	n.wg.Go(func() { n.snapshots.run(ctx) })
	n.wg.Go(func() { n.proof.run(ctx) })
	n.wg.Go(func() { n.recounts.run(ctx) })
}

// Close hands leadership over if this node has it, and stops. Clients of other
// nodes notice nothing; those of this node are told what became of their writes.
func (n *Node) Close() error {
	n.sequencer.awaitDrops(time.Second)
	if n.raft.State() == raft.Leader && len(n.voters()) > 1 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		if err := n.Transfer(ctx, ""); err != nil {
			n.opts.Log.Warn("leadership was not handed over", "error", err)
		}
		cancel()
	}
	return n.Halt()
}

// Halt stops the node as a crash would, as far as a process can do that to
// itself: it hands nothing over. It may be called beside Close.
func (n *Node) Halt() error {
	if n.halting.CompareAndSwap(false, true) {
		n.haltErr = n.halt()
		close(n.halted)
	}
	<-n.halted
	return n.haltErr
}

// halt stops the node as it is, once.
func (n *Node) halt() error {
	n.stop()
	n.rounds.close()
	n.wg.Wait()
	n.sequencer.close()
	err := n.raft.Shutdown().Error()
	n.packer.close()
	n.route.close()
	n.dropIncoming()
	_ = n.members.gossip.Close() // only hints are lost
	err = errors.Join(err, n.transport.Close(), n.port.Close())
	n.store.close()
	return err
}

// advance tells readers and subscribers how far the own state has come.
func (n *Node) advance(index uint64) {
	n.applied.advance(index)
	n.opts.Applied(index)
}

// exit ends the process by the way that the node was given.
func (n *Node) exit(err error) { n.opts.Exit(err) }

func (n *Node) id() raft.ServerID { return raft.ServerID(n.store.id.String()) }

// ID returns this node's id: 40 hexadecimal digits.
func (n *Node) ID() string { return n.store.id.String() }

// AppliedIndex returns how far this node has applied the log.
func (n *Node) AppliedIndex() uint64 { return n.applied.value.Load() }

// ClusterID returns the cluster's id, "" while this node belongs to none.
func (n *Node) ClusterID() string { return *n.clusterID.Load() }

// Submit implements session.Cluster.
func (n *Node) Submit(req *fsm.Request) {
	if n.inService() != nil {
		n.sequencer.refuse(req, reply.ErrNotTrusted)
		return
	}
	if n.disk.full.Load() {
		n.submitWithoutRoom(req)
		return
	}
	n.sequencer.Submit(req)
}

// Drop has the wait of a waiter ended whose client has gone.
func (n *Node) Drop(waiter uint64) { n.sequencer.Drop(waiter) }

// learnCluster keeps the identity of the cluster that this node is a member of.
func (n *Node) learnCluster(g entry.Genesis) {
	id := g.ID()
	switch known := n.ClusterID(); known {
	case id:
	case "":
		if err := n.store.stable.Set(keyClusterID, []byte(id)); err != nil {
			n.exit(fmt.Errorf("keep the cluster's id: %w", err))
			return
		}
		n.clusterID.Store(&id)
		n.port.SetClusterID(id)
	default:
		n.exit(fmt.Errorf("the data directory belongs to cluster %s, but the log to cluster %s", known, id))
	}
}

// watchLeadership follows raft's view of who leads, and adapts the ways of
// batches and reads to it.
func (n *Node) watchLeadership(ctx context.Context) {
	seen := make(chan raft.Observation, 16)
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	n.raft.RegisterObserver(observer)
	defer n.raft.DeregisterObserver(observer)
	// Observations may be dropped, and a re-election in a new term makes none
	// on a follower: look now and then.
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for {
		n.observeLeader(ctx)
		if err := n.store.noteLog(); err != nil {
			n.exit(fmt.Errorf("note that the log has begun: %w", err))
		}
		n.store.seal(sealQuiet)
		select {
		case <-ctx.Done():
			n.mu.Lock()
			n.leader = ""
			n.readyTerm.Store(0)
			n.packer.lead(false)
			n.mu.Unlock()
			return
		case <-seen:
		case <-look.C:
		}
	}
}

// observeLeader acts on a change of (leader, term).
func (n *Node) observeLeader(ctx context.Context) {
	_, leader := n.raft.LeaderWithID()
	term := n.raft.CurrentTerm()
	leads := n.raft.State() == raft.Leader
	if leads {
		leader = n.id()
	} else if leader == n.id() {
		leader = "" // about to lead, or just deposed
	}
	n.mu.Lock()
	changed := leader != n.leader || term != n.term
	deposed := n.leader == n.id() && term == n.term && !leads
	n.leader, n.term = leader, term
	if changed {
		n.readyTerm.Store(0)
		// A new cluster's first leader takes nothing before the genesis is applied.
		n.packer.lead(leads && n.ClusterID() != "")
	}
	n.mu.Unlock()
	if !changed {
		return
	}
	switch {
	case deposed: // by its own lease or log: nobody told it of a later term
		n.transport.Abstain(n.deposals.beats(time.Now()) * n.opts.HeartbeatTimeout)
	case leader != "" && !leads:
		n.transport.Stand()
	}
	n.opts.Log.Info("leadership", "leader", string(leader), "term", term, "here", leads)
	if leads {
		n.counters.elections.Add(1)
		n.wg.Go(func() { n.prepareToLead(ctx, term) })
	} else {
		n.dropIncoming()
	}
	n.route.follow(leader)
	n.sequencer.sendAgain()
	if n.opts.LeaderChanged != nil {
		n.opts.LeaderChanged()
	}
}

// prepareToLead makes a new leader ready: everything of earlier terms is
// applied here, and the cluster has its identity. Raft refuses entries while
// leadership is being handed over; if that comes to nothing, this node goes on
// leading in the same term.
func (n *Node) prepareToLead(ctx context.Context, term uint64) {
	n.beforeBarrier(term)
	for n.raft.State() == raft.Leader && n.raft.CurrentTerm() == term && ctx.Err() == nil {
		if n.beginTerm() == nil {
			n.serveTerm(term)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(prepareAgain):
		}
	}
}

// prepareAgain is the pause between a new leader's attempts to begin its term.
const prepareAgain = 20 * time.Millisecond

// beginTerm commits the first entry of this leader's term, and the genesis of a
// new cluster.
func (n *Node) beginTerm() error {
	// An entry of our own rather than raft's barrier: the FSM sees it, so that
	// applied reaches the commit index without further writes.
	var first entry.Builder
	if err := n.raft.Apply(first.Seal(0, n.fsm.Semantic()), 0).Error(); err != nil || n.ClusterID() != "" {
		return err
	}
	if err := n.raft.Apply(n.foundingEntry(), 0).Error(); err != nil {
		return err
	}
	n.founded.Store(true)
	return nil
}

// serveTerm makes reads and batches welcome, if this node still leads term.
func (n *Node) serveTerm(term uint64) {
	n.mu.Lock()
	leads := n.leader == n.id() && n.term == term
	if leads {
		n.readyTerm.Store(term)
		n.packer.lead(true)
	}
	n.mu.Unlock()
	if leads {
		n.sequencer.sendAgain()
		n.opts.Log.Info("ready to serve as leader", "term", term)
	}
}

// takeBatches serves the stream of another node's batches.
func (n *Node) takeBatches(in *peer.Incoming) {
	n.mu.Lock()
	n.incoming[in] = struct{}{}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.incoming, in)
		n.mu.Unlock()
	}()
	from := in.Peer().NodeID
	for {
		payload, err := in.Next()
		if err != nil {
			return
		}
		b, err := entry.DecodeBatch(payload)
		if err != nil || b.Node.String() != from {
			n.opts.Log.Error("batches of a node are malformed or another's", "from", from, "error", err)
			return
		}
		if n.packer.add(entry.PartBatch, raft.ServerID(from), payload) != nil {
			return
		}
	}
}

// dropIncoming ends the streams of all origins: the fate of something that they
// sent is unknown. They connect again and send again.
func (n *Node) dropIncoming() {
	n.mu.Lock()
	for in := range n.incoming {
		in.Close()
	}
	n.mu.Unlock()
	n.sequencer.sendAgain()
}

// tickClock lets due keys expire when no write comes to do it.
func (n *Node) tickClock(ctx context.Context) {
	every(ctx, 10*time.Millisecond, func() {
		now := n.packer.look()
		if n.readyTerm.Load() == 0 {
			return
		}
		if due := n.opts.Engine.NextExpiry(); due >= 0 && due <= now {
			_ = n.packer.add(entry.PartTick, "", nil) // refused when leadership has gone: the next leader ticks
		}
	})
}

// Transfer hands leadership to the member of that id; to the most advanced
// one if id is empty.
func (n *Node) Transfer(ctx context.Context, id string) error {
	if n.raft.State() != raft.Leader {
		return errNotLeading
	}
	n.transport.EndLeases(n.raft.CurrentTerm())
	var f raft.Future
	if id == "" {
		f = n.raft.LeadershipTransfer()
	} else {
		f = n.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(n.addrOf(raft.ServerID(id))))
	}
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// voters returns the voters of the latest configuration.
func (n *Node) voters() []raft.Server {
	var voters []raft.Server
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s)
		}
	}
	return voters
}

// addrOf returns where to reach a member's node-to-node port, "" if unknown.
func (n *Node) addrOf(id raft.ServerID) string {
	if id == "" {
		return ""
	}
	if addr, err := n.members.ServerAddr(id); err == nil {
		return string(addr)
	}
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.ID == id {
			return string(s.Address)
		}
	}
	return ""
}
