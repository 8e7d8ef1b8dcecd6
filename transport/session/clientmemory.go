package session

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Client eviction: what the clients of this node may take in memory together is
// maxmemory-clients; beyond it the largest are cut. It is the node's own affair, as
// maxmemory-clients is the node's own setting.
//
// A session is weighed when it may have grown: behind what it was sent, when its
// input's or its output's memory grows, and all of them about ten times a second, when
// they may have shrunk. Outputs grow while the log is applied: then another goroutine
// chooses who is cut. Without a limit nobody is weighed.

// Memory is what the connection beneath a session takes, in bytes.
type Memory struct {
	Query     int64 // received, and no command yet
	QueryFree int64 // room for more beside that
	Args      int64 // arguments, outside of those, of a command that has not come as a whole
	Home      int64 // the buffer for replies that is kept
	Peak      int64 // of it, what was used lately
	InHome    int64 // of it, what is unread
	Unread    int64 // all that is unread
	Chunks    int64 // other buffers with something unread
	Beyond    int64 // all other buffers for replies
}

func (m *Memory) sum() int64 { return m.Query + m.QueryFree + m.Args + m.Home + m.Beyond }

// What an element takes in lists of the session, beside its name, about.
const (
	queuedBytes       = 64  // a command of a transaction
	argBytes          = 24  // an argument of it
	watchBytes        = 64  // a watched key
	subscriptionBytes = 160 // with its places in the session's table and the registry's
	prefixBytes       = 160 // likewise, of tracking
)

// lists is what a session keeps at its client's wish, in bytes. Its owner writes it.
type lists struct {
	queued        atomic.Int64 // the commands of a transaction
	watches       atomic.Int64
	subscriptions atomic.Int64
	prefixes      atomic.Int64
}

func (l *lists) sum() int64 {
	return l.queued.Load() + l.watches.Load() + l.subscriptions.Load() + l.prefixes.Load()
}

// memory returns what the session takes in all.
func (s *Session) memory() int64 {
	m := s.out.Memory()
	return sessionBytes + m.sum() + s.lists.sum()
}

// evictable reports whether the session counts towards maxmemory-clients, and may be
// cut for it.
func (s *Session) evictable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.shown.noEvict && !s.shown.replica
}

// clientMemory is the memory of all sessions, and its limit.
type clientMemory struct {
	limit   atomic.Int64  // 0: none
	crowded chan struct{} // holds one token while clients are to be cut

	mu    sync.Mutex // held while sessions are cut; a leaf but for the server's
	total atomic.Int64
}

// leastClients is the least that clients may take together, in bytes, whatever
// maxmemory-clients says.
const leastClients = 128 << 10

// limitClients takes maxmemory-clients: bytes, or a percentage of maxmemory.
func (s *Server) limitClients() {
	c := s.opts.Config
	value := c.String("maxmemory-clients")
	limit := int64(0)
	if digits, percent := strings.CutSuffix(value, "%"); percent {
		n, _ := strconv.ParseInt(digits, 10, 64)
		limit = c.Int("maxmemory") / 100 * n
		limit += c.Int("maxmemory") % 100 * n / 100
	} else {
		limit, _ = strconv.ParseInt(value, 10, 64)
	}
	if limit > 0 { // as redis-server has it: a mistake must not keep everybody out
		limit = max(limit, leastClients)
	}
	s.clients.limit.Store(limit)
	s.WeighAll()
}

// Grown counts what the session takes by now. If that is too much for all, it leaves it to
// who listens to Crowded to cut clients: it is called by the goroutine that applies the
// log, for which everybody waits.
func (s *Session) Grown() {
	c := &s.srv.clients
	limit := c.limit.Load()
	if limit == 0 {
		return
	}
	s.count()
	if c.total.Load() <= limit {
		return
	}
	select {
	case c.crowded <- struct{}{}:
	default: // who listens has not come to it yet
	}
}

// Crowded tells that clients take too much, and EvictClients is to be called.
func (s *Server) Crowded() <-chan struct{} { return s.clients.crowded }

// Weigh is Grown for the session's own goroutine, which cuts clients itself. It may be
// called between Begin and End of an output.
func (s *Session) Weigh() {
	c := &s.srv.clients
	if c.limit.Load() == 0 {
		return
	}
	s.count()
	s.srv.EvictClients()
}

// count corrects the sum of all by what the session takes by now.
func (s *Session) count() {
	now := int64(0)
	if !s.doomed.Load() && !s.closed.Load() && s.evictable() {
		now = s.memory()
	}
	s.srv.clients.total.Add(now - s.weighed.Swap(now))
	if s.closed.Load() || s.doomed.Load() { // meanwhile
		s.srv.clients.total.Add(-s.weighed.Swap(0))
	}
}

// uncount takes a session that ends out of the sum.
func (s *Session) uncount() {
	s.closed.Store(true)
	s.srv.clients.total.Add(-s.weighed.Swap(0))
}

// Cut tells that the connection is ended from this side: others do not see the session
// any more, and it counts no more.
func (s *Session) Cut() {
	s.doomed.Store(true)
	s.leaving.Store(true)
	s.count()
}

// WeighAll counts what all sessions take, if there is a limit, and keeps it.
func (s *Server) WeighAll() {
	if s.clients.limit.Load() == 0 {
		return
	}
	for _, c := range s.all() {
		c.count()
	}
	s.EvictClients()
}

// EvictClients cuts clients, the largest first, until all take no more than the limit.
// Which are the larger is told by powers of two, so that who is cut does not hang on
// trifles; among equals it is the older connection.
func (s *Server) EvictClients() {
	m := &s.clients
	limit := m.limit.Load()
	if limit == 0 || m.total.Load() <= limit || !m.mu.TryLock() {
		return // who holds it sees to it
	}
	defer m.mu.Unlock()
	all := s.all()
	slices.SortStableFunc(all, func(a, b *Session) int {
		return cmp.Compare(bits.Len64(uint64(b.weighed.Load())), bits.Len64(uint64(a.weighed.Load())))
	})
	for _, c := range all {
		if m.total.Load() <= limit {
			return
		}
		bytes := c.weighed.Load()
		if bytes == 0 || c.doomed.Swap(true) {
			continue
		}
		s.opts.Counters.EvictedClients.Add(1)
		c.Cut()
		c.out.Kill()
		s.log.Warn("a client is closed: clients take more than maxmemory-clients", "addr", c.peer.Addr, "name", c.Name(), "bytes", bytes, "limit", limit)
	}
}

// clientBytes returns what clients take: those that count as normal, subscribers too,
// and replicas.
func (s *Server) clientBytes() (normal, replicas int64) {
	for _, c := range s.all() {
		if c.doomed.Load() {
			continue
		}
		if c.kind() == "replica" {
			replicas += c.memory()
		} else {
			normal += c.memory()
		}
	}
	return normal, replicas
}

// ReplyBuffers says how the buffers that outputs keep follow what is written. DEBUG
// REPLYBUFFER sets it.
type ReplyBuffers struct {
	Fixed   atomic.Bool  // they stay as they are
	PeakFor atomic.Int64 // ns after which the most that was written is forgotten; negative: never
}

// peakFor is ReplyBuffers.PeakFor at the start.
const peakFor = 5 * time.Second

// ReplyBuffers returns the server's.
func (s *Server) ReplyBuffers() *ReplyBuffers { return &s.replyBuffers }
