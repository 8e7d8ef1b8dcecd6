package fsm

import (
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm/entry"
)

// What the chain of changes is told of the FSM's own state. The numbers never
// change.
const (
	noteGenesis    = 'G'
	noteMembers    = 'M'
	noteApplied    = 'B' // a batch was applied
	noteRegistered = 'I' // and began an incarnation
	noteFragment   = 'F' // a piece of a large command is kept
)

// noteMembers mixes the members of a new configuration.
func (f *FSM) noteMembers(step *engine.Step) {
	c := step.Chain()
	c.Words(noteMembers, uint64(len(f.state.members)))
	for _, id := range f.state.members {
		c.Bytes(id[:])
	}
}

// noteBatch mixes that a batch was admitted. Those that change nothing are no
// part of history.
func noteBatch(c *chain.Chain, h entry.BatchHead, v verdict) {
	switch v {
	case applies:
		c.Words(noteApplied|h.Incarnation<<8, h.Seq)
	case registered:
		c.Words(noteRegistered|h.Incarnation<<8, h.Seq)
	default:
		return
	}
	c.Bytes(h.Node[:])
}
