package simulation

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// elections returns a schedule that is about the moments after elections. The
// leader dies again and again, and messages take long: so its followers know late
// what is committed, and there is much time between an election and the commit of
// the first entry of the new term. Whoever reads then without waiting for that
// entry misses what was acknowledged.
func elections(seed uint64, length time.Duration) schedule {
	r := rand.New(rand.NewPCG(seed, 3))
	s := schedule{seed: seed, nodes: 3, length: length, jitter: 60 * time.Millisecond}
	for at := time.Second; at < length; at += 1500 * time.Millisecond {
		s.events = append(s.events, event{id: len(s.events), at: at, kind: "behead", last: 700 * time.Millisecond, n: r.IntN(64)})
	}
	kinds := []weighted{{"append", 3}, {"get", 5}}
	for node := range s.nodes {
		for range 6 {
			c := clientPlan{id: len(s.clients), node: node}
			for t := time.Duration(0); t < length; t += 5 * time.Millisecond {
				c.ops = append(c.ops, op{gap: time.Duration(r.IntN(5)) * time.Millisecond, kind: pick(r, kinds)})
			}
			s.clients = append(s.clients, c)
		}
	}
	return s
}

// TestReadsAfterElectionsAreFresh runs a few seeds, or as many as SIM_ELECTIONS
// says. scripts/chaos-mutants.sh shows that it finds a leader that serves reads
// before the barrier of its term.
func TestReadsAfterElectionsAreFresh(t *testing.T) {
	seeds := 2
	if n, err := strconv.Atoi(os.Getenv("SIM_ELECTIONS")); err == nil {
		seeds = n
	}
	for seed := range uint64(seeds) {
		began := time.Now()
		report(t, seed, simulate(t, elections(seed, 20*time.Second), bug{}), time.Since(began))
		if t.Failed() {
			return
		}
	}
}
