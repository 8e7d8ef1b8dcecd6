package cluster

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// What the sequencer answers by itself: a definite error for what was never
// sent, INDOUBT for what was. All of it happens under mu and never while the
// FSM writes replies, so that a connection's replies come in order.

// loseHopeLocked answers whoever has waited too long.
func (s *sequencer) loseHopeLocked(now time.Time) {
	stuck := now.Sub(s.progress) > s.timeout
	if stuck && s.someoneWaitsLocked() {
		s.giveUpLocked(now, fmt.Sprintf("no majority confirmed the write within %v", s.timeout))
	}
	switch {
	case len(s.queue) == 0:
	case now.Sub(s.leaderSeen) > s.leaderWait:
		s.refuseWaitingLocked(now, s.leaderWait)
	case stuck:
		s.refuseWaitingLocked(now, s.timeout)
	}
}

// someoneWaitsLocked reports whether a client waits for something of which a
// part at least was sent.
func (s *sequencer) someoneWaitsLocked() bool {
	for _, b := range s.inFlight {
		if len(b.parts) > 0 {
			return true
		}
	}
	return s.midway
}

// giveUpLocked ends the incarnation: nobody can tell what became of the
// batches in flight.
func (s *sequencer) giveUpLocked(now time.Time, why string) {
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
	s.dropAgainLocked(s.inFlight)
	s.doubtAllLocked(why)
	s.dropRestLocked()
	s.incarnation, s.lastSeq, s.progress = next, 0, now
	s.counters.givenUp++
	s.queue = append([]*batch{{piece: true}}, s.queue...)
}

// distrust answers what is in flight with INDOUBT, and refuses the rest: the state
// from which replies would come is wrong. What is in flight is given up.
func (s *sequencer) distrust() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaitAnsweredLocked()
	if s.someoneWaitsLocked() {
		s.giveUpLocked(s.now(), "this node's state is wrong")
	}
	s.refuseQueueLocked(reply.ErrNotTrusted)
}

// refuseQueueLocked refuses all that clients have in the queue. What registers an
// incarnation stays.
func (s *sequencer) refuseQueueLocked(why reply.Error) {
	var kept []*batch
	for rest := s.queue; len(rest) > 0; {
		command := piecesOf(rest)
		rest = rest[len(command):]
		last := command[len(command)-1]
		if last.piece && len(last.parts) == 0 {
			kept = append(kept, command...)
			continue
		}
		for _, b := range command {
			s.queueBytes -= b.bytes
		}
		s.refuseBatchLocked(last, why)
	}
	s.queue = kept
	s.room.Broadcast()
}

// dropRestLocked takes the rest of a large command off the queue whose first
// pieces went with the incarnation given up. Its last piece was never sent: it
// is definitely not executed.
func (s *sequencer) dropRestLocked() {
	for s.midway {
		b := s.queue[0]
		s.queue = s.queue[1:]
		s.queueBytes -= b.bytes
		s.midway = b.more
		s.refuseBatchLocked(b, reply.ErrNoLeader)
	}
	s.room.Broadcast()
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
		s.refuseBatchLocked(b, why)
	}
	s.queue, s.queueBytes = nil, 0
	s.room.Broadcast()
}

func (s *sequencer) refuseBatchLocked(b *batch, why reply.Error) {
	for i := range b.parts {
		s.refusePartLocked(&b.parts[i], why)
	}
}

func (s *sequencer) refusePartLocked(p *part, why reply.Error) {
	if p.refused != "" {
		why = p.refused
	}
	answer(p.Part, func(*fsm.Op) reply.Error { return why })
	s.counters.refused += uint64(len(p.Ops))
}

// refuseWaitingLocked refuses what has waited longer than patience. What
// belongs to a connection with something in flight, or with something younger
// before it, waits on: its replies come in order.
func (s *sequencer) refuseWaitingLocked(now time.Time, patience time.Duration) {
	busy := make(map[fsm.Conn]bool)
	for _, b := range s.inFlight {
		for i := range b.parts {
			busy[b.parts[i].Conn] = true
		}
	}
	old := func(p *part) bool { return !busy[p.Conn] && now.Sub(p.since) > patience }
	kept := make([]*batch, 0, len(s.queue))
	begun := s.midway // the pieces at the head of the queue follow others that were sent
	for rest := s.queue; len(rest) > 0; {
		command := piecesOf(rest)
		rest = rest[len(command):]
		last := command[len(command)-1]
		switch {
		case !last.piece:
			s.refusePartsLocked(last, old)
		case !begun && len(last.parts) > 0 && old(&last.parts[0]):
			for _, b := range command {
				s.queueBytes -= b.bytes
			}
			s.refuseBatchLocked(last, reply.ErrNoLeader)
			continue
		}
		begun = false
		for i := range last.parts {
			busy[last.parts[i].Conn] = true
		}
		if last.piece || len(last.parts) > 0 {
			kept = append(kept, command...)
		}
	}
	s.queue = kept
	s.room.Broadcast()
}

// piecesOf returns the first batch of a queue, with those that are pieces of
// the same command.
func piecesOf(queue []*batch) []*batch {
	n := 1
	for queue[n-1].more {
		n++
	}
	return queue[:n]
}

// refusePartsLocked answers the parts of b that are old and takes their items
// out. A connection's later parts are younger: none overtakes one that is kept.
func (s *sequencer) refusePartsLocked(b *batch, old func(*part) bool) {
	items, start := b.items[:0:0], 0
	var kept []part
	for i := range b.parts {
		p := &b.parts[i]
		own := b.items[start:p.itemsEnd]
		start = p.itemsEnd
		if old(p) {
			s.refusePartLocked(p, reply.ErrNoLeader)
			b.bytes -= p.bytes
			s.queueBytes -= p.bytes
			continue
		}
		items = append(items, own...)
		p.itemsEnd = len(items)
		kept = append(kept, *p)
	}
	b.items, b.parts = items, kept
}

// refuse refuses all Ops of a connection, when their turn comes.
func (s *sequencer) refuse(req *fsm.Request, why reply.Error) {
	s.mu.Lock()
	if s.closed {
		why = reply.ErrNoLeader
		answer(fsm.Part{Conn: req.Conn, Ops: req.Ops}, func(*fsm.Op) reply.Error { return why })
	} else {
		s.refuseInTurnLocked(req.Conn, req.Ops, why)
	}
	s.mu.Unlock()
	s.kick()
}

// refused reports whether a batch holds nothing but refusals: it needs no place
// in the log.
func (b *batch) refused() bool {
	if b.piece || len(b.items) > 0 {
		return false
	}
	for i := range b.parts {
		if b.parts[i].refused == "" {
			return false
		}
	}
	return true
}

// refuseHeadLocked answers the refusals at the head of the queue.
func (s *sequencer) refuseHeadLocked() {
	b := s.queue[0]
	s.queue = s.queue[1:]
	s.queueBytes -= b.bytes
	for i := range b.parts {
		p := &b.parts[i]
		answer(p.Part, func(*fsm.Op) reply.Error { return p.refused })
	}
}

// refuseInTurnLocked queues a definite error behind what the connection has
// queued before: replies come in the order of the commands.
func (s *sequencer) refuseInTurnLocked(conn fsm.Conn, ops []fsm.Op, why reply.Error) {
	b := s.youngestLocked(0)
	b.parts = append(b.parts, part{Part: fsm.Part{Conn: conn, Ops: refusedOps(ops, why)}, itemsEnd: len(b.items), since: s.now(), refused: why})
	s.counters.refused += uint64(len(ops))
}

// refusedOps returns Ops that answer with why, in the place of ops.
func refusedOps(ops []fsm.Op, why reply.Error) []fsm.Op {
	refused := make([]fsm.Op, len(ops))
	for i := range refused {
		refused[i] = refusal(why)
	}
	return refused
}

// refusal returns an Op that answers with why.
func refusal(why reply.Error) fsm.Op {
	return fsm.Op{Kind: fsm.OpLocal, Local: func(out *reply.Writer) { out.Error(why) }}
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
			case op.Kind == fsm.OpRead || op.Kind == fsm.OpLocal || op.Repeats:
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
