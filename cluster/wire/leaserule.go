//go:build !mutant_lease

package wire

import "time"

// leaseHolds is the lease rule: followers of the quorum stay away from elections
// for a heartbeat timeout after their stamp, and half of it is left to clocks
// that run apart.
func leaseHolds(now time.Time, q stamp, heartbeatTimeout time.Duration) bool {
	return !q.at.IsZero() && now.Before(q.at.Add(heartbeatTimeout/2))
}
