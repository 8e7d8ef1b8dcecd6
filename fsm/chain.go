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
	noteRaise      = 'U' // a semantic version is in force
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

// trailLen is how many entries back the chain's values are remembered. A leader
// logs its value within a second or 4096 entries of an index: this node has
// still its own by then.
const trailLen = 1 << 14

// trail remembers the chain's values after the last entries. An index of 0 is no
// entry.
type trail struct{ steps []trailStep }

type trailStep struct {
	index uint64
	value chain.Value
}

func (t *trail) note(index uint64, step *engine.Step) { t.put(index, step.Chain().Value()) }

func (t *trail) put(index uint64, value chain.Value) {
	if t.steps == nil {
		t.steps = make([]trailStep, trailLen)
	}
	t.steps[index%trailLen] = trailStep{index, value}
}

func (t *trail) at(index uint64) (chain.Value, bool) {
	if t.steps == nil || index == 0 || t.steps[index%trailLen].index != index {
		return chain.Value{}, false
	}
	return t.steps[index%trailLen].value, true
}

// Check is what a leader's chain was at an index, and what this node's was.
type Check struct {
	entry.Chain
	Own   chain.Value
	Known bool // this node has a value of that index
}

// Agrees reports whether the two values are known to be the same.
func (c *Check) Agrees() bool { return c.Known && c.Own == chain.Value(c.Value) }

// check compares the leader's value with this node's. It changes nothing: what
// follows from it is the node's business.
func (f *FSM) check(payload []byte) error {
	logged, err := entry.DecodeChain(payload)
	if err != nil || f.opts.Checked == nil {
		return err
	}
	c := Check{Chain: logged}
	c.Own, c.Known = f.trail.at(logged.Index)
	f.opts.Checked(c)
	return nil
}

// Chain returns the newest index of which the chain's value is known, and the
// value; index 0 if there is none.
func (f *FSM) Chain() (index uint64, value chain.Value) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for index = f.state.applied; index > 0 && index+64 > f.state.applied; index-- {
		if value, ok := f.trail.at(index); ok {
			return index, value
		}
	}
	return 0, chain.Value{}
}

// Applied returns up to which index of the log entries have been applied.
func (f *FSM) Applied() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.applied
}

// ChainAt returns the chain's value after the entry at index, if it is remembered.
func (f *FSM) ChainAt(index uint64) (chain.Value, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trail.at(index)
}
