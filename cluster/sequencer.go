package cluster

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// The sequencer turns what this node's connections want done into numbered
// batches, and sees to it that each takes effect exactly once or that its
// clients are told that nobody knows.
//
// The naive way is to hand each command to raft and wait. It costs an entry and
// an fsync a command, and a change of leader leaves the client with an error
// for a command that may have been applied.
//
// Two invariants instead:
//
//  1. Batches of one incarnation are numbered without gaps in the order in
//     which their commands came in, and the FSM applies each number once. So
//     sending again is always safe, and is the cure for every doubt about the
//     way to the leader.
//  2. A command that left in a batch is answered by this node's own apply of
//     that batch, or with INDOUBT; a command that never left may be answered
//     with a definite error.
//
// In five steps:
//
//   - Submit copies commands into the youngest batch of the queue.
//   - When a slot is free (one batch in flight) the oldest batch gets the next
//     number and goes to the leader.
//   - The own apply takes the batch (Take), answers, and frees the slot.
//   - A change of leader, a new connection to it, a gap, or silence: everything
//     in flight is sent again, in order.
//   - After writeTimeout without progress the incarnation is given up: what was
//     in flight is in doubt. The next incarnation registers with an empty first
//     batch, which settles the doubt: nothing of the old one applies after it.
const (
	// batchBytesMax bounds a batch, unless a single command is larger.
	batchBytesMax = 1<<20 - 4096
	// inFlightMax is the number of batches on their way. The slot is the
	// batching window: more would dilute the batches.
	inFlightMax = 1
	// lingerMax bounds the wait for fuller batches, and lingerFrom is how many
	// active connections make it worth while. docs/benchmarks.md has figures.
	lingerMax     = time.Millisecond
	lingerStep    = 50 * time.Microsecond
	lingerFrom    = 8
	lingerRestMax = 16 // batches
	// queueBytesMax bounds what waits for the slot. Submit waits beyond it.
	queueBytesMax = 64 << 20
	// leaderWait is how long commands wait for a leader before they are
	// refused: client libraries give up after two to five seconds.
	leaderWait = 1500 * time.Millisecond
	// resendAfter is how long a batch may be on its way before it is sent
	// again unasked.
	resendAfter = time.Second
	// commandBytesMax is the size of the largest command, with all arguments.
	commandBytesMax = 512<<20 + 1<<20
)

// errNoRoute means that a batch can't be sent now: no leader is known, or there
// is no connection to it.
var errNoRoute = errors.New("cluster: no way to the leader")

// sender is the way to the leader.
type sender interface {
	// send passes encoded batches on, in order, without waiting. After an
	// error none of the later ones has gone; the sequencer is woken when the
	// way is open again.
	send(batch []byte) error
	// leaderKnown reports whether there is a leader to send to.
	leaderKnown() bool
}

// batch is what connections submitted at about the same time.
type batch struct {
	items []byte
	parts []part
	seq   uint64    // 0 until it is sent for the first time
	sent  time.Time // the last time
	wire  []byte    // head and items, as sent
	// piece is set on the pieces of a command that is too large for one
	// batch: nothing may join them.
	piece bool
}

// part is what one connection has in a batch.
type part struct {
	fsm.Part
	itemsEnd int // where its items end in the batch
	since    time.Time
	refused  reply.Error // not submitted: the answer, when its turn comes
}

// sequencer is this node's origin. It implements fsm.Origin.
type sequencer struct {
	node    entry.NodeID
	way     sender
	timeout time.Duration // write-timeout
	persist func(incarnation uint64) error
	fatal   func(error)
	now     func() time.Time
	pause   func(time.Duration)

	lingerRest int // of run's goroutine; batches until it waits again

	mu          sync.Mutex
	room        sync.Cond // on mu: queueBytes fell, or the sequencer closed
	incarnation uint64    // guarded by mu
	lastSeq     uint64    // guarded by mu; of the newest batch sent
	queue       []*batch  // guarded by mu; not sent yet, oldest first
	queueBytes  int       // guarded by mu; items of queue
	inFlight    []*batch  // guarded by mu; sent and not applied, oldest first
	active      int       // guarded by mu; connections answered or waiting when a batch was last applied
	resend      bool      // guarded by mu; all in flight must go again
	settled     chan struct{}
	progress    time.Time // guarded by mu; when a batch was last applied, or the first of inFlight sent
	leaderSeen  time.Time // guarded by mu; when a leader was last known
	closed      bool      // guarded by mu
	counters    sequencerCounters

	doubtful atomic.Bool // an incarnation was given up and settled is not closed yet

	wake chan struct{}
	done chan struct{}
}

type sequencerCounters struct {
	batches, commands, resends, givenUp, refused uint64
}

// newSequencer returns a sequencer of that incarnation, which has been
// persisted. Its first batch is empty: it retires what an earlier life of the
// node has left.
func newSequencer(node entry.NodeID, incarnation uint64, way sender, timeout time.Duration, now func() time.Time) *sequencer {
	s := &sequencer{
		node: node, way: way, timeout: timeout, now: now, pause: nap,
		incarnation: incarnation, settled: make(chan struct{}), leaderSeen: now(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.room.L = &s.mu
	s.queue = append(s.queue, &batch{piece: true})
	return s
}

// run sends batches until close. It is the one goroutine that sends.
func (s *sequencer) run() {
	defer close(s.done)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
			s.gather()
		case <-tick.C:
		}
		s.mu.Lock()
		if s.closed {
			s.refuseAllLocked(reply.ErrNoLeader)
			s.mu.Unlock()
			return
		}
		s.step(s.now())
		s.mu.Unlock()
	}
}

// gather waits a moment, if the slot is free, for the connections that were
// just answered: their clients are busy with the replies, and the next commands
// of all of them in one entry cost a fraction of what they cost in two. It does
// not wait for few, nor once nearly all are there; and not for a while after a
// wait that was in vain, as it is for clients that think between commands.
func (s *sequencer) gather() {
	if s.lingerRest > 0 {
		s.lingerRest--
		return
	}
	for began := s.now(); ; s.pause(lingerStep) {
		s.mu.Lock()
		here, active := s.waitingLocked(), s.active
		busy := len(s.inFlight) >= inFlightMax
		s.mu.Unlock()
		if busy || here == 0 || active < lingerFrom || here*10 >= active*9 {
			return
		}
		if s.now().Sub(began) >= lingerMax {
			if here*2 < active {
				s.lingerRest = lingerRestMax
			}
			return
		}
	}
}

// nap sleeps for less than the millisecond to which the runtime rounds the
// timers of a process that is otherwise idle.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // a signal ends it early: so be it
}

// waitingLocked returns how many connections wait for the next batch.
func (s *sequencer) waitingLocked() int {
	if len(s.queue) == 0 {
		return 0
	}
	return len(s.queue[0].parts)
}

// close ends the sequencer. What was never sent is refused; what is in flight
// is in doubt.
func (s *sequencer) close() {
	s.mu.Lock()
	s.closed = true
	s.doubtAllLocked("the node is shutting down")
	s.mu.Unlock()
	s.room.Broadcast()
	s.kick()
	<-s.done
}

func (s *sequencer) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sendAgain makes everything in flight go to the leader again: it has changed,
// or the connection to it is new.
func (s *sequencer) sendAgain() {
	s.mu.Lock()
	s.resend = true
	s.mu.Unlock()
	s.kick()
}

// step does what is due at now. It needs mu.
func (s *sequencer) step(now time.Time) {
	known := s.way.leaderKnown()
	if known {
		s.leaderSeen = now
	} else if now.Sub(s.leaderSeen) > leaderWait {
		s.refuseWaitingLocked(now)
	}
	if s.someoneWaitsLocked() && now.Sub(s.progress) > s.timeout {
		s.giveUpLocked(now)
	}
	if !known {
		return
	}
	if len(s.inFlight) == 0 {
		s.resend = false
	} else if s.resend || now.Sub(s.inFlight[0].sent) > resendAfter {
		s.resend = false
		for _, b := range s.inFlight {
			s.counters.resends++
			b.sent = now
			if s.way.send(b.wire) != nil {
				s.resend = true
				return
			}
		}
	}
	for !s.resend && len(s.inFlight) < inFlightMax && len(s.queue) > 0 {
		s.dispatchLocked(now)
	}
}

// someoneWaitsLocked reports whether a client waits for a batch in flight.
func (s *sequencer) someoneWaitsLocked() bool {
	for _, b := range s.inFlight {
		if len(b.parts) > 0 {
			return true
		}
	}
	return false
}

// dispatchLocked gives the oldest batch of the queue its number and sends it.
func (s *sequencer) dispatchLocked(now time.Time) {
	b := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.queueBytes -= len(b.items)
	s.room.Broadcast()
	s.lastSeq++
	b.seq, b.sent = s.lastSeq, now
	head := entry.BatchHead{Node: s.node, Incarnation: s.incarnation, Seq: b.seq, Inherit: b.seq == 1 && s.counters.givenUp > 0}
	b.wire = append(entry.AppendBatchHead(make([]byte, 0, 64+len(b.items)), head), b.items...)
	b.items = nil
	if len(s.inFlight) == 0 {
		s.progress = now
	}
	s.inFlight = append(s.inFlight, b)
	s.counters.batches++
	if s.way.send(b.wire) != nil {
		s.resend = true
	}
}

// Submit queues the Ops of one connection. See session.Cluster.
func (s *sequencer) Submit(req *fsm.Request) {
	s.mu.Lock()
	deadline := s.now().Add(leaderWait)
	full := false
	for s.queueBytes > queueBytesMax && !s.closed && !full {
		full = s.now().After(deadline)
		if !full {
			s.room.Wait()
		}
	}
	switch {
	case s.closed:
		s.mu.Unlock()
		answer(fsm.Part{Conn: req.Conn, Ops: req.Ops}, func(*fsm.Op) reply.Error { return reply.ErrNoLeader })
		return
	case full:
		s.refuseInTurnLocked(req.Conn, req.Ops, reply.ErrBusyQueue)
	default:
		s.enqueueLocked(req)
	}
	free := len(s.inFlight) < inFlightMax
	s.mu.Unlock()
	if free { // else Take wakes the sender
		s.kick()
	}
}

// enqueueLocked puts req's Ops into batches, as many as fit into each.
func (s *sequencer) enqueueLocked(req *fsm.Request) {
	now := s.now()
	ops := req.Ops
	for len(ops) > 0 {
		if size := opSize(&ops[0]); size > batchBytesMax {
			s.enqueueLargeLocked(req.Conn, ops[:1], size, now)
			ops = ops[1:]
			continue
		}
		b := s.youngestLocked()
		before, n := len(b.items), 0
		for n < len(ops) && (len(b.items) == before || len(b.items)+opSize(&ops[n]) <= batchBytesMax) && opSize(&ops[n]) <= batchBytesMax {
			b.items = appendOp(b.items, &ops[n])
			n++
		}
		s.queueBytes += len(b.items) - before
		s.counters.commands += uint64(n)
		b.parts = append(b.parts, part{Part: fsm.Part{Conn: req.Conn, Ops: ops[:n:n]}, itemsEnd: len(b.items), since: now})
		ops = ops[n:]
	}
}

// youngestLocked returns the batch that takes the next commands.
func (s *sequencer) youngestLocked() *batch {
	if n := len(s.queue); n > 0 && !s.queue[n-1].piece && len(s.queue[n-1].items) < batchBytesMax {
		return s.queue[n-1]
	}
	b := new(batch)
	s.queue = append(s.queue, b)
	return b
}

// enqueueLargeLocked queues a command that is larger than a batch in pieces,
// each a batch of its own.
func (s *sequencer) enqueueLargeLocked(conn fsm.Conn, op []fsm.Op, size int, now time.Time) {
	if size > commandBytesMax {
		s.refuseInTurnLocked(conn, op, reply.ErrTooLarge)
		return
	}
	whole := appendOp(make([]byte, 0, size+64), &op[0])
	s.counters.commands++
	for len(whole) > 0 {
		n := min(len(whole), batchBytesMax)
		b := &batch{piece: true, items: entry.AppendFragment(nil, whole[:n], n == len(whole))}
		if whole = whole[n:]; len(whole) == 0 {
			b.parts = []part{{Part: fsm.Part{Conn: conn, Ops: op}, itemsEnd: len(b.items), since: now}}
		}
		s.queue = append(s.queue, b)
		s.queueBytes += len(b.items)
	}
}

// refuseInTurnLocked queues a definite error behind what the connection has
// queued before: replies come in the order of the commands.
func (s *sequencer) refuseInTurnLocked(conn fsm.Conn, ops []fsm.Op, why reply.Error) {
	b := s.youngestLocked()
	b.parts = append(b.parts, part{Part: fsm.Part{Conn: conn, Ops: refusedOps(ops, why)}, itemsEnd: len(b.items), since: s.now(), refused: why})
	s.counters.refused += uint64(len(ops))
}

// refusedOps returns Ops that answer with why, in the place of ops.
func refusedOps(ops []fsm.Op, why reply.Error) []fsm.Op {
	refused := make([]fsm.Op, len(ops))
	for i := range refused {
		refused[i] = fsm.Op{Kind: fsm.OpLocal, Local: func(out *reply.Writer) { out.Error(why) }}
	}
	return refused
}

// opSize returns about how many bytes an Op takes in the log, never less.
func opSize(op *fsm.Op) int {
	const perArg, perOp = 10, 32
	size := perOp
	switch op.Kind {
	case fsm.OpWrite, fsm.OpSettings:
		for _, arg := range op.Args {
			size += len(arg) + perArg
		}
	case fsm.OpTx:
		for _, w := range op.Tx.Watches {
			size += len(w.Key) + perOp
		}
		for i := range op.Tx.Ops {
			size += opSize(&op.Tx.Ops[i])
		}
	}
	return size
}

// appendOp encodes what of an Op goes into the log, and makes the rest of it
// independent of the connection's read buffer.
func appendOp(dst []byte, op *fsm.Op) []byte {
	switch op.Kind {
	case fsm.OpWrite:
		dst = entry.AppendCommand(dst, op.DB, op.Args)
		op.Args = nil
	case fsm.OpSettings:
		dst = entry.AppendSettings(dst, op.Args)
		op.Args = nil
	case fsm.OpRead:
		op.Args = cloneArgs(op.Args)
	case fsm.OpTx:
		writes := 0
		for i := range op.Tx.Ops {
			if op.Tx.Ops[i].Kind == fsm.OpWrite {
				writes++
			}
		}
		dst = entry.AppendTxHead(dst, len(op.Tx.Watches), writes)
		for _, w := range op.Tx.Watches {
			dst = entry.AppendTxWatch(dst, w.DB, w.Key, w.Version)
		}
		for i := range op.Tx.Ops {
			switch c := &op.Tx.Ops[i]; c.Kind {
			case fsm.OpWrite:
				dst = entry.AppendTxCommand(dst, c.DB, c.Args)
				c.Args = nil
			case fsm.OpRead:
				c.Args = cloneArgs(c.Args)
			}
		}
	}
	return dst
}

func cloneArgs(args [][]byte) [][]byte {
	size := 0
	for _, arg := range args {
		size += len(arg)
	}
	flat := make([]byte, 0, size)
	clone := make([][]byte, len(args))
	for i, arg := range args {
		flat = append(flat, arg...)
		clone[i] = flat[len(flat)-len(arg) : len(flat) : len(flat)]
	}
	return clone
}

// Take implements fsm.Origin.
func (s *sequencer) Take(incarnation, seq uint64) *fsm.Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if incarnation != s.incarnation || len(s.inFlight) == 0 || s.inFlight[0].seq != seq {
		return nil
	}
	b := s.inFlight[0]
	s.inFlight = s.inFlight[1:]
	s.active = len(b.parts) + s.waitingLocked()
	s.progress = s.now()
	if seq == 1 {
		s.settleLocked()
	}
	s.kick()
	p := &fsm.Pending{Parts: make([]fsm.Part, len(b.parts))}
	for i := range b.parts {
		p.Parts[i] = b.parts[i].Part
	}
	return p
}

// Gap implements fsm.Origin.
func (s *sequencer) Gap(incarnation, _ uint64) {
	s.mu.Lock()
	if incarnation == s.incarnation {
		s.resend = true
	}
	s.mu.Unlock()
	s.kick()
}

// Registered implements fsm.Origin.
func (s *sequencer) Registered(incarnation uint64) { s.checkOvertaken(incarnation) }

// Refused implements fsm.Origin.
func (s *sequencer) Refused(incarnation, inForce uint64) {
	if incarnation != 0 && inForce != 0 {
		s.checkOvertaken(inForce)
	}
}

func (s *sequencer) checkOvertaken(inForce uint64) {
	s.mu.Lock()
	current := s.incarnation
	s.mu.Unlock()
	if inForce > current {
		s.fatal(fmt.Errorf("another process runs as this node (%s): its incarnation %d is in force, ours is %d: a data directory must not be copied to a second node", s.node, inForce, current))
	}
}

// Restored implements fsm.Origin.
func (s *sequencer) Restored(incarnation, last uint64) {
	s.checkOvertaken(incarnation)
	s.mu.Lock()
	var lost []*batch
	for incarnation == s.incarnation && len(s.inFlight) > 0 && s.inFlight[0].seq <= last {
		if s.inFlight[0].seq == 1 {
			s.settleLocked()
		}
		lost = append(lost, s.inFlight[0])
		s.inFlight = s.inFlight[1:]
	}
	s.resend = true
	s.progress = s.now()
	s.mu.Unlock()
	for _, b := range lost {
		doubt(b, "the node caught up by a snapshot, in which the write is applied but its reply is not")
	}
	s.kick()
}

// settleLocked notes that the first batch of the incarnation has been applied:
// nothing of an earlier one can be any more.
func (s *sequencer) settleLocked() {
	close(s.settled)
	s.doubtful.Store(false)
}

// inDoubt reports whether this node has answered INDOUBT for something that
// may still take effect.
func (s *sequencer) inDoubt() bool { return s.doubtful.Load() }

// settledNow returns a channel that is closed once nothing that this node has
// answered with INDOUBT can still take effect.
func (s *sequencer) settledNow() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

// giveUpLocked ends the incarnation: nobody can tell what became of the
// batches in flight.
func (s *sequencer) giveUpLocked(now time.Time) {
	next := s.incarnation + 1
	if err := s.persist(next); err != nil {
		s.fatal(fmt.Errorf("persist incarnation %d: %w", next, err))
		return
	}
	select {
	case <-s.settled:
		s.settled = make(chan struct{})
	default: // the incarnation given up has not settled the one before
	}
	s.doubtful.Store(true)
	s.doubtAllLocked(fmt.Sprintf("no majority confirmed the write within %v", s.timeout))
	s.incarnation, s.lastSeq, s.progress = next, 0, now
	s.counters.givenUp++
	s.queue = append([]*batch{{piece: true}}, s.queue...)
	s.dropPiecesLocked()
}

// dropPiecesLocked takes the rest of a large command off the queue whose first
// pieces went with the incarnation given up.
func (s *sequencer) dropPiecesLocked() {
	for len(s.queue) > 1 && s.queue[1].piece {
		b := s.queue[1]
		s.queue = append(s.queue[:1], s.queue[2:]...)
		s.queueBytes -= len(b.items)
		if len(b.parts) > 0 {
			doubt(b, "no majority confirmed the write in time")
			return
		}
	}
}

func (s *sequencer) doubtAllLocked(why string) {
	for _, b := range s.inFlight {
		doubt(b, why)
	}
	s.inFlight = nil
}

// refuseAllLocked refuses everything that has not been sent.
func (s *sequencer) refuseAllLocked(why reply.Error) {
	for _, b := range s.queue {
		for i := range b.parts {
			answer(b.parts[i].Part, func(*fsm.Op) reply.Error { return why })
		}
	}
	s.queue, s.queueBytes = nil, 0
	s.room.Broadcast()
}

// refuseWaitingLocked refuses what has waited too long for a leader. What
// belongs to a connection with something in flight waits on: its replies come
// in order.
func (s *sequencer) refuseWaitingLocked(now time.Time) {
	busy := make(map[fsm.Conn]bool)
	for _, b := range s.inFlight {
		for i := range b.parts {
			busy[b.parts[i].Conn] = true
		}
	}
	kept := s.queue[:0]
	for _, b := range s.queue {
		s.refusePartsLocked(b, busy, now)
		if b.seq == 0 && (len(b.parts) > 0 || b.piece) {
			kept = append(kept, b)
		}
	}
	s.queue = kept
	s.room.Broadcast()
}

// refusePartsLocked answers the parts of b that have waited too long and takes
// their items out.
func (s *sequencer) refusePartsLocked(b *batch, busy map[fsm.Conn]bool, now time.Time) {
	if b.piece {
		for i := range b.parts {
			busy[b.parts[i].Conn] = true // a large command waits as a whole
		}
		return
	}
	items, start := b.items[:0:0], 0
	var kept []part
	for _, p := range b.parts {
		own := b.items[start:p.itemsEnd]
		start = p.itemsEnd
		if !busy[p.Conn] && now.Sub(p.since) > leaderWait {
			answer(p.Part, func(*fsm.Op) reply.Error { return reply.ErrNoLeader })
			s.counters.refused += uint64(len(p.Ops))
			continue
		}
		busy[p.Conn] = true
		items = append(items, own...)
		p.itemsEnd = len(items)
		kept = append(kept, p)
	}
	s.queueBytes -= len(b.items) - len(items)
	b.items, b.parts = items, kept
}

// doubt answers all of a batch that was sent and whose outcome is unknown.
// Reads among it were not executed, and are told so.
func doubt(b *batch, why string) {
	for i := range b.parts {
		p := &b.parts[i]
		answer(p.Part, func(op *fsm.Op) reply.Error {
			switch {
			case p.refused != "":
				return p.refused
			case op.Kind == fsm.OpRead || op.Kind == fsm.OpLocal:
				return reply.ErrReadInDoubt
			}
			return reply.InDoubt(why)
		})
	}
}

// answer gives each Op of a part the error that why chooses.
func answer(p fsm.Part, why func(*fsm.Op) reply.Error) {
	out := p.Conn.BeginReplies()
	for i := range p.Ops {
		out.Error(why(&p.Ops[i]))
	}
	p.Conn.EndReplies(len(p.Ops))
}
