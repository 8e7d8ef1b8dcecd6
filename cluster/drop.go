package cluster

import (
	"slices"
	"time"

	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// Clients that go while their commands wait. What waits is part of the state, so only
// an item of the log can take it out; until then it may be given something that nobody
// gets. So the wish to drop a waiter is never refused and never forgotten: it rides at
// the end of the next batch, and goes again with the next incarnation if that batch
// was given up. To drop a waiter twice does no harm: its number is not used again.

// dropsMax bounds how many drops ride in one batch.
const dropsMax = 1 << 14

// Drop implements fsm.Origin, and is called when a client goes whose command waits.
func (s *sequencer) Drop(waiter uint64) {
	s.mu.Lock()
	if !s.closed {
		s.drops[waiter] = true
	}
	s.mu.Unlock()
	s.kick()
}

// Again implements fsm.Origin. The connection has waited all the time: that it had
// something in flight is known to it.
func (s *sequencer) Again(conn fsm.Conn, op fsm.Op) {
	s.mu.Lock()
	s.enqueueLocked(&fsm.Request{Conn: conn, Ops: []fsm.Op{op}})
	s.mu.Unlock()
	s.kick()
}

// addDropsLocked puts drops at the end of a batch that is about to be sent. Pieces of a
// large command take none.
func (s *sequencer) addDropsLocked(b *batch) {
	if b.piece || len(s.drops) == 0 {
		return
	}
	for waiter := range s.drops {
		b.drops = append(b.drops, waiter)
	}
	slices.Sort(b.drops)
	b.drops = b.drops[:min(len(b.drops), dropsMax)]
	for _, waiter := range b.drops {
		b.items = entry.AppendDrop(b.items, waiter)
		delete(s.drops, waiter)
	}
}

// dropAgainLocked takes back the drops of batches that are given up.
func (s *sequencer) dropAgainLocked(given []*batch) {
	for _, b := range given {
		for _, waiter := range b.drops {
			s.drops[waiter] = true
		}
	}
}

// dropping reports whether a drop is on its way, or waits to be sent.
func (s *sequencer) dropping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.drops) > 0 {
		return true
	}
	return slices.ContainsFunc(s.inFlight, func(b *batch) bool { return len(b.drops) > 0 })
}

// awaitDrops waits, for a bounded time, until the clients that have gone wait for
// nothing any more: a node that stops must leave none behind, for what they would be
// given.
func (s *sequencer) awaitDrops(longest time.Duration) {
	for began := s.now(); s.dropping() && s.now().Sub(began) < longest; {
		s.pause(time.Millisecond)
	}
}
