package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// trial is a sequence that is carried out from the beginning, again and again.
type trial struct {
	*fuzz
	settings [][2]string
	steps    []workload.Step
	state    bool // it is the state in the end that differs
}

// differ tells a difference after the last of the steps, in the shortest way.
func (f *fuzz) differ(seed uint64, settings [][2]string, steps []workload.Step, diff *difference) error {
	if diff.known != nil {
		return nil // both sides have parted, as they may: the epoch ends here
	}
	f.found++
	last := &steps[len(steps)-1]
	fmt.Fprintf(f.out, "\nDIFFERENCE: seed %d, step %d, client %d: %s\n%s", seed, len(steps)-1, last.Client, line(last.Args), diff)
	other, err := f.duo.otherSettings(settings)
	if err != nil {
		return err
	}
	fmt.Fprint(f.out, other) // or the difference is of the settings
	real := f.duo.counts
	f.duo.counts = newCounts() // tries do not count
	defer func() { f.duo.counts = real }()
	t := &trial{fuzz: f, settings: settings, steps: steps, state: diff.state != ""}
	if !t.shrink() {
		fmt.Fprintln(f.out, "It does not show again with the same steps. The last of them:")
		for _, s := range steps[max(0, len(steps)-30):] {
			fmt.Fprintf(f.out, "  client %d: %s\n", s.Client, line(s.Args))
		}
		return nil
	}
	return t.tell()
}

// shrink makes the trial shorter: fewer steps, by one client if possible, with
// Redis' own settings where they do as well. It reports false if the trial
// shows nothing.
func (t *trial) shrink() bool {
	s := &shrinker{end: time.Now().Add(shrinkPatience), differs: func(steps []workload.Step) bool {
		return t.differs(t.settings, steps)
	}}
	short := s.shrink(slices.Clone(t.steps))
	if short == nil {
		return false
	}
	t.steps = short
	alone := slices.Clone(short)
	for i := range alone {
		alone[i].Client = short[len(short)-1].Client
	}
	if t.differs(t.settings, alone) {
		t.steps = alone
	}
	for i := len(t.settings) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(t.settings), i, i+1)
		if t.differs(fewer, t.steps) {
			t.settings = fewer
		}
	}
	return true
}

func (t *trial) differs(settings [][2]string, steps []workload.Step) bool {
	diff, err := t.again(settings, steps)
	return err == nil && diff != nil && diff.known == nil && t.alike(steps, diff)
}

// alike reports whether it is still the state that differs, or else that a command
// of the same name, the last one, is answered differently: what is left of a
// transaction, say, may be answered differently for another reason.
func (t *trial) alike(steps []workload.Step, diff *difference) bool {
	if t.state {
		return diff.state != ""
	}
	last := t.steps[len(t.steps)-1].Args
	return diff.state == "" && diff.step == len(steps)-1 && bytes.Equal(steps[diff.step].Args[0], last[0])
}

// again carries out steps from the beginning.
func (t *trial) again(settings [][2]string, steps []workload.Step) (*difference, error) {
	diff, err := t.once(settings, steps)
	if errors.Is(err, errUnavailable) {
		err = errors.Join(err, t.duo.afresh()) // the next trial does not find what is left of this one
	}
	return diff, err
}

func (t *trial) once(settings [][2]string, steps []workload.Step) (*difference, error) {
	if err := t.begin(settings); err != nil {
		return nil, err
	}
	diff, err := t.duo.run(steps)
	if diff != nil || err != nil || !t.state {
		return diff, err
	}
	if diff, err = t.duo.check(); diff != nil {
		diff.step = len(steps) - 1
	}
	return diff, err
}

// begin empties both sides and sets Redis' own settings but for some.
func (t *trial) begin(settings [][2]string) error {
	return t.duo.reset(slices.Concat(workload.OwnSettings(), settings))
}

// tell prints the trial and the script made of it.
func (t *trial) tell() error {
	diff, err := t.again(t.settings, t.steps)
	if err != nil {
		return err
	}
	if diff != nil {
		client := t.steps[diff.step].Client
		fmt.Fprintf(t.out, "In %d steps, at a client of protocol %s:\n%s\n", len(t.steps), t.duo.clients[client].proto, diff)
	}
	replies, err := t.replies()
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, script(t.settings, t.steps, replies))
	return nil
}

// replies asks redis-server for the replies in each protocol.
func (t *trial) replies() ([][]reply.Value, error) {
	var all [][]reply.Value
	for _, proto := range protocols {
		if err := t.begin(t.settings); err != nil {
			return nil, err
		}
		for _, c := range t.duo.clients {
			if _, err := c.redis.Ask("HELLO", proto); err != nil {
				return nil, err
			}
		}
		var values []reply.Value
		for i := range t.steps {
			if t.steps[i].Args == nil {
				time.Sleep(t.steps[i].Wait)
				continue
			}
			for _, args := range [][][]byte{t.steps[i].Probe, t.steps[i].Args} {
				if args == nil {
					continue
				}
				raw, err := t.duo.clients[t.steps[i].Client].redis.Do(args...)
				if err != nil {
					return nil, err
				}
				v, _, err := reply.Read(slices.Clone(raw))
				if err != nil {
					return nil, err
				}
				values = append(values, v)
			}
		}
		all = append(all, values)
	}
	return all, nil
}
