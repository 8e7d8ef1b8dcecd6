//go:build mutant_serve

package fsm

import (
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/waiting"
	"github.com/quorate/quorate/fsm/entry"
)

// doOrWait is wrong: every fourth command that waits does so twice, and is served
// again for nobody.
func doOrWait(step *engine.Step, owner waiting.Owner, as call.As, c entry.Command, out *reply.Writer) (id uint64) {
	if id = step.DoOrWait(owner, as, c.DB, c.Args, out); id%4 == 1 {
		var discard reply.Writer
		step.DoOrWait(owner, as, c.DB, c.Args, &discard)
	}
	return id
}
