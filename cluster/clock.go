package cluster

import "time"

// stampSlack is by how much the wall clock may run ahead of the monotonic clock,
// all in all, and still be believed at once.
const stampSlack = 500 * time.Millisecond

// stamper gives a leader's entries their clock stamps.
//
// Stamps never go back. A wall clock that jumps ahead while this process runs is
// followed at twice the pace of time, so that a wrong clock expires no key before
// its time by much, and a right one is caught up with. One that is behind the
// newest stamp, because it jumped back or because the stamp came from a node
// whose clock is ahead, is waited for at half the pace: stamps that stood still
// would keep every key of a short life for as long. How old the newest stamp is
// says nothing about the clock: the cluster may have been idle, or down. But up to it
// a wall clock is believed at once: one that jumped back and is right again would
// have the cluster at half the pace of time for as long as it had jumped.
type stamper struct {
	last  int64     // Unix nanoseconds; the newest stamp given or applied
	wall  int64     // Unix milliseconds; what was believed at the last look
	limit int64     // Unix nanoseconds; what can be believed: it grows at twice the pace of time, and is never further than the slack from wall, nor behind last
	at    time.Time // of the last look
}

// newStamper returns a stamper that believes the wall clock as it is now.
func newStamper(now time.Time, wall int64) stamper {
	return stamper{wall: wall, limit: wall*1e6 + int64(stampSlack), at: now}
}

// look follows the clocks. Between two looks a jump of the time between them
// goes unnoticed: it is called often also where nothing is stamped. now is read
// by its monotonic part, wall is the time in Unix milliseconds.
func (s *stamper) look(now time.Time, wall int64) {
	passed := int64(now.Sub(s.at))
	s.at = now
	s.limit = max(s.limit, s.last) + 2*passed // what has been stamped is no jump
	s.wall = min(wall, s.limit/1e6)
	s.limit = min(s.limit, s.wall*1e6+int64(stampSlack))
	if s.wall*1e6 < s.last {
		s.last += passed / 2
	}
}

// next returns the stamp of an entry that would be packed now, in Unix
// milliseconds.
func (s *stamper) next() int64 { return max(s.last/1e6, s.wall) }

// stamp returns the stamp of an entry that is packed now.
func (s *stamper) stamp(now time.Time, wall int64) int64 {
	s.look(now, wall)
	s.last = max(s.last, s.wall*1e6)
	return s.next()
}

// saw notes a stamp that was applied, which another leader may have given.
func (s *stamper) saw(stamp int64) { s.last = max(s.last, stamp*1e6) }
