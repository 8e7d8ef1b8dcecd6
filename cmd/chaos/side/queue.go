package side

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// forever is the time of what has not come to an end, or never begins.
const forever = time.Duration(math.MaxInt64)

// Push is an element that a producer gave, and what became of it.
type Push struct {
	Element      string
	Producer     int
	Score        int    // in a sorted set
	ID           string // in a stream, of what was acknowledged
	Call, Return time.Duration
	Outcome      Outcome
}

// Fate is how a command that waits has ended.
type Fate uint8

// The fates.
const (
	Got     Fate = iota // it was given something
	Empty               // its time was up
	Nudged              // CLIENT UNBLOCK ended its wait
	Denied              // a definite error: it took nothing
	Unknown             // INDOUBT, or its connection has ended: it may have taken what one command takes
)

// Pop is a command that waits for elements.
type Pop struct {
	Consumer     int
	Queues       []int // that it waits for
	To           int   // the queue that it moves what it takes to; -1: it does not
	Count        int   // of elements that it takes, at most
	Timeout      time.Duration
	Call, Return time.Duration
	Fate         Fate
	Queue        int      // from which it took
	Elements     []string // that it took, in their order
}

// Order is in which order a queue gives what is in it.
type Order uint8

// The orders.
const (
	FirstIn Order = iota // a list that is filled at one end and emptied at the other
	Lowest               // a sorted set: by score, then by element
	inLog                // a stream: LogRound judges it
)

// Round is what happened to a few queues whose producers and consumers are all
// known, from the first element to the last. Elements are pushed into queue 0.
type Round struct {
	Order  Order
	Queues int
	Pushes []Push
	Pops   []Pop
	// Left is what each queue held at the end, in the order in which it would give it.
	Left [][]string
}

// Tally is what a round came to.
type Tally struct {
	Wrong []string
	// Lost is how many acknowledged elements went to consumers of whom nobody knows
	// what they got: those whose node or connection died while they waited. Doubts is
	// how many elements such consumers may have taken.
	Lost, Doubts int
}

// stay is the time of an element in one queue. It came at some moment of in and left
// at some moment of out.
type stay struct {
	push    *Push
	in, out span
}

type span struct{ from, to time.Duration }

// Check judges a round. Wrong is what no correct store could have told:
//
//   - an element that nobody pushed, that was refused, that came before it was pushed,
//     that came twice, or that came and is still there;
//   - an acknowledged element that is gone, beyond those that consumers in doubt may
//     have taken;
//   - an element that came after one that the queue gives later, though it was there
//     before;
//   - a time that was up while the queue had something to give all along.
//
// What is in doubt may have happened at any time after its call, or never.
func (r *Round) Check() Tally {
	c := check{round: r, elements: make(map[string]*element, len(r.Pushes))}
	for i := range r.Pushes {
		p := &r.Pushes[i]
		c.elements[p.Element] = &element{push: p, left: -1}
	}
	for i := range r.Pops {
		c.take(&r.Pops[i])
	}
	for queue, elements := range r.Left {
		for _, name := range elements {
			c.keep(queue, name)
		}
	}
	c.place()
	for queue := range r.Queues {
		c.order(queue)
	}
	for i := range r.Pops {
		if p := &r.Pops[i]; p.Fate == Empty {
			c.empty(p)
		}
	}
	return c.tally
}

// check is the state of Check.
type check struct {
	round    *Round
	elements map[string]*element
	stays    [2][]stay // by queue; a round has two at most
	tally    Tally
}

// element is what is known of one.
type element struct {
	push  *Push
	taken [2]*Pop // from each queue
	left  int     // the queue that it is in at the end; -1: none
}

func (c *check) complain(format string, args ...any) {
	c.tally.Wrong = append(c.tally.Wrong, fmt.Sprintf(format, args...))
}

// take notes what a consumer got.
func (c *check) take(p *Pop) {
	if p.Fate == Unknown && p.To < 0 {
		c.tally.Doubts += p.Count
	}
	for _, name := range p.Elements {
		e := c.elements[name]
		switch {
		case e == nil:
			c.complain("consumer %d got %q, which nobody pushed", p.Consumer, name)
			continue
		case e.push.Outcome == Refused:
			c.complain("consumer %d got %q, which was answered with a definite error", p.Consumer, name)
		case p.Return < e.push.Call:
			c.complain("consumer %d got %q before it was pushed", p.Consumer, name)
		case e.taken[p.Queue] != nil:
			c.complain("%q came twice out of queue %d: to consumer %d and to consumer %d", name, p.Queue, e.taken[p.Queue].Consumer, p.Consumer)
		}
		e.taken[p.Queue] = p
	}
}

// keep notes what is there at the end.
func (c *check) keep(queue int, name string) {
	e := c.elements[name]
	switch {
	case e == nil:
		c.complain("%q is in queue %d, and nobody pushed it", name, queue)
		return
	case e.push.Outcome == Refused:
		c.complain("%q is in queue %d, and was answered with a definite error", name, queue)
	case e.left >= 0:
		c.complain("%q is there twice", name)
	}
	if e.taken[queue] != nil {
		c.complain("%q is still in queue %d, and consumer %d got it", name, queue, e.taken[queue].Consumer)
	}
	e.left = queue
}

// place finds out when each element was where.
func (c *check) place() {
	moves, unknownMoves := 0, 0
	for i := range c.round.Pops {
		if p := &c.round.Pops[i]; p.Fate == Unknown && p.To >= 0 {
			unknownMoves += p.Count
		}
	}
	for i := range c.round.Pushes {
		p := &c.round.Pushes[i]
		e := c.elements[p.Element]
		in := span{p.Call, p.Return}
		if p.Outcome != Acked {
			in.to = forever
		}
		first, second := e.taken[0], e.taken[1]
		inSecond := second != nil || e.left == 1
		moved := first != nil && first.To == 1
		switch {
		case inSecond && first != nil && !moved:
			c.complain("%q came to consumer %d, and is in queue 1 too", p.Element, first.Consumer)
			continue
		case inSecond && first == nil: // moved by somebody in doubt
			moves++
			out := span{in.from, forever}
			if second != nil {
				out.to = second.Return
			}
			c.add(0, e, in, out)
			c.add(1, e, out, c.out(1, e, out))
			continue
		case first == nil && e.left < 0: // gone, or never there
			if p.Outcome == Acked {
				c.tally.Lost++
				c.add(0, e, in, span{in.from, forever})
			}
			continue
		}
		out := c.out(0, e, in)
		c.add(0, e, in, out)
		if !moved {
			continue
		}
		if !inSecond { // who took it from there is in doubt
			c.tally.Lost++
			c.add(1, e, out, span{out.from, forever})
			continue
		}
		c.add(1, e, out, c.out(1, e, out))
	}
	if c.tally.Lost > c.tally.Doubts {
		c.complain("%d acknowledged elements are gone, and consumers in doubt may have taken %d: %s", c.tally.Lost, c.tally.Doubts, c.someLost())
	}
	if moves > unknownMoves {
		c.complain("%d elements were moved by nobody, and %d moves are in doubt", moves, unknownMoves)
	}
}

// someLost names some elements that are gone.
func (c *check) someLost() string {
	var names []string
	for i := range c.round.Pushes {
		p := &c.round.Pushes[i]
		if e := c.elements[p.Element]; p.Outcome == Acked && e.left < 0 && (e.taken[0] == nil && e.taken[1] == nil || e.taken[0] != nil && e.taken[0].To == 1 && e.taken[1] == nil) {
			if names = append(names, p.Element); len(names) == 5 {
				break
			}
		}
	}
	return fmt.Sprintf("%q", names)
}

// out returns when an element left a queue into which it came in a span of time.
func (c *check) out(queue int, e *element, in span) span {
	if p := e.taken[queue]; p != nil {
		return span{max(p.Call, in.from), p.Return}
	}
	return span{forever, forever}
}

func (c *check) add(queue int, e *element, in, out span) {
	in.to = min(in.to, out.to)
	c.stays[queue] = append(c.stays[queue], stay{e.push, in, out})
}

// order checks in which order a queue gave what was in it.
func (c *check) order(queue int) {
	switch c.round.Order {
	case FirstIn, inLog:
		c.firstIn(queue)
	case Lowest:
		c.lowest(queue)
	}
}

// firstIn checks that nothing came out before what was certainly in before it: because
// its push had been acknowledged, or is by the same producer, earlier.
func (c *check) firstIn(queue int) {
	stays := c.stays[queue]
	byIn := slices.Clone(stays)
	slices.SortFunc(byIn, func(a, b stay) int { return cmp.Compare(a.in.from, b.in.from) })
	byEnd := slices.Clone(stays)
	slices.SortFunc(byEnd, func(a, b stay) int { return cmp.Compare(a.in.to, b.in.to) })
	var last *stay // to leave, of those that were in before
	next := 0
	for i := range byIn {
		b := &byIn[i]
		for ; next < len(byEnd) && byEnd[next].in.to < b.in.from; next++ {
			if a := &byEnd[next]; last == nil || a.out.from > last.out.from {
				last = a
			}
		}
		c.after(queue, last, b)
	}
	if queue != 0 {
		return
	}
	lastOf := make(map[int]*stay) // by producer
	for i := range stays {        // in the order of the pushes
		b := &stays[i]
		a := lastOf[b.push.Producer]
		c.after(queue, a, b)
		if b.push.Outcome == Acked && (a == nil || b.out.from > a.out.from) {
			lastOf[b.push.Producer] = b
		}
	}
}

// after complains if b, which was in after a, came out before it.
func (c *check) after(queue int, a, b *stay) {
	if a == nil || a.push == b.push || b.out.to >= a.out.from {
		return
	}
	c.complain("queue %d gave %q (in since %v, out by %v) before %q, which was in by %v and was there until %v",
		queue, b.push.Element, b.in.from, b.out.to, a.push.Element, a.in.to, a.out.from)
}

// lowest checks that nothing came out while something lower was certainly there.
func (c *check) lowest(queue int) {
	stays := slices.Clone(c.stays[queue])
	slices.SortFunc(stays, func(a, b stay) int {
		return cmp.Or(cmp.Compare(a.push.Score, b.push.Score), cmp.Compare(a.push.Element, b.push.Element))
	})
	for i := range stays {
		b := &stays[i]
		if b.out.to == forever {
			continue
		}
		for j := range stays[:i] {
			if a := &stays[j]; a.in.to < b.out.from && a.out.from > b.out.to {
				c.complain("queue %d gave %q of score %d (from %v to %v), and %q of score %d was there from %v to %v",
					queue, b.push.Element, b.push.Score, b.out.from, b.out.to, a.push.Element, a.push.Score, a.in.to, a.out.from)
				break
			}
		}
	}
}

// empty checks that there was a moment at which the time of p may have been up with
// nothing to give.
func (c *check) empty(p *Pop) {
	from := p.Call + p.Timeout
	var there []span
	for _, queue := range p.Queues {
		for i := range c.stays[queue] {
			s := &c.stays[queue][i]
			if s.in.to < s.out.from && s.in.to <= p.Return && s.out.from >= from {
				there = append(there, span{s.in.to, s.out.from})
			}
		}
	}
	slices.SortFunc(there, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	covered := from
	for _, s := range there {
		if s.from > covered || covered >= p.Return {
			break
		}
		covered = max(covered, s.to)
	}
	if len(there) > 0 && covered >= p.Return {
		c.complain("consumer %d was told at %v that there is nothing in queues %v, after %v; there was something all the time since %v",
			p.Consumer, p.Return, p.Queues, p.Timeout, there[0].from)
	}
}
