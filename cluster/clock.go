package cluster

import "time"

// stampSlack is by how much the wall clock may run ahead of the monotonic clock
// between two looks and still be believed at once.
const stampSlack = 500 * time.Millisecond

// stamper gives a leader's entries their clock stamps.
//
// Stamps never go back. A wall clock that jumps ahead while this process runs is
// followed at twice the pace of time, so that a wrong clock expires no key before
// its time by much, and a right one is caught up with. How old the newest stamp
// is says nothing about the clock: the cluster may have been idle, or down.
type stamper struct {
	last int64 // Unix milliseconds; the newest stamp given or applied
	wall int64 // Unix milliseconds; what was believed at the last look
	at   time.Time
}

// newStamper returns a stamper that believes the wall clock as it is now.
func newStamper(now time.Time) stamper { return stamper{wall: now.UnixMilli(), at: now} }

// look follows the clocks. Between two looks a jump of the time between them
// goes unnoticed: it is called often also where nothing is stamped. now is read
// by its monotonic part, wall is the time in Unix milliseconds.
func (s *stamper) look(now time.Time, wall int64) {
	limit := s.wall + (2*now.Sub(s.at) + stampSlack).Milliseconds()
	s.wall, s.at = min(wall, limit), now
}

// stamp returns the stamp of an entry that is packed now.
func (s *stamper) stamp(now time.Time, wall int64) int64 {
	s.look(now, wall)
	s.last = max(s.last, s.wall)
	return s.last
}

// saw notes a stamp that was applied, which another leader may have given.
func (s *stamper) saw(stamp int64) { s.last = max(s.last, stamp) }
