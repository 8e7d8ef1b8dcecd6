package session

import (
	"context"
	"strings"
	"sync"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
)

// Commands that wait for a key. They are executed by the log, like writes, and
// answered by whatever entry of it ends their wait. Until then the connection carries
// out nothing else; but its goroutine reads on, so that a client that goes is noticed:
// what waits in its name is then taken out of the log's state by another entry.

// patience is what other goroutines know of a session whose command waits.
type patience struct {
	mu     sync.Mutex
	waiter uint64                  // guarded by mu; of the command; 0: none waits
	left   bool                    // guarded by mu; the client has gone
	cancel context.CancelCauseFunc // guarded by mu; ends WAIT; nil: none is under way
}

// mayWait reports whether a call may wait.
func (s *Session) mayWait(e *entry, args [][]byte) bool {
	return e.waits != nil && e.waits(args) && s.srv.opts.Cluster.Semantic() >= semantic.Conversation
}

// await submits a command that may wait. It is answered later, perhaps much later. The log
// knows whose it is, by name and birth, unless that is the user who is never deleted.
func (s *Session) await(e *entry, args [][]byte) {
	s.runSteps()
	s.board()
	as := s.as(e)
	if s.user.Name != acl.Default {
		as.User, as.Born = s.user.Name, s.user.Born
	}
	s.opLarge(fsm.Op{Kind: fsm.OpWrite, DB: s.db, As: as, Args: args, Took: e.took, Waits: true, Repeats: e.Spec.Reads()})
	s.submit()
	s.holding = true
}

// awaitAnswer waits for the answer to a command that waits, and meanwhile looks whether
// the client is there.
func (s *Session) awaitAnswer() {
	s.out.Send()
	if !s.out.Await(s.idle) {
		s.gone, s.closing = true, true
	}
}

// BeginWait implements fsm.Waiter.
func (s *Session) BeginWait(waiter uint64) (there bool) {
	s.wait.mu.Lock()
	defer s.wait.mu.Unlock()
	if s.wait.left {
		return false
	}
	s.wait.waiter = waiter
	s.srv.blocked.Add(1)
	return true
}

// EndWait implements fsm.Waiter.
func (s *Session) EndWait() { s.endWait() }

// endWait forgets the waiter, and returns which it was.
func (s *Session) endWait() (waiter uint64) {
	s.wait.mu.Lock()
	defer s.wait.mu.Unlock()
	waiter, s.wait.waiter = s.wait.waiter, 0
	if waiter != 0 {
		s.srv.blocked.Add(-1)
	}
	return waiter
}

// leave ends the wait of a client that has gone.
func (s *Session) leave() {
	s.wait.mu.Lock()
	s.wait.left = true
	s.wait.mu.Unlock()
	if waiter := s.endWait(); waiter != 0 {
		s.srv.opts.Cluster.Drop(waiter)
	}
}

// waiter returns the waiter of a command that waits for a key, or 0.
func (s *Session) waiter() uint64 {
	s.wait.mu.Lock()
	defer s.wait.mu.Unlock()
	return s.wait.waiter
}

// endWaits ends waits whose clients are closed, so that none is given what is pushed from
// now on. Where it can't be known whether they have ended, their sessions see to it.
func (s *Server) endWaits(waiters []uint64) {
	ops := make([]fsm.Op, len(waiters))
	for i, waiter := range waiters {
		ops[i] = fsm.Op{Kind: fsm.OpUnblock, Waiter: waiter, Failed: true}
	}
	_, _ = s.execute(ops)
}

// isWaiting reports whether a command of the session waits.
func (s *Session) isWaiting() bool {
	s.wait.mu.Lock()
	defer s.wait.mu.Unlock()
	return s.wait.waiter != 0 || s.wait.cancel != nil
}

// clientUnblock: CLIENT UNBLOCK id [TIMEOUT|ERROR]. That a client waits no longer is
// known when the log says so.
func clientUnblock(s *Session, r *request) {
	failed := false
	if len(r.args) > 4 {
		r.fail(reply.SubcommandSyntax("CLIENT", r.args[1]))
		return
	}
	if len(r.args) == 4 {
		switch strings.ToLower(string(r.args[3])) {
		case "timeout":
		case "error":
			failed = true
		default:
			r.fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
			return
		}
	}
	id, ok := call.ParseInt(r.args[2])
	if !ok {
		r.fail(reply.ErrNotInteger)
		return
	}
	s.srv.mu.Lock()
	target := s.srv.sessions[id]
	s.srv.mu.Unlock()
	if target == nil {
		r.out.Int(0)
		return
	}
	target.unblock(r.out, failed)
}

// unblock ends what the session waits for, and replies whether it did.
func (s *Session) unblock(out *reply.Writer, failed bool) {
	s.wait.mu.Lock()
	waiter, cancel := s.wait.waiter, s.wait.cancel
	s.wait.mu.Unlock()
	switch {
	case cancel != nil && failed:
		cancel(reply.ErrUnblocked)
		out.Int(1)
	case cancel != nil:
		cancel(nil)
		out.Int(1)
	case waiter == 0:
		out.Int(0)
	default:
		s.srv.unblock(waiter, failed, out)
	}
}

func (s *Server) unblock(waiter uint64, failed bool, out *reply.Writer) {
	replies, refused := s.execute([]fsm.Op{{Kind: fsm.OpUnblock, Waiter: waiter, Failed: failed}})
	switch {
	case refused != "":
		out.Error(refused)
	case replies[0].Kind == reply.KindError:
		out.Error(reply.Error(replies[0].Text))
	default:
		out.Int(replies[0].Int)
	}
}
