package raftlog

import "fmt"

// Policy says when StoreLogs' data is fsynced, as redis.conf's appendfsync does.
// Cuts, compactions and the end of a segment are fsynced under every policy.
type Policy int32

const (
	// Always fsyncs before StoreLogs returns. Only this policy keeps an
	// acknowledged entry through a loss of power.
	Always Policy = iota

	// EverySec fsyncs once a second in the background.
	EverySec

	// No leaves it to the operating system.
	No
)

var policyNames = [...]string{Always: "always", EverySec: "everysec", No: "no"}

// String returns the name that redis.conf uses.
func (p Policy) String() string {
	if p < 0 || int(p) >= len(policyNames) {
		return fmt.Sprintf("Policy(%d)", int32(p))
	}
	return policyNames[p]
}

// ParsePolicy returns the policy that redis.conf calls name.
func ParsePolicy(name string) (Policy, error) {
	for p, n := range policyNames {
		if n == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("appendfsync must be always, everysec or no, not %q", name)
}
