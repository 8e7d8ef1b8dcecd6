package session

import (
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/command"
)

// min-replicas-to-write: a write that a majority has is safe, whatever the number of
// members that can be reached at the moment. Who wants more than that to be there before
// a node takes writes says so by this setting, as in redis-server. It is the node's own,
// and asked at its door: what is in the log is carried out.

// wantsReplicas reports whether the node wants any good replica for writes.
func (s *Server) wantsReplicas() bool {
	return s.settings.replicasMin.Load() > 0 && s.settings.replicasLag.Load() > 0
}

// lacksReplicas reports whether there are fewer good replicas than the node wants for
// writes: other members that are in contact, and redis-servers that follow and do not
// lag.
func (s *Server) lacksReplicas() bool {
	return s.wantsReplicas() && int64(s.goodReplicas()) < s.settings.replicasMin.Load()
}

// goodReplicas counts the good ones.
func (s *Server) goodReplicas() (n int) {
	for _, m := range s.opts.Cluster.Topology("").Members {
		if !m.Self && m.Online {
			n++
		}
	}
	_, _, replicas := s.opts.Stream.Position()
	for _, r := range replicas {
		if r.Online && int64(r.Lag) <= s.settings.replicasLag.Load() {
			n++
		}
	}
	return n
}

// needsReplicas reports whether a command writes, or may.
func (s *Session) needsReplicas(e *entry, args [][]byte) bool {
	if e.Name != "exec" || s.tx == nil {
		return s.srv.writes(e, args) && !s.srv.saysNothing(e, args)
	}
	for _, c := range s.tx.queued {
		if s.srv.writes(c.entry, c.args) {
			return true
		}
	}
	return false
}

// writes reports whether a command may change data.
func (s *Server) writes(e *entry, args [][]byte) bool {
	if e.Group == command.Scripting && e.engines() {
		return (e.Name == "eval" || e.Name == "evalsha" || e.Name == "fcall" || e.Flags.Has(command.Write)) && !s.onlyReads(e, args)
	}
	return e.Flags.Has(command.Write)
}

// saysNothing reports whether a command calls a script that does not say whether it
// writes.
func (s *Server) saysNothing(e *entry, args [][]byte) (nothing bool) {
	if e.Name != "eval" && e.Name != "evalsha" {
		return false
	}
	s.opts.Engine.View(0, 0, func(v *engine.View) { nothing = v.SaysNothing(args) })
	return nothing
}
