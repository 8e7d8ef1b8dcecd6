package call

import "github.com/quorate/quorate/engine/heat"

// Policy says which keys are deleted where data need more memory than maxmemory.
type Policy uint8

// The policies of redis-server, by their names in maxmemory-policy.
const (
	VolatileLRU Policy = iota
	VolatileLFU
	VolatileRandom
	VolatileTTL
	AllKeysLRU
	AllKeysLFU
	AllKeysRandom
	NoEviction
)

var policyNames = [...]string{
	"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
}

// String returns the policy's name as maxmemory-policy has it.
func (p Policy) String() string { return policyNames[p] }

// ParsePolicy returns the policy of a name.
func ParsePolicy(name string) (Policy, bool) {
	for i, known := range policyNames {
		if known == name {
			return Policy(i), true
		}
	}
	return NoEviction, false
}

// Volatile reports whether only keys with an expiry time may go.
func (p Policy) Volatile() bool { return p <= VolatileTTL }

// LRU reports whether what was not used for the longest time goes.
func (p Policy) LRU() bool { return p == VolatileLRU || p == AllKeysLRU }

// LFU reports whether what is used least often goes.
func (p Policy) LFU() bool { return p == VolatileLFU || p == AllKeysLFU }

// HeatRules returns how use is remembered as the settings ask.
func (s *Settings) HeatRules() heat.Rules {
	rules := heat.Rules{LogFactor: s.LFULogFactor, DecayMinutes: s.LFUDecayMinutes}
	switch {
	case s.MaxMemoryPolicy.LRU():
		rules.Mode = heat.LRU
	case s.MaxMemoryPolicy.LFU():
		rules.Mode = heat.LFU
	}
	return rules
}
