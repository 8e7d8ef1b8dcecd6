package model

import (
	"cmp"
	mathbits "math/bits"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/cmd/chaos/history"
)

// The search for histories with operations of unknown outcome.
//
// Porcupine goes through a history depth first and remembers which operations
// it has placed. Each operation that may take effect at any later time doubles
// what it may have to go through, and it decides nothing when a dozen clients
// lost their connections at once.
//
// This search goes through the history in the order of time and keeps every
// configuration that is possible so far: a state, and which of the operations
// under way have taken effect. Two rules keep them few:
//
//   - What changes nothing takes effect as soon as it may: that forbids nothing
//     later (absorb).
//   - Of two configurations with one state, the one in which fewer operations
//     without an end have taken effect can do all that the other can (prune).
//
// An operation takes effect at the latest when it returns; only then are the
// ways to get there looked for. When no configuration is left, the history up to
// that moment is not linearizable, whatever comes after: so the failing part is
// known, and porcupine can be asked for its opinion and its picture of that.

// slotsMax bounds the operations under way at one time, those without an end
// among them.
const slotsMax = 128

// effort says how thorough a search is. One below thorough lets endless
// operations take effect only where nothing else explains a reply, as few as do
// and that many more, and keeps one configuration for each state. What it
// accepts is linearizable; what it rejects may be.
type effort int

const thorough effort = slotsMax

// bits is a set of slots.
type bits [slotsMax / 64]uint64

func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bits) with(i int) bits {
	b[i/64] |= 1 << (i % 64)
	return b
}

func (b bits) without(i int) bits {
	b[i/64] &^= 1 << (i % 64)
	return b
}

func (b bits) len() int {
	n := 0
	for _, word := range b {
		n += mathbits.OnesCount64(word)
	}
	return n
}

func (b bits) minus(c bits) bits {
	for i := range b {
		b[i] &^= c[i]
	}
	return b
}

func (b bits) and(c bits) bits {
	for i := range b {
		b[i] &= c[i]
	}
	return b
}

// config is one way in which things may stand.
type config struct {
	state State
	done  bits // of the operations under way: those that have taken effect
}

// frontier is the search.
type frontier struct {
	slots   [slotsMax]*history.Op
	used    int // slots below this one may be taken
	endless bits
	configs []config
	left    int // steps that may be taken yet; negative when that or the time is used up
	effort  effort
	// deadline ends the search.
	deadline time.Time
	// twin is, for each endless operation, the slot of an older endless one
	// that does the same, -1 if there is none: that one takes effect first.
	twin [slotsMax]int
}

// event is the call or the return of an operation.
type event struct {
	at   int64
	op   *history.Op
	call bool
}

// stepsMax bounds the work for one history.
const stepsMax = 20_000_000

// search decides whether a history is linearizable. If it is not, until is the
// time of the return that can't be explained.
func search(ops []porcupine.Operation, e effort, deadline time.Time) (result porcupine.CheckResult, until int64) {
	events := make([]event, 0, 2*len(ops))
	for i := range ops {
		op := ops[i].Input.(*history.Op)
		events = append(events, event{ops[i].Call, op, true})
		if ops[i].Return != history.Forever {
			events = append(events, event{ops[i].Return, op, false})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int {
		switch {
		case a.at != b.at:
			return cmp.Compare(a.at, b.at)
		case a.call == b.call:
			return 0
		case a.call:
			return -1 // intervals are closed: calls come first
		}
		return 1
	})
	ends := make(map[*history.Op]bool, len(ops))
	for _, e := range events {
		if !e.call {
			ends[e.op] = true
		}
	}
	f := &frontier{configs: []config{{}}, left: stepsMax, effort: e, deadline: deadline}
	for _, e := range events {
		if e.call {
			if !f.begin(e.op, !ends[e.op]) {
				return porcupine.Unknown, 0
			}
			continue
		}
		f.end(e.op)
		switch {
		case f.left < 0:
			return porcupine.Unknown, 0
		case len(f.configs) == 0:
			return porcupine.Illegal, e.at
		}
	}
	return porcupine.Ok, 0
}

// begin takes in an operation that is under way from now on; false if there
// are too many.
func (f *frontier) begin(op *history.Op, endless bool) bool {
	slot := slices.Index(f.slots[:], nil)
	if slot < 0 {
		return false
	}
	f.slots[slot] = op
	f.used = max(f.used, slot+1)
	f.endless, f.twin[slot] = f.endless.without(slot), -1
	if endless {
		f.twin[slot] = f.twinOf(op)
		f.endless = f.endless.with(slot)
	}
	for i := range f.configs {
		f.absorb(&f.configs[i])
	}
	return true
}

// twinOf returns the slot of an endless operation with the same commands, the
// youngest of them, or -1.
func (f *frontier) twinOf(op *history.Op) int {
	found := -1
	for i, other := range f.slots[:f.used] {
		if other != nil && other != op && f.endless.has(i) && other.Form == op.Form && slices.EqualFunc(other.Cmds, op.Cmds, slices.Equal[history.Cmd]) &&
			slices.Equal(other.Seen, op.Seen) && !f.hasYounger(i) {
			found = i
		}
	}
	return found
}

func (f *frontier) hasYounger(slot int) bool { return slices.Contains(f.twin[:f.used], slot) }

// absorb lets operations under way take effect that are known and change
// nothing.
func (f *frontier) absorb(c *config) {
	for again := true; again; {
		again = false
		for i, op := range f.slots[:f.used] {
			if op == nil || c.done.has(i) || op.Outcome != history.Done || !readsOnly(op) {
				continue
			}
			next := f.next(&c.state, op)
			// One's turn in a pipeline may be all that changes: that lets the
			// next one have its turn.
			if len(next) == 1 && sameData(&next[0], &c.state) {
				c.state, c.done, again = next[0], c.done.with(i), true
			}
		}
	}
}

func sameData(s, t *State) bool {
	for i := range s.keys {
		if !s.keys[i].equal(&t.keys[i]) {
			return false
		}
	}
	return true
}

// readsOnly tells what may be taken early: an operation that can have changed
// nothing whenever it took effect.
func readsOnly(op *history.Op) bool {
	return op.Aborted || op.Form == history.Plain && readers[op.Cmds[0][0]]
}

var readers = map[string]bool{
	"GET": true, "MGET": true, "EXISTS": true, "STRLEN": true, "HGET": true, "HGETALL": true, "HLEN": true, "LRANGE": true, "LLEN": true,
	"SISMEMBER": true, "SMEMBERS": true, "SCARD": true, "ZSCORE": true, "ZRANGE": true, "ZCARD": true, "XRANGE": true, "XLEN": true, "PTTL": true,
}

func (f *frontier) next(s *State, op *history.Op) []State {
	if f.left--; f.left%1024 == 0 && time.Now().After(f.deadline) {
		f.left = -1
	}
	after := step(*s, op)
	states := make([]State, len(after))
	for i, a := range after {
		states[i] = a.(State)
	}
	return states
}

// end goes on to the configurations in which op has taken effect, and lets it go.
func (f *frontier) end(op *history.Op) {
	slot := slices.Index(f.slots[:f.used], op)
	reached := f.newConfigSet()
	seen := f.newConfigSet()
	var stack []config
	for _, c := range f.configs {
		if c.done.has(slot) {
			reached.add(c)
		} else if seen.add(c) {
			stack = append(stack, c)
		}
	}
	// One layer after the other: each takes one endless operation more.
	for more := f.effort; len(stack) > 0 && f.left >= 0; {
		if len(reached.byState) > 0 {
			if more--; more < 0 {
				break
			}
		}
		var deeper []config
		for len(stack) > 0 && f.left >= 0 {
			c := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			f.spread(&c, func(d config, endless bool) {
				switch {
				case d.done.has(slot):
					reached.add(d)
				case !seen.add(d):
				case endless:
					deeper = append(deeper, d)
				default:
					stack = append(stack, d)
				}
			})
		}
		stack = deeper
	}
	f.slots[slot] = nil
	f.configs = f.configs[:0]
	for _, c := range f.prune(reached) {
		c.done = c.done.without(slot)
		f.configs = append(f.configs, c)
	}
}

// spread calls f with each configuration that one more operation leads to.
func (f *frontier) spread(c *config, to func(d config, endless bool)) {
	for i, op := range f.slots[:f.used] {
		if op == nil || c.done.has(i) {
			continue
		}
		endless := f.endless.has(i)
		if endless && f.twin[i] >= 0 && !c.done.has(f.twin[i]) {
			continue
		}
		for _, s := range f.next(&c.state, op) {
			if endless && s.equal(&c.state) {
				continue // for what changes nothing and has no end there is no hurry
			}
			d := config{s, c.done.with(i)}
			f.absorb(&d)
			to(d, endless)
		}
	}
}

// prune drops configurations that can do no more than another one.
func (f *frontier) prune(s *configSet) []config {
	var kept []config
	for _, bucket := range s.byState {
		for i := range bucket {
			if !f.surpassed(bucket, i) {
				kept = append(kept, bucket[i])
			}
		}
	}
	return kept
}

// surpassed reports whether another of the configurations has the state of
// the i-th, and differs only by endless operations that it has not used up.
func (f *frontier) surpassed(all []config, i int) bool {
	c := &all[i]
	for j := range all {
		d := &all[j]
		if i == j || d.done.and(c.done) != d.done || d.done == c.done || !d.state.equal(&c.state) {
			continue
		}
		extra := c.done.minus(d.done)
		if extra.and(f.endless) == extra {
			return true
		}
	}
	return false
}

// configSet is a set of configurations, by the hash of their states.
type configSet struct {
	byState map[uint64][]config
	blind   bits // what does not tell two configurations apart
}

func (f *frontier) newConfigSet() *configSet {
	s := &configSet{byState: make(map[uint64][]config)}
	if f.effort < thorough {
		s.blind = f.endless
	}
	return s
}

// add reports whether c is new. Of those that are not told apart the one with
// the fewest operations is kept.
func (s *configSet) add(c config) bool {
	h := c.state.hash()
	for i := range s.byState[h] {
		d := &s.byState[h][i]
		if d.done.minus(s.blind) != c.done.minus(s.blind) || !d.state.equal(&c.state) {
			continue
		}
		if c.done.len() >= d.done.len() {
			return false
		}
		*d = c
		return true
	}
	s.byState[h] = append(s.byState[h], c)
	return true
}
