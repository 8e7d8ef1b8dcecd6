package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/cluster/wire"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/psync"
	"github.com/quorate/quorate/transport/pubsub"
	"github.com/quorate/quorate/transport/session"
)

// sessionCluster shows a cluster.Node to sessions. It implements
// session.Cluster: the two sides do not know each other.
type sessionCluster struct {
	node     *cluster.Node
	engine   *engine.Engine
	registry *pubsub.Registry
	replicas *psync.Stream
	conf     *config.Config

	mu     sync.Mutex
	views  map[string]session.Topology // guarded by mu; by listener
	viewed time.Time                   // guarded by mu; when views began to be collected
	stale  atomic.Bool                 // they are to be collected anew
}

// topologyAge is how old the topology that a session sees may be. It is looked
// at for every keyed command of a connection that is redirected.
const topologyAge = 10 * time.Millisecond

var _ session.Cluster = (*sessionCluster)(nil)

func (c *sessionCluster) Submit(req *fsm.Request) { c.node.Submit(req) }

func (c *sessionCluster) Drop(waiter uint64) { c.node.Drop(waiter) }

func (c *sessionCluster) ReadBarrier(ctx context.Context, level session.Consistency) error {
	switch level {
	case session.Stale:
		return c.node.BarrierStale(ctx, 0)
	case session.Bounded:
		bound := time.Duration(c.conf.Int("read-staleness-max")) * time.Millisecond
		err := c.node.BarrierStale(ctx, bound)
		if errors.Is(err, cluster.ErrTooStale) {
			return errStale
		}
		return err
	}
	return c.node.Barrier(ctx)
}

func (c *sessionCluster) Semantic() semantic.Version { return c.node.Semantic() }

func (c *sessionCluster) Topology(listener string) session.Topology {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.viewed) > topologyAge || c.stale.Swap(false) {
		c.viewed, c.views = now, make(map[string]session.Topology)
	}
	t, ok := c.views[listener]
	if !ok {
		t = c.topology(listener)
		c.views[listener] = t
	}
	return t
}

// forget makes the next look at the topology a fresh one. It takes no lock: who looks at
// the topology holds mu while it waits for the apply, which may wait for who calls this.
func (c *sessionCluster) forget() { c.stale.Store(true) }

func (c *sessionCluster) topology(listener string) session.Topology {
	r := report(c.node)
	t := session.Topology{ClusterID: r.ClusterID, Term: r.Term, Commit: r.Commit, Applied: r.Applied}
	for _, m := range r.Members {
		member := sessionMember(m, listener)
		member.Self = m.ID == r.Self
		member.Leader = m.ID == r.Leader
		t.Members = append(t.Members, member)
		if member.Self {
			t.Self = member
		}
		if member.Leader {
			t.Leader = member
		}
	}
	if t.Self.ID == "" { // not a member yet
		t.Self = session.Member{ID: r.Self, Host: "127.0.0.1", Self: true, Online: true}
	}
	return t
}

// report returns the cluster as the node sees it. Listeners of which only the
// port is known are reached at the host where nodes reach their node.
func report(node *cluster.Node) cluster.Report {
	r := node.Report()
	for i := range r.Members {
		m := &r.Members[i]
		m.Client = clientAddr(m.Client, m.Addr)
		m.Listeners = maps.Clone(m.Listeners)
		for name, addr := range m.Listeners {
			m.Listeners[name] = clientAddr(addr, m.Addr)
		}
	}
	return r
}

// clientAddr returns the address of a listener of the node whose node-to-node
// port is at peer.
func clientAddr(listener, peer string) string {
	host, port, err := net.SplitHostPort(listener)
	if err != nil || host != "" {
		return listener
	}
	host, _, _ = net.SplitHostPort(peer)
	return net.JoinHostPort(host, port)
}

// sessionMember shows a member as clients of a listener reach it. One that has
// no listener of that name is reached by its default one; one that is not heard
// of has the port 0.
func sessionMember(m cluster.Member, listener string) session.Member {
	addr, ok := m.Listeners[listener]
	if !ok {
		addr = m.Client
	}
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		host, _, _ = net.SplitHostPort(m.Addr)
	}
	port, _ := strconv.Atoi(portText)
	return session.Member{ID: m.ID, Host: host, Port: port, PeerAddr: m.Addr, Voter: m.Voter, Online: m.Online, Applied: m.Applied}
}

func (c *sessionCluster) Publish(channel, message []byte, sharded bool) int {
	remote := c.node.Publish(channel, message, sharded)
	c.replicas.Message(channel, message, sharded)
	return remote + c.registry.Publish(channel, message, sharded)
}

// publishMiss delivers an event of a key that a read of this node missed. A server that
// follows has its own.
func (c *sessionCluster) publishMiss(m engine.Message) {
	c.node.Publish(m.Channel, m.Text, false)
	c.registry.Publish(m.Channel, m.Text, false)
}

func (c *sessionCluster) HearAll(wanted bool) { c.node.HearAll(wanted) }

func (c *sessionCluster) RemoteSubscribers() session.Subscribers {
	s := session.Subscribers{Channels: map[string]int{}, Shards: map[string]int{}, Patterns: map[string]int{}}
	for _, in := range c.node.RemoteInterest() {
		switch pubsub.Kind(in.Kind) {
		case pubsub.Channel:
			s.Channels[in.Name] = in.Count
		case pubsub.Pattern:
			s.Patterns[in.Name] = in.Count
		case pubsub.Shard:
			s.Shards[in.Name] = in.Count
		}
	}
	return s
}

// subscribeWait bounds how long a subscriber waits for nodes that do not answer.
const subscribeWait = 500 * time.Millisecond

func (c *sessionCluster) SubscriptionsKnown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, subscribeWait)
	defer cancel()
	c.node.SubscriptionsKnown(ctx)
}

func (c *sessionCluster) Forget(id string) error { return c.node.Forget(id) }

func (c *sessionCluster) Status() []byte { return statusJSON(c.node) }

func (c *sessionCluster) WaitReplicas(ctx context.Context, n int) int {
	return c.node.WaitDurable(ctx, n)
}

func (c *sessionCluster) WaitSynced(ctx context.Context, local bool, n int) (here bool, replicas int) {
	return c.node.WaitSynced(ctx, local, n)
}

func (c *sessionCluster) Snapshot(context.Context) error {
	err := c.node.Snapshot()
	if errors.Is(err, cluster.ErrSnapshotRunning) {
		return reply.ErrSaving
	}
	return err
}

func (c *sessionCluster) Saving() bool { return c.node.Persistence().Saving }

func (c *sessionCluster) LastSave() time.Time { return c.node.Persistence().LastSave }

func (c *sessionCluster) Transfer(ctx context.Context, id string) error {
	return c.node.Transfer(ctx, id)
}

func (c *sessionCluster) Digest() (string, uint64) {
	// Behind a barrier, so that nodes that are asked one after the other while
	// nobody writes tell the same; without a majority, of what is here.
	_ = c.node.Barrier(context.Background())
	return c.engine.Digest(), c.node.AppliedIndex()
}

// statusJSON returns the cluster as a node sees it.
func statusJSON(node *cluster.Node) []byte {
	text, err := json.Marshal(report(node))
	if err != nil {
		panic(fmt.Sprintf("quorate: the report has no JSON: %v", err))
	}
	return text
}

// remoteMessages holds what other nodes publish until this node has applied
// the log as far as the publisher had.
type remoteMessages struct {
	registry *pubsub.Registry
	replicas *psync.Stream

	mu   sync.Mutex
	hold *pubsub.Hold // guarded by mu
}

func newRemoteMessages(registry *pubsub.Registry, replicas *psync.Stream) *remoteMessages {
	return &remoteMessages{registry: registry, replicas: replicas, hold: pubsub.NewHold(0)}
}

func (m *remoteMessages) receive(r cluster.Remote) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold.Take(
		pubsub.Stream{Node: r.Node, Incarnation: r.Incarnation, Connection: r.Connection},
		pubsub.Remote{Number: r.Number, After: r.After, Channel: r.Channel, Text: r.Text, Sharded: r.Sharded},
		m.deliver,
	)
}

func (m *remoteMessages) applied(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold.Applied(index, m.deliver)
}

func (m *remoteMessages) deliver(r pubsub.Remote) {
	m.replicas.Message(r.Channel, r.Text, r.Sharded)
	m.registry.Publish(r.Channel, r.Text, r.Sharded)
}

// watchInterest tells the node what this node's subscribers want.
func watchInterest(registry *pubsub.Registry) func(func(cluster.Interest)) []cluster.Interest {
	return func(f func(cluster.Interest)) []cluster.Interest {
		var all []cluster.Interest
		for _, in := range registry.Watch(func(in pubsub.Interest) { f(clusterInterest(in)) }) {
			all = append(all, clusterInterest(in))
		}
		return all
	}
}

func clusterInterest(in pubsub.Interest) cluster.Interest {
	return cluster.Interest{Kind: uint8(in.Kind), Name: in.Name, Count: in.Count}
}

// Info returns the facts of INFO that the node knows.
func (c *sessionCluster) Info(section string) []session.Field {
	switch section {
	case "persistence":
		return c.infoPersistence()
	case "replication":
		return c.infoReceiving()
	case "raft":
		return c.infoRaft()
	case "stats":
		total, current := c.node.Exceeded()
		return []session.Field{
			{Name: "total_eviction_exceeded_time", Value: fmt.Sprint(total.Milliseconds())},
			{Name: "current_eviction_exceeded_time", Value: fmt.Sprint(current.Milliseconds())},
		}
	}
	return nil
}

func (c *sessionCluster) infoPersistence() []session.Field {
	p := c.node.Persistence()
	status := "ok"
	if p.LastError != nil {
		status = "err"
	}
	took := "-1"
	if p.Saves > 0 {
		took = fmt.Sprint(int(p.LastSaveTook.Seconds()))
	}
	fields := []session.Field{
		{Name: "rdb_changes_since_last_save", Value: fmt.Sprint(p.Changes)},
		{Name: "rdb_bgsave_in_progress", Value: flag01(p.Saving)},
		{Name: "rdb_last_save_time", Value: fmt.Sprint(p.LastSave.Unix())},
		{Name: "rdb_last_bgsave_status", Value: status},
		{Name: "rdb_current_bgsave_time_sec", Value: savingFor(p)},
		{Name: "rdb_saves", Value: fmt.Sprint(p.Saves)},
		{Name: "rdb_last_bgsave_time_sec", Value: took},
		{Name: "aof_rewrite_in_progress", Value: flag01(p.Saving)},
		{Name: "aof_last_rewrite_time_sec", Value: took},
		{Name: "aof_current_rewrite_time_sec", Value: savingFor(p)},
		{Name: "aof_last_bgrewrite_status", Value: status},
		{Name: "aof_rewrites", Value: fmt.Sprint(p.Saves)},
		{Name: "aof_rewrites_consecutive_failures", Value: fmt.Sprint(p.Failures)},
		{Name: "log_size_bytes", Value: fmt.Sprint(p.LogBytes)},
		{Name: "log_last_fsync_usec", Value: fmt.Sprint(p.LastFsync.Microseconds())},
		{Name: "acknowledged_write", Value: c.acknowledged()},
	}
	if c.conf.Bool("appendonly") { // the newest snapshot is the base, and the log what came since
		fields = append(fields,
			session.Field{Name: "aof_current_size", Value: fmt.Sprint(p.SnapshotBytes + p.LogBytes)},
			session.Field{Name: "aof_base_size", Value: fmt.Sprint(p.SnapshotBytes)},
		)
	}
	if t := p.Loading; !t.Began.IsZero() {
		fields = append(fields, loading(t)...)
	}
	return fields
}

// loading tells how far the snapshot of another node is that is becoming the state. Reads
// see the one before it until then.
func loading(t wire.TransferState) []session.Field {
	percent, left := 0.0, int64(0)
	if t.Total > 0 {
		percent = 100 * float64(t.Done) / float64(t.Total)
	}
	if t.Done > 0 {
		left = int64(t.Last.Sub(t.Began).Seconds() * float64(max(t.Total-t.Done, 0)) / float64(t.Done))
	}
	return []session.Field{
		{Name: "async_loading", Value: "1"},
		{Name: "loading_start_time", Value: fmt.Sprint(t.Began.Unix())},
		{Name: "loading_total_bytes", Value: fmt.Sprint(t.Total)},
		{Name: "loading_loaded_bytes", Value: fmt.Sprint(t.Done)},
		{Name: "loading_loaded_perc", Value: fmt.Sprintf("%.2f", percent)},
		{Name: "loading_eta_seconds", Value: fmt.Sprint(left)},
	}
}

// infoReceiving tells how far the leader's snapshot is that this node receives, if it does.
func (c *sessionCluster) infoReceiving() []session.Field {
	t := c.node.Persistence().Receiving
	if t.Began.IsZero() || t.Done >= t.Total {
		return nil
	}
	return []session.Field{
		{Name: "master_sync_in_progress", Value: "1"},
		{Name: "master_sync_total_bytes", Value: fmt.Sprint(t.Total)},
		{Name: "master_sync_read_bytes", Value: fmt.Sprint(t.Done)},
		{Name: "master_sync_left_bytes", Value: fmt.Sprint(t.Total - t.Done)},
		{Name: "master_sync_perc", Value: fmt.Sprintf("%.2f", 100*float64(t.Done)/float64(t.Total))},
		{Name: "master_sync_last_io_seconds_ago", Value: fmt.Sprint(int(time.Since(t.Last).Seconds()))},
	}
}

// savingFor is how many seconds the snapshot that is being written has taken; -1: none
// is.
func savingFor(p cluster.Persistence) string {
	if !p.Saving {
		return "-1"
	}
	return fmt.Sprint(int(p.SavingFor.Seconds()))
}

// acknowledged says what the OK of a write means with this node's settings.
func (c *sessionCluster) acknowledged() string {
	synced := c.conf.String("appendfsync") == "always" || c.conf.String("log-store") == "boltdb"
	if c.conf.Bool("appendonly") && synced {
		return "fsynced_on_a_majority"
	}
	return "in_the_memory_of_a_majority"
}

func flag01(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

func (c *sessionCluster) infoRaft() []session.Field {
	var fields []session.Field
	for _, f := range c.node.Facts() {
		fields = append(fields, session.Field{Name: f.Name, Value: f.Value})
	}
	return fields
}

// errStale is what a node that is too far behind answers to bounded reads.
const errStale reply.Error = "CLUSTERDOWN this node has not heard from the leader lately enough for a bounded read"
