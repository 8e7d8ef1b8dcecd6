package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Defaults.
const (
	DefaultHeartbeatTimeout = 250 * time.Millisecond
	DefaultDialTimeout      = time.Second
	DefaultIOTimeout        = 5 * time.Second
	DefaultMaxInFlight      = 2
)

var (
	// ErrNotLeader says that this node does not lead the term of the question.
	ErrNotLeader = errors.New("wire: not the leader of this term")
	// ErrClosed says that the transport was closed.
	ErrClosed = errors.New("wire: transport closed")
)

// Streams makes the byte streams: ordered, reliable, each side proved to the
// other. *peer.Listener of the raft kind is one, memnet.Node another.
type Streams interface {
	// Dial connects to addr and returns the proved id of the node there.
	Dial(ctx context.Context, addr string) (net.Conn, string, error)
	// Accept waits for a connection and returns the proved id of its dialer.
	Accept() (net.Conn, string, error)
	// Addr is the host:port that others dial to reach this node.
	Addr() string
	// Close ends Accept.
	Close() error
}

// Node is what the transport asks raft; *raft.Raft is one.
type Node interface {
	State() raft.RaftState
	CurrentTerm() uint64
	CommitIndex() uint64
	GetConfiguration() raft.ConfigurationFuture
}

// Durable tells how far a log is durable; *raftlog.Store is one.
type Durable interface {
	// DurableIndex returns the index up to which it is.
	DurableIndex() uint64
	// WaitDurable waits until it is up to index.
	WaitDurable(index uint64) error
}

// Options configure a Transport. Streams and LocalID are required.
type Options struct {
	Streams   Streams
	LocalID   raft.ServerID              // the id that Streams proves to others
	Addresses raft.ServerAddressProvider // current address of a server; nil or an error = the configuration's

	// HeartbeatTimeout is raft's. Leases depend on it: it must be the same on
	// all nodes and never change while any of them runs. 0 = DefaultHeartbeatTimeout.
	HeartbeatTimeout time.Duration
	// NoVoteFor is how long after New this node drops requests for votes and
	// pre-votes: HeartbeatTimeout if it starts with state, 0 if it is fresh.
	NoVoteFor time.Duration

	DialTimeout time.Duration // 0 = DefaultDialTimeout
	IOTimeout   time.Duration // for messages with data, without progress; 0 = DefaultIOTimeout
	MaxInFlight int           // raft's AppendEntries unanswered on a pipeline; 0 = DefaultMaxInFlight

	// Durable is the index up to which this node's own log is durable, where
	// raft counts entries of its leader before they are. Others hear of no commit
	// beyond it, and are told of no success before their entries are within it.
	// nil: what raft has stored is durable.
	Durable Durable

	Now func() time.Time // must carry Go's monotonic clock; nil = time.Now
	Log *slog.Logger     // nil = slog.Default()
}

// Transport is a raft.Transport (with pre-vote and close) over Streams. Its
// methods may be called concurrently.
type Transport struct {
	opts   Options
	log    *slog.Logger
	marks  atomic.Uint64 // last Mark drawn
	ledger *ledger
	noVote time.Time // requests for votes are dropped until then

	receiving Transfer // of a leader's snapshot

	consume  chan raft.RPC
	node     Node          // set before attached is closed
	attached chan struct{} // closed by Attach
	closing  chan struct{}
	once     sync.Once
	wg       sync.WaitGroup
	ctx      context.Context // ends with Close; dials descend from it
	cancel   context.CancelFunc

	// terms is passed by messages that can move raft's term, until raft has
	// handled them, and alone by a TimeoutNow, from its look at the term on.
	terms *gate
	// transferTerm is the last term whose leader told this node to take over.
	transferTerm atomic.Uint64

	resigned resignation

	mu     sync.Mutex
	links  map[raft.ServerID]*link      // guarded by mu
	idle   map[raft.ServerID][]*rpcConn // guarded by mu; at most maxIdle each
	conns  map[net.Conn]struct{}        // guarded by mu; all open ones
	closed bool                         // guarded by mu

	stats counters
}

var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
	_ Node             = (*raft.Raft)(nil)
)

// New returns a transport that serves as soon as a node is attached: build raft
// with it, then call Attach.
func New(o Options) (*Transport, error) {
	if o.Streams == nil || o.LocalID == "" {
		return nil, errors.New("wire: Streams and LocalID are required")
	}
	if o.HeartbeatTimeout == 0 {
		o.HeartbeatTimeout = DefaultHeartbeatTimeout
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.IOTimeout == 0 {
		o.IOTimeout = DefaultIOTimeout
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	t := &Transport{
		opts:     o,
		log:      o.Log,
		ledger:   newLedger(o.LocalID),
		consume:  make(chan raft.RPC), // unbuffered: what is handed over is being handled
		attached: make(chan struct{}),
		terms:    newGate(),
		closing:  make(chan struct{}),
		links:    make(map[raft.ServerID]*link),
		idle:     make(map[raft.ServerID][]*rpcConn),
		conns:    make(map[net.Conn]struct{}),
	}
	t.receiving.What, t.receiving.Log = "receiving the leader's snapshot", o.Log
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.noVote = o.Now().Add(o.NoVoteFor)
	t.wg.Go(t.acceptLoop)
	return t, nil
}

// Receiving returns how far a snapshot is that the leader sends to this node.
func (t *Transport) Receiving() TransferState { return t.receiving.State() }

// Attach tells the transport whose messages it carries. It must be called once,
// right after raft.NewRaft; messages that arrive earlier wait for it.
func (t *Transport) Attach(n Node) {
	t.node = n
	close(t.attached)
}

// attachedNode returns the node, nil before Attach.
func (t *Transport) attachedNode() Node {
	select {
	case <-t.attached:
		return t.node
	default:
		return nil
	}
}

// leads reports whether the node is the leader of term at a moment within the
// call. The term is read on both sides of the state: it never goes back, so the
// state was read in that term.
func (t *Transport) leads(term uint64) bool {
	n := t.attachedNode()
	return n != nil && n.CurrentTerm() == term && n.State() == raft.Leader && n.CurrentTerm() == term
}

// ledTerm returns the term in which the node is the leader at a moment within
// the call.
func (t *Transport) ledTerm() (uint64, bool) {
	n := t.attachedNode()
	if n == nil {
		return 0, false
	}
	term := n.CurrentTerm()
	return term, t.leads(term)
}

// voters returns the voters of the latest configuration.
func (t *Transport) voters() []raft.ServerID {
	var ids []raft.ServerID
	for _, s := range t.servers() {
		if s.Suffrage == raft.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (t *Transport) servers() []raft.Server {
	n := t.attachedNode()
	if n == nil {
		return nil
	}
	f := n.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// durableCommit returns the part of a commit index that this leader's own log
// has durably. Raft counts the leader as soon as it has written an entry.
func (t *Transport) durableCommit(index uint64) uint64 {
	if t.opts.Durable == nil {
		return index
	}
	return min(index, t.opts.Durable.DurableIndex())
}

// tellDurable returns raft's message with no more of a commit index than
// durableCommit.
func (t *Transport) tellDurable(m *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	commit := t.durableCommit(m.LeaderCommitIndex)
	if commit == m.LeaderCommitIndex {
		return m
	}
	told := *m
	told.LeaderCommitIndex = commit
	return &told
}

// stamp draws the moment at which a message is about to be sent.
func (t *Transport) stamp() stamp {
	return stamp{mark: t.Mark(), at: t.opts.Now()}
}

// Consumer returns the channel of raft's incoming messages.
func (t *Transport) Consumer() <-chan raft.RPC { return t.consume }

// LocalAddr returns this node's advertised address.
func (t *Transport) LocalAddr() raft.ServerAddress {
	return raft.ServerAddress(t.opts.Streams.Addr())
}

// EncodePeer returns the form of an address in message headers: id@host:port.
// raft records its vote by these bytes. By the address alone, a node that takes
// over another's address within a term would be handed that one's vote.
func (t *Transport) EncodePeer(id raft.ServerID, addr raft.ServerAddress) []byte {
	return []byte(string(id) + "@" + string(addr))
}

// DecodePeer returns the address of what EncodePeer returned.
func (t *Transport) DecodePeer(b []byte) raft.ServerAddress {
	s := string(b)
	return raft.ServerAddress(s[strings.LastIndexByte(s, '@')+1:])
}

// SetHeartbeatHandler does nothing: raft's fast path for heartbeats runs beside
// its main goroutine without a lock, and can write under a term that has passed.
func (t *Transport) SetHeartbeatHandler(func(raft.RPC)) {}

// appendOnce sends a heartbeat or entries and waits for the answer.
func (t *Transport) appendOnce(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if t.resigned.silent(args.Term) {
		return errResigned
	}
	l := t.link(id)
	args = t.tellDurable(args)
	timeout := t.opts.IOTimeout
	if len(args.Entries) == 0 {
		timeout = t.voteTimeout()
	}
	s := t.stamp()
	l.sending(target, args.Term, s.mark)
	var steady bool
	err := t.exchange(id, target, timeout,
		func(e *encoder) { e.appendEntries(args) },
		func(d *decoder) { steady = d.appendResponse(resp) })
	if err != nil {
		l.lost(args.Term)
		return err
	}
	t.answered(l, args, resp, s, steady)
	return nil
}

// answered notes what the answer to an AppendEntries proves.
func (t *Transport) answered(l *link, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse, s stamp, steady bool) {
	if !resp.Success || resp.Term != args.Term {
		l.lost(args.Term)
		return
	}
	if steady {
		t.ledger.record(args.Term, l.id, s, t.voters)
	}
	l.acknowledged(args)
}

// RequestVote asks for a vote.
func (t *Transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if args.LeadershipTransfer && args.Term != t.transferTerm.Load()+1 {
		// Leases of the term in which this node was told to take over have
		// ended; those of later terms have not. raft keeps the claim if its
		// term moves between the message and the election.
		plain := *args
		plain.LeadershipTransfer = false
		args = &plain
		t.stats.transfersStripped.Add(1)
	}
	if !args.LeadershipTransfer && t.resigned.abstains(t.opts.Now()) {
		return errResigned
	}
	return t.exchange(id, target, t.voteTimeout(),
		func(e *encoder) { e.vote(args) },
		func(d *decoder) {
			term, granted := d.voteResponse()
			if d.err == nil {
				resp.Term, resp.Granted = term, granted
			}
		})
}

// RequestPreVote asks whether a vote would be given.
func (t *Transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if t.resigned.abstains(t.opts.Now()) {
		return errResigned
	}
	return t.exchange(id, target, t.voteTimeout(),
		func(e *encoder) { e.preVote(args) },
		func(d *decoder) {
			term, granted := d.voteResponse()
			if d.err == nil {
				resp.Term, resp.Granted = term, granted
			}
		})
}

// TimeoutNow tells a follower to take over. It ends this term's leases before a
// byte is sent, and all leases of this process if it can't be known whether the
// message will still arrive.
func (t *Transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	// raft calls this beside its main goroutine: the leadership that began the
	// transfer may be over, and even another have begun. Whichever term is led
	// now is the term that the message names and whose leases end.
	term, ok := t.ledTerm()
	if !ok {
		return ErrNotLeader
	}
	t.ledger.endLeases(term)
	err := t.exchangeOnce(id, target, t.voteTimeout(),
		func(e *encoder) { e.timeoutNow(args, term) },
		func(*decoder) {})
	var definite *remoteError
	if err != nil && !errors.As(err, &definite) && !errors.Is(err, errNotSent) {
		t.ledger.endAllLeases()
		t.log.Warn("read leases are off until restart: the fate of a leadership transfer is unknown", "to", id, "term", term, "error", err)
	}
	return err
}

// sendSnapshot sends a snapshot on a connection that is used for nothing else.
func (t *Transport) sendSnapshot(c *rpcConn, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	defer t.drop(c)
	if t.resigned.silent(args.Term) {
		return errResigned
	}
	c.SetWriteDeadline(t.deadline(t.opts.IOTimeout))
	c.enc.snapshot(args)
	if err := c.enc.w.Flush(); err != nil {
		return fmt.Errorf("wire: send snapshot: %w", err)
	}
	// Not the connection itself: it would hide the reader's chunks, and with
	// them the progress that moves the deadline.
	n, err := io.Copy(progressWriter{c: c, t: t, term: args.Term}, io.LimitReader(data, args.Size))
	if err != nil {
		return fmt.Errorf("wire: send snapshot: %w", err)
	}
	if n != args.Size {
		return fmt.Errorf("wire: snapshot ended after %d of %d bytes", n, args.Size)
	}
	// Storing and restoring takes time in proportion to the size.
	c.SetReadDeadline(t.deadline(t.opts.IOTimeout * time.Duration(1+args.Size/snapshotStep)))
	if err := c.dec.status(); err != nil {
		return err
	}
	c.dec.snapshotResponse(resp)
	return c.dec.err
}

// snapshotStep is how many bytes of a snapshot a follower may take an IOTimeout to restore.
const snapshotStep = 4 << 20

type progressWriter struct {
	c    *rpcConn
	t    *Transport
	term uint64
}

func (w progressWriter) Write(p []byte) (int, error) {
	if w.t.resigned.silent(w.term) {
		return 0, errResigned
	}
	w.c.SetWriteDeadline(w.t.deadline(w.t.opts.IOTimeout))
	return w.c.Conn.Write(p)
}

// voteTimeout is how long messages without data may take: two heartbeat timeouts,
// so that a link that swallows messages is tried again soon, and not less than a
// slow fsync on the other side.
func (t *Transport) voteTimeout() time.Duration {
	return max(2*t.opts.HeartbeatTimeout, 500*time.Millisecond)
}

func (t *Transport) deadline(d time.Duration) time.Time { return time.Now().Add(d) }

// address returns where to dial a server.
func (t *Transport) address(id raft.ServerID, target raft.ServerAddress) string {
	if t.opts.Addresses != nil {
		if a, err := t.opts.Addresses.ServerAddr(id); err == nil && a != "" {
			return string(a)
		}
	}
	return string(target)
}

// Close closes all connections and waits until every goroutine has ended.
func (t *Transport) Close() error {
	t.once.Do(func() {
		t.mu.Lock()
		t.closed = true
		for c := range t.conns {
			c.Close()
		}
		t.mu.Unlock()
		close(t.closing)
		t.cancel()
		t.opts.Streams.Close()
	})
	t.wg.Wait()
	return nil
}

// Stats are a transport's counters since it was made.
type Stats struct {
	Kicks             uint64 // commit indexes told at once
	Probes            uint64 // empty AppendEntries sent for waiting reads
	TimeoutNowDropped uint64 // of another term than the receiver's
	VotesDelayed      uint64 // requests dropped because this node had just started
	TransfersStripped uint64 // own vote requests that lost their claim to a transfer
	CommitsClamped    uint64 // AppendEntries whose commit index went beyond what they verify
	Malformed         uint64 // connections ended by bytes that are no message
	Impostors         uint64 // connections or messages of another node than they claim
}

type counters struct {
	kicks, probes, timeoutNowDropped, votesDelayed, transfersStripped, commitsClamped, malformed, impostors atomic.Uint64
}

// Stats returns the counters.
func (t *Transport) Stats() Stats {
	return Stats{
		Kicks:             t.stats.kicks.Load(),
		Probes:            t.stats.probes.Load(),
		TimeoutNowDropped: t.stats.timeoutNowDropped.Load(),
		VotesDelayed:      t.stats.votesDelayed.Load(),
		TransfersStripped: t.stats.transfersStripped.Load(),
		CommitsClamped:    t.stats.commitsClamped.Load(),
		Malformed:         t.stats.malformed.Load(),
		Impostors:         t.stats.impostors.Load(),
	}
}
