package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/cmd/chaos/model"
)

// slip is one way in which a store may err. It stands in for the execution of
// an operation, and reports whether it could err there.
type slip struct {
	name string
	// kinds are the names of those that it is tried on; empty: all.
	kinds string
	do    func(s *simulation, op *history.Op, at int64) bool
}

// simulation makes the history of a group on virtual time: clients that call,
// a moment at which each operation takes effect, and returns.
type simulation struct {
	store *model.Store
	rand  *rand.Rand
	past  []model.State // the states so far
	slip  *slip
	after int  // operations before the slip
	erred bool // it has been made
	calls int
}

const (
	simClients = 5
	simOps     = 250
)

// latency is how long a command of a kind takes to its effect, and from there, at
// most: so long that keys with a time to live come to its end.
func latency(kind *Kind) time.Duration {
	if kind.Name == "ttl" {
		return 60 * time.Millisecond
	}
	return 3 * time.Millisecond
}

// actor is one simulated client.
type actor struct {
	op      *history.Op
	effect  int64 // when op takes effect
	ret     int64 // when it returns
	applied bool
	guard   *history.Op // what follows a read of the watched key
}

// run returns the history that kind's operations make.
func (s *simulation) run(kind *Kind) []*history.Op {
	var ops []*history.Op
	r := &chance{s.rand}
	actors := make([]actor, simClients)
	span := func() int64 { return 1 + s.rand.Int64N(int64(latency(kind))) }
	call := func(i int, at int64) {
		a := &actors[i]
		op := a.guard
		a.guard = nil
		if op == nil {
			op = &history.Op{}
			op.Form, op.Cmds = kind.next(r)
			if op.Form == history.Guards {
				a.guard = op
				op = &history.Op{Cmds: []history.Cmd{{"GET", history.Key(0)}}}
			}
		}
		op.Client, op.Call = i, at
		a.op, a.applied = op, false
		a.effect = at + span()
		a.ret = a.effect + span()
	}
	for i := range actors {
		call(i, span())
	}
	for s.calls < simOps {
		i, at := soonest(actors)
		a := &actors[i]
		if !a.applied {
			a.applied = true
			s.execute(a.op, at)
			continue
		}
		if a.op.Outcome == history.Done && a.op.Replies == nil && !a.op.Aborted { // refused
			a.guard = nil
		} else if a.op.Outcome == history.Open {
			a.op.Return, a.guard = history.Forever, nil
			if !readOnly(a.op.Cmds) {
				ops = append(ops, a.op)
			}
		} else {
			a.op.Return = at
			ops = append(ops, a.op)
		}
		if a.guard != nil {
			a.guard.Seen = []history.Seen{{Key: 0, Reply: a.op.Replies[0]}}
		}
		s.calls++
		call(i, at+span())
	}
	for i := range actors { // under way at the end
		if op := actors[i].op; !readOnly(op.Cmds) {
			op.Outcome, op.Return = history.Open, history.Forever
			ops = append(ops, op)
		}
	}
	end := int64(0)
	for _, op := range ops {
		if op.Return != history.Forever {
			end = max(end, op.Return)
		}
	}
	for i, cmd := range kind.final {
		op := &history.Op{Client: simClients, Cmds: []history.Cmd{cmd}, Call: end + int64(10*i) + 1}
		op.Return = op.Call + 5
		s.store.Do(op, op.Call+2)
		ops = append(ops, op)
	}
	return ops
}

func soonest(actors []actor) (int, int64) {
	best, at := -1, int64(0)
	for i := range actors {
		next := actors[i].effect
		if actors[i].applied {
			next = actors[i].ret
		}
		if best < 0 || next < at {
			best, at = i, next
		}
	}
	return best, at
}

func (s *simulation) execute(op *history.Op, at int64) {
	s.past = append(s.past, s.store.State)
	if s.slip != nil && !s.erred && s.calls >= s.after && s.slip.do(s, op, at) {
		s.erred = true
		return
	}
	switch s.rand.IntN(100) {
	case 0: // the reply is lost
		s.store.Do(op, at)
		op.Outcome = history.Open
	case 1: // the operation is
		op.Outcome = history.Open
	case 2: // refused
		op.Replies, op.Aborted = nil, false
	default:
		s.store.Do(op, at)
	}
}

// writes executes op and reports whether it changed something, else undoes it.
func (s *simulation) writes(op *history.Op, at int64) bool {
	before := s.store.State
	s.store.Do(op, at)
	if op.Aborted || model.Same(before, s.store.State) {
		s.store.State = before
		op.Replies, op.Aborted = nil, false
		return false
	}
	return true
}

// slips are the planted corruptions.
var slips = []slip{
	{"an acknowledged write is lost", "", func(s *simulation, op *history.Op, at int64) bool {
		before := s.store.State
		if !s.writes(op, at) {
			return false
		}
		s.store.State = before
		return true
	}},
	{"a stale read", "string counter append hash list set zset stream multi lua", func(s *simulation, op *history.Op, at int64) bool {
		if !readOnly(op.Cmds) || len(s.past) < 60 {
			return false
		}
		now, fresh := s.store.State, *op
		s.store.Do(&fresh, at)
		s.store.State = s.past[len(s.past)-50]
		s.store.Do(op, at)
		s.store.State = now
		if slices.Equal(fresh.Replies, op.Replies) {
			op.Replies = nil
			return false
		}
		return true
	}},
	{"a write is applied twice", "counter append list multi", func(s *simulation, op *history.Op, at int64) bool {
		if !s.writes(op, at) {
			return false
		}
		once, again := s.store.State, *op
		s.store.Do(&again, at)
		return !model.Same(once, s.store.State)
	}},
	{"a definite error was applied", "string counter append list hash zset stream multi", func(s *simulation, op *history.Op, at int64) bool {
		if !s.writes(op, at) {
			return false
		}
		op.Replies = nil
		return true
	}},
	{"all goes back to what was", "string counter append list hash set zset stream", func(s *simulation, _ *history.Op, _ int64) bool {
		if len(s.past) < 60 || model.Same(s.store.State, s.past[len(s.past)-50]) {
			return false
		}
		s.store.State = s.past[len(s.past)-50]
		s.erred = true // and op is executed as usual, later than all that
		return false
	}},
	{"a key expires early", "ttl", func(s *simulation, op *history.Op, at int64) bool {
		if op.Cmds[0][0] != "SET" || len(op.Cmds[0]) != 5 || op.Cmds[0][4] < "300" || len(op.Cmds[0][4]) < 3 {
			return false
		}
		s.store.Do(op, at)
		s.store.Expire()
		return true
	}},
	{"a key comes back", "ttl", func(s *simulation, _ *history.Op, _ int64) bool {
		s.erred = len(s.past) >= 60 && s.store.Revive(s.past[len(s.past)-30])
		return false // op is executed as usual
	}},
	{"a list is turned round", "list", func(s *simulation, op *history.Op, at int64) bool {
		s.store.Do(op, at)
		s.erred = s.store.Turn()
		return true
	}},
	{"a member is popped twice", "set zset list", func(s *simulation, op *history.Op, at int64) bool {
		name := op.Cmds[0][0]
		if !strings.Contains(name, "POP") {
			return false
		}
		before := s.store.State
		if !s.writes(op, at) {
			return false
		}
		s.store.State = before
		return true
	}},
	{"a transaction is applied in part", "multi", func(s *simulation, op *history.Op, at int64) bool {
		if op.Form != history.Tx || op.Cmds[0][0] != "INCRBY" {
			return false
		}
		first := *op
		first.Cmds = op.Cmds[:1]
		s.store.Do(&first, at)
		half := s.store.State
		s.store.Do(op, at)
		s.store.State = half
		return true
	}},
	{"a watched key had changed", "watch", func(s *simulation, op *history.Op, at int64) bool {
		if op.Form != history.Guards {
			return false
		}
		seen := op.Seen
		s.store.Do(op, at)
		if !op.Aborted {
			return false
		}
		op.Seen = nil
		s.store.Do(op, at)
		op.Seen = seen
		return true
	}},
	{"an aborted transaction was applied", "watch", func(s *simulation, op *history.Op, at int64) bool {
		if op.Form != history.Guards || !s.writes(op, at) {
			return false
		}
		op.Replies, op.Aborted = nil, true
		return true
	}},
}

func simulate(kind *Kind, seed uint64, err *slip) (ops []*history.Op, erred bool) {
	r := rand.New(rand.NewPCG(seed, 7))
	s := &simulation{store: &model.Store{Rand: r}, rand: r, slip: err, after: simOps / 4}
	ops = s.run(kind)
	return ops, s.erred
}

// Correct histories pass, those with replies lost among them, in both searches.
func TestCorrectHistoriesPass(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			for seed := range uint64(4) {
				ops, _ := simulate(kind, seed, nil)
				if v := model.Check(ops, time.Minute); v.Result != porcupine.Ok {
					t.Fatalf("seed %d: %s\n%s", seed, v.Result, tail(v.Part))
				}
			}
		})
	}
}

// Every planted corruption is found in every kind of history. Not with every
// seed: what a slip did may have been overwritten before anybody saw it, and then
// the history is as good as any.
func TestPlantedCorruptionsAreCaught(t *testing.T) {
	for i := range slips {
		err := &slips[i]
		for _, kind := range Kinds {
			if err.kinds != "" && !slices.Contains(strings.Fields(err.kinds), kind.Name) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", err.name, kind.Name), func(t *testing.T) {
				const seeds = 8
				tried, caught := 0, 0
				for seed := range uint64(seeds) {
					ops, erred := simulate(kind, seed, err)
					if !erred {
						continue
					}
					tried++
					v := model.Check(ops, 2*time.Second)
					if v.Split {
						t.Errorf("seed %d: the searches disagree", seed)
					}
					if v.Result == porcupine.Illegal {
						caught++
					}
				}
				t.Logf("%d of %d caught", caught, tried)
				if caught == 0 {
					t.Errorf("%d of %d caught", caught, tried)
				}
			})
		}
	}
}

func tail(part []porcupine.Operation) string {
	var lines []string
	for _, o := range part[max(0, len(part)-30):] {
		lines = append(lines, o.Input.(*history.Op).Line())
	}
	return strings.Join(lines, "\n")
}
