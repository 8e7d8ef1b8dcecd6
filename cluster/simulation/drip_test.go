package simulation

import (
	"math/rand/v2"
	"testing"
	"time"
)

// drips returns a schedule in which the links of whoever leads let heartbeats pass
// and hardly any data, again and again.
func drips(seed uint64, length time.Duration) schedule {
	r := rand.New(rand.NewPCG(seed, 4))
	s := schedule{seed: seed, nodes: 3, length: length}
	for at := 2 * time.Second; at < length; at += 70 * time.Second {
		s.events = append(s.events, event{id: len(s.events), at: at, kind: "drip", last: 15 * time.Second})
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

// TestLeaderBehindSlowLinksResigns: it leads on for raft, as its heartbeats pass.
func TestLeaderBehindSlowLinksResigns(t *testing.T) {
	for seed := range uint64(3) {
		began := time.Now()
		report(t, seed, simulate(t, drips(seed, 100*time.Second), bug{}), time.Since(began))
		if t.Failed() {
			return
		}
	}
}
