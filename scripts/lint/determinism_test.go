package lint

import (
	"slices"
	"testing"
)

// sources are packages by which a node could come to know what the others do
// not: the time, chance, the machine.
var sources = []string{"crypto/rand", "hash/maphash", "math/rand", "math/rand/v2", "net", "os", "time"}

// oracles are packages that run redis-server for tests; the program has no
// part of them.
var oracles = []string{"engine/transcript", "engine/rdb/redistest"}

// The state is a function of the log, so nothing below the FSM may ask the
// clock, chance or the machine.
func TestNothingBelowTheFSMAsksTheMachine(t *testing.T) {
	eachImport(t, func(from, imp string) {
		deterministic := under(from, "engine") || under(from, "fsm/entry")
		if deterministic && slices.Contains(sources, imp) && !slices.Contains(oracles, from) {
			t.Errorf("%s imports %s", from, imp)
		}
	})
}
