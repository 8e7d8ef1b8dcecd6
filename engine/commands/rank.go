//go:build !mutant_spop

package commands

import "github.com/quorate/quorate/engine/call"

// randomRank returns a rank in [0, n) chosen by chance; n must not be 0.
func randomRank(r *call.Rand, n int) int { return int(r.Uint64n(uint64(n))) }
