package wire_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/wire"
	"github.com/quorate/quorate/cluster/wire/memnet"
)

const heartbeat = 300 * time.Millisecond

// register is an FSM that holds the last command.
type register struct {
	mu    sync.Mutex
	value string
	count int
	index uint64

	applied chan uint64 // gets every index, if not nil
}

func (f *register) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.value, f.index = string(l.Data), l.Index
	f.count++
	if f.applied != nil {
		f.applied <- l.Index
	}
	return nil
}

func (f *register) get() (string, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.index
}

func (f *register) Snapshot() (raft.FSMSnapshot, error) { return image(f.value), nil }

func (f *register) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.value = string(b)
	return err
}

type image string

func (s image) Persist(sink raft.SnapshotSink) error {
	if _, err := io.WriteString(sink, string(s)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}
func (image) Release() {}

type member struct {
	id    raft.ServerID
	addr  raft.ServerAddress
	raft  *raft.Raft
	wire  *wire.Transport
	fsm   *register
	store *raft.InmemStore
	snaps raft.SnapshotStore
}

// group is a cluster in memory. It must be made inside a synctest bubble or
// over real sockets, and stopped there.
type group struct {
	t       testing.TB
	net     *memnet.Network
	members []*member
}

var quiet = slog.New(slog.DiscardHandler)

func newGroup(t *testing.T, n int) *group {
	g := &group{t: t, net: memnet.New()}
	for i := range n {
		m := &member{
			id:    raft.ServerID(fmt.Sprintf("n%d", i)),
			addr:  raft.ServerAddress(fmt.Sprintf("host%d:17001", i)),
			store: raft.NewInmemStore(),
			snaps: raft.NewInmemSnapshotStore(),
		}
		g.members = append(g.members, m)
		g.start(m, 0)
	}
	if err := g.members[0].raft.BootstrapCluster(g.configuration()).Error(); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *group) configuration() raft.Configuration {
	var c raft.Configuration
	for _, m := range g.members {
		c.Servers = append(c.Servers, raft.Server{ID: m.id, Address: m.addr})
	}
	return c
}

func (g *group) start(m *member, noVote time.Duration) {
	g.t.Helper()
	startMember(g.t, m, g.net.Node(string(m.id), string(m.addr)), noVote)
}

func startMember(t testing.TB, m *member, s wire.Streams, noVote time.Duration) {
	t.Helper()
	w, err := wire.New(wire.Options{Streams: s, LocalID: m.id, HeartbeatTimeout: heartbeat, NoVoteFor: noVote, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	c := raft.DefaultConfig()
	c.LocalID = m.id
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = heartbeat, heartbeat, 200*time.Millisecond
	c.CommitTimeout = 5 * time.Millisecond
	c.ShutdownOnRemove = false
	c.Logger = hclog.NewNullLogger()
	m.fsm = &register{}
	m.wire = w
	if m.raft, err = raft.NewRaft(c, m.fsm, m.store, m.store, m.snaps, w); err != nil {
		t.Fatal(err)
	}
	w.Attach(m.raft)
}

func (g *group) stop() {
	for _, m := range g.members {
		m.stop()
	}
}

func (m *member) stop() {
	m.wire.Close()
	m.raft.Shutdown().Error()
}

// leader waits until exactly one reachable leader has committed something.
func (g *group) leader(not ...*member) *member {
	g.t.Helper()
	for range 2000 {
		for _, m := range g.members {
			if m.raft.State() != raft.Leader || contains(not, m) {
				continue
			}
			if m.raft.Barrier(time.Second).Error() == nil {
				return m
			}
		}
		time.Sleep(10 * time.Millisecond) // a poll with a deadline
	}
	g.t.Fatal("no leader")
	return nil
}

func contains(ms []*member, m *member) bool {
	for _, x := range ms {
		if x == m {
			return true
		}
	}
	return false
}

func (g *group) others(m *member) []*member {
	var out []*member
	for _, x := range g.members {
		if x != m {
			out = append(out, x)
		}
	}
	return out
}

func (m *member) apply(t testing.TB, v string) uint64 {
	t.Helper()
	f := m.raft.Apply([]byte(v), 5*time.Second)
	if err := f.Error(); err != nil {
		t.Fatalf("apply %s on %s: %v", v, m.id, err)
	}
	return f.Index()
}
