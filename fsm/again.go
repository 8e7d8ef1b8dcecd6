//go:build !mutant_resend

package fsm

// again is what becomes of a batch that was applied before.
const again = duplicate
