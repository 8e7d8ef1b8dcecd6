package fsm

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm/entry"
)

// part applies an entry of one part, and returns it as it stands in the log.
func (m *machine) part(needs uint16, kind entry.PartKind, payload []byte) *raft.Log {
	m.t.Helper()
	var b entry.Builder
	b.Add(kind, payload)
	m.index++
	log := &raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.Seal(int64(m.index), needs)}
	m.fsm.Apply(log)
	return log
}

// fatal makes the machine note fatal errors instead of failing.
func (m *machine) fatal() *error {
	found := new(error)
	m.fsm.opts.Fatal = func(err error) { *found = err }
	return found
}

func (m *machine) chain() chain.Value { return m.fsm.opts.Engine.Chain() }

func TestSemanticVersionRises(t *testing.T) {
	m := begun(t)
	if m.fsm.Semantic() != 1 {
		t.Fatalf("it begins with %d", m.fsm.Semantic())
	}
	other := begun(t)
	other.read("GET a")
	*other.chainOf() = chain.Chain{} // as a node that came by way of an old snapshot
	if m.chain() == other.chain() {
		t.Fatal("the chains are the same before")
	}
	for _, n := range []*machine{m, other} {
		n.part(2, entry.PartRaise, entry.AppendRaise(nil, 2))
	}
	if m.fsm.Semantic() != 2 || m.chain() != other.chain() {
		t.Errorf("version %d; the chains are %v and %v", m.fsm.Semantic(), m.chain(), other.chain())
	}
	was := m.chain()
	m.part(2, entry.PartRaise, entry.AppendRaise(nil, 2))
	m.part(2, entry.PartRaise, entry.AppendRaise(nil, 1))
	if m.fsm.Semantic() != 2 {
		t.Errorf("it fell to %d", m.fsm.Semantic())
	}
	other.part(2, entry.PartTick, nil)
	other.part(2, entry.PartTick, nil)
	if was == m.chain() || m.chain() != other.chain() {
		t.Error("a second raise is more than a tick")
	}
}

func (m *machine) chainOf() (c *chain.Chain) {
	m.fsm.opts.Engine.Apply(func(s *engine.Step) { c = s.Chain() })
	return c
}

// What a later release has logged ends this node, with a line that says what to do.
func TestNewerVersionIsFatal(t *testing.T) {
	for name, log := range map[string]func(*machine){
		"an entry that needs it": func(m *machine) { m.part(SemanticMax+1, entry.PartTick, nil) },
		"its raise":              func(m *machine) { m.part(1, entry.PartRaise, entry.AppendRaise(nil, SemanticMax+1)) },
		"an unknown part":        func(m *machine) { m.part(SemanticMax, 99, nil) },
	} {
		m := begun(t)
		found := m.fatal()
		log(m)
		if *found == nil || !strings.Contains((*found).Error(), "upgrade this node") {
			t.Errorf("%s: %v", name, *found)
		}
	}
	m := begun(t)
	m.fsm.state.semantic = SemanticMax + 1
	file := m.snapshot()
	if err := newMachine(t).restore(file); err == nil || !strings.Contains(err.Error(), "upgrade this node") {
		t.Errorf("a snapshot of it: %v", err)
	}
}

// Commands of a version are commands once it is in force, on every node and also on
// one that came by way of a snapshot.
func TestCommandsComeWithTheirVersion(t *testing.T) {
	m := begun(t)
	count := func() string {
		return m.read("EXISTS h")
	}
	m.part(2, entry.PartRaise, entry.AppendRaise(nil, semantic.Geo-1))
	m.batch(head(2, 1, 3), command(nil, "PFADD h a"))
	if got := count(); got != ":0\r\n" {
		t.Errorf("before the version PFADD did something: %q", got)
	}
	m.part(3, entry.PartRaise, entry.AppendRaise(nil, semantic.Geo))
	came := newMachine(t)
	if err := came.restore(m.snapshot()); err != nil {
		t.Fatal(err)
	}
	came.index = m.index
	for _, n := range []*machine{m, came} {
		n.batch(head(2, 1, 4), command(nil, "PFADD h a"))
	}
	if got := count(); got != ":1\r\n" || m.chain() != came.chain() {
		t.Errorf("from the version on: %q, chains %v and %v", got, m.chain(), came.chain())
	}
}

// A snapshot of before the raise is one that older releases load, and one of after
// it is not.
func TestSnapshotTellsTheSemanticVersion(t *testing.T) {
	m := begun(t)
	if text := m.fsm.state.append(nil); text[0] != statePlain {
		t.Errorf("before the raise its format is %d", text[0])
	}
	m.part(2, entry.PartRaise, entry.AppendRaise(nil, 2))
	if text := m.fsm.state.append(nil); text[0] != stateSemantic {
		t.Errorf("after the raise its format is %d", text[0])
	}
	came := newMachine(t)
	if err := came.restore(m.snapshot()); err != nil {
		t.Fatal(err)
	}
	if came.fsm.Semantic() != 2 || came.chain() != m.chain() {
		t.Errorf("version %d, chain %v, want 2 and %v", came.fsm.Semantic(), came.chain(), m.chain())
	}
	if index, value := came.fsm.Chain(); index != m.index || value != m.chain() {
		t.Errorf("the value at %d is %v", index, value)
	}
}

func TestCheckComparesAtTheIndex(t *testing.T) {
	m := begun(t)
	var checks []Check
	m.fsm.opts.Checked = func(c Check) { checks = append(checks, c) }
	m.part(2, entry.PartRaise, entry.AppendRaise(nil, 2))
	m.batch(head(2, 1, 3), command(nil, "SET b 1"))
	index, value := m.fsm.Chain()
	if index != m.index || value != m.chain() {
		t.Fatalf("%v at %d", value, index)
	}
	m.batch(head(2, 1, 4), command(nil, "SET b 2"))
	tell := func(index uint64, value chain.Value) {
		m.part(2, entry.PartChain, entry.AppendChain(nil, entry.Chain{Leader: node(2), Index: index, Value: entry.ChainValue(value)}))
	}
	tell(index, value)
	tell(index, m.chain())
	tell(index+1000, value)
	if len(checks) != 3 || !checks[0].Agrees() || checks[1].Agrees() || !checks[1].Known || checks[2].Known {
		t.Errorf("%+v", checks)
	}
	if checks[1].Own != value || checks[1].Leader != node(2) {
		t.Errorf("%+v", checks[1])
	}
}

// Duplicates, gaps and refused batches change nothing, and so not the chain.
func TestChainOfBatches(t *testing.T) {
	m := begun(t)
	changes := func(want bool, name string, h entry.BatchHead) {
		t.Helper()
		m.part(1, entry.PartTick, nil)
		twin := begun(t)
		for twin.index < m.index {
			twin.part(1, entry.PartTick, nil)
		}
		*twin.chainOf() = *m.chainOf()
		twin.part(1, entry.PartTick, nil)
		m.batch(h, nil)
		if (m.chain() != twin.chain()) != want {
			t.Errorf("%s: changes the chain: %v", name, !want)
		}
	}
	changes(false, "a duplicate", head(2, 1, 2))
	changes(false, "a gap", head(2, 1, 9))
	changes(false, "of no member", head(7, 1, 1))
	changes(true, "the next", head(2, 1, 3))
	changes(true, "a new life", head(2, 2, 1))
	changes(false, "an older life", head(2, 1, 4))
}

// A state that is wrong is replaced by another node's, older or newer, and goes on
// with the log: nothing is left out and nothing comes twice.
func TestReplace(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		good, bad := begun(t), begun(t)
		logs := make(map[uint64]*raft.Log)
		step := func(m *machine, i uint64) {
			log := m.part(1, entry.PartBatch, append(entry.AppendBatchHead(nil, head(2, 1, i)), command(nil, "RPUSH l "+string(rune('a'+i)))...))
			logs[log.Index] = log
		}
		entryAt := func(index uint64) (*raft.Log, error) {
			if logs[index] == nil {
				return nil, raft.ErrLogNotFound
			}
			return logs[index], nil
		}
		var file []byte
		for i := uint64(3); i < 10; i++ {
			step(good, i)
			if i < 7 || !ahead {
				step(bad, i)
			}
			if i == 5 && !ahead || i == 8 && ahead {
				file = good.snapshot()
			}
		}
		bad.fsm.opts.Engine.Apply(func(s *engine.Step) { s.Do(0, words("RPUSH l rogue"), false, newClient().out) })
		if err := bad.fsm.Replace(bytes.NewReader(file), entryAt); err != nil {
			t.Fatal(err)
		}
		for i := uint64(7); i < 10 && ahead; i++ {
			step(bad, i)
		}
		if got, want := bad.read("LRANGE l 0 -1"), good.read("LRANGE l 0 -1"); got != want || bad.chain() != good.chain() {
			t.Errorf("ahead %v: %q, want %q", ahead, got, want)
		}
		if got, want := bad.fsm.state.append(nil), good.fsm.state.append(nil); !bytes.Equal(got, want) {
			t.Errorf("ahead %v: state %x, want %x", ahead, got, want)
		}
	}
	// Without the entries that follow nothing is replaced.
	m, other := begun(t), begun(t)
	old := other.snapshot()
	m.part(1, entry.PartTick, nil)
	was := m.snapshot()
	err := m.fsm.Replace(bytes.NewReader(old), func(uint64) (*raft.Log, error) { return nil, raft.ErrLogNotFound })
	if !errors.Is(err, raft.ErrLogNotFound) || !bytes.Equal(m.snapshot(), was) {
		t.Errorf("%v", err)
	}
}
