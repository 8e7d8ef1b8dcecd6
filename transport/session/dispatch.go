package session

import (
	"bytes"
	"math/rand/v2"
	"strings"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// step is one thing to be done by the connection's goroutine: a read of the
// engine, or an answer that needs nothing.
type step struct {
	entry  *entry // nil: of no command
	as     call.As
	args   [][]byte
	db     int
	answer func(*reply.Writer) // nil: the engine reads
	// declared: it is a read because of what a script or a function said of itself
	// when the command came.
	declared bool
	// refused is why a script that does not say whether it writes may not; "": none is
	// called.
	refused reply.Error
}

// silence tells whether the client wants replies.
type silence uint8

const (
	speaking silence = iota
	skipNext         // CLIENT REPLY SKIP was called
	silent           // CLIENT REPLY OFF was called
)

// scratchKept is the size in bytes up to which a session keeps its buffer.
const scratchKept = 64 << 10

// Run carries out the commands of one read of the connection, in order, and
// puts their replies on their way as far as they are known: those of writes
// follow by themselves. It keeps nothing of commands. It returns false when
// the connection is to be closed, once what was written has been sent.
func (s *Session) Run(commands [][][]byte) bool {
	s.lastActive.Store(s.srv.now().UnixNano())
	s.awaitRoom()
	if s.hears.Load() {
		s.deliver()
	}
	for i, args := range commands {
		if s.closing {
			break
		}
		if s.holding {
			s.waitIdle()
			if s.closing {
				break
			}
		}
		s.coming = len(commands) - i
		if s.silence == skipNext {
			s.runSilently(args)
		} else {
			s.dispatch(args)
		}
		if s.tracker.caching {
			s.cached(args)
		}
	}
	s.runSteps()
	s.submit()
	s.srv.opts.Counters.Commands.Add(s.executed)
	s.executed = 0
	if s.srv.tracking.roomMade.Load() && s.srv.tracking.roomMade.CompareAndSwap(true, false) {
		s.srv.deliverInvalidations()
	}
	if s.closing {
		s.waitIdle()
	}
	s.out.Send()
	s.Weigh()
	return !s.closing
}

// ProtocolError answers a violation of the protocol, after which the
// connection is closed.
func (s *Session) ProtocolError(err error) {
	s.waitIdle()
	w := s.out.Begin()
	w.Error(reply.Error("ERR " + err.Error()))
	s.out.End()
	s.out.Send()
}

// runSilently carries out one command, whose reply the client does not want.
func (s *Session) runSilently(args [][]byte) {
	s.settle()
	s.silence = silent
	s.dispatch(args)
	s.settle()
	if s.silence == silent {
		s.silence = speaking
	}
}

// dispatch takes one command to where it is executed.
func (s *Session) dispatch(args [][]byte) {
	if !s.current() {
		s.closing = true
		return
	}
	if hostile(args[0]) {
		s.srv.log.Warn("possible attack: an HTTP request came on a client's port; the connection is closed", "addr", s.peer.Addr)
		s.closing = true
		return
	}
	e, args, container, ok := s.srv.find(args)
	if !ok {
		s.reject(nil, unknown(args, container))
		return
	}
	s.lastCmd.Store(e)
	if err := s.refusal(e, args); err != "" {
		e.stats.Rejected()
		s.reject(e, err)
		return
	}
	s.srv.monitors.feed(s, e, args)
	if s.tx != nil && (e.row == nil || !e.row.prompt) {
		if s.tx.bytes > s.srv.opts.Config.Int("client-query-buffer-limit") {
			s.reject(e, errTxTooLarge)
			return
		}
		s.tx.queue(e, args)
		s.lists.queued.Store(s.tx.taken)
		s.show(func(v *shown) { v.multi = len(s.tx.queued) })
		s.answer(nil, queued)
		return
	}
	if s.aboutRuns(e) {
		s.executed++
		return
	}
	s.awaitPause(e, args)
	s.executed++
	if s.srv.wantsReplicas() && s.srv.saysNothing(e, args) && s.srv.lacksReplicas() {
		s.settle()
		if s.doubt.Load() && !s.fence() {
			s.reject(e, errStillInDoubt)
			return
		}
		s.steps = append(s.steps, step{entry: e, as: s.as(e), args: args, db: s.db, refused: errNoReplicas})
		return
	}
	switch {
	case s.mayWait(e, args):
		s.await(e, args)
	case s.reads(e, args):
		s.read(e, args)
	case e.engines():
		s.write(e, args)
	case e.row.rides:
		s.ride(e, args)
	default:
		s.converse(e, args)
	}
}

func queued(out *reply.Writer) { out.Status("QUEUED") }

// hostile reports whether a word begins the lines of an HTTP request, by
// which a browser could be made to send commands.
func hostile(word []byte) bool {
	return bytes.EqualFold(word, []byte("post")) || bytes.EqualFold(word, []byte("host:"))
}

func unknown(args [][]byte, container string) reply.Error {
	if container != "" {
		return reply.UnknownSubcommand(string(bytes.ToUpper([]byte(container))), args[1])
	}
	return reply.UnknownCommand(args)
}

// refusal returns why a command is not executed, in redis-server's order of
// reasons, or "".
func (s *Session) refusal(e *entry, args [][]byte) reply.Error {
	if !e.TakesArgs(len(args)) {
		return reply.WrongArgs(e.Name)
	}
	if err := s.allowed(e); err != "" {
		return err
	}
	if inForce := s.srv.opts.Cluster.Semantic(); e.Semantic > inForce {
		return reply.TooNew("'"+e.Name+"'", e.Semantic, inForce)
	}
	if s.tx != nil && e.Flags.Has(command.NoMulti) {
		return errNoMulti
	}
	if err := s.denial(e, args); err != "" {
		return err
	}
	// Before all that may wait for the script, as the cluster's picture does: redis-server asks last.
	if s.srv.runs.oldest.Load() != 0 {
		if err := s.busyFor(e); err != "" {
			return err
		}
	}
	if err := s.redirected(e, args); err != "" {
		return err
	}
	// Behind a command of its own that is still on its way, such as FLUSHALL, there may be
	// memory again; in a transaction the client is told at once.
	if s.srv.opts.Engine.Tight() && (s.tx != nil || !s.behind()) && s.bringsData(e, args) {
		return reply.ErrOOM
	}
	if s.srv.wantsReplicas() && s.needsReplicas(e, args) && s.srv.lacksReplicas() {
		return errNoReplicas
	}
	if s.proto == reply.RESP2 && s.subs.len() > 0 && !subscriberCommands[e.Name] {
		return reply.Error("ERR Can't execute '" + e.Name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	}
	return ""
}

// allowed is the one place where it is decided whether the client may call a
// command at all. It returns why not, or "".
func (s *Session) allowed(e *entry) reply.Error {
	if s.unproven.Load() {
		if err := s.confirm(e); err != "" {
			return err
		}
	}
	if !s.authed && !s.view.open && !e.Flags.Has(command.NoAuth) {
		if s.view.pending {
			return errUsersPending
		}
		return reply.ErrNoAuth
	}
	if e.Flags.Has(command.Protected) {
		return s.protected(e)
	}
	return ""
}

// protected refuses DEBUG and MODULE where the configuration does not allow
// them.
func (s *Session) protected(e *entry) reply.Error {
	name := e.Name
	if container := e.Container(); container != "" {
		name = container
	}
	directive := "enable-" + name + "-command"
	switch value := s.srv.opts.Config.String(directive); {
	case value == "yes", value == "local" && s.peer.Loopback:
		return ""
	}
	return reply.Error("ERR " + string(bytes.ToUpper([]byte(name))) + " command not allowed. If the " + directive +
		" option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.")
}

// reject answers a command that is not executed. A transaction is spoilt by
// it; an EXEC that is refused ends it.
func (s *Session) reject(e *entry, err reply.Error) {
	switch {
	case e != nil && e.Name == "exec":
		s.endTransaction()
		err = "EXECABORT Transaction discarded because of: " + reply.Error(strings.TrimPrefix(string(err), "ERR "))
	case s.tx != nil:
		s.tx.spoilt = true
	}
	s.answer(nil, func(out *reply.Writer) { out.Error(err) })
}

// behind reports whether something of the connection comes before the next
// command and is not executed here.
func (s *Session) behind() bool {
	return len(s.ops) > 0 || s.inflight.Load() > 0
}

// answer gives an answer at its place.
func (s *Session) answer(e *entry, f func(*reply.Writer)) {
	if s.behind() {
		s.op(fsm.Op{Kind: fsm.OpLocal, Local: f})
		return
	}
	s.steps = append(s.steps, step{entry: e, answer: f})
}

// ride carries out a session command at its place.
func (s *Session) ride(e *entry, args [][]byte) {
	if !s.behind() {
		s.steps = append(s.steps, step{entry: e, args: args, answer: func(out *reply.Writer) {
			e.row.do(s, &request{args: args, out: out, db: s.db})
		}})
		return
	}
	kept := fsm.CloneArgs(args)
	s.op(fsm.Op{Kind: fsm.OpLocal, Local: func(out *reply.Writer) {
		mark := out.Mark()
		e.row.do(s, &request{args: kept, out: out, db: s.db})
		e.answered(out.Bytes()[mark:])
	}})
}

// reads reports whether a command is carried out as a read: one that is none by its row
// may call a function, or by EVALSHA a script, that says of itself that it does not
// write. What comes before it on this connection could make it another one, so that must
// be executed; whether others have done so is seen when it is its turn. EVAL brings a
// script that all nodes are to know.
func (s *Session) reads(e *entry, args [][]byte) bool {
	if e.reads() || e.Group != command.Scripting || !e.engines() || s.behind() || s.doubt.Load() || !s.srv.opts.Engine.AnyNoWrites() {
		return e.reads()
	}
	return (e.Name == "fcall" || e.Name == "evalsha") && s.srv.onlyReads(e, args)
}

func (s *Session) read(e *entry, args [][]byte) {
	if s.behind() {
		s.board()
	}
	if s.behind() || s.doubt.Load() {
		s.runSteps()
		s.opLarge(fsm.Op{Kind: fsm.OpRead, DB: s.db, As: s.as(e), Args: args, Took: e.took})
		return
	}
	s.steps = append(s.steps, step{entry: e, as: s.as(e), args: args, db: s.db, declared: !e.reads()})
}

func (s *Session) write(e *entry, args [][]byte) {
	if e.seal != nil {
		s.setUser(e, args)
		return
	}
	s.runSteps()
	op := fsm.Op{Kind: fsm.OpWrite, DB: s.db, As: s.as(e), Args: args, Took: e.took}
	if e.Flags.Has(command.DenyOOM) { // it brings data, and gets little back
		s.op(op)
		return
	}
	s.board()
	s.opLarge(op)
}

// op adds an op to what is to be submitted.
func (s *Session) op(o fsm.Op) {
	if s.ops == nil {
		if s.inflight.Load() == 0 {
			s.flight.land()
		}
		s.ops = make([]fsm.Op, 0, max(s.coming, 1))
	}
	s.ops = append(s.ops, o)
}

// submit hands the ops over.
func (s *Session) submit() {
	if len(s.ops) == 0 {
		return
	}
	ops := s.ops
	s.ops = nil // the Request is the cluster's now
	s.inflight.Add(int64(len(ops)))
	s.srv.opts.Cluster.Submit(&fsm.Request{Ops: ops, Conn: s})
}

// settle waits until nothing that came before is in flight.
func (s *Session) settle() {
	s.runSteps()
	s.submit()
	s.waitIdle()
	s.awaitRoom()
}

// fence submits an op that does nothing. It returns whether no write of the
// connection is in doubt any more.
func (s *Session) fence() bool {
	s.fencing.Store(true)
	s.op(fsm.Op{Kind: fsm.OpLocal, Local: func(out *reply.Writer) { out.OK() }})
	s.submit()
	s.waitIdle()
	s.fencing.Store(false)
	return !s.doubt.Load()
}

// converse carries out a session command by itself.
func (s *Session) converse(e *entry, args [][]byte) {
	s.settle()
	if s.closing {
		return
	}
	if e.row.sees && s.doubt.Load() && !s.fence() {
		s.reject(e, errStillInDoubt)
		return
	}
	before := s.srv.elapsed()
	s.reply(func(out *reply.Writer) int {
		e.row.do(s, &request{args: args, out: out, db: s.db})
		return 1
	})
	s.srv.took(s, e, args, s.scratch.Bytes()[s.heeded:], s.srv.elapsed()-before)
}

// reply writes the replies that f writes, in one piece; f returns how many.
// f runs without the output's lock, so that it may take its time and cause
// messages to this very client.
func (s *Session) reply(f func(*reply.Writer) int) {
	s.scratch.Reset(s.scratch.Bytes())
	if s.tracker.on {
		s.hold()
	}
	s.scratch.SetProto(s.proto) // also for a silent client: its errors count
	s.heeded = 0
	n := f(s.scratch)
	s.srv.countErrors(s.scratch.Bytes()[s.heeded:], n)
	w := s.out.Begin()
	w.SetProto(s.proto)
	if s.silence != silent {
		w.Raw(s.scratch.Bytes())
	}
	s.out.End()
	if s.trackedBefore {
		s.release()
	}
	if s.scratch.Len() > scratchKept {
		s.scratch.Reset(nil)
		s.heeded = 0
	}
}

// runSteps carries out the steps under one read barrier, and under one view
// unless the client has to read in between.
func (s *Session) runSteps() {
	if len(s.steps) == 0 {
		return
	}
	steps := s.steps
	s.steps = s.steps[:0]
	var refused reply.Error
	reading := false
	for i := range steps {
		reading = reading || steps[i].answer == nil
	}
	if reading {
		if refused = s.barrier(); refused == "" {
			s.recheck(steps)
		}
	}
	var due []dueKey
	exact := s.consistency() == Linearizable && !s.srv.ahead()
	for rest := steps; len(rest) > 0; {
		var why halt
		s.replyInPlace(func(out *reply.Writer) (n int) {
			if !reading || refused != "" {
				n, _ = s.runSome(rest, nil, refused, false, out)
			} else {
				s.srv.opts.Engine.View(s.srv.now().UnixMilli(), rand.Uint64(), func(v *engine.View) {
					if s.silence != silent {
						s.heed(out)
					}
					n, why = s.runSome(rest, v, "", exact, out)
					due = s.appendDue(due, v, rest[:n])
				})
			}
			rest = rest[n:]
			return n
		})
		switch why {
		case changed:
			s.logInstead(&rest[0])
			rest = rest[1:]
		case lagged:
			s.takeClockOn()
			exact = false
		}
		if len(rest) > 0 && !s.awaitRoom() {
			break
		}
	}
	s.drop(due)
	clear(steps)
}

// logInstead carries out a step that is no read any more, and waits for it.
func (s *Session) logInstead(t *step) {
	s.board()
	s.opLarge(fsm.Op{Kind: fsm.OpWrite, DB: t.db, As: t.as, Args: t.args, Took: t.entry.took})
	s.submit()
	s.waitIdle()
}

// replyInPlace is reply without the copy, where nobody else writes to the
// output while f runs.
func (s *Session) replyInPlace(f func(*reply.Writer) int) {
	if s.subs.len() > 0 || s.silence == silent || s.shown.monitor {
		s.reply(f)
		return
	}
	w := s.out.Begin()
	defer s.out.End() // also if f panics: the connection is then closed
	mark := w.Mark()
	s.heeded = 0
	n := f(w)
	s.srv.countErrors(w.Bytes()[mark+s.heeded:], n)
}

// halt is why steps are not carried out any further.
type halt int

const (
	full    halt = iota // they are done, or as much is written as may be unread
	changed             // the next was declared a read, and is none
	lagged              // the next meets a key that is due, and there by the log clock
)

// runSome carries out steps until there is a reason not to, and returns how many it has
// carried out. That the log clock lags is a reason if the client wants exact replies.
func (s *Session) runSome(
	steps []step, v *engine.View, refused reply.Error, exact bool, out *reply.Writer,
) (done int, why halt) {
	before := s.srv.elapsed()
	if v != nil {
		v.For(s)
	}
	warmed := 0 // steps whose keys are near the processor
	for i := range steps {
		t, mark := &steps[i], out.Mark()
		if v != nil && i == warmed && len(steps) > 1 {
			warmed += warm(steps[i:], v)
		}
		switch {
		case t.answer != nil:
			t.answer(out)
		case refused != "":
			out.Error(refused)
			if t.entry != nil {
				t.entry.stats.Rejected()
			}
			continue
		case t.declared && !v.DeclaresNoWrites(t.args):
			return i, changed
		default:
			v.DoRefusing(t.as, t.db, t.args, false, t.refused, out)
			if exact && v.Lagged() {
				v.Retract()
				out.Truncate(mark)
				return i, lagged
			}
		}
		if t.entry != nil {
			now := s.srv.elapsed()
			s.srv.took(s, t.entry, t.args, out.Bytes()[mark:], now-before)
			before = now
		}
		if out.Len() > UnreadMax {
			return i + 1, full
		}
	}
	return len(steps), full
}

// warm brings the keys of the next steps near the processor, and returns of
// how many.
func warm(steps []step, v *engine.View) (n int) {
	for more := true; more && n < len(steps); n++ {
		if t := &steps[n]; t.answer == nil && len(t.args) > 1 {
			more = v.Expect(t.db, t.args[1])
		}
	}
	v.Warm()
	return n
}

// barrier waits until this node's memory is as fresh as the client asks, or
// returns why it can't be known.
func (s *Session) barrier() reply.Error { return s.barrierOf(s.consistency()) }

// barrierOf is barrier for a given consistency.
func (s *Session) barrierOf(level Consistency) reply.Error {
	err := s.srv.opts.Cluster.ReadBarrier(s.srv.ctx, level)
	if err == nil {
		if level == Linearizable {
			s.srv.sure()
		}
		return ""
	}
	s.srv.opts.Counters.ReadBarrierFailures.Add(1)
	if refused, ok := err.(reply.Error); ok {
		return refused
	}
	return reply.ErrReadNotConfirmed
}
