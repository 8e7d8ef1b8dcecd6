package engine

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/waiting"
)

// Commands that wait. DoOrWait leaves a waiter where a command finds nothing to give.
// Keys that it waits for become ready by whatever changes them: the keyspace notes
// it. After the whole command, transaction or script Serve gives what there is to
// the waiters, in the order in which the keys became ready and then in that in which
// the waiters came. What that makes ready is served in turn.
//
// While nobody waits the keyspace notes nothing, and all this costs two comparisons a
// command.

// Answerer gives waiters their answers: on the node whose client waits; elsewhere the
// writer discards.
type Answerer interface {
	// Begin returns where the answer of w goes, if it gets one, and on whose behalf
	// it is served, as Step.For has it.
	Begin(w *waiting.Waiter) (out *reply.Writer, client any)
	// End tells that the answer is written, and that w waits no longer; or that
	// there is none yet, and nothing was written.
	End(w *waiting.Waiter, answered bool)
}

// DoOrWait executes a command of the log on behalf of a client of owner, for a user. If the
// command has nothing to give, and may wait, it does so: the ID of its waiter is
// returned, and nothing is replied. Else 0 is returned. A user who is named and has been
// deleted gets nothing, also if there is another of that name by now.
func (s *Step) DoOrWait(owner waiting.Owner, as call.As, db int, args [][]byte, out *reply.Writer) (id uint64) {
	if as.User != "" && !s.engine.lives(as.User, as.Born) {
		out.Error(reply.ErrUserGone)
		return 0
	}
	s.rand.Seed(s.index, s.writes)
	s.writes++
	c := s.prepare(db, args, out)
	if c == nil {
		return 0
	}
	c.As, c.Rand, c.Wall, c.MayWrite, c.MayWait = as, &s.rand, s.engine.clock, true, true
	s.engine.execute(c)
	s.EndUnit()
	if c.Waiting == nil {
		return 0
	}
	w, err := s.engine.waiting.Add(waiting.Waiter{
		Owner: owner, DB: db, Type: c.Waiting.Type, Deadline: c.Waiting.Deadline,
		Args: c.Waiting.Args, Keys: c.Waiting.Keys, User: as.User, Born: as.Born,
	}, s.Chain())
	if err != nil {
		out.Error(reply.ErrTooManyWait)
		return 0
	}
	s.engine.listen()
	return w.ID
}

// listen has the keyspace note changes of what somebody waits for.
func (e *Engine) listen() {
	if e.waiting.Len() == 0 {
		e.env.Keyspace.Await(nil)
		return
	}
	e.env.Keyspace.Await(e.waiting.Awaited())
}

// Ready reports whether something has happened to keys that commands wait for.
func (s *Step) Ready() bool { return s.engine.waiting.Ready() }

// Serve gives what there is to those that wait for it.
func (s *Step) Serve(to Answerer) {
	table := s.engine.waiting
	for table.Ready() {
		key, waiters := table.NextReady()
		s.dropDue(key)
		for w := range waiters {
			if s.useless(key, w) {
				continue
			}
			before := s.engine.by
			out, client := to.Begin(w)
			s.For(client)
			served := s.serve(w, key.Name, out)
			s.For(before)
			if served {
				table.Remove(w, s.Chain())
			}
			to.End(w, served)
		}
	}
	s.engine.listen()
}

// dropDue deletes a key that is due, where such keys stay until somebody looks at them:
// who waits for it does.
func (s *Step) dropDue(key *keyspace.AwaitedKey) {
	e := s.engine
	if !e.settings.KeepsDue {
		return
	}
	c := call.Call{Env: &e.env, MayWrite: true, Now: e.clock}
	c.NotifyLoss(key.DB, key.Name, e.env.Keyspace.DB(key.DB).Evict(key.Name, e.clock))
	s.EndUnit()
}

// useless reports whether a key can do nothing for w: what is no stream may still end
// the wait of those that read one.
func (s *Step) useless(key *keyspace.AwaitedKey, w *waiting.Waiter) bool {
	if w.Type == keyspace.Stream {
		return false
	}
	e, ok := s.engine.env.Keyspace.DB(key.DB).Get(key.Name, s.engine.clock)
	return !ok || e.Type != w.Type
}

// serve carries out a command that waits, for a key that may be ready.
func (s *Step) serve(w *waiting.Waiter, key []byte, out *reply.Writer) (served bool) {
	s.rand.Seed(s.index, s.writes)
	s.writes++
	c := s.prepare(w.DB, w.Args, out)
	if c == nil {
		return true
	}
	c.Rand, c.Wall, c.MayWrite = &s.rand, s.engine.clock, true
	row, _, ok := s.engine.find(w.Args)
	if !ok || row.Serve == nil {
		c.Fail(reply.UnknownCommand(w.Args))
		return true
	}
	served = true // also if it panics
	s.engine.guard(row, c, func() { served = row.Serve(c, key) })
	s.EndUnit()
	return served
}

// ExpireWaiters ends the wait of those whose time is up, in the order of their
// deadlines.
func (s *Step) ExpireWaiters(to Answerer) {
	for w := s.engine.waiting.Due(s.engine.clock); w != nil; w = s.engine.waiting.Due(s.engine.clock) {
		s.end(w, to, func(out *reply.Writer) { out.NullArray() })
	}
}

// Unblock ends the wait of the waiter of that ID, with an error or as if its time were
// up, and reports whether there is one.
func (s *Step) Unblock(id uint64, failed bool, to Answerer) bool {
	w := s.engine.waiting.Get(id)
	if w == nil {
		return false
	}
	s.end(w, to, func(out *reply.Writer) {
		if failed {
			out.Error(reply.ErrUnblocked)
			return
		}
		out.NullArray()
	})
	return true
}

// Drop ends the wait of the waiter of that ID, whose client has gone.
func (s *Step) Drop(id uint64) {
	if w := s.engine.waiting.Get(id); w != nil {
		s.remove(w)
	}
}

// DropOwner ends the wait of all clients of a node, with an error for those that are
// still there.
func (s *Step) DropOwner(owner waiting.Owner, why reply.Error, to Answerer) {
	if s.engine.waiting.Len() == 0 {
		return
	}
	for _, w := range s.engine.waiting.All() {
		if w.Owner == owner {
			s.end(w, to, func(out *reply.Writer) { out.Error(why) })
		}
	}
}

func (s *Step) end(w *waiting.Waiter, to Answerer, answer func(*reply.Writer)) {
	s.remove(w)
	out, _ := to.Begin(w)
	answer(out)
	to.End(w, true)
}

func (s *Step) remove(w *waiting.Waiter) {
	s.engine.waiting.Remove(w, s.Chain())
	s.engine.listen()
}

// EachWaiter calls f for all that wait, in the order in which they came.
func (s *Step) EachWaiter(f func(*waiting.Waiter)) {
	for _, w := range s.engine.waiting.All() {
		f(w)
	}
}

// WaitingArgs returns how the command of a waiter, which is there, is carried out when
// it is time. They are not to be changed.
func (s *Step) WaitingArgs(id uint64) [][]byte { return s.engine.waiting.Get(id).Args }

// WaitingOwners returns the nodes whose clients wait, in order.
func (e *Engine) WaitingOwners() []waiting.Owner {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.waiting.Owners()
}

// Waiting returns how many commands wait, of all nodes.
func (e *Engine) Waiting() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.waiting.Len()
}
