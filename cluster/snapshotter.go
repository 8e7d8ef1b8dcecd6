package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/wire"
)

// trailingLogsDefault is what raft keeps of the log, in entries, until the first
// snapshot of this process sets it by bytes.
const trailingLogsDefault = 10240

// snapshotEntriesMax is by how many entries the log may grow behind a snapshot,
// however small they are: a start reads them all.
const snapshotEntriesMax = 1 << 20

// snapshotter decides when a snapshot is taken.
type snapshotter struct {
	node *Node

	taking atomic.Bool

	mu        sync.Mutex
	points    []SavePoint   // guarded by mu
	last      time.Time     // guarded by mu; when the newest snapshot was completed, or the node started
	tried     time.Time     // guarded by mu; when the last attempt ended
	mutations uint64        // guarded by mu; the counter at the newest snapshot
	failed    error         // guarded by mu; why the last attempt failed
	took      time.Duration // guarded by mu
	began     time.Time     // guarded by mu; of the one that is being taken, else zero
	saves     uint64        // guarded by mu; completed since the node started
	failures  uint64        // guarded by mu; since the last that was completed
}

func newSnapshotter(n *Node) *snapshotter {
	return &snapshotter{node: n, points: n.opts.SavePoints, last: time.Now(), mutations: n.opts.Engine.Stats().Mutations}
}

// SetSavePoints changes when snapshots are due.
func (n *Node) SetSavePoints(points []SavePoint) {
	n.snapshots.mu.Lock()
	defer n.snapshots.mu.Unlock()
	n.snapshots.points = points
}

// SetSync changes when log entries are fsynced. It has no effect on
// log-store boltdb, which always does.
func (n *Node) SetSync(p raftlog.Policy) {
	if n.store.own != nil {
		n.store.own.SetPolicy(p)
	}
}

func (s *snapshotter) run(ctx context.Context) {
	every(ctx, time.Second, func() {
		if s.due(time.Now()) {
			if err := s.take(); err != nil {
				s.node.opts.Log.Error("snapshot failed", "error", err)
			}
		}
	})
}

// due reports whether a snapshot should be taken at now.
func (s *snapshotter) due(now time.Time) bool {
	mutations := s.node.opts.Engine.Stats().Mutations
	s.mu.Lock()
	defer s.mu.Unlock()
	const retryAfter = 5 * time.Second
	if s.failed != nil && now.Sub(s.tried) < retryAfter {
		return false
	}
	if s.logIsLong() {
		return true
	}
	for _, p := range s.points {
		if now.Sub(s.last) >= p.After && s.changesLocked(mutations) >= p.Changes {
			return true
		}
	}
	return false
}

// logIsLong reports whether the log has grown by so much since the newest
// snapshot that the next is due.
func (s *snapshotter) logIsLong() bool {
	n, newest := s.node, uint64(0)
	metas, err := n.store.snaps.List()
	if err != nil {
		return false // OnCorrupt sees to it
	}
	if len(metas) > 0 {
		newest = metas[0].Index
	}
	applied := n.applied.value.Load()
	return applied > newest && (applied-newest > snapshotEntriesMax || n.store.size.BytesFrom(newest+1) > n.opts.LogSnapshotBytes)
}

// changesLocked returns the changes since the newest snapshot. A snapshot of
// another node may have set the counter back.
func (s *snapshotter) changesLocked(mutations uint64) uint64 {
	if mutations < s.mutations {
		return 0
	}
	return mutations - s.mutations
}

// take takes a snapshot, and frees the log behind it but for LogKeepBytes.
func (s *snapshotter) take() error {
	if !s.taking.CompareAndSwap(false, true) {
		return ErrSnapshotRunning
	}
	defer s.taking.Store(false)
	n := s.node
	began, mutations := time.Now(), n.opts.Engine.Stats().Mutations
	last := n.raft.LastIndex()
	reload := n.raft.ReloadableConfig()
	reload.TrailingLogs = max(last-min(n.store.size.IndexWithin(n.opts.LogKeepBytes), last), 1)
	if err := n.raft.ReloadConfig(reload); err != nil {
		return err
	}
	s.mu.Lock()
	s.began = began
	s.mu.Unlock()
	release := n.recounts.hold()
	future := n.raft.Snapshot()
	err := future.Error()
	release()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		err = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed, s.tried, s.began = err, time.Now(), time.Time{}
	if err != nil {
		s.failures++
	} else {
		n.logRecount()
		s.failures = 0
		s.saves++
		s.mutations, s.took, s.last = mutations, time.Since(began), s.tried
	}
	return err
}

// ErrSnapshotRunning means that a snapshot is being written already.
var ErrSnapshotRunning = errors.New("a snapshot is being written already")

// Snapshot takes a snapshot now; it is durable on this node when it returns. While
// another is being written it returns ErrSnapshotRunning.
func (n *Node) Snapshot() error { return n.snapshots.take() }

// Persistence is what INFO persistence tells of snapshots and log.
type Persistence struct {
	Saving       bool
	LastSave     time.Time
	LastSaveTook time.Duration
	LastError    error
	Saves        uint64        // completed since the node started
	SavingFor    time.Duration // how long the one that is being written has taken; 0: none
	Changes      uint64        // since the newest snapshot
	LogBytes     int64
	LastFsync    time.Duration

	Failures      uint64 // attempts that failed since the last that did not
	SnapshotBytes int64  // of the newest; 0: there is none
	// Receiving is how far the snapshot is that the leader sends, and Loading the one
	// that is becoming the state, while reads see the state before it.
	Receiving, Loading wire.TransferState
}

// Persistence returns the state of snapshots and log.
func (n *Node) Persistence() Persistence {
	s := n.snapshots
	mutations := n.opts.Engine.Stats().Mutations
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Persistence{
		Saving: s.taking.Load(), LastSave: s.last, LastSaveTook: s.took, LastError: s.failed,
		Changes: s.changesLocked(mutations), Saves: s.saves, Failures: s.failures,
		SnapshotBytes: n.store.newestSize(), Receiving: n.transport.Receiving(), Loading: n.loading.State(),
	}
	if !s.began.IsZero() {
		p.SavingFor = time.Since(s.began)
	}
	if n.store.own != nil {
		stats := n.store.own.Stats()
		p.LogBytes, p.LastFsync = stats.DiskBytes, stats.LastFsync
	}
	return p
}
