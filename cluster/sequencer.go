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
	// open reports whether there is a way to a leader now.
	open() bool
}

// batch is what connections submitted at about the same time.
type batch struct {
	items []byte
	parts []part
	seq   uint64    // 0 until it is sent for the first time
	sent  time.Time // the last time
	wire  []byte    // head and items, as sent
	bytes int       // of memory that its parts hold, about; it bounds items too

	// piece is set on the pieces of a command that is too large for one
	// batch: nothing may join them. more is set on all but the last piece.
	piece, more bool

	// drops are waiters whose clients have gone: their items come last, and were put
	// in when it was sent.
	drops []uint64
}

// part is what one connection has in a batch.
type part struct {
	fsm.Part
	itemsEnd int // where its items end in the batch
	bytes    int // as the batch's
	since    time.Time
	refused  reply.Error // not submitted: the answer, when its turn comes
}

// sequencer is this node's origin. It implements fsm.Origin.
type sequencer struct {
	node    entry.NodeID
	way     sender
	timeout time.Duration // write-timeout
	// leaderWait is how long commands wait for a leader before they are
	// refused (no-leader-wait): client libraries give up after two to five
	// seconds.
	leaderWait time.Duration
	persist    func(incarnation uint64) error
	fatal      func(error)
	now        func() time.Time
	pause      func(time.Duration)

	lingerRest int // of run's goroutine; batches until it waits again

	mu          sync.Mutex
	room        sync.Cond // on mu: queueBytes fell, or the sequencer closed
	incarnation uint64    // guarded by mu
	lastSeq     uint64    // guarded by mu; of the newest batch sent
	queue       []*batch  // guarded by mu; not sent yet, oldest first
	queueBytes  int       // guarded by mu; sum of bytes over queue
	inFlight    []*batch  // guarded by mu; sent and not applied, oldest first
	active      int       // guarded by mu; connections answered or waiting when a batch was last applied
	midway      bool      // guarded by mu; the newest batch sent was a piece, and the next of queue is too
	resend      bool      // guarded by mu; all in flight must go again
	// taken is what the FSM took last. Until it is answered nobody else may
	// answer a connection: replies come in order.
	taken      *fsm.Pending // guarded by mu; may be nil
	settled    chan struct{}
	progress   time.Time // guarded by mu; when a batch was last applied, or the first of inFlight sent
	leaderSeen time.Time // guarded by mu; when there was last a way to a leader
	closed     bool      // guarded by mu
	// registered: an incarnation of this process has been in force. From then on all that
	// waits in the name of this node waits for clients of this process, and the next
	// incarnation inherits it; before, it waits for those of a process that has ended.
	registered bool            // guarded by mu
	drops      map[uint64]bool // guarded by mu; waiters whose clients have gone, and which no batch drops yet
	counters   sequencerCounters

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
func newSequencer(node entry.NodeID, incarnation uint64, way sender, timeout, leaderWait time.Duration, now func() time.Time) *sequencer {
	s := &sequencer{
		node: node, way: way, timeout: timeout, leaderWait: leaderWait, now: now, pause: nap,
		incarnation: incarnation, drops: make(map[uint64]bool), settled: make(chan struct{}), leaderSeen: now(),
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
	s.awaitAnsweredLocked()
	s.closed = true
	s.doubtAllLocked("the node is shutting down")
	s.refuseAllLocked(reply.ErrNoLeader)
	s.mu.Unlock()
	s.kick()
	<-s.done
}

// awaitAnsweredLocked waits for the replies that the FSM is writing, for a
// bounded time: commands do not take longer than that.
func (s *sequencer) awaitAnsweredLocked() {
	const longest = 5 * time.Second
	for began := s.now(); s.answeringLocked() && s.now().Sub(began) < longest; {
		s.mu.Unlock()
		s.pause(time.Millisecond)
		s.mu.Lock()
	}
}

// answeringLocked reports whether the FSM is writing replies.
func (s *sequencer) answeringLocked() bool { return s.taken != nil && !s.taken.Answered() }

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
	open := s.way.open()
	if open {
		s.leaderSeen = now
	}
	if s.answeringLocked() {
		s.progress = now
	} else {
		s.loseHopeLocked(now)
	}
	if s.queueBytes > queueBytesMax {
		s.room.Broadcast() // who waits in Submit looks at the time
	}
	if !open {
		return
	}
	if len(s.inFlight) == 0 {
		s.resend = false
	} else if s.resend || now.Sub(s.inFlight[0].sent) > resendAfter {
		s.resend = false
		for _, b := range s.inFlight {
			s.counters.resends++
			b.sent = now
			if s.way.send(resent(b.wire)) != nil {
				s.resend = true
				return
			}
		}
	}
	if len(s.queue) == 0 && len(s.drops) > 0 {
		s.queue = append(s.queue, new(batch))
	}
	for !s.resend && len(s.inFlight) < inFlightMax && len(s.queue) > 0 {
		if s.queue[0].refused() && len(s.drops) == 0 && len(s.inFlight) == 0 {
			if s.answeringLocked() {
				return // the next tick is soon enough for a refusal
			}
			s.refuseHeadLocked()
			continue
		}
		s.dispatchLocked(now)
	}
}

// dispatchLocked gives the oldest batch of the queue its number and sends it.
func (s *sequencer) dispatchLocked(now time.Time) {
	b := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.queueBytes -= b.bytes
	s.room.Broadcast()
	s.lastSeq++
	s.midway = b.more
	s.addDropsLocked(b)
	b.seq, b.sent = s.lastSeq, now
	head := entry.BatchHead{Node: s.node, Incarnation: s.incarnation, Seq: b.seq, Inherit: b.seq == 1 && s.registered}
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
	deadline := s.now().Add(s.leaderWait)
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
		size := opSize(&ops[0])
		if size > batchBytesMax && logged(&ops[0]) {
			s.enqueueLargeLocked(req.Conn, ops[:1], size, now)
			ops = ops[1:]
			continue
		}
		b := s.youngestLocked(size)
		n, bytes := 0, 0
		for {
			b.items = appendOp(b.items, &ops[n])
			bytes += size
			if n++; n == len(ops) {
				break
			}
			if size = opSize(&ops[n]); b.bytes+bytes+size > batchBytesMax {
				break
			}
		}
		b.bytes += bytes
		s.queueBytes += bytes
		s.counters.commands += uint64(n)
		b.parts = append(b.parts, part{Part: fsm.Part{Conn: req.Conn, Ops: ops[:n:n]}, itemsEnd: len(b.items), bytes: bytes, since: now})
		ops = ops[n:]
	}
}

// youngestLocked returns the batch that takes the next commands, of which the
// first has that size.
func (s *sequencer) youngestLocked(size int) *batch {
	if n := len(s.queue); n > 0 && !s.queue[n-1].piece {
		if b := s.queue[n-1]; b.bytes == 0 || b.bytes+size <= batchBytesMax {
			return b
		}
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
		last := n == len(whole)
		b := &batch{piece: true, more: !last, items: entry.AppendFragment(nil, whole[:n], last)}
		b.bytes = len(b.items)
		if last {
			b.parts = []part{{Part: fsm.Part{Conn: conn, Ops: op}, itemsEnd: len(b.items), bytes: b.bytes, since: now}}
		}
		whole = whole[n:]
		s.queue = append(s.queue, b)
		s.queueBytes += b.bytes
	}
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
	s.registered = true
	s.kick()
	p := &fsm.Pending{Parts: make([]fsm.Part, len(b.parts))}
	for i := range b.parts {
		p.Parts[i] = b.parts[i].Part
	}
	s.taken = p
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
	s.registered = s.registered || incarnation == s.incarnation
	for incarnation == s.incarnation && len(s.inFlight) > 0 && s.inFlight[0].seq <= last {
		if s.inFlight[0].seq == 1 {
			s.settleLocked()
		}
		doubt(s.inFlight[0], "the node caught up by a snapshot, in which the write is applied but its reply is not")
		s.inFlight = s.inFlight[1:]
	}
	s.resend = true
	s.progress = s.now()
	s.mu.Unlock()
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
