package session

import (
	"math/rand/v2"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

var transactionRows = []row{
	{Spec: command.Spec{Name: "multi", Arity: 1, Flags: command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy, Group: command.Transactions}, do: multi, prompt: true},
	{Spec: command.Spec{Name: "exec", Arity: 1, Flags: command.NoScript | command.Loading | command.Stale | command.SkipSlowlog, Group: command.Transactions}, do: exec, prompt: true, sees: true},
	{Spec: command.Spec{Name: "discard", Arity: 1, Flags: command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy, Group: command.Transactions}, do: discard, prompt: true},
	{Spec: command.Spec{Name: "watch", Arity: -2, Flags: command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy, Group: command.Transactions, Keys: command.All(command.RO)}, do: watch, prompt: true, sees: true},
	{Spec: command.Spec{Name: "unwatch", Arity: 1, Flags: command.NoScript | command.Loading | command.Stale | command.Fast | command.AllowBusy, Group: command.Transactions}, do: unwatch},
}

// transaction is what MULTI has queued.
type transaction struct {
	queued []queuedCall
	bytes  int64 // of their arguments
	taken  int64 // bytes that it takes in all
	spoilt bool  // a command was refused: EXEC will be too
	seals  bool  // a command changes users
}

type queuedCall struct {
	entry *entry
	args  [][]byte // a copy
}

func (t *transaction) queue(e *entry, args [][]byte) {
	kept := fsm.CloneArgs(args)
	for _, arg := range kept {
		t.bytes += int64(len(arg))
		t.taken += argBytes + int64(len(arg))
	}
	t.taken += queuedBytes
	t.queued = append(t.queued, queuedCall{e, kept})
	t.seals = t.seals || e.seal != nil
}

func multi(s *Session, r *request) {
	if s.tx != nil {
		r.fail(reply.ErrNestedMulti)
		return
	}
	s.tx = &transaction{}
	s.show(func(v *shown) { v.multi = 0 })
	r.out.OK()
}

func discard(s *Session, r *request) {
	if s.tx == nil {
		r.fail(reply.ErrDiscardNoMulti)
		return
	}
	s.endTransaction()
	r.out.OK()
}

// endTransaction forgets what MULTI has queued and what WATCH watches.
func (s *Session) endTransaction() {
	s.tx = nil
	s.lists.queued.Store(0)
	s.unwatch()
	s.show(func(v *shown) { v.multi = -1 })
}

func (s *Session) unwatch() {
	s.watches = nil
	s.lists.watches.Store(0)
	s.show(func(v *shown) { v.watching = 0 })
}

func unwatch(s *Session, r *request) {
	s.unwatch()
	r.out.OK()
}

// watch notes the versions that its keys have now. A key that is due, by the wall clock,
// is to be watched as one that is gone; where the log clock lags, a fence takes it on.
func watch(s *Session, r *request) {
	if s.tx != nil {
		r.fail(reply.ErrWatchInMulti)
		return
	}
	if err := s.barrier(); err != "" {
		r.fail(err)
		return
	}
	keys := fsm.CloneArgs(r.args[1:])
	watched := len(s.watches)
	if s.noteWatches(keys) && s.fence() {
		s.watches = s.watches[:watched]
		s.noteWatches(keys)
	}
	for _, key := range keys {
		s.lists.watches.Add(watchBytes + int64(len(key)))
	}
	s.show(func(v *shown) { v.watching = len(s.watches) })
	r.out.OK()
}

// noteWatches adds the versions of keys to the session's watches, and reports whether
// one of them is due but not gone yet.
func (s *Session) noteWatches(keys [][]byte) (lags bool) {
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		for _, key := range keys {
			s.watches = append(s.watches, fsm.Watch{DB: s.db, Key: key, Version: v.Version(s.db, key)})
			lags = lags || v.Lags(s.db, key)
		}
	})
	return lags
}

// exec carries out what MULTI has queued. A transaction that changes nothing
// is a read; any other is one op.
func exec(s *Session, r *request) {
	if s.tx == nil {
		r.fail(reply.ErrExecNoMulti)
		return
	}
	tx, watches := s.tx, s.watches
	for i := range tx.queued {
		s.awaitPause(tx.queued[i].entry, tx.queued[i].args)
	}
	s.endTransaction()
	if tx.spoilt {
		r.fail(reply.ErrExecAbort)
		return
	}
	ops, writes := s.transactionOps(tx, len(watches) > 0)
	switch {
	case writes && tx.seals:
		s.altering(func() { s.execWrites(&fsm.Tx{Watches: watches, Ops: ops}) })
	case writes:
		s.execWrites(&fsm.Tx{Watches: watches, Ops: ops})
	default:
		s.execReads(ops, watches, r.out)
	}
	for _, f := range s.deferred {
		f()
	}
	s.deferred = nil
}

// execWrites submits a transaction and waits for it: session commands among
// its ops use the Session meanwhile.
func (s *Session) execWrites(tx *fsm.Tx) {
	op := fsm.Op{Kind: fsm.OpTx, DB: s.db, Tx: tx}
	for i := range tx.Ops {
		if tx.Ops[i].As.User != "" {
			op.As = tx.Ops[i].As
		}
	}
	s.op(op)
	s.submit()
	s.waitIdle()
}

// execReads carries out a transaction of which no command writes.
func (s *Session) execReads(ops []fsm.Op, watches []fsm.Watch, out *reply.Writer) {
	reading := len(watches) > 0
	for i := range ops {
		reading = reading || ops[i].Kind == fsm.OpRead
	}
	if !reading {
		out.Array(len(ops))
		for i := range ops {
			ops[i].Local(out)
		}
		return
	}
	if err := s.barrier(); err != "" {
		out.Error(err)
		return
	}
	if s.consistency() == Linearizable && !s.srv.ahead() && s.lagsBehind(ops) {
		s.takeClockOn()
	}
	var due []dueKey
	defer func() { s.drop(due) }()
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), rand.Uint64(), func(v *engine.View) {
		for _, w := range watches {
			if v.Version(w.DB, w.Key) != w.Version {
				out.NullArray()
				return
			}
		}
		v.For(s)
		if s.silence != silent {
			s.heed(out)
		}
		out.Array(len(ops))
		for i := range ops {
			if ops[i].Kind == fsm.OpLocal {
				ops[i].Local(out)
				continue
			}
			before, mark := s.srv.elapsed(), out.Mark()
			v.DoAs(ops[i].As, ops[i].DB, ops[i].Args, true, out)
			ops[i].Took(s, ops[i].Args, out.Bytes()[mark:], s.srv.elapsed()-before)
			if v.KeepsDue() {
				due = s.appendDueOf(due, v, ops[i].DB, ops[i].Args)
			}
		}
	})
}

// lagsBehind reports whether reads among ops are of a key that is due, but there by the
// log clock.
func (s *Session) lagsBehind(ops []fsm.Op) (lags bool) {
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		for i := range ops {
			if ops[i].Kind != fsm.OpRead {
				continue
			}
			e, _, ok := s.srv.table.Find(ops[i].Args)
			if !ok {
				continue
			}
			keys, err := e.AppendKeys(s.keys[:0], ops[i].Args)
			s.keys = keys
			for _, k := range keys {
				lags = lags || err == nil && v.Lags(ops[i].DB, ops[i].Args[k.Index])
			}
		}
	})
	return lags
}

// transactionOps turns queued commands into ops, each for the database that
// the SELECTs before it have chosen.
func (s *Session) transactionOps(tx *transaction, watches bool) (ops []fsm.Op, writes bool) {
	db := s.db
	for _, c := range tx.queued {
		e, args := c.entry, c.args
		s.executed++
		op := fsm.Op{DB: db, As: s.as(e), Args: args, Took: e.tookInTx}
		if err := s.denialInExec(e, args); err != "" {
			ops = append(ops, refusedInTx(e, err))
			continue
		}
		if e.seal != nil {
			sealed, err := e.seal(s, args, true)
			if err != "" {
				ops = append(ops, refusedInTx(e, err))
				continue
			}
			op.Args = sealed
		}
		switch {
		case e.reads():
			op.Kind = fsm.OpRead
		case e.engines() || e.row.data:
			op.Kind, writes = fsm.OpWrite, true
		case e.row.looks && e.Name == "acl|load" && (tx.seals || watches):
			op = refusedInTx(e, errLoadInTx)
		case e.row.looks:
			op = fsm.Op{Kind: fsm.OpLocal, Local: s.lookAhead(e, args, db)}
		default:
			op = fsm.Op{Kind: fsm.OpLocal, Local: s.local(e, args)}
			if e.Name == "select" {
				if n, err := parseDB(args[1]); err == "" {
					db = n
				}
			}
		}
		ops = append(ops, op)
	}
	return ops, writes
}

// errLoadInTx: what ACL LOAD does is done before its transaction, which then may do
// nothing, or have changed users before.
const errLoadInTx reply.Error = "ERR ACL LOAD can't be in a transaction that watches keys or changes users"

// refusedInTx returns an op that only answers that a queued command is not executed.
func refusedInTx(e *entry, err reply.Error) fsm.Op {
	return fsm.Op{Kind: fsm.OpLocal, Local: func(out *reply.Writer) {
		e.stats.Rejected()
		out.Error(err)
	}}
}

// local returns what executes a session command inside a transaction.
func (s *Session) local(e *entry, args [][]byte) func(*reply.Writer) {
	return func(out *reply.Writer) {
		before, mark := s.srv.elapsed(), out.Mark()
		if e.row.waits {
			out.Error(errNoClusterBlock)
		} else {
			e.row.do(s, &request{args: args, out: out, inTx: true})
		}
		e.tookInTx(s, args, out.Bytes()[mark:], s.srv.elapsed()-before)
	}
}

// lookAhead executes a session command that looks at the data before the
// transaction does, or takes its time, and returns what gives its reply in it:
// when INFO rides in a transaction, it does not tell of that transaction's writes.
func (s *Session) lookAhead(e *entry, args [][]byte, db int) func(*reply.Writer) {
	early := reply.NewWriter(s.proto, nil)
	before := s.srv.elapsed()
	e.row.do(s, &request{args: args, out: early, inTx: true, db: db})
	took := s.srv.elapsed() - before
	return func(out *reply.Writer) {
		out.Raw(early.Bytes())
		e.tookInTx(s, args, early.Bytes(), took)
	}
}

// parseDB returns the database that SELECT's argument names.
func parseDB(arg []byte) (int, reply.Error) {
	return call.ParseDB(arg, engine.Databases)
}
