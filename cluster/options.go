// Package cluster is one node of a cluster: it keeps raft, sends this node's
// writes to whoever leads, proves reads fresh, and knows the other nodes.
package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/fsm"
)

// Options say what node is opened. Fields without a default are required.
type Options struct {
	// Dir is the data directory: identity, log, votes and snapshots.
	Dir string
	// Memory keeps log and snapshots in memory (appendonly no): a node that
	// restarts comes back as a new member, and a cluster that loses a majority
	// at once loses its data.
	Memory bool
	// LogStore is "own" or "boltdb".
	LogStore string
	// Sync says when log entries are fsynced.
	Sync raftlog.Policy
	// SnapshotName is the name under which the newest snapshot is found in
	// Dir (dbfilename).
	SnapshotName string
	// SavePoints say when a snapshot is due.
	SavePoints []SavePoint
	// LogKeepBytes is how much log is kept behind a snapshot: a follower that
	// is less behind catches up from the log. It must exceed what is written
	// during a snapshot. LogSnapshotBytes is by how much the log grows after
	// a snapshot until the next is due, save points or not: else it would fill
	// the disk. 0 takes 256 MiB.
	LogKeepBytes, LogSnapshotBytes int64

	// DiskLowWater is how many bytes must be free where the log is: with less,
	// this node refuses writes and hands leadership over. 0: any number will do.
	DiskLowWater uint64

	// Bind is the host:port of the node-to-node port, Advertise how others
	// reach it; "" takes Bind's.
	Bind, Advertise string
	// Name keeps clusters apart that share a network (cluster-name).
	Name string
	// Secret and TLS protect the node-to-node port.
	Secret []byte
	TLS    *tls.Config
	// Join lists host:port of node-to-node ports of the cluster to enter.
	Join []string
	// BootstrapExpect is the number of fresh nodes that found a cluster
	// together; 0 for none.
	BootstrapExpect int
	// Listeners are the addresses at which clients reach this node, by the
	// listener's name.
	Listeners map[string]string

	// HeartbeatTimeout must be the same on all nodes, and never changes while
	// one of them runs.
	HeartbeatTimeout time.Duration
	// WriteTimeout is how long a write may be in doubt before its client is
	// told so.
	WriteTimeout time.Duration
	// NoLeaderWait is how long commands wait for a leader before they are
	// refused: client libraries give up after two to five seconds. 0 takes 1.5 s.
	NoLeaderWait time.Duration
	// RetireAfter is how long a node may be out of contact before what its clients
	// wait for is given to others. 0 takes 5 s.
	RetireAfter time.Duration
	// ReadLease lets the leader serve reads without asking a majority each
	// time. It relies on monotonic clocks that do not stop.
	ReadLease bool

	// RaiseAfter is how long all members must have known a newer semantic version
	// before this node, as leader, puts it in force; HoldVersion keeps it from it.
	// After that no member can go back to a release that does not know it.
	RaiseAfter  time.Duration
	HoldVersion bool

	// Settings are the cluster-wide settings with which a new cluster begins:
	// names and values alternate.
	Settings [][]byte

	// LeaderChanged is told that another node leads, or none. It must not block.
	// It may be nil.
	LeaderChanged func()

	Engine *engine.Engine
	// Receive takes a message of another node for this node's subscribers,
	// who get it once this node has applied the log as far as its publisher had.
	Receive func(Remote)
	// Applied is told how far this node has applied the log.
	Applied func(index uint64)
	// WatchInterest returns what this node's subscribers want, and calls the
	// function at each change from then on.
	WatchInterest func(func(Interest)) []Interest
	// Host is the machine: the real one unless this is a simulation.
	Host Host
	// freeBytes stands in for the disk's free space, in tests.
	freeBytes func() (uint64, error)

	// storeHang is how long the disk of the log may take for a write. 0:
	// storeHangMax; tests have less patience.
	storeHang time.Duration

	// Exit ends the process: the node can't be trusted any more.
	Exit func(error)
	Log  *slog.Logger
}

// logBytesDefault is LogKeepBytes and LogSnapshotBytes if they are 0.
const logBytesDefault = 256 << 20

// noLeaderWaitDefault is NoLeaderWait if it is 0.
const noLeaderWaitDefault = 1500 * time.Millisecond

// Version is this release's version.
const Version = "0.1.0"

// SemanticMax is the newest semantic version that this release knows.
const SemanticMax = fsm.SemanticMax

// SavePoint says that a snapshot is due when After has passed since the last
// one and Changes keys have changed.
type SavePoint struct {
	After   time.Duration
	Changes uint64
}

func (o *Options) validate() error {
	switch {
	case o.Engine == nil || o.Log == nil || o.Exit == nil || o.Receive == nil || o.Applied == nil:
		return errors.New("cluster: Engine, Log, Exit, Receive and Applied are required")
	case o.LogStore != "own" && o.LogStore != "boltdb":
		return fmt.Errorf("log-store %q: it is own or boltdb", o.LogStore)
	case o.HeartbeatTimeout < 50*time.Millisecond:
		return fmt.Errorf("heartbeat-timeout of %v: at least 50 ms are needed", o.HeartbeatTimeout)
	case o.WriteTimeout < time.Second:
		return fmt.Errorf("write-timeout of %v: at least 1 s is needed", o.WriteTimeout)
	case o.LogKeepBytes < 0 || o.LogSnapshotBytes < 0:
		return fmt.Errorf("log-keep-bytes of %d, log-snapshot-bytes of %d: they can't be negative", o.LogKeepBytes, o.LogSnapshotBytes)
	case o.BootstrapExpect > 1 && len(o.Join) == 0:
		return errors.New("bootstrap-expect needs join: the addresses of the nodes that found the cluster")
	}
	return nil
}
