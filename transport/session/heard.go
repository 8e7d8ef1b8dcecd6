//go:build !mutant_heard

package session

// heard takes what waits for the session. The engine is locked.
func (s *Session) heard() []invalidation {
	t := &s.srv.tracking
	bcast := s.tracker.on && s.tracker.bcast
	if !bcast && !s.hears.Load() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if bcast {
		t.broadcastLocked(s.srv)
	}
	return t.takeLocked(s)
}
