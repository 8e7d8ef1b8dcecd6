package fsm

import (
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm/entry"
)

// parts applies an entry of these parts, the last of which may be a batch of node 1
// with these ops, and returns what its client is told.
func (m *machine) under(pressure bool, victims []byte, seq uint64, ops []Op, items []byte) string {
	m.t.Helper()
	c := newClient()
	var b entry.Builder
	if victims != nil {
		b.Add(entry.PartEvict, victims)
	}
	if pressure {
		b.Add(entry.PartPressure, nil)
	}
	if items != nil {
		m.own.pending[seq] = pendingOf(c, ops...)
		b.Add(entry.PartBatch, append(entry.AppendBatchHead(nil, head(1, 1, seq)), items...))
	}
	m.index++
	m.fsm.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.Seal(int64(m.index), semantic.Conversation)})
	return c.got()
}

// Commands that bring data are refused in an entry that says that memory is short, and in
// no other; nodes are told that they would be as long as nothing is freed.
func TestPressureRefusesWhatBringsData(t *testing.T) {
	m := conversing(t)
	oom := "-" + string(reply.ErrOOM) + "\r\n"
	do := func(pressure bool, seq uint64, s string) string {
		return m.under(pressure, nil, seq, []Op{write(s)}, command(nil, s))
	}
	tight := m.fsm.opts.Engine.Tight
	for i, c := range []struct {
		pressure bool
		command  string
		want     string
		tight    bool
	}{
		{false, "SET k v", "+OK\r\n", false},
		{true, "SET k w", oom, true},
		{true, "LPUSH l a", oom, true},
		{true, "GETDEL none", "$-1\r\n", true},
		{true, "DEL k", ":1\r\n", false}, // perhaps there is room now
		{false, "SET k w", "+OK\r\n", false},
		{true, "SET k w", oom, true},
		{false, "DEL none", ":0\r\n", false},
	} {
		if got := do(c.pressure, uint64(i+1), c.command); got != c.want || tight() != c.tight {
			t.Errorf("%d %s: %q, tight %v; want %q, %v", i, c.command, got, tight(), c.want, c.tight)
		}
	}
}

// A transaction with a command that brings data is refused as a whole.
func TestPressureRefusesTransactions(t *testing.T) {
	m := conversing(t)
	tx := func(pressure bool, seq uint64, commands ...string) string {
		ops := []Op{{Kind: OpTx, Tx: &Tx{}}}
		items := entry.AppendTxHead(nil, 0, len(commands))
		for _, s := range commands {
			ops[0].Tx.Ops = append(ops[0].Tx.Ops, write(s))
			items = entry.AppendTxCommand(items, 0, words(s))
		}
		return m.under(pressure, nil, seq, ops, items)
	}
	if got := tx(true, 1, "DEL a", "SET a b"); got != "-"+string(reply.ErrExecOOM)+"\r\n" {
		t.Errorf("with a SET: %q", got)
	}
	if got := tx(true, 2, "DEL a", "DEL b"); got != "*2\r\n:0\r\n:0\r\n" {
		t.Errorf("without: %q", got)
	}
	if got := tx(false, 3, "DEL a", "SET a b"); got != "*2\r\n:0\r\n+OK\r\n" {
		t.Errorf("without pressure: %q", got)
	}
}

// Keys that are evicted are gone for who waits for that, and for the commands behind.
func TestEvictedKeysAreGone(t *testing.T) {
	m := conversing(t)
	for i, s := range []string{"SET a 1", "SET b 1", "RPUSH c 1"} {
		m.batch(head(1, 1, uint64(i+1)), command(nil, s))
	}
	victims := entry.AppendEvict(entry.AppendEvict(nil, 0, words("a c none")), 3, words("b"))
	if got := m.under(false, victims, 4, []Op{write("INCR a")}, command(nil, "INCR a")); got != ":1\r\n" {
		t.Errorf("INCR of an evicted key: %q", got)
	}
	if got := m.read("EXISTS a b c"); got != ":2\r\n" {
		t.Errorf("%q keys are left", got)
	}
	if n := m.fsm.opts.Engine.Stats().Evicted; n != 2 {
		t.Errorf("%d keys were evicted", n)
	}
}
