package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// founding is a set of fresh nodes with messages between them that are lost,
// late and out of order, and nodes that pause, restart and lose their disks.
type founding struct {
	t     *testing.T
	rnd   *rand.Rand
	nodes []*founder
	lives int // ids given
	queue []func()
	done  int // first configurations made
}

// founder is a node, at an address that is its place in founding.nodes.
type founder struct {
	id       string
	addr     string
	disk     []byte // its promise
	promises promises
	list     []string // of the attempt under way, nil for none
	missing  int      // promises that it lacks
	founded  []string // on disk: its first configuration
	cluster  bool     // the genesis is there
}

func (w *founding) start(n *founder, life uint64) {
	n.promises = promises{
		life:  life,
		load:  func() ([]byte, error) { return n.disk, nil },
		store: func(text []byte) error { n.disk = slices.Clone(text); return nil },
	}
	if err := n.promises.recall(); err != nil {
		w.t.Fatal(err)
	}
	n.list = nil
}

// wipe gives the address of n to a node with an empty disk.
func (w *founding) wipe(n *founder) {
	w.lives++
	*n = founder{id: fmt.Sprintf("%c%d", 'a'+w.rnd.IntN(26), w.lives), addr: n.addr}
	w.start(n, 1)
}

func (w *founding) status(n *founder) Status {
	s := Status{ID: n.id, Addr: n.addr}
	if n.founded == nil {
		s.Attempt = n.promises.attempt()
	}
	if n.cluster {
		s.ClusterID = "c"
	}
	return s
}

func (w *founding) later(f func()) { w.queue = append(w.queue, f) }

// try lets n propose to two others, if it may.
func (w *founding) try(n *founder) {
	if n.founded != nil {
		return
	}
	attempt, err := n.promises.begin()
	if err != nil {
		return
	}
	others := slices.DeleteFunc(slices.Clone(w.nodes), func(o *founder) bool { return o == n })
	w.rnd.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	others = others[:2]
	n.list, n.missing = []string{n.id, others[0].id, others[1].id}, len(others)
	p := pledge{Founder: raft.ServerID(n.id), Addr: n.addr, Attempt: attempt, List: strings.Join(n.list, ",")}
	id, list := n.id, n.list
	current := func() bool { return n.id == id && n.list != nil && n.promises.attempt() == attempt }
	for i, o := range others {
		w.later(func() {
			if o.id != list[i+1] || o.founded != nil || o.promises.give(&p) != nil {
				return
			}
			w.later(func() {
				if current() {
					n.missing--
				}
			})
		})
	}
}

// step lets something happen.
func (w *founding) step() {
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	switch w.rnd.IntN(24) {
	case 0, 1:
		w.try(n)
	case 2: // the founder has lost patience
		if n.list != nil && n.missing > 0 {
			n.promises.fail()
			n.list = nil
		}
	case 3: // it founds, however late
		if n.list != nil && n.missing == 0 && n.founded == nil {
			n.founded = n.list
			w.done++
		}
	case 4:
		n.cluster = n.founded != nil
	case 5:
		switch w.rnd.IntN(8) {
		case 0:
			w.wipe(n)
		case 1, 2:
			w.start(n, n.promises.life+1)
		}
	case 6, 7, 8: // one asks another
		asker, s := w.nodes[w.rnd.IntN(len(w.nodes))], w.status(n)
		w.later(func() { asker.promises.hear(&s) })
	default:
		if len(w.queue) > 0 {
			i := w.rnd.IntN(len(w.queue))
			f := w.queue[i]
			w.queue = slices.Delete(w.queue, i, i+1)
			if w.rnd.IntN(8) > 0 { // else it is lost
				f()
			}
		}
	}
}

// check: no node is in two first configurations.
func (w *founding) check() {
	by := make(map[string]string)
	for _, n := range w.nodes {
		for _, id := range n.founded {
			if other := by[id]; other != "" {
				w.t.Fatalf("node %s is a founder with %s and with %s", id, other, n.id)
			}
			by[id] = n.id
		}
	}
}

func TestNoNodeFoundsTwoClusters(t *testing.T) {
	founded := 0
	for seed := range uint64(4000) {
		w := &founding{t: t, rnd: rand.New(rand.NewPCG(seed, 1))}
		for i := range 5 {
			n := &founder{addr: fmt.Sprint("addr", i)}
			w.nodes = append(w.nodes, n)
			w.wipe(n)
		}
		for range 400 {
			w.step()
			w.check()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		founded += w.done
	}
	if founded < 1000 {
		t.Errorf("%d clusters founded in all: the promises stand in the way", founded)
	}
}

// A promise outlives a restart, and ends by what is known of its founder.
func TestPromises(t *testing.T) {
	var disk []byte
	open := func(life uint64) *promises {
		p := &promises{life: life, load: func() ([]byte, error) { return disk, nil }, store: func(text []byte) error { disk = text; return nil }}
		if err := p.recall(); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := pledge{Founder: "a", Addr: "A", Attempt: attempt{2, 3}, List: "a,b,c"}
	if err := open(1).give(&a); err != nil {
		t.Fatal(err)
	}
	for number, admitted := range map[uint64]bool{2: false, 3: true, 4: true} {
		late := a
		late.Attempt.Number = number
		if got := a.admits(&late); got != admitted {
			t.Errorf("the founder's attempt %d behind its attempt 3 is admitted: %v", number, got)
		}
	}
	other := pledge{Founder: "d", Addr: "D", Attempt: attempt{9, 9}, List: "b,d,e"}
	for _, tc := range []struct {
		name string
		s    Status
		over bool
	}{
		{"the same attempt", Status{ID: "a", Attempt: attempt{2, 3}}, false},
		{"an earlier one", Status{ID: "a", Attempt: attempt{1, 9}}, false},
		{"the next one", Status{ID: "a", Attempt: attempt{2, 4}}, true},
		{"the next life", Status{ID: "a", Attempt: attempt{3, 0}}, true},
		{"it has a configuration and no cluster yet", Status{ID: "a"}, false},
		{"it has a cluster", Status{ID: "a", ClusterID: "x"}, false},
		{"another node", Status{ID: "z", Addr: "A", Attempt: attempt{99, 1}}, false},
	} {
		disk = nil
		if err := open(1).give(&a); err != nil {
			t.Fatal(err)
		}
		p := open(2)
		if p.give(&other) == nil {
			t.Errorf("%s: a promise was given twice", tc.name)
		}
		if _, err := p.begin(); err == nil {
			t.Errorf("%s: a node that has promised founds a cluster itself", tc.name)
		}
		p.hear(&tc.s)
		if got := open(3).give(&other) == nil; got != tc.over {
			t.Errorf("%s: the promise is over: %v, want %v", tc.name, got, tc.over)
		}
	}
}
