//go:build !mutant_serve

package fsm

import (
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/waiting"
	"github.com/quorate/quorate/fsm/entry"
)

// doOrWait executes a command that may wait, as Step.DoOrWait does.
func doOrWait(step *engine.Step, owner waiting.Owner, as call.As, c entry.Command, out *reply.Writer) (id uint64) {
	return step.DoOrWait(owner, as, c.DB, c.Args, out)
}
