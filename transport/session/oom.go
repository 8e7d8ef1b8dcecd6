package session

import (
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/command"
)

// Memory is short. What counts is what the log says at the place of a command; but while
// it is known that a command would be refused there, it is refused at the door: it costs no
// entry of the log, and a transaction learns of it before EXEC.

// whileQueueing are the commands that a transaction is not denied when memory is short.
var whileQueueing = map[string]bool{"exec": true, "discard": true, "quit": true, "reset": true}

// bringsData reports whether a command is refused when memory is short: what it would
// queue in a transaction takes memory, too.
func (s *Session) bringsData(e *entry, args [][]byte) bool {
	if s.tx == nil {
		return s.srv.needsMemory(e, args)
	}
	if e.Name != "exec" {
		return !whileQueueing[e.Name]
	}
	for _, c := range s.tx.queued {
		if s.srv.needsMemory(c.entry, c.args) {
			return true
		}
	}
	return false
}

// needsMemory reports whether a command is refused by itself when memory is short.
func (s *Server) needsMemory(e *entry, args [][]byte) (needs bool) {
	if e.Group != command.Scripting || !e.engines() || e.reads() {
		return e.Flags.Has(command.DenyOOM)
	}
	s.opts.Engine.View(0, 0, func(v *engine.View) { needs = v.BringsData(args) })
	return needs
}
