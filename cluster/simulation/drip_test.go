package simulation

import (
	"math/rand/v2"
	"testing"
	"time"
)

// slowLinks returns a schedule in which an event of this kind makes the links of
// whoever leads slow, again and again.
func slowLinks(kind string, seed uint64, length time.Duration) schedule {
	r := rand.New(rand.NewPCG(seed, 4))
	s := schedule{seed: seed, nodes: 3, length: length}
	for at := 2 * time.Second; at < length; at += 70 * time.Second {
		s.events = append(s.events, event{id: len(s.events), at: at, kind: kind, last: 15 * time.Second})
	}
	for node := range s.nodes {
		c := clientPlan{id: node, node: node}
		for t := time.Duration(0); t < length; t += 200 * time.Millisecond {
			c.ops = append(c.ops, op{gap: time.Duration(r.IntN(400)) * time.Millisecond, kind: pick(r, opKinds), key: r.IntN(2)})
		}
		s.clients = append(s.clients, c)
	}
	return s
}

// It leads on for raft, as its heartbeats pass.
func TestLeaderBehindSlowLinksResigns(t *testing.T) { testSlowLinks(t, "drip") }

// It has the longest log, and would be elected again.
func TestLeaderThatLosesItsOfficeStandsBack(t *testing.T) { testSlowLinks(t, "crawl") }

func testSlowLinks(t *testing.T, kind string) {
	for seed := range uint64(3) {
		began := time.Now()
		report(t, seed, simulate(t, slowLinks(kind, seed, 100*time.Second), bug{}), time.Since(began))
		if t.Failed() {
			return
		}
	}
}
