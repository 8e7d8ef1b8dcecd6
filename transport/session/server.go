package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/observe"
	"github.com/quorate/quorate/transport/psync"
	"github.com/quorate/quorate/transport/pubsub"
)

// Options are the parts that the sessions of a node share. All but Shutdown,
// Stream, Now and Log must be given.
type Options struct {
	Engine   *engine.Engine
	Cluster  Cluster
	Config   *config.Config
	Registry *pubsub.Registry
	// Stream is what the engine tells of changes, for replicas of Redis' kind. Nil is
	// one that nobody tells anything.
	Stream   *psync.Stream
	Counters *observe.Counters
	// Renames may be nil.
	Renames *Renames
	// FirstUsers are the lines of users with which a cluster begins that has none of its
	// own yet, without passwords; FirstWay tells where they stand (engine.FirstFile,
	// engine.FirstConf). Until they are in force nobody can be anybody here.
	FirstUsers []string
	FirstWay   string
	// Unsure: the node has just started, and the log may hold users that its state
	// does not have yet. Who needs no password by that state alone is not believed: see
	// Session.confirm.
	Unsure bool
	// Version is Quorate's own.
	Version string
	// Shutdown stops the node; save tells whether to take a snapshot first.
	// Nil refuses SHUTDOWN.
	Shutdown func(save bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Server holds what all sessions of a node share.
type Server struct {
	opts     Options
	table    *table
	log      *slog.Logger
	now      func() time.Time
	started  time.Time // by now
	began    time.Time // by the system's clock, monotonic
	runID    string
	slowlog  *observe.Slowlog
	spikes   observe.Spikes
	settings settings
	users    users
	aclLog   aclLog
	pause    pause
	monitors monitors
	tracking tracking
	rdb      snapshots
	clients  clientMemory
	runs     runs
	// By since: until then no read takes the log clock on. See ahead.
	aheadUntil atomic.Int64

	replyBuffers ReplyBuffers

	expiredBefore atomic.Uint64 // keys that had expired at the last CONFIG RESETSTAT
	fieldsBefore  atomic.Uint64 // fields of hashes that had expired by then
	evictedBefore atomic.Uint64 // keys that had been evicted by then
	lazyBefore    atomic.Uint64 // values that UNLINK and its kind had freed by then

	memoryStartup int64        // used_memory of an empty database
	memoryPeak    atomic.Int64 // the largest used_memory that INFO has seen

	nextID  atomic.Int64
	blocked atomic.Int64 // sessions whose commands wait

	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup // snapshots asked for by BGSAVE, and what delivers to monitors

	mu       sync.Mutex
	sessions map[int64]*Session // guarded by mu; the open ones
	master   string             // guarded by mu; id of the leader of which subscribers know
}

// New returns a Server. Close ends it.
func New(opts Options) *Server {
	s := &Server{opts: opts, log: opts.Log, now: opts.Now, sessions: make(map[int64]*Session)}
	s.clients.crowded = make(chan struct{}, 1)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.memoryStartup = opts.Engine.StartupBytes()
	s.started, s.began = s.now(), time.Now()
	var id [20]byte
	_, _ = rand.Read(id[:]) // never fails
	s.runID = hex.EncodeToString(id[:])
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.table = newTable(opts.Engine.Table(), opts.Renames)
	t := opts.Cluster.Topology(opts.Config.DataListener())
	s.master = t.owner().ID
	s.slowlog = observe.NewSlowlog(int(opts.Config.Int("slowlog-max-len")))
	s.users.engine, s.users.catalog, s.users.first = opts.Engine, s.table.catalog, opts.FirstWay != ""
	s.users.enforced = opts.Engine.Users()
	s.replyBuffers.PeakFor.Store(int64(peakFor))
	s.users.unsure.Store(opts.Unsure)
	s.settings.follow(opts.Config, s)
	s.monitors.wake = make(chan struct{}, 1)
	s.background.Go(func() { s.monitors.deliver(s.ctx) })
	if s.opts.Stream == nil {
		s.opts.Stream = psync.NewStream()
	}
	s.followLimits()
	s.background.Go(s.tendReplicas)
	opts.Engine.CountWith(s)
	opts.Engine.ShowRuns(s)
	s.tracking.init(s, opts.Config)
	opts.Engine.WatchWith(s)
	opts.Engine.OnUsers(s.enforceUsers)
	if s.users.first {
		s.background.Go(s.offerUsers)
	}
	return s
}

// Interrupt makes sessions give up what they wait for, and end: the node stops.
func (s *Server) Interrupt() { s.cancel() }

// Close interrupts the sessions and waits for snapshots that they began. Open
// sessions are their owner's to close.
func (s *Server) Close() {
	s.Interrupt()
	s.background.Wait()
}

// Counters returns the node's counters.
func (s *Server) Counters() *observe.Counters { return s.opts.Counters }

// Config returns the node's configuration.
func (s *Server) Config() *config.Config { return s.opts.Config }

// Open begins a conversation. The caller calls Run for what the client sends
// and, at the end, Close.
func (s *Server) Open(peer Peer, out Output) *Session {
	session := &Session{
		srv: s, id: s.nextID.Add(1), peer: peer, out: out, born: s.now(),
		proto: reply.RESP2,
		idle:  make(chan struct{}, 1), flight: flight{most: flightFirst},
	}
	session.scratch = reply.NewWriter(reply.RESP2, nil)
	session.quiet.SetProto(reply.RESP2)
	session.shown = shown{proto: reply.RESP2, multi: -1}
	session.begin()
	session.lastActive.Store(session.born.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[session.id] = session
	return session
}

// all returns the open sessions in the order of their ids.
func (s *Server) all() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.sessions), func(a, b *Session) int { return int(a.id - b.id) })
}

// open returns the open session of that id, or nil if it is closed or about to be.
func (s *Server) open(id int64) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.sessions[id]; c != nil && !c.leaving.Load() {
		return c
	}
	return nil
}

// Len returns the number of open sessions.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// settings are directives that are read for every command.
type settings struct {
	consistency    atomic.Uint32 // a Consistency
	slowerThan     atomic.Int64  // ns; -1: nothing is slow
	spikeThreshold atomic.Int64  // ns; 0: off
	trackLatency   atomic.Bool
	replicasMin    atomic.Int64 // min-replicas-to-write
	replicasLag    atomic.Int64 // min-replicas-max-lag, seconds
}

func (s *settings) follow(c *config.Config, srv *Server) {
	on := func(name string, set func()) {
		set()
		c.OnSet(name, func(string) error {
			set()
			return nil
		})
	}
	on("requirepass", func() { srv.users.require(c.String("requirepass")) })
	on("acllog-max-len", func() { srv.aclLog.setMost(c.Int("acllog-max-len")) })
	on("read-consistency", func() {
		level, _ := parseConsistency(c.String("read-consistency"))
		s.consistency.Store(uint32(level))
	})
	on("slowlog-log-slower-than", func() {
		s.slowerThan.Store(microseconds(c.Int("slowlog-log-slower-than")))
	})
	on("min-replicas-to-write", func() { s.replicasMin.Store(c.Int("min-replicas-to-write")) })
	on("min-replicas-max-lag", func() { s.replicasLag.Store(c.Int("min-replicas-max-lag")) })
	on("maxmemory-clients", srv.limitClients)
	on("maxmemory", srv.limitClients)
	on("slowlog-max-len", func() { srv.slowlog.SetLimit(int(c.Int("slowlog-max-len"))) })
	on("busy-reply-threshold", func() {
		ms := min(c.Int("busy-reply-threshold"), int64(time.Duration(math.MaxInt64)/time.Millisecond))
		srv.runs.threshold.Store(ms * int64(time.Millisecond))
	})
	on("latency-monitor-threshold", func() {
		s.spikeThreshold.Store(c.Int("latency-monitor-threshold") * int64(time.Millisecond))
	})
	on("latency-tracking", func() { s.trackLatency.Store(c.Bool("latency-tracking")) })
}

// microseconds returns n microseconds in nanoseconds, -1 if n is negative.
func microseconds(n int64) int64 {
	if n < 0 {
		return -1
	}
	return min(n, int64(time.Hour/time.Microsecond)) * int64(time.Microsecond)
}
