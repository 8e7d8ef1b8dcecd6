// Package fsm is the state machine that raft drives: it takes log entries to
// the engine and the replies to the connections of this node.
//
// # Origins
//
// Every life of a node's sequencer is an origin: a node id and an incarnation.
// An origin numbers its batches 1, 2, 3 ... and sends each as often as it must.
// The state holds for each node the incarnation in force and the last batch
// applied, so that a batch takes effect once and in order whatever is resent.
//
// # Who is answered
//
// All nodes execute every batch; the node whose origin it is owes the replies,
// and gives them from this very execution.
package fsm

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/engine/waiting"
	"github.com/quorate/quorate/fsm/entry"
)

// expirePerEntry bounds the due keys that one log entry deletes. It is the
// same on all nodes and must not change without a new semantic version.
const expirePerEntry = 256

// unreadMax bounds in bytes what one connection is owed when a read that rides
// among its writes is executed; beyond it the read is refused. The session sees
// to it that it seldom comes to that.
const unreadMax = 256 << 20

// Origin is this node's sequencer. Its methods are called while an entry is
// applied; they must not block.
type Origin interface {
	// Take hands over the batch that is being applied. It returns nil when
	// nobody waits for it: it was sent by an earlier life, or given up.
	Take(incarnation, seq uint64) *Pending
	// Gap tells that a batch of the incarnation in force came out of order
	// and was skipped: all after last must be sent again.
	Gap(incarnation, last uint64)
	// Registered tells which incarnation of this node is in force from now on.
	Registered(incarnation uint64)
	// Restored tells that a snapshot has replaced the state: batches up to
	// last of that incarnation have been applied, and their replies are lost.
	Restored(incarnation, last uint64)
	// Drop asks for an item of the log that ends the wait of a waiter of this node,
	// for which no client waits any more.
	Drop(waiter uint64)
	// Again submits an op once more, which its connection still waits for.
	Again(conn Conn, op Op)
}

// Options say how an FSM is tied to its node.
type Options struct {
	Engine *engine.Engine
	// Node is this node's id.
	Node entry.NodeID
	// Origin is this node's sequencer.
	Origin Origin
	// Applying is told up to which index clients may have seen the state from
	// now on: before the first reply of an entry is written, and before a
	// snapshot replaces the state. It may be nil.
	Applying func(index uint64)
	// Applied is told up to which index of the log entries have been applied.
	Applied func(index uint64)
	// Restored is told that a snapshot has replaced the state, which is now as
	// of index.
	Restored func(index uint64)
	// Checked is told what a leader's chain of changes was and what this node's
	// was at the same index. It must not block.
	Checked func(Check)
	// Recount is told that all nodes are to count the keys of the state as of
	// index, which freeze gives. It must not block, and the snapshot is its to
	// close. There is none while another is open.
	Recount func(index uint64, freeze func() (*engine.Snapshot, error))
	// Genesis is told the cluster's identity when it becomes known.
	Genesis func(entry.Genesis)
	// Fatal ends the process: the state can't be trusted any more. It does
	// not return.
	Fatal func(error)
	// Wall returns the time for replies that count with it. Default: the
	// system's clock.
	Wall func() time.Time
}

// FSM applies log entries. It implements raft.BatchingFSM and
// raft.ConfigurationStore.
type FSM struct {
	opts Options

	// mu guards state against Restore and the snapshot's begin; raft itself
	// calls the FSM from one goroutine.
	mu      sync.Mutex
	state   state
	trail   trail
	waiting Waiting
	item    entry.Item // reused

	semantic atomic.Uint32 // state.semantic, for whoever does not want to wait

	duplicates atomic.Uint64
	gaps       atomic.Uint64
	refused    atomic.Uint64
}

var (
	_ raft.BatchingFSM        = (*FSM)(nil)
	_ raft.ConfigurationStore = (*FSM)(nil)
)

// New returns the FSM of an empty node.
func New(opts Options) *FSM {
	if opts.Wall == nil {
		opts.Wall = time.Now
	}
	f := &FSM{opts: opts, state: newState(), waiting: Waiting{Node: waiting.Owner(opts.Node)}}
	if opts.Origin != nil {
		f.waiting.Drop = opts.Origin.Drop
	}
	opts.Engine.Apply(f.follow)
	return f
}

// Counters are what became of batches that were not applied.
type Counters struct {
	Duplicates uint64 // had been applied before
	Gaps       uint64 // came before an earlier one
	Refused    uint64 // of a retired origin, or of no member
}

// Counters returns the counters since the start.
func (f *FSM) Counters() Counters {
	return Counters{Duplicates: f.duplicates.Load(), Gaps: f.gaps.Load(), Refused: f.refused.Load()}
}

// Apply implements raft.FSM.
func (f *FSM) Apply(log *raft.Log) any { return f.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch implements raft.BatchingFSM.
func (f *FSM) ApplyBatch(logs []*raft.Log) []any {
	f.mu.Lock()
	last := max(logs[len(logs)-1].Index, f.state.applied)
	f.applying(last)
	for _, log := range logs {
		f.applyLog(log)
	}
	f.state.applied = last
	f.mu.Unlock()
	if f.opts.Applied != nil {
		f.opts.Applied(last)
	}
	return make([]any, len(logs))
}

func (f *FSM) applying(index uint64) {
	if f.opts.Applying != nil {
		f.opts.Applying(index)
	}
}

// StoreConfiguration implements raft.ConfigurationStore: the members decide
// whose batches are taken.
func (f *FSM) StoreConfiguration(_ uint64, conf raft.Configuration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.setMembers(conf)
}

func (f *FSM) applyLog(log *raft.Log) {
	if log.Index <= f.state.applied {
		return // the state of another node was put in the place of this one's, and was further
	}
	switch log.Type {
	case raft.LogConfiguration:
		f.state.setMembers(raft.DecodeConfiguration(log.Data))
		f.opts.Engine.Apply(func(step *engine.Step) {
			f.noteMembers(step)
			f.trail.note(log.Index, step)
		})
		return
	case raft.LogCommand:
	default:
		return
	}
	e, err := entry.Decode(log.Data)
	if err != nil {
		f.opts.Fatal(fmt.Errorf("log entry %d: %w", log.Index, err))
		return
	}
	if e.Needs > SemanticMax {
		f.opts.Fatal(fmt.Errorf("log entry %d: %w", log.Index, tooNew(e.Needs)))
		return
	}
	f.opts.Engine.Apply(func(step *engine.Step) {
		step.Entry(log.Index, clockOf(&e))
		step.ExpireDue(expirePerEntry)
		if step.Ready() {
			step.Serve(&f.waiting)
		}
		step.ExpireWaiters(&f.waiting)
		err = f.applyParts(step, log.Index, &e)
		f.trail.note(log.Index, step)
	})
	if err != nil {
		f.opts.Fatal(fmt.Errorf("log entry %d: %w", log.Index, err))
	}
}

func (f *FSM) applyParts(step *engine.Step, index uint64, e *entry.Entry) error {
	for {
		kind, payload, ok, err := e.Next()
		if err != nil || !ok {
			return err
		}
		switch kind {
		case entry.PartBatch:
			err = f.applyBatch(step, payload)
		case entry.PartTick:
		case entry.PartGenesis:
			err = f.begin(step, payload)
		case entry.PartRetire:
			err = f.retire(step, payload)
		case entry.PartRaise:
			err = f.raise(step, payload)
		case entry.PartChain:
			err = f.check(payload)
		case entry.PartEvict:
			err = f.evict(step, payload)
		case entry.PartPressure:
			step.Press()
		case entry.PartRecount:
			if f.opts.Recount != nil {
				f.opts.Recount(index, step.Freeze)
			}
		default:
			err = fmt.Errorf("part of kind %d is unknown to this release: upgrade this node", kind)
		}
		if err != nil {
			return err
		}
	}
}

// begin gives the cluster its identity. Only the first one counts: a leader
// that was elected before it saw the first may have logged another.
func (f *FSM) begin(step *engine.Step, payload []byte) error {
	g, settings, err := entry.DecodeFounding(payload)
	if err != nil || f.state.genesis != (entry.Genesis{}) {
		return err
	}
	f.state.genesis = g
	step.Reset(seed.Seed{K0: g.Seed[0], K1: g.Seed[1]})
	step.Chain().Note(noteGenesis, 0, payload, nil)
	if len(settings) > 0 {
		if err := step.Set(settings); err != nil {
			return fmt.Errorf("the settings of the genesis: %w", err)
		}
	}
	if f.opts.Genesis != nil {
		f.opts.Genesis(g)
	}
	return nil
}

// retire ends the wait of the clients of a node that is out of contact: what they
// would be given would be lost.
func (f *FSM) retire(step *engine.Step, payload []byte) error {
	node, err := entry.DecodeRetire(payload)
	if err == nil {
		step.DropOwner(waiting.Owner(node), reply.ErrRetired, &f.waiting)
	}
	return err
}

// evict deletes keys for which there is no memory, for nobody here. Whoever waited for
// them to go is served.
func (f *FSM) evict(step *engine.Step, payload []byte) error {
	err := entry.DecodeEvict(payload, step.Evict)
	if step.Ready() {
		step.Serve(&f.waiting)
	}
	return err
}

func (f *FSM) applyBatch(step *engine.Step, payload []byte) error {
	b, err := entry.DecodeBatch(payload)
	if err != nil {
		return err
	}
	own := b.Node == f.opts.Node
	o, verdict := f.state.admit(b.BatchHead)
	noteBatch(step.Chain(), b.BatchHead, verdict)
	switch verdict {
	case duplicate:
		f.duplicates.Add(1)
		return nil
	case gap:
		f.gaps.Add(1)
		if own {
			f.opts.Origin.Gap(b.Incarnation, o.last)
		}
		return nil
	case refused:
		f.refused.Add(1)
		return nil
	case registered:
		if own {
			f.opts.Origin.Registered(b.Incarnation)
		}
		if !b.Inherit { // another life of the node: its clients are gone
			step.DropOwner(waiting.Owner(b.Node), reply.ErrRetired, &f.waiting)
		}
	}
	run := runner{fsm: f, step: step, origin: o, batch: &b}
	if !own {
		return run.all()
	}
	pending := f.opts.Origin.Take(b.Incarnation, b.Seq)
	if pending == nil {
		return run.all()
	}
	err = run.answering(pending)
	pending.SetAnswered()
	return err
}

// runner executes the items of one batch.
type runner struct {
	fsm     *FSM
	step    *engine.Step
	origin  *origin
	batch   *entry.Batch
	discard reply.Writer
	warmed  int // items to come whose keys are near the processor

	conn  Conn          // who is answered now
	began time.Time     // of answering
	mark  time.Duration // since began, when the last op was done: one look at the clock an op
}

// took tells who wants to know how long op took, and its reply: what out holds
// since mark.
func (r *runner) took(op *Op, args [][]byte, out *reply.Writer, mark int) {
	if op.Took == nil {
		return
	}
	now := time.Since(r.began)
	op.Took(r.conn, args, out.Bytes()[mark:], now-r.mark)
	r.mark = now
}

// all executes the items for nobody here.
func (r *runner) all() error {
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return err
		}
		r.execute(nobody, &r.discard)
		r.serve()
	}
}

// serve gives those that wait what the item has left for them.
func (r *runner) serve() {
	if !r.step.Ready() {
		return
	}
	r.step.Serve(&r.fsm.waiting)
	if r.conn != nil {
		r.mark = time.Since(r.began)
	}
}

// answering executes the items, with the reads of this node between them, and
// replies to its connections.
func (r *runner) answering(p *Pending) error {
	r.began = time.Now()
	for i := range p.Parts {
		part := &p.Parts[i]
		out := part.Conn.BeginReplies()
		r.conn, r.mark = part.Conn, time.Since(r.began)
		r.step.For(part.Conn)
		follower, follows := part.Conn.(Follower)
		answered := 0
		for j := range part.Ops {
			waits, err := r.op(&part.Ops[j], out)
			if err != nil {
				part.Conn.EndReplies(answered)
				return err
			}
			if follows {
				follower.OpDone(out)
			}
			if waits { // the last of the part
				break
			}
			r.serve()
			answered++
		}
		part.Conn.EndReplies(answered)
		// A look at a key that is due takes it away, which may concern the command that
		// waits since: its connection must be free to be answered.
		r.serve()
	}
	r.conn = nil
	r.step.For(nil)
	// Only pieces of a large command, and what drops a waiter, have no connection to
	// answer.
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return err
		}
		switch r.fsm.item.Kind {
		case entry.ItemFragment:
		case entry.ItemDrop:
			r.execute(nobody, &r.discard)
		default:
			return fmt.Errorf("batch %d of this node holds more than its connections sent", r.batch.Seq)
		}
	}
}

// op carries out what a connection wants, and reports whether that waits: it is
// answered later then.
func (r *runner) op(op *Op, out *reply.Writer) (waits bool, err error) {
	mark := out.Mark()
	switch op.Kind {
	case OpRead:
		if out.Len() > unreadMax {
			out.Error(reply.ErrTooMuchUnread)
			return false, nil
		}
		r.read(op, false, out)
		r.took(op, op.Args, out, mark)
		return false, nil
	case OpLocal:
		op.Local(out)
		return false, nil
	}
	ok, err := r.next()
	if err != nil {
		return false, err
	}
	if !ok {
		return false, fmt.Errorf("batch %d of this node holds less than its connections sent", r.batch.Seq)
	}
	waits = r.execute(op, out)
	if op.Kind == OpWrite && !waits {
		r.took(op, r.fsm.item.Commands[0].Args, out, mark)
	}
	return waits, nil
}

func (r *runner) read(op *Op, inTx bool, out *reply.Writer) {
	r.step.ReadAs(op.As, op.DB, op.Args, r.fsm.opts.Wall().UnixMilli(), rand.Uint64(), inTx, out)
}

// next decodes the next item into fsm.item. The last of several fragments
// turns into the item that they are.
func (r *runner) next() (ok bool, err error) {
	if r.warmed == 0 {
		r.warmed = r.batch.Ahead(r.step.Expect)
		r.step.Warm()
	}
	r.warmed = max(0, r.warmed-1)
	it := &r.fsm.item
	if ok, err = r.batch.Next(it); err != nil || !ok {
		return ok, err
	}
	switch it.Kind {
	case entry.ItemFragment:
		r.origin.fragments = append(r.origin.fragments, it.Piece...)
		r.step.Chain().Note(noteFragment, 0, it.Piece, nil)
	case entry.ItemLastFragment:
		whole := append(r.origin.fragments, it.Piece...)
		r.origin.fragments = nil
		err = entry.DecodeItem(whole, it)
	}
	return true, err
}

// nobody is the Op of an item that nobody here has sent.
var nobody = new(Op)

// execute carries out fsm.item, and reports whether it waits. op is what the connection
// sent of it, if it waits here.
func (r *runner) execute(op *Op, out *reply.Writer) (waits bool) {
	it := &r.fsm.item
	as := call.As{User: it.User, Born: it.Born, Denied: op.As.Denied, NoTouch: op.As.NoTouch}
	switch it.Kind {
	case entry.ItemCommand:
		r.step.DoAs(as, it.Commands[0].DB, it.Commands[0].Args, false, out)
	case entry.ItemWaiting:
		return r.fsm.waiting.Do(r.step, waiting.Owner(r.batch.Node), as, it.Commands[0], r.conn, op, out)
	case entry.ItemDrop:
		r.step.Drop(it.Waiter)
		r.fsm.waiting.dropped(it.Waiter)
	case entry.ItemUnblock:
		out.Flag(r.step.Unblock(it.Waiter, it.Failed, &r.fsm.waiting))
	case entry.ItemSettings:
		if err := r.step.Set(it.Commands[0].Args); err != nil {
			out.Error(reply.Error("ERR " + err.Error()))
			return false
		}
		out.OK()
	case entry.ItemTx:
		r.transaction(as, op.Tx, out)
	}
	return false
}

// transaction carries out fsm.item. tx is what the connection sent, or nil.
func (r *runner) transaction(as call.As, tx *Tx, out *reply.Writer) {
	defer r.step.EndUnit()
	it := &r.fsm.item
	for _, c := range it.Commands {
		if r.step.Refuses(c.Args) {
			out.Error(reply.ErrExecOOM)
			return
		}
	}
	for _, w := range it.Watches {
		if r.step.Version(w.DB, w.Key) != w.Version {
			if tx != nil {
				tx.Aborted = true
			}
			out.NullArray()
			return
		}
	}
	if tx == nil {
		for _, c := range it.Commands {
			r.step.DoAs(as, c.DB, c.Args, true, out)
		}
		return
	}
	out.Array(len(tx.Ops))
	logged := it.Commands
	for i := range tx.Ops {
		mark := out.Mark()
		switch op := &tx.Ops[i]; op.Kind {
		case OpRead:
			r.read(op, true, out)
			r.took(op, op.Args, out, mark)
		case OpLocal:
			op.Local(out)
		default:
			r.step.DoAs(as, logged[0].DB, logged[0].Args, true, out)
			r.took(op, logged[0].Args, out, mark)
			logged = logged[1:]
		}
	}
}
