package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
)

// trailingLogsDefault is LogKeepBytes in entries, for log stores that can't say
// where so many bytes begin.
const trailingLogsDefault = 10240

// snapshotter decides when a snapshot is taken.
type snapshotter struct {
	node *Node

	taking atomic.Bool

	mu        sync.Mutex
	points    []SavePoint // guarded by mu
	last      time.Time   // guarded by mu; when the newest snapshot was completed, or the node started
	lastIndex uint64      // guarded by mu; of the newest snapshot
	mutations uint64      // guarded by mu; the counter at the newest snapshot
	failed    error       // guarded by mu; why the last attempt failed
	took      time.Duration
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
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.due(time.Now()) {
			if err := s.take(); err != nil {
				s.node.opts.Log.Error("snapshot failed", "error", err)
			}
		}
	}
}

// due reports whether a snapshot should be taken at now.
func (s *snapshotter) due(now time.Time) bool {
	mutations := s.node.opts.Engine.Stats().Mutations
	s.mu.Lock()
	defer s.mu.Unlock()
	const retryAfter = 5 * time.Second
	if s.failed != nil && now.Sub(s.last) < retryAfter {
		return false
	}
	if s.node.store.own != nil && s.node.store.own.BytesFrom(s.lastIndex+1) > s.node.opts.LogSnapshotBytes {
		return true
	}
	for _, p := range s.points {
		if now.Sub(s.last) >= p.After && mutations-s.mutations >= p.Changes {
			return true
		}
	}
	return false
}

// take takes a snapshot, and frees the log behind it but for LogKeepBytes.
func (s *snapshotter) take() error {
	if !s.taking.CompareAndSwap(false, true) {
		return errSnapshotRunning
	}
	defer s.taking.Store(false)
	n := s.node
	began, mutations := time.Now(), n.opts.Engine.Stats().Mutations
	if n.store.own != nil {
		reload := n.raft.ReloadableConfig()
		reload.TrailingLogs = max(n.raft.LastIndex()-min(n.store.own.IndexWithin(n.opts.LogKeepBytes), n.raft.LastIndex()), 1)
		if err := n.raft.ReloadConfig(reload); err != nil {
			return err
		}
	}
	future := n.raft.Snapshot()
	err := future.Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		err = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed, s.last = err, time.Now()
	if err == nil {
		s.mutations, s.took = mutations, time.Since(began)
		if metas, listErr := n.store.snaps.List(); listErr == nil && len(metas) > 0 {
			s.lastIndex = metas[0].Index
		}
	}
	return err
}

var errSnapshotRunning = errors.New("Background save already in progress")

// Snapshot takes a snapshot now; it is durable on this node when it returns.
func (n *Node) Snapshot() error { return n.snapshots.take() }

// Persistence is what INFO persistence tells of snapshots and log.
type Persistence struct {
	Saving       bool
	LastSave     time.Time
	LastSaveTook time.Duration
	LastError    error
	Changes      uint64 // since the newest snapshot
	LogBytes     int64
	LastFsync    time.Duration
}

// Persistence returns the state of snapshots and log.
func (n *Node) Persistence() Persistence {
	s := n.snapshots
	mutations := n.opts.Engine.Stats().Mutations
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Persistence{
		Saving: s.taking.Load(), LastSave: s.last, LastSaveTook: s.took, LastError: s.failed,
		Changes: mutations - s.mutations,
	}
	if n.store.own != nil {
		stats := n.store.own.Stats()
		p.LogBytes, p.LastFsync = stats.DiskBytes, stats.LastFsync
	}
	return p
}
