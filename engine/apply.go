package engine

import (
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
)

// Apply calls f with the lock held for writing. The Step is valid during the
// call only. It is called by package fsm alone, by one goroutine.
func (e *Engine) Apply(f func(*Step)) {
	watched := e.watch.On.Load()
	published, missed, resettled, users := e.apply(f)
	for _, m := range published {
		e.opts.Publish(m)
	}
	if len(missed) > 0 {
		e.opts.Missed(missed)
	}
	if resettled {
		e.opts.Settings(e.AllSettings())
	}
	if users {
		e.tellUsers()
	}
	if watched || e.watch.On.Load() {
		e.watched()
	}
}

func (e *Engine) apply(f func(*Step)) (published, missed []Message, resettled, users bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Step{engine: e}
	e.env.Heat.SetLogged(true)
	defer e.env.Heat.SetLogged(false)
	f(&s)
	e.lookups.add(&s.lookups)
	e.endPressure()
	e.env.Heat.Fit(e.env.Keyspace.Keys())
	published, resettled, users = e.outbox, e.resettled, e.usersSet
	e.outbox, e.resettled, e.usersSet, e.by = nil, false, false, nil
	return published, e.missedLocked(&s.lookups), resettled, users
}

// Step changes the state, one log entry after the other.
type Step struct {
	engine  *Engine
	call    call.Call // reused by one command after the other
	rand    call.Rand
	index   uint64
	writes  uint64       // commands of this entry so far
	lookups call.Lookups // of commands that this node answers
}

// Entry begins log entry index, whose stamp is stampMs. The log clock goes on
// to it, and never back.
func (s *Step) Entry(index uint64, stampMs int64) {
	s.index, s.writes = index, 0
	s.engine.env.Pressed = false
	s.engine.env.Heat.SetNow(stampMs)
	if stampMs > s.engine.clock {
		s.engine.clock = stampMs
		s.Chain().Words(noteClock, uint64(stampMs))
	}
}

// What the chain of changes is told beside what happens to keys and scripts. The
// numbers never change.
const (
	noteClock   = 'C' // the log clock went on
	noteReset   = 'R' // the databases are empty, under a seed
	noteSetting = 'V' // a setting has a value
)

// Chain returns the chain of all changes of state so far. Whoever keeps a state
// beside the engine's mixes its changes into it.
func (s *Step) Chain() *chain.Chain { return s.engine.env.Keyspace.Chain() }

// Reset empties the databases and orders what comes by s. The log clock goes
// on.
func (s *Step) Reset(order seed.Seed) {
	s.engine.reset(order)
	s.engine.breakStreamLocked()
	s.Chain().Words(noteReset, order.K0)
	s.Chain().Words(noteReset, order.K1)
}

// Follow puts the rules of a semantic version in force.
func (s *Step) Follow(v semantic.Version) {
	s.engine.env.Semantic = v
	s.engine.hold(s.engine.env.Keyspace, s.engine.waiting)
}

// For tells on whose behalf the next commands are: what watchers and counters
// are told. It has no effect on the data.
func (s *Step) For(client any) { s.engine.by = client }

// Do executes a command of the log that whoever sent it may do, with all that it calls.
func (s *Step) Do(db int, args [][]byte, inTx bool, out *reply.Writer) {
	s.DoAs(call.As{}, db, args, inTx, out)
}

// DoAs executes a command of the log for a user.
func (s *Step) DoAs(as call.As, db int, args [][]byte, inTx bool, out *reply.Writer) {
	s.rand.Seed(s.index, s.writes)
	s.writes++
	c := s.prepare(db, args, out)
	if c == nil {
		return
	}
	c.As, c.Rand, c.Wall, c.MayWrite, c.InTx = as, &s.rand, s.engine.clock, true, inTx
	s.engine.execute(c)
	if !inTx {
		s.EndUnit()
	}
}

// EndUnit ends what takes effect as a whole: after each command outside of a transaction
// Do does it.
func (s *Step) EndUnit() {
	if stream := s.engine.env.Stream; stream != nil {
		stream.End(false)
	}
}

// Read executes a command that changes nothing, at this place between the
// commands of the log, on this node alone. wallMs is the time that replies
// such as TTL's count with; random seeds what a reply takes by chance.
func (s *Step) Read(db int, args [][]byte, wallMs int64, random uint64, inTx bool, out *reply.Writer) {
	s.ReadAs(call.As{}, db, args, wallMs, random, inTx, out)
}

// ReadAs is Read for a user.
func (s *Step) ReadAs(as call.As, db int, args [][]byte, wallMs int64, random uint64, inTx bool, out *reply.Writer) {
	c := s.prepare(db, args, out)
	if c == nil {
		return
	}
	c.As, c.Rand, c.Wall, c.MayWrite, c.InTx = as, call.NewRand(random, 0), max(wallMs, s.engine.clock), false, inTx
	s.engine.env.Heat.SetLogged(false)
	s.engine.execute(c)
	s.engine.env.Heat.SetLogged(true)
}

// Expect tells of a key that commands soon to come may look up, and reports
// whether there is room for another one. It changes nothing, nor does Warm.
func (s *Step) Expect(db int, key []byte) (more bool) {
	return s.engine.expect(&s.engine.warmer, db, key)
}

// Warm brings what was expected near the processor.
func (s *Step) Warm() { s.engine.warmer.Visit() }

func (s *Step) prepare(db int, args [][]byte, out *reply.Writer) *call.Call {
	if db < 0 || db >= Databases || len(args) == 0 {
		out.Error(reply.ErrDBIndex)
		return nil
	}
	e := s.engine
	s.call = call.Call{Env: &e.env, Args: args, DB: e.env.Keyspace.DB(db), Now: e.clock, Out: out, By: e.by}
	if !out.Discards() {
		s.call.Lookups = &s.lookups
	}
	return &s.call
}

// Version returns the version of a key, for WATCH.
func (s *Step) Version(db int, key []byte) uint64 {
	if db < 0 || db >= Databases {
		return 0
	}
	return s.engine.env.Keyspace.DB(db).Version(key, s.engine.clock)
}

// ExpireDue deletes at most limit keys and fields of hashes that are due.
func (s *Step) ExpireDue(limit int) {
	e := s.engine
	if e.settings.KeepsDue {
		return
	}
	c := call.Call{Env: &e.env, MayWrite: true, Now: e.clock}
	e.env.Keyspace.ExpireDue(e.clock, limit, c.NotifyLoss)
	if e.env.Stream != nil {
		e.env.Stream.End(true)
	}
}

// Chain returns the value of the chain of all changes.
func (e *Engine) Chain() chain.Value {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.env.Keyspace.Chain().Value()
}

// NextExpiry returns when the next key or field is due, or the time of a command that
// waits is up, in Unix milliseconds, or keyspace.NoExpiry. What is due and is to stay
// does not count.
func (e *Engine) NextExpiry() int64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	next := e.env.Keyspace.NextExpiry()
	if e.settings.KeepsDue {
		next = e.env.Keyspace.NextExpiryAfter(e.clock)
	}
	if at, ok := e.waiting.NextDeadline(); ok && (next == keyspace.NoExpiry || at < next) {
		return at
	}
	return next
}

// Stats returns sizes and counters of the data.
func (e *Engine) Stats() keyspace.Stats {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.env.Keyspace.Stats()
}

// Clock returns the log clock in Unix milliseconds.
func (e *Engine) Clock() int64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.clock
}
