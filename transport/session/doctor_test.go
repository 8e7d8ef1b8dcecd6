package session

import (
	"strings"
	"testing"
)

func TestMemoryDoctor(t *testing.T) {
	const gb = 1 << 30
	well := vitals{used: 1 * gb, limit: 2 * gb, policy: "noeviction", resident: 2 * gb, machine: 8 * gb, held: 1 * gb}
	for name, c := range map[string]struct {
		change func(*vitals)
		want   string
	}{
		"in order":                {func(*vitals) {}, ""},
		"without a limit":         {func(v *vitals) { v.limit = 0 }, ""},
		"without a limit, full":   {func(v *vitals) { v.limit, v.resident = 0, 7*gb }, "There is no maxmemory"},
		"over, keys go":           {func(v *vitals) { v.used, v.policy, v.evictable = 3*gb, "allkeys-lru", true }, "Keys go by the policy allkeys-lru"},
		"over, keys stay":         {func(v *vitals) { v.used = 3 * gb }, "The policy noeviction lets no key go, so"},
		"over, none has a time":   {func(v *vitals) { v.used, v.policy = 3*gb, "volatile-lru" }, "The policy volatile-lru finds no key that may go, so"},
		"near, keys stay":         {func(v *vitals) { v.used = 2*gb - 1 }, "at the limit commands that bring data are refused"},
		"near, none has a time":   {func(v *vitals) { v.used, v.policy = 2*gb-1, "volatile-ttl" }, "volatile-ttl finds no key that may go: at the limit"},
		"near, keys may go":       {func(v *vitals) { v.used, v.policy, v.evictable = 2*gb-1, "allkeys-lfu", true }, ""},
		"more than there is":      {func(v *vitals) { v.limit = 7 * gb }, "lower the limit"},
		"free cells":              {func(v *vitals) { v.held, v.free = 2*gb, 2*gb-1 }, "It is used again"},
		"the machine is a secret": {func(v *vitals) { v.machine, v.resident = 0, 0 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := well
			c.change(&v)
			got := strings.Join(v.complaints(), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
