package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

// While this node carries out one script or function for longer than busy-reply-threshold,
// its clients are told so, as redis-server tells them, instead of waiting for its end. It
// is each node's own affair: nodes may be at different places of the log, and what reads
// runs on one node only.
//
// SCRIPT KILL and FUNCTION KILL end what reads here. What the log calls must come to the
// same end on every node, so that runs on until its budget is used up, and who wants to
// kill it waits for that. Either way OK means that it is over and has written nothing.

// runs are the scripts and functions that this node is carrying out.
type runs struct {
	threshold atomic.Int64 // nanoseconds; 0: nobody is told
	oldest    atomic.Int64 // when the first of list began, by Server.elapsed, and 1; 0: none runs

	mu   sync.Mutex
	list []running // guarded by mu; in the order in which they began
}

type running struct {
	run   *call.Run
	began time.Duration // by Server.elapsed
	vigil *vigil        // nil: nobody waits for its end
}

// vigil is what those who wait for the end of a run learn of it. The fields are set when
// ended is closed.
type vigil struct {
	ended      chan struct{}
	cut, wrote bool
}

// Begins implements call.Observer.
func (s *Server) Begins(r *call.Run) {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	s.runs.list = append(s.runs.list, running{run: r, began: s.elapsed()})
	s.runs.noteOldestLocked()
}

// Ends implements call.Observer.
func (s *Server) Ends(r *call.Run, cut bool) {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	list := s.runs.list
	for i := range list {
		if list[i].run != r {
			continue
		}
		if v := list[i].vigil; v != nil {
			v.cut, v.wrote = cut, r.Wrote()
			close(v.ended)
		}
		s.runs.list = slices.Delete(list, i, i+1)
		break
	}
	s.runs.noteOldestLocked()
}

func (r *runs) noteOldestLocked() {
	if len(r.list) == 0 {
		r.oldest.Store(0)
		return
	}
	r.oldest.Store(int64(r.list[0].began) + 1)
}

// busy returns what clients are told while a script has been running for too long, or "".
func (s *Server) busy() reply.Error {
	oldest := s.runs.oldest.Load()
	if oldest == 0 || !s.overdue(time.Duration(oldest-1)) {
		return ""
	}
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	if len(s.runs.list) == 0 || !s.overdue(s.runs.list[0].began) {
		return ""
	}
	return busyWith(s.runs.list[0].run)
}

// overdue reports whether what began then has been running for too long.
func (s *Server) overdue(began time.Duration) bool {
	threshold := time.Duration(s.runs.threshold.Load())
	return threshold > 0 && s.elapsed()-began >= threshold
}

func busyWith(r *call.Run) reply.Error {
	if r.Function {
		return reply.ErrBusyFunction
	}
	return reply.ErrBusyScript
}

// busyFor returns why a command is not executed now, or "". What comes behind others of its
// connection waits for them anyway, as behind the very script it does. A Sentinel is busy
// with nothing.
func (s *Session) busyFor(e *entry) reply.Error {
	if e.Flags.Has(command.AllowBusy) || s.behind() || s.asSentinel() {
		return ""
	}
	return s.srv.busy()
}

// whileRunning holds those of the engine's commands that are about what runs. Each returns
// what answers while something does, or nil: then the engine does.
var whileRunning = map[string]func(*Server) func(*reply.Writer){
	"script|kill":    func(s *Server) func(*reply.Writer) { return func(out *reply.Writer) { s.kill(false, out) } },
	"function|kill":  func(s *Server) func(*reply.Writer) { return func(out *reply.Writer) { s.kill(true, out) } },
	"function|stats": (*Server).statsOfBusy,
}

// aboutRuns carries out a command that is about what runs now, without the engine's lock,
// and reports whether it has.
func (s *Session) aboutRuns(e *entry) bool {
	if e.whileRunning == nil || s.srv.runs.oldest.Load() == 0 || s.behind() {
		return false
	}
	s.settle()
	if s.closing {
		return true
	}
	answer := e.whileRunning(s.srv)
	if answer == nil {
		return false
	}
	s.reply(func(out *reply.Writer) int {
		answer(out)
		return 1
	})
	e.answered(s.scratch.Bytes()[s.heeded:])
	return true
}

// kill ends the oldest script or function that runs, once that has been running for too
// long. It returns when that is over.
func (s *Server) kill(function bool, out *reply.Writer) {
	r, v := s.runs.watch(function)
	if r == nil || !s.awaitOverdue(r, v) {
		out.Error(reply.ErrNotBusy)
		return
	}
	if err := s.runs.killIfMayBe(r.run, v, function); err != "" {
		out.Error(err)
		return
	}
	select {
	case <-v.ended:
	case <-s.ctx.Done(): // the node stops, and the conversation ends
		return
	}
	switch {
	case !v.cut: // it has come to its own end before
		out.Error(reply.ErrNotBusy)
	case v.wrote:
		out.Error(reply.ErrUnkillable)
	default:
		out.OK()
	}
}

// watch returns the oldest run, of that kind if there is one, and what tells of its end.
// It returns nil if none runs.
func (r *runs) watch(function bool) (*running, *vigil) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return nil, nil
	}
	chosen := &r.list[0]
	for i := range r.list {
		if r.list[i].run.Function == function {
			chosen = &r.list[i]
			break
		}
	}
	if chosen.vigil == nil {
		chosen.vigil = &vigil{ended: make(chan struct{})}
	}
	c := *chosen
	return &c, c.vigil
}

// awaitOverdue waits until a run takes too long. It returns false if it ends before.
func (s *Server) awaitOverdue(r *running, v *vigil) bool {
	var overdue <-chan time.Time // never, without a threshold
	if threshold := time.Duration(s.runs.threshold.Load()); threshold > 0 {
		t := time.NewTimer(threshold - (s.elapsed() - r.began))
		defer t.Stop()
		overdue = t.C
	}
	select {
	case <-v.ended:
		return false
	case <-s.ctx.Done():
		return false
	case <-overdue:
		return true
	}
}

// killIfMayBe tells a run to end, or returns why not.
func (r *runs) killIfMayBe(run *call.Run, v *vigil, function bool) reply.Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-v.ended: // run may be another one by now
		return reply.ErrNotBusy
	default:
	}
	switch {
	case run.Wrote():
		return reply.ErrUnkillable
	case run.Function != function:
		return busyWith(run)
	}
	run.Kill()
	return ""
}

// statsOfBusy is FUNCTION STATS while something takes too long.
func (s *Server) statsOfBusy() func(*reply.Writer) {
	switch s.busy() {
	case "":
		return nil
	case reply.ErrBusyScript:
		return func(out *reply.Writer) { out.Error(reply.ErrBusyScript) }
	}
	return func(out *reply.Writer) { s.opts.Engine.FunctionStats(out, s.writeRunning) }
}

// writeRunning writes which function has been running for longest, or null.
func (s *Server) writeRunning(out *reply.Writer) {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	for _, r := range s.runs.list {
		if !r.run.Function {
			continue
		}
		out.Map(3)
		out.BulkString("name")
		out.BulkString(r.run.Name)
		out.BulkString("command")
		out.Array(len(r.run.Args))
		for _, arg := range r.run.Args {
			out.Bulk(arg)
		}
		out.BulkString("duration_ms")
		out.Int((s.elapsed() - r.began).Milliseconds())
		return
	}
	out.Null()
}
