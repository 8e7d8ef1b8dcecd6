package session

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// Session is one client's conversation. Run and Close are called by the
// connection's goroutine; the methods of fsm.Conn by the node's.
//
// Whoever executes the connection's commands owns the plain fields: that is
// the connection's goroutine, or the node's while that waits for a
// transaction with session commands in it.
type Session struct {
	srv  *Server
	id   int64
	peer Peer
	out  Output
	born time.Time

	proto         reply.Proto
	db            int
	authed        bool
	view          *userView // the users that the session knows of
	user          *acl.User // whose it is; the default one before AUTH
	access        *acl.Access
	closing       bool
	gone          bool // the client has gone, or will be sent away: nothing is waited for
	holding       bool // a command that may wait is in flight, or was: nothing else goes before its answer
	silence       silence
	aware         bool // showed that it follows MOVED
	capable       bool // announced CLIENT CAPA redirect
	readonly      bool // READONLY was called
	level         levelChoice
	tracker       tracker      // see there
	trackedBefore bool         // there was a CLIENT TRACKING ON
	tx            *transaction // nil outside MULTI
	watches       []fsm.Watch
	follower      follower
	deferred      []func() // by session commands inside a transaction, run after it

	// What the pipeline under way has come to; see the package's comment.
	// Invariant: steps is empty when an op is added.
	steps    []step
	ops      []fsm.Op
	executed uint64 // commands of this pipeline, not counted in Counters yet
	coming   int    // commands of this pipeline from the present one on
	scratch  *reply.Writer
	keys     []command.KeyPos // reused
	flight   flight
	heeded   int // bytes of messages in front of the reply under way

	inflight atomic.Int64  // ops submitted and not answered
	idle     chan struct{} // one token when inflight has come to 0
	leaving  atomic.Bool   // the client will be told of nothing that happens from now on
	doubt    atomic.Bool   // an answer was in doubt, and none has come since
	fencing  atomic.Bool   // what is in flight is a fence: its answer is dropped
	hears    atomic.Bool   // tracking has messages for it

	writer *reply.Writer // guarded by the output's lock; takes the replies under way
	mark   int           // guarded by the output's lock; where in writer they began
	quiet  reply.Writer  // guarded by the output's lock; takes what the client shall not see

	wait patience

	lastActive atomic.Int64 // Unix nanoseconds
	lists      lists
	weighed    atomic.Int64  // what it counts for in clientMemory
	closed     atomic.Bool   // it counts no more
	unproven   atomic.Bool   // the client needed no password by a state that may be old
	doomed     atomic.Bool   // it was cut since users have changed, or for its size: others do not see it any more
	spared     atomic.Uint64 // acl.Users.Changes up to which the session ends by itself if it must
	lastCmd    atomic.Pointer[entry]

	mu    sync.Mutex
	shown shown // guarded by mu
	subs  subs  // changed with mu held, by the owner, who may read it without
}

// shown is what other sessions see of this one, in CLIENT LIST.
type shown struct {
	name, libName, libVersion string
	db                        int
	proto                     reply.Proto
	multi                     int // commands queued; -1 outside MULTI
	watching                  int
	noEvict, noTouch          bool
	readonly, monitor         bool
	replica                   bool
	user                      string
	born                      uint64 // of the user
}

// ID returns the connection's id, as CLIENT ID gives it.
func (s *Session) ID() int64 { return s.id }

// Trusted reports whether the client is authenticated.
func (s *Session) Trusted() bool { return s.authed || s.srv.users.view().open }

// IdleSince returns when the client last sent a command, and whether the
// client may be closed for being idle: subscribers may not.
func (s *Session) IdleSince() (at time.Time, mayClose bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Unix(0, s.lastActive.Load()), s.subs.len() == 0 && !s.shown.monitor && !s.shown.replica && s.inflight.Load() == 0
}

// Close ends the conversation: subscriptions and watches are gone, replies
// that still come are dropped by the output.
func (s *Session) Close() {
	s.leave() // first: who is not listed any more waits for nothing
	s.srv.mu.Lock()
	delete(s.srv.sessions, s.id)
	s.srv.mu.Unlock()
	s.uncount()
	s.unfollow()
	s.dropSubscriptions()
	s.srv.monitors.remove(s)
	s.closeTracking()
}

// BeginReplies implements fsm.Conn.
func (s *Session) BeginReplies() *reply.Writer {
	s.writer = s.out.Begin()
	if s.fencing.Load() || s.silence == silent {
		s.quiet.Reset(nil)
		s.writer = &s.quiet
	} else { // of what stands before in the same entry
		writeInvalidations(s.writer, s.heard(), s.subs.len() > 0)
	}
	s.mark = s.writer.Mark()
	return s.writer
}

// EndReplies implements fsm.Conn.
func (s *Session) EndReplies(n int) {
	replies := s.writer.Bytes()[s.mark:]
	switch {
	case doubtful(replies):
		if !s.fencing.Load() { // a fence is no write of the client's
			s.doubt.Store(true)
		}
	case s.doubt.Load() && executed(replies):
		s.doubt.Store(false)
	}
	s.srv.countErrors(replies, n)
	s.flight.bytes.Add(int64(len(replies)))
	s.out.End()
	s.out.SendSoon()
	if s.inflight.Add(-int64(n)) == 0 {
		select {
		case s.idle <- struct{}{}:
		default: // a token is there
		}
	}
}

// waitIdle waits until all that was submitted has been answered. When the node
// stops it gives up, and the conversation ends.
func (s *Session) waitIdle() {
	for s.inflight.Load() > 0 && !s.gone {
		if s.holding {
			s.awaitAnswer()
			continue
		}
		select {
		case <-s.idle:
		case <-s.srv.ctx.Done():
			s.closing = true
			return
		}
	}
	s.holding = false
}

// executed reports whether the last of the replies is that of an op which this
// node's apply has reached. Refusals without execution settle no doubt.
func executed(replies []byte) bool {
	last := lastReply(replies)
	for _, refusal := range refusals {
		if bytes.HasPrefix(last, refusal) {
			return false
		}
	}
	return true
}

var refusals = [][]byte{[]byte("-CLUSTERDOWN "), []byte("-TRYAGAIN "), []byte("-MISCONF "), []byte("-" + reply.ErrTooLarge)}

var inDoubt = []byte("-INDOUBT ")

// doubtful reports whether the first or the last of the replies says that its
// outcome is not known.
func doubtful(replies []byte) bool {
	return bytes.HasPrefix(replies, inDoubt) || bytes.HasPrefix(lastReply(replies), inDoubt)
}

// lastReply returns the last line of the replies: all of an error.
func lastReply(replies []byte) []byte {
	if len(replies) == 0 {
		return nil
	}
	return replies[bytes.LastIndexByte(replies[:len(replies)-1], '\n')+1:]
}
