package raftlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog/faultfs"
)

// model is what a log must hold.
type model struct {
	acked   []*raft.Log   // after the last operation that returned nil
	maybe   [][]*raft.Log // what it may hold as well, of an operation that did not
	history [][]*raft.Log // what it may hold if the power is lost: all states since an fsync
	policy  Policy
}

func newModel(p Policy) *model { return &model{history: [][]*raft.Log{nil}, policy: p} }

func (m *model) first() uint64 {
	if len(m.acked) == 0 {
		return 0
	}
	return m.acked[0].Index
}

func (m *model) last() uint64 {
	if len(m.acked) == 0 {
		return 0
	}
	return m.acked[len(m.acked)-1].Index
}

func (m *model) may(state []*raft.Log) {
	m.maybe = append(m.maybe, state)
	m.history = append(m.history, state)
}

// settle notes that the last operation returned nil, and whether all there is
// was fsynced with it.
func (m *model) settle(synced bool) {
	if n := len(m.maybe); n > 0 {
		m.acked, m.maybe = m.maybe[n-1], nil
	}
	if synced {
		m.history = [][]*raft.Log{m.acked}
	}
}

// adopt takes over what s holds after a crash, if it may hold that. After the
// death of the process alone it has all that was acknowledged, under any policy.
func (m *model) adopt(s *Store, powerLost bool) string {
	allowed := append([][]*raft.Log{m.acked}, m.maybe...)
	if powerLost {
		allowed = m.history
	}
	problem := ""
	for _, state := range slices.Backward(allowed) {
		p := differs(s, state)
		if p == "" {
			m.acked, m.maybe, m.history = state, nil, [][]*raft.Log{state}
			return ""
		}
		if problem == "" {
			problem = p
		}
	}
	return "neither what was acknowledged nor what was under way; beside the newest allowed: " + problem
}

// store stores logs in s and in the model.
func (m *model) store(s *Store, logs []*raft.Log) error {
	kept := m.acked
	if logs[0].Index <= m.last() {
		kept = before(kept, logs[0].Index)
		m.may(kept)
	}
	for n := range logs {
		m.may(append(slices.Clone(kept), logs[:n+1]...))
	}
	err := s.StoreLogs(logs)
	if err == nil {
		m.settle(m.policy == Always)
	}
	return err
}

// delete deletes a stretch of entries from s and from the model.
func (m *model) delete(s *Store, lo, hi uint64) error {
	m.may(slices.DeleteFunc(slices.Clone(m.acked), func(l *raft.Log) bool { return lo <= l.Index && l.Index <= hi }))
	err := s.DeleteRange(lo, hi)
	if err == nil {
		m.settle(true)
	}
	return err
}

// tick lets s do what it does once a second.
func (m *model) tick(s *Store) error {
	s.tick()
	if f := s.failed.Load(); f != nil {
		return f
	}
	m.settle(m.policy != No)
	return nil
}

// before returns the entries of logs before index i.
func before(logs []*raft.Log, i uint64) []*raft.Log {
	return slices.DeleteFunc(slices.Clone(logs), func(l *raft.Log) bool { return l.Index >= i })
}

// life is a log through one or several processes on one disk.
type life struct {
	model *model
	store *Store
	opts  Options
}

func (l *life) open() (err error) {
	l.store, err = Open("log", l.opts)
	return err
}

// sized returns entries of n bytes of data each.
func sized(from, to, term uint64, n int) []*raft.Log {
	logs := entries(from, to, term)
	for _, l := range logs {
		l.Data = slices.Repeat([]byte{byte(l.Index + term)}, n)
	}
	return logs
}

// work is what the systematic tests cut short at every place: each kind of
// change, at the ends of segments, across them and on recycled ones.
var work = []func(*life) error{
	(*life).open,
	func(l *life) error { return l.model.store(l.store, entries(1, 3, 1)) },
	func(l *life) error { return l.model.store(l.store, sized(4, 4, 1, 0)) },
	func(l *life) error { return l.model.store(l.store, sized(5, 12, 1, 250)) },
	func(l *life) error { return l.model.store(l.store, sized(13, 13, 1, 2500)) }, // the first rotation
	func(l *life) error { return l.model.tick(l.store) },
	func(l *life) error { l.store.spares.prepare(); return nil }, // beside the log's own work
	func(l *life) error { return l.model.store(l.store, entries(14, 20, 1)) },
	// Another leader: raft deletes what conflicts, then stores.
	func(l *life) error { return l.model.delete(l.store, 17, 20) },
	func(l *life) error { return l.model.store(l.store, entries(17, 22, 2)) },
	func(l *life) error { return l.model.store(l.store, entries(21, 24, 3)) }, // or it overwrites
	func(l *life) error { return l.model.store(l.store, sized(25, 26, 3, 5000)) },
	// A snapshot was taken.
	func(l *life) error { return l.model.delete(l.store, 1, 14) },
	func(l *life) error { return l.model.tick(l.store) },
	func(l *life) error { return l.model.tick(l.store) },
	(*life).open, // killed and started again
	func(l *life) error { return l.model.store(l.store, sized(27, 60, 3, 200)) },
	func(l *life) error { return l.model.delete(l.store, 15, 50) }, // frees segments, which are used again
	func(l *life) error { return l.model.store(l.store, sized(61, 80, 4, 300)) },
	func(l *life) error { // stopped and started again
		if err := l.store.Close(); err != nil {
			return err
		}
		l.model.settle(true)
		return l.open()
	},
	func(l *life) error { return l.model.delete(l.store, 51, 80) }, // a snapshot of the leader's has overtaken it
	func(l *life) error { return l.model.store(l.store, entries(200, 205, 5)) },
	func(l *life) error { return l.model.store(l.store, sized(206, 206, 5, 10000)) },
	func(l *life) error { return l.model.delete(l.store, 203, 206) },
	func(l *life) error { return l.model.store(l.store, entries(203, 220, 6)) },
	func(l *life) error { return l.model.delete(l.store, 200, 210) },
	func(l *life) error { return l.store.Close() },
}

// do does the work until the power goes before operation at, or to its end.
func do(fsys *faultfs.FS, opts Options, at int) (*life, error) {
	fsys.StopAt(at)
	opts.FS = fsys
	l := &life{model: newModel(opts.Policy), opts: opts}
	for _, step := range work {
		if err := step(l); err != nil {
			return l, err
		}
	}
	l.model.settle(true)
	return l, nil
}

// TestPowerLossEverywhere takes the power away before each operation of the work
// on the file system in turn, and does so again before each operation of the
// recovery. What was acknowledged is there, or what may be there instead;
// nothing else is; and what is there stays, and can be gone on from.
func TestPowerLossEverywhere(t *testing.T) {
	rounds := faultfs.Rounds(t, 1)
	for _, opts := range []Options{
		{Policy: Always, Spares: -1},
		{Policy: Always, Spares: 2},
		{Policy: EverySec, Spares: 2},
		{Policy: No, Spares: -1},
	} {
		t.Run(fmt.Sprintf("%s, %d spares", opts.Policy, max(opts.Spares, 0)), func(t *testing.T) {
			opts.SegmentBytes, opts.Inline = minSegmentBytes, true
			for at := 1; ; at++ {
				fsys := faultfs.New()
				l, err := do(fsys, opts, at)
				if err != nil && !errors.Is(err, faultfs.ErrCrashed) {
					t.Fatalf("operation %d: %v", at, err)
				}
				for name, after := range losses(fsys, rounds, uint64(at)) {
					if err := recovers(after, l, name != "the process only", at); err != nil {
						t.Fatalf("power lost before operation %d, %s: %v", at, name, err)
					}
				}
				if err != nil {
					continue
				}
				t.Logf("%d operations", at-1)
				if at < 100 {
					t.Errorf("the work has only %d operations", at-1)
				}
				return
			}
		})
	}
}

// losses returns what may be left of fsys, by what is lost of what was not
// synced. Each call of a value gives the same again.
func losses(fsys *faultfs.FS, rounds, salt uint64) map[string]func() *faultfs.FS {
	all := map[string]func() *faultfs.FS{
		"nothing written back": func() *faultfs.FS { return fsys.Crash(nil) },
		"the process only":     fsys.Kill,
	}
	for seed := range rounds {
		all[fmt.Sprintf("loss %d", seed)] = func() *faultfs.FS { return fsys.Crash(rand.New(rand.NewPCG(seed, salt))) }
	}
	return all
}

// recovers opens the log on what after returns, and does so again with the power
// lost before each operation of that.
func recovers(after func() *faultfs.FS, l *life, powerLost bool, salt int) error {
	if err := recoversOnce(after(), l, powerLost); err != nil {
		return err
	}
	for again := 1; ; again++ {
		fsys := after()
		fsys.StopAt(again)
		opts := l.opts
		opts.FS = fsys
		_, err := Open("log", opts)
		if err == nil {
			return nil
		}
		if !errors.Is(err, faultfs.ErrCrashed) {
			return err
		}
		m := *l.model
		if err := secondRecovery(fsys, opts, &m, again, salt); err != nil {
			return fmt.Errorf("and again before operation %d of the recovery: %w", again, err)
		}
	}
}

// recoversOnce opens the log on fsys, compares, and goes on from there.
func recoversOnce(fsys *faultfs.FS, l *life, powerLost bool) error {
	opts, m := l.opts, *l.model
	opts.FS = fsys
	s, err := Open("log", opts)
	if err != nil {
		return err
	}
	if problem := m.adopt(s, powerLost); problem != "" {
		return errors.New(problem)
	}
	return goesOn(fsys, s, &m)
}

func secondRecovery(fsys *faultfs.FS, opts Options, m *model, again, salt int) error {
	r := rand.New(rand.NewPCG(uint64(again), uint64(salt)))
	if again%2 == 0 {
		r = nil
	}
	fsys = fsys.Crash(r)
	opts.FS = fsys
	s, err := Open("log", opts)
	if err != nil {
		return err
	}
	if problem := m.adopt(s, true); problem != "" {
		return errors.New(problem)
	}
	return nil
}

// goesOn checks that what s says it holds is on the disk, and that it takes more.
func goesOn(fsys *faultfs.FS, s *Store, m *model) error {
	opts := s.opts
	opts.FS = fsys.Crash(nil)
	found, err := Open("log", opts)
	if err != nil {
		return fmt.Errorf("the power lost after the recovery: %w", err)
	}
	if problem := differs(found, m.acked); problem != "" {
		return fmt.Errorf("the power lost after the recovery: %s", problem)
	}
	for k := range uint64(3) {
		if err := m.store(s, entries(m.last()+1, m.last()+7, 8+k)); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	opts.FS = fsys.Crash(nil)
	if found, err = Open("log", opts); err != nil {
		return fmt.Errorf("some writes later: %w", err)
	}
	if problem := differs(found, m.acked); problem != "" {
		return fmt.Errorf("some writes later: %s", problem)
	}
	return nil
}

// TestPowerLossWalk does random work on one log through several lives, each
// ended at a random place, by the loss of the power or of the process alone.
func TestPowerLossWalk(t *testing.T) {
	seeds := 80 * faultfs.Rounds(t, 1)
	for _, policy := range []Policy{Always, EverySec, No} {
		t.Run(policy.String(), func(t *testing.T) {
			for seed := range seeds {
				if err := walk(seed, policy); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

func walk(seed uint64, policy Policy) error {
	r := rand.New(rand.NewPCG(seed, uint64(policy)))
	fsys := faultfs.New()
	m := newModel(policy)
	opts := Options{SegmentBytes: minSegmentBytes, Policy: policy, TailBytes: int64(r.IntN(3000)) - 500, Spares: r.IntN(3) - 1, Inline: true}
	powerLost := false
	for life := range uint64(8) {
		opts.FS = fsys
		s, err := Open("log", opts)
		if err == nil {
			if problem := m.adopt(s, powerLost); problem != "" {
				return fmt.Errorf("life %d: %s", life, problem)
			}
			powerLost = false
			fsys.StopAt(1 + r.IntN(60))
			for err == nil {
				err = m.step(s, r, life+1)
				if err == nil && r.IntN(100) == 0 {
					if err = s.Close(); err == nil {
						m.settle(true)
						err = faultfs.ErrCrashed
					}
				}
			}
		}
		if !errors.Is(err, faultfs.ErrCrashed) {
			return fmt.Errorf("life %d: %w", life, err)
		}
		fsys, powerLost = end(fsys, r, powerLost)
		if r.IntN(3) == 0 { // die during recovery as well
			fsys.StopAt(1 + r.IntN(8))
			opts.FS = fsys
			if _, err := Open("log", opts); err != nil && !errors.Is(err, faultfs.ErrCrashed) {
				return fmt.Errorf("life %d, first recovery: %w", life, err)
			}
			fsys, powerLost = end(fsys, r, powerLost)
		}
	}
	return nil
}

// end ends a life on fsys.
func end(fsys *faultfs.FS, r *rand.Rand, powerLost bool) (*faultfs.FS, bool) {
	switch r.IntN(3) {
	case 0:
		return fsys.Kill(), powerLost
	case 1:
		return fsys.Crash(nil), true
	}
	return fsys.Crash(r), true
}

// step does one random operation on s and on the model. It returns the
// operation's error.
func (m *model) step(s *Store, r *rand.Rand, term uint64) error {
	first, last := m.first(), m.last()
	switch op := r.IntN(11); {
	case op < 6 || last == 0:
		from := last + 1
		if r.IntN(8) == 0 {
			from += uint64(r.IntN(5)) // a gap, as behind an installed snapshot
		}
		logs := entries(from, from+uint64(r.IntN(8)), term)
		if r.IntN(10) == 0 {
			logs[0].Data = make([]byte, 5000) // larger than a segment
		}
		return m.store(s, logs)
	case op < 7:
		from := last - uint64(r.IntN(min(int(last-first), 6)+1))
		return m.store(s, entries(from, from+uint64(r.IntN(8)), term))
	case op < 9:
		return m.delete(s, first, first+uint64(r.IntN(int(last-first)+1)))
	case op < 10:
		return m.delete(s, last-uint64(r.IntN(min(int(last-first), 6)+1)), last)
	default:
		return m.tick(s)
	}
}
