package simulation

import (
	"math/rand/v2"
	"time"
)

// schedule is everything about a run that is decided before it begins.
type schedule struct {
	seed    uint64
	nodes   int
	length  time.Duration // of the time under faults
	events  []event       // in the order of their times
	clients []clientPlan
	family  int           // of policies, in runs in which memory is short; 0: it is not
	jitter  time.Duration // what a message may take beside the network's own time
}

// event is a fault or an operator's act. A part of it that makes no sense when
// its time has come is left out.
type event struct {
	id    int // its place in the schedule as generated
	at    time.Duration
	kind  string
	node  int
	other int
	last  time.Duration // how long it lasts
	n     int
}

// clientPlan is what one client of a node does, one op after the other.
type clientPlan struct {
	id   int
	node int
	ops  []op
}

type op struct {
	gap  time.Duration // of thought, before it
	kind string
	key  int
	wait time.Duration // of what waits: for so long, or until its client does something else
}

// cut says what of a generated schedule is left out.
type cut struct {
	Events  []int `json:"events,omitempty"`
	Clients []int `json:"clients,omitempty"`
	// Kinds are kinds of ops.
	Kinds []string `json:"kinds,omitempty"`
}

// weighted is a kind and how often it is chosen.
type weighted struct {
	kind   string
	weight int
}

var eventKinds = []weighted{
	{"power", 5},
	{"kill", 5},
	{"blackout", 1},
	{"pause", 3},
	{"isolate", 3},
	{"oneway", 3},
	{"cut", 3},
	{"split", 2},
	{"reset", 2},
	{"slow", 2},
	{"transfer", 4},
	{"snapshot", 4},
	{"stop", 2},
	{"replace", 1},
	{"grow", 1},
	{"shrink", 1},
	{"flip", 1},
	{"syncfail", 1},
}

var opKinds = []weighted{
	{"append", 12},
	{"push", 4},
	{"incr", 10},
	{"pair", 5},
	{"cas", 6},
	{"pipeline", 3},
	{"ride", 4},
	{"get", 14},
	{"getpair", 5},
	{"add", 4},
	{"pop", 4},
	{"put", 3},
	{"peek", 4},
	{"publish", 2},
}

// generate returns the schedule of a seed.
func generate(seed uint64, length time.Duration) schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	s := schedule{seed: seed, nodes: 3, length: length}
	if r.IntN(3) == 0 {
		s.nodes = 5
	}
	every := time.Duration(500+r.IntN(4000)) * time.Millisecond // faults differ in how dense they come
	for at := 2 * time.Second; at < s.length; at += every/2 + time.Duration(r.Int64N(int64(every))) {
		s.events = append(s.events, event{
			id: len(s.events), at: at, kind: pick(r, eventKinds), node: r.IntN(s.nodes), other: r.IntN(s.nodes),
			last: time.Duration(50+r.IntN(6000)) * time.Millisecond, n: r.IntN(64),
		})
	}
	think := time.Duration(2+r.IntN(60)) * time.Millisecond
	for node := range s.nodes {
		for range 2 {
			c := clientPlan{id: len(s.clients), node: node}
			for t := time.Duration(0); t < s.length; {
				o := op{gap: time.Duration(r.Int64N(int64(2 * think))), kind: pick(r, opKinds), key: r.IntN(2)}
				t += o.gap + time.Millisecond
				c.ops = append(c.ops, o)
			}
			s.clients = append(s.clients, c)
		}
	}
	s.waitingPlans()
	if seed&tightSeeds != 0 {
		s.tighten()
	}
	return s
}

func pick(r *rand.Rand, from []weighted) string {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range from {
		if n -= w.weight; n < 0 {
			return w.kind
		}
	}
	panic("no kind")
}

// without returns the schedule with c left out.
func (s schedule) without(c cut) schedule {
	events, clients, kinds := set(c.Events), set(c.Clients), set(c.Kinds)
	all := s
	s.events, s.clients = nil, nil
	for _, e := range all.events {
		if !events[e.id] {
			s.events = append(s.events, e)
		}
	}
	for _, plan := range all.clients {
		if clients[plan.id] {
			continue
		}
		ops := plan.ops
		plan.ops = nil
		for _, o := range ops {
			if kinds[o.kind] {
				o.kind = "rest" // the others keep their times
			}
			plan.ops = append(plan.ops, o)
		}
		s.clients = append(s.clients, plan)
	}
	return s
}

func set[T comparable](list []T) map[T]bool {
	m := make(map[T]bool)
	for _, x := range list {
		m[x] = true
	}
	return m
}
