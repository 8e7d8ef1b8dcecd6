package session

import (
	"context"
	"time"

	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
)

// Cluster is what a session needs of the node that it runs on.
type Cluster interface {
	// Submit takes the Ops of one connection for execution in order, after
	// all that the connection submitted before. It does not wait for the
	// outcome: each Op is answered through req.Conn, once, with its reply or
	// with an error that says whether it may have been applied. Submit may
	// wait a short, bounded time while too much is queued.
	Submit(req *fsm.Request)

	// Drop ends the wait of a waiter of this node, whose client has gone. It does
	// not wait.
	Drop(waiter uint64)

	// ReadBarrier returns nil once a read from this node's memory reflects
	// every write that was acknowledged, anywhere, before the call. The error
	// is a reply.Error to be sent to the client: the read is not executed.
	ReadBarrier(ctx context.Context, level Consistency) error

	// Semantic returns the semantic version that is in force on this node.
	Semantic() semantic.Version

	// Topology returns what this node knows of the cluster, as seen through
	// one of its listeners. It is cheap.
	Topology(listener string) Topology

	// Publish delivers a message to the subscribers of all nodes, after
	// everything that this connection has had acknowledged, and returns how
	// many receive it.
	Publish(channel, message []byte, sharded bool) (receivers int)

	// RemoteSubscribers returns the numbers of subscribers on the other nodes, for
	// PUBSUB: by channel, and the patterns.
	RemoteSubscribers() Subscribers

	// HearAll has this node hear what clients of the other nodes publish, whether or
	// not it has subscribers for it: a server follows that may.
	HearAll(wanted bool)

	// SubscriptionsKnown waits, for a short bounded time, until every node that
	// can be reached knows what this node's subscribers want now: from then on
	// they miss nothing that any node publishes.
	SubscriptionsKnown(ctx context.Context)

	// WaitReplicas waits until n other nodes have everything that was written
	// so far in their durable logs, or until ctx ends, and returns how many have.
	WaitReplicas(ctx context.Context, n int) int
	// WaitSynced waits until everything that was written so far is fsynced here,
	// if local, and on n other nodes, or until ctx ends, and tells where it is.
	WaitSynced(ctx context.Context, local bool, n int) (here bool, replicas int)

	// Snapshot writes a snapshot (SAVE); it returns when it is durable. While
	// another is being written, which the node also does by itself, it returns
	// reply.ErrSaving.
	Snapshot(ctx context.Context) error
	// Saving reports whether a snapshot is being written.
	Saving() bool
	// LastSave returns when the newest snapshot was completed.
	LastSave() time.Time
	// Transfer hands leadership to the member of that id, or to any if id is
	// empty.
	Transfer(ctx context.Context, id string) error
	// Forget removes the member of that id from the cluster.
	Forget(id string) error
	// Status returns the cluster as this node sees it, as JSON.
	Status() []byte
	// Digest returns DEBUG DIGEST of this node's data as of now, and the
	// index of the log up to which it has applied.
	Digest() (digest string, applied uint64)
	// Info returns facts for INFO, by section, in order: "raft",
	// "persistence", "replication", "cluster".
	Info(section string) []Field
}

// Field is a line of INFO.
type Field struct{ Name, Value string }

// Consistency is what a read demands.
type Consistency uint8

const (
	// Linearizable reads reflect every write acknowledged before they were sent.
	Linearizable Consistency = iota
	// Bounded reads are at most read-staleness-max behind.
	Bounded
	// Stale reads take what is there.
	Stale
)

// Subscribers counts the subscribers of other nodes.
type Subscribers struct {
	Channels map[string]int
	Shards   map[string]int
	Patterns map[string]int
}

// Member is a node of the cluster.
type Member struct {
	ID       string // 40 hexadecimal digits, as Redis Cluster has them
	Host     string // as clients of the asking listener reach it; never empty
	Port     int
	PeerAddr string // host:port of the node-to-node port
	Voter    bool
	Online   bool
	Leader   bool
	Self     bool
	Applied  uint64 // index of the last log entry in its memory, as last heard
}

// Topology is the cluster at a moment.
type Topology struct {
	ClusterID string
	Self      Member
	// Leader is the zero Member while none is known.
	Leader  Member
	Members []Member // sorted by ID, Self included
	Term    uint64
	Commit  uint64
	Applied uint64
}
