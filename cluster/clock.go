package cluster

import "time"

// stampSlack is by how much a stamp may run ahead of what the monotonic clock
// says has passed since the one before.
const stampSlack = 500 * time.Millisecond

// stamper gives a leader's entries their clock stamps.
//
// Stamps never go back. A wall clock that jumps ahead is followed at twice the
// pace of time, so that a wrong clock expires no key before its time by much,
// and a right one is caught up with.
type stamper struct {
	last   int64     // Unix milliseconds; the newest stamp given or applied
	lastAt time.Time // monotonic; zero while it is not known when last was given
}

// stamp returns the stamp of an entry that is packed at now, whose wall clock
// and monotonic clock are both used.
func (s *stamper) stamp(now time.Time) int64 {
	wall := now.UnixMilli()
	if !s.lastAt.IsZero() {
		limit := s.last + (2*now.Sub(s.lastAt) + stampSlack).Milliseconds()
		wall = min(wall, limit)
	}
	s.last = max(s.last, wall)
	s.lastAt = now
	return s.last
}

// saw notes a stamp that was applied, which another leader may have given.
func (s *stamper) saw(stamp int64, now time.Time) {
	if stamp > s.last {
		s.last, s.lastAt = stamp, now
	}
}
