//go:build mutant_heard

package session

// heard is wrong: what waits for the session goes behind the reply.
func (s *Session) heard() []invalidation { return nil }
