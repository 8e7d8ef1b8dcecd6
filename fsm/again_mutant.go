//go:build mutant_resend

package fsm

// again is wrong: a batch that is sent again is applied again.
const again = applies
