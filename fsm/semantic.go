package fsm

import (
	"fmt"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm/entry"
)

// The semantic version says by which rules entries become state. Every node must
// follow the same ones, so the version in force is part of the state: it begins
// with 1, and an entry raises it once all members know the next. It never goes
// down. Package semantic says what came with each.

// SemanticMax is the newest semantic version that this release knows.
const SemanticMax = semantic.Max

// tooNew refuses what was made by rules that this release does not know.
func tooNew(version uint16) error {
	return fmt.Errorf("the cluster is at semantic version %d, and this release knows no more than %d: upgrade this node", version, SemanticMax)
}

// Semantic returns the semantic version in force.
func (f *FSM) Semantic() uint16 { return uint16(f.semantic.Load()) }

// raise puts a semantic version in force. Two leaders may have logged the same.
func (f *FSM) raise(step *engine.Step, payload []byte) error {
	version, err := entry.DecodeRaise(payload)
	switch {
	case err != nil:
		return err
	case version > SemanticMax:
		return tooNew(version)
	case version <= f.state.semantic:
		return nil
	}
	if f.state.semantic < semantic.Chain {
		// Releases without a chain have left no value in their snapshots, so nodes
		// have different ones. From here on they have the same.
		*step.Chain() = chain.Chain{}
		f.trail = trail{}
	}
	step.Chain().Note(noteRaise, uint64(version), f.state.genesis.ClusterID[:], nil)
	f.state.semantic = version
	f.follow(step)
	return nil
}

// follow has the engine follow the rules that are in force by the state.
func (f *FSM) follow(step *engine.Step) {
	step.Follow(f.state.semantic)
	f.semantic.Store(uint32(f.state.semantic))
}
