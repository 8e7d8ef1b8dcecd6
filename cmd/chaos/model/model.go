package model

import (
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/cmd/chaos/history"
)

// Porcupine is the model of a group of keys. The input of an operation is its
// *history.Op, which holds the reply too.
func Porcupine() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{State{}} },
		Step:  func(state, in, _ any) []any { return step(state.(State), in.(*history.Op)) },
		Equal: func(a, b any) bool { s, t := a.(State), b.(State); return s.equal(&t) },
		Hash:  func(a any) uint64 { s := a.(State); return s.hash() },
		DescribeOperation: func(in, _ any) string {
			return in.(*history.Op).String()
		},
		DescribeState: func(a any) string { s := a.(State); return s.String() },
	}
	return m.ToModel()
}

// Verdict is what Check found.
type Verdict struct {
	Result porcupine.CheckResult
	// Part is the history, or the part of it that is not linearizable.
	Part []porcupine.Operation
	// Info is what porcupine draws from, of Part, if Drawn.
	Info  porcupine.LinearizationInfo
	Drawn bool
	// Split says that the two searches disagree: the harness is wrong.
	Split bool
}

// Check checks the history of one group, for about that long. Porcupine decides
// of histories whose outcomes are all known. Of others the search over
// configurations decides, and porcupine is asked for its opinion of what that
// rejects.
func Check(ops []*history.Op, limit time.Duration) Verdict {
	v := Verdict{Part: whole(ops)}
	if open(ops) {
		var at int64
		if v.Result, at = decide(v.Part, limit); v.Result != porcupine.Illegal {
			return v
		}
		v.Part = until(v.Part, at)
	} else if v.Result = porcupine.CheckOperationsTimeout(Porcupine(), v.Part, limit); v.Result != porcupine.Illegal {
		return v
	}
	opinion, info := porcupine.CheckOperationsVerbose(Porcupine(), v.Part, limit)
	v.Info, v.Drawn, v.Split = info, opinion == porcupine.Illegal, opinion == porcupine.Ok
	return v
}

// decide decides of a history with outcomes that are not known: by quick
// searches, which explain nearly all that can be explained, and then by all of
// them, in either way of going through it.
func decide(ops []porcupine.Operation, limit time.Duration) (porcupine.CheckResult, int64) {
	for e := range effort(3) {
		if result, _ := search(ops, e, time.Now().Add(limit/8)); result == porcupine.Ok {
			return result, 0
		}
		if e == 0 {
			if result, _ := search(noticed(ops), thorough, time.Now().Add(limit/8)); result == porcupine.Ok {
				return result, 0
			}
		}
	}
	if result, at := search(ops, thorough, time.Now().Add(limit/4)); result != porcupine.Unknown {
		return result, at
	}
	return porcupine.CheckOperationsTimeout(Porcupine(), ops, limit/2), history.Forever
}

// step returns the states that may follow s by op; none if its reply can't be.
func step(s State, op *history.Op) []any {
	after := taken(s, op)
	if op.Early {
		after = append(after, s)
	}
	return after
}

// taken is step for an operation that takes effect.
func taken(s State, op *history.Op) []any {
	if op.Pipe != 0 {
		var turn bool
		if s, turn = s.enter(op.Pipe, op.Pos, op.Last); !turn {
			return nil
		}
	}
	known := op.Outcome == history.Done
	switch guarded := holds(&s, op); {
	case known && op.Aborted: // a false conflict is allowed
		return wrap([]State{s})
	case !guarded && known:
		return nil
	case !guarded:
		return wrap([]State{s})
	}
	after := []State{s}
	for i, c := range op.Cmds {
		want := ""
		if known {
			want = op.Replies[i]
		}
		var next []State
		for _, t := range after {
			next = append(next, apply(t, c, op, want, known)...)
		}
		if after = next; len(after) == 0 {
			return nil
		}
	}
	if op.Outcome == history.Settled {
		after = append(after, s) // or it was never applied
	}
	return wrap(after)
}

func wrap(states []State) []any {
	all := make([]any, len(states))
	for i := range states {
		all[i] = states[i]
	}
	return all
}

// holds reports whether what a guarded transaction saw is there still.
func holds(s *State, op *history.Op) bool {
	for _, seen := range op.Seen {
		if get(&s.keys[seen.Key]) != seen.Reply {
			return false
		}
	}
	return true
}

// apply returns the states that may follow s by one command whose reply is
// want, if it is known.
func apply(s State, c history.Cmd, op *history.Op, want string, known bool) []State {
	var out []State
	for _, t := range expire(s, c, op) {
		e := exec{s: t, cmd: c, op: op, want: want, known: known}
		e.run()
		out = append(out, e.out...)
	}
	return out
}

// expireSlack is by how much the clock of the log may be ahead of the time at
// which an operation returned, as this process saw it.
const expireSlack = int64(2 * time.Millisecond)

// lateMax is how long after its time a key may still be seen. The leader logs
// a tick within some milliseconds; a busy machine may take longer.
const lateMax = int64(5 * time.Second)

// expire returns s and, if keys of the command may be gone by its time, s without
// any of them.
func expire(s State, c history.Cmd, op *history.Op) []State {
	states := []State{s}
	for _, arg := range c[1:] {
		k, ok := history.KeyIndex(arg)
		if !ok || s.keys[k].lo == 0 || op.Return+expireSlack < s.keys[k].lo {
			continue
		}
		must := op.Call > s.keys[k].hi && op.Call-s.keys[k].hi > lateMax
		for i, t := range states {
			if gone := t.with(k, value{}); must {
				states[i] = gone
			} else {
				states = append(states, gone)
			}
		}
	}
	return states
}

// exec carries out one command on one state.
type exec struct {
	s     State
	cmd   history.Cmd
	op    *history.Op
	want  string
	known bool
	out   []State
	told  string // the first reply given
}

// key returns the command's i-th argument as a key.
func (e *exec) key(i int) int {
	k, ok := history.KeyIndex(e.cmd[i])
	if !ok {
		panic("model: not a key: " + e.cmd.String())
	}
	return k
}

func (e *exec) at(i int) value { return e.s.keys[e.key(i)] }

// gives takes the command's outcome: that reply, and that state.
func (e *exec) gives(reply string, s State) {
	if e.told == "" {
		e.told = reply
	}
	if !e.known || reply == e.want {
		e.out = append(e.out, s)
	}
}

// says is a reply without a change.
func (e *exec) says(reply string) { e.gives(reply, e.s) }

func (e *exec) run() {
	f, ok := commands[strings.ToUpper(e.cmd[0])]
	if !ok {
		panic("model: no such command: " + e.cmd.String())
	}
	f(e)
}
