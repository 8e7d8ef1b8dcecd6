package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// Schedule says when which faults come.
type Schedule struct {
	// Families are names of faults or of their groups; none: all there are.
	Families []string
	// Every is the pause from one fault's end to the next one's beginning,
	// Lasts how long each lasts.
	Every, Lasts time.Duration
	// Seed decides the order of the faults and all that is left open in them.
	Seed int64
	// Rounds ends Run after each fault has come so often; 0: it ends with its
	// context.
	Rounds int
}

// Event is the beginning or the end of a fault, or something that Run noticed.
type Event struct {
	Time  time.Time
	Node  int    // whose clients may feel it, from 0, or Everybody, or Nobody
	Role  string // of that node when the fault began: leader or follower, if that is known
	Name  string // of the fault
	Text  string // for people
	Begin bool
	// Served is how long after the beginning the nodes that must serve all had
	// served, or after the end all nodes: 0 if none must.
	Served time.Duration
	// Whole is how long after the end all nodes were voters again that know each
	// other.
	Whole time.Duration
	// Failed says that the cluster did not do what it must.
	Failed bool
}

const (
	// healPatience bounds how long a healed cluster may take to be whole. A
	// fault's own bounds are much shorter; what takes longer is an error.
	healPatience = 60 * time.Second
	// servePatience bounds how long nodes that must serve during a fault may
	// take to.
	servePatience = 15 * time.Second
)

// plan is the order of faults: every one once a round, each round shuffled.
type plan struct {
	faults []Fault
	seed   uint64
	round  uint64
	order  []int // of what is left of this round
	n      uint64
}

func newPlan(faults []Fault, seed int64) *plan {
	return &plan{faults: faults, seed: uint64(seed)}
}

// next returns the next fault and the randomness for it, which does not depend
// on how much the faults before it used.
func (p *plan) next() (Fault, *rand.Rand) {
	if len(p.order) == 0 {
		p.round++
		p.order = rand.New(rand.NewPCG(p.seed, p.round)).Perm(len(p.faults))
	}
	f := p.faults[p.order[0]]
	p.order = p.order[1:]
	p.n++
	return f, rand.New(rand.NewPCG(p.seed^0x9e3779b97f4a7c15, p.n))
}

// Run lets faults come until ctx ends or the schedule's rounds are done; a fault
// that has begun is healed first. The error tells what the cluster did not do as
// it must: a node that ended by itself, nodes that did not serve in time, a
// cluster that was not whole in time. Run goes on after such, as far as it can.
func Run(ctx context.Context, c *Cluster, s Schedule, events func(Event)) error {
	faults, err := choose(s.Families)
	if err != nil {
		return err
	}
	if events == nil {
		events = func(Event) {}
	}
	run := &running{cluster: c, lasts: s.Lasts, tell: func(e Event) {
		c.logf("%s", e)
		events(e)
	}, without: make(map[string]bool)}
	p := newPlan(faults, s.Seed)
	for (s.Rounds == 0 || p.n < uint64(s.Rounds*len(faults))) && len(run.without) < len(faults) {
		f, r := p.next()
		if run.without[f.Name()] {
			continue
		}
		if !pause(ctx, s.Every) {
			break
		}
		if err := run.one(ctx, f, r); err != nil {
			return errors.Join(append(run.failures, err)...)
		}
	}
	return errors.Join(run.failures...)
}

// String is the event as a line of a log.
func (e Event) String() string {
	what := "end"
	if e.Begin {
		what = "begin"
	}
	line := fmt.Sprintf("%s %s: %s", e.Name, what, e.Text)
	if e.Served > 0 {
		line += fmt.Sprintf("; served after %v", e.Served.Round(time.Millisecond))
	}
	if e.Whole > 0 {
		line += fmt.Sprintf("; whole after %v", e.Whole.Round(time.Millisecond))
	}
	if e.Failed {
		line = "FAILED " + line
	}
	return line
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// running is a Run in progress.
type running struct {
	cluster  *Cluster
	lasts    time.Duration
	tell     func(Event)
	without  map[string]bool // faults that can't be had here
	failures []error
}

// one lets a fault come and go. An error means that it is no use to go on.
func (r *running) one(ctx context.Context, f Fault, random *rand.Rand) error {
	c := r.cluster
	begun := time.Now()
	i, err := f.Begin(ctx, c, random)
	switch {
	case errors.Is(err, ErrUnavailable):
		r.without[f.Name()] = true
		r.tell(Event{Time: begun, Node: Everybody, Name: f.Name(), Text: "left out: " + err.Error()})
		return nil
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		r.fail(Event{Time: begun, Node: Everybody, Name: f.Name(), Text: err.Error(), Begin: true})
		return r.restore(context.WithoutCancel(ctx), f.Name())
	}
	in, _ := i.(*injected)
	if in == nil {
		in = &injected{node: Everybody, text: i.Describe(), heal: i.Heal}
	}
	begin := Event{Time: begun, Node: in.node, Role: in.role, Name: f.Name(), Text: in.text, Begin: true}
	r.tell(begin)
	r.last(ctx, in, begin, begun)

	// From here to the end the context's end no longer counts: trouble must not
	// be left behind.
	ctx = context.WithoutCancel(ctx)
	r.deaths(f.Name(), in.doomed)
	healed := time.Now()
	if err := in.Heal(ctx); err != nil {
		r.fail(Event{Time: healed, Node: in.node, Name: f.Name(), Text: "heal: " + err.Error()})
	}
	end := Event{Time: healed, Node: in.node, Name: f.Name(), Text: in.text}
	if took, err := c.recover(ctx, &end); err != nil {
		end.Text = fmt.Sprintf("%s; not recovered after %v: %v", in.text, took.Round(time.Millisecond), err)
		r.fail(end)
		return r.restore(ctx, f.Name())
	}
	r.deaths(f.Name(), nil)
	r.tell(end)
	return nil
}

// last waits while the trouble lasts, and sees to it that those serve who must.
func (r *running) last(ctx context.Context, in *injected, begin Event, begun time.Time) {
	left := r.lasts
	if len(in.serve) > 0 {
		sctx, cancel := context.WithTimeout(ctx, servePatience)
		defer cancel()
		_, err := r.cluster.awaitServing(sctx, in.serve)
		begin.Time, begin.Served = time.Now(), time.Since(begun)
		switch {
		case err != nil && ctx.Err() != nil:
		case err != nil:
			begin.Text = fmt.Sprintf("%s: not served by all that must: %v", in.text, err)
			r.fail(begin)
		default:
			begin.Text += ": those serve that must"
			r.tell(begin)
		}
		left -= begin.Served
	}
	pause(ctx, left)
}

// recover waits until the healed cluster serves and is whole.
func (c *Cluster) recover(ctx context.Context, end *Event) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, healPatience)
	defer cancel()
	began := time.Now()
	_, err := c.awaitServing(ctx, c.nodes)
	end.Served = time.Since(end.Time)
	if err == nil {
		err = c.awaitWhole(ctx)
		end.Whole = time.Since(end.Time)
	}
	return time.Since(began), err
}

// deaths tells of nodes that ended although nobody ended them.
func (r *running) deaths(name string, doomed []*node) {
	for _, n := range r.cluster.nodes {
		if n.cmd == nil || n.running() || n.asked {
			continue
		}
		n.asked = true
		e := Event{Time: time.Now(), Node: n.number, Name: name, Text: fmt.Sprintf("node %d ended by itself: %s", n.number, n.lastWords())}
		for _, d := range doomed {
			if d == n {
				r.tell(e)
				e.Text = ""
			}
		}
		if e.Text != "" {
			r.fail(e)
		}
	}
}

// fail tells of what the cluster must not do.
func (r *running) fail(e Event) {
	e.Failed = true
	r.tell(e)
	r.failures = append(r.failures, errors.New(e.String()))
}

// restore gets a cluster that did not recover going again, as an operator would:
// whoever does not run is started, and whoever does not come back is replaced.
func (r *running) restore(ctx context.Context, name string) error {
	c := r.cluster
	r.deaths(name, nil)
	if err := r.restart(ctx); err == nil {
		return nil
	}
	r.deaths(name, nil)
	var lost []*node
	for _, n := range c.nodes {
		if n.serves() != nil {
			lost = append(lost, n)
		}
	}
	if 2*len(lost) >= len(c.nodes) {
		return fmt.Errorf("nemesis: %d of %d nodes are lost", len(lost), len(c.nodes))
	}
	for _, n := range lost {
		r.fail(Event{Time: time.Now(), Node: n.number, Name: name, Text: fmt.Sprintf("node %d does not come back and is replaced: %s", n.number, n.lastWords())})
		n.kill()
		if err := keepDamaged(n); err != nil {
			return err
		}
	}
	return r.restart(ctx)
}

// restart starts whoever does not run, and waits until the cluster is whole.
func (r *running) restart(ctx context.Context) error {
	for _, n := range r.cluster.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, healPatience/2)
	defer cancel()
	return r.cluster.awaitWhole(ctx)
}

// keepDamaged sets a node's data aside, for people to look at.
func keepDamaged(n *node) error {
	aside := fmt.Sprintf("%s-damaged-%d", n.dir, time.Now().UnixMilli())
	return errors.Join(os.Rename(n.dir, aside), os.MkdirAll(n.dir, 0o755))
}
