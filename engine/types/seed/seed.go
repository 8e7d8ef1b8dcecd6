// Package seed hashes keys and members under the cluster's secret seed.
//
// Every node of a cluster holds the same seed, so that whatever is ordered by
// these hashes (scan cursors, random choices, members of large sets) has the
// same order on all of them, whichever way a node came by its data. The seed
// is secret because clients choose the keys: SipHash keeps them from choosing
// keys that collide.
package seed

import "github.com/dchest/siphash"

// Seed is the key of the cluster's hash function. It is part of the replicated
// state and never changes during the life of a cluster.
type Seed struct {
	K0, K1 uint64
}

// Hash returns the SipHash-2-4 of b under s.
func (s Seed) Hash(b []byte) uint64 {
	return siphash.Hash(s.K0, s.K1, b)
}
