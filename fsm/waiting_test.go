package fsm

import (
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm/entry"
)

// blocker is a client whose commands may wait.
type blocker struct {
	client
	gone    bool
	waiter  uint64
	begun   int
	replied int
}

func newBlocker() *blocker { return &blocker{client: *newClient()} }

func (b *blocker) BeginWait(waiter uint64) bool {
	if b.gone {
		return false
	}
	b.waiter = waiter
	b.begun++
	return true
}

func (b *blocker) EndWait()         { b.waiter = 0 }
func (b *blocker) EndReplies(n int) { b.replied += n }

// said returns what the client was told since the last time.
func (b *blocker) said() string {
	text := strings.ReplaceAll(b.got(), "\r\n", "|")
	b.out.Reset(nil)
	b.out.SetProto(reply.RESP2)
	return text
}

// conversing is a machine by the rules of commands that wait.
func conversing(t *testing.T) *machine {
	m := newMachine(t)
	m.part(1, entry.PartRaise, entry.AppendRaise(nil, semantic.Conversation))
	return m
}

func mayWait(s string) []byte { return entry.AppendWaiting(nil, 0, words(s)) }

// block has a client of this node send a command that may wait.
func (m *machine) block(b *blocker, inc, seq uint64, s string) {
	m.t.Helper()
	m.own.pending[seq] = &Pending{Parts: []Part{{Conn: b, Ops: []Op{{Kind: OpWrite, Waits: true, Repeats: strings.HasPrefix(s, "xread "), Args: words(s)}}}}}
	m.batch(head(1, inc, seq), mayWait(s))
	delete(m.own.pending, seq)
}

// stamped applies an entry of one part.
func (m *machine) stamped(kind entry.PartKind, payload []byte, stamp int64) {
	var b entry.Builder
	b.Add(kind, payload)
	m.index++
	m.fsm.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.Seal(stamp, 1)})
}

func (m *machine) expect(b *blocker, want, when string) {
	m.t.Helper()
	if got := b.said(); got != want {
		m.t.Errorf("%s: got %q, want %q", when, got, want)
	}
}

// A waiter is answered where its client is, by whatever serves it.
func TestAWaiterIsAnsweredByItsOwnNode(t *testing.T) {
	m, b := conversing(t), newBlocker()
	m.block(b, 1, 1, "blpop k 0")
	if b.waiter == 0 || b.replied != 0 {
		t.Fatalf("waiter %d, %d replies", b.waiter, b.replied)
	}
	m.batch(head(2, 1, 1), mayWait("blpop k 0")) // of another node's client: behind
	m.batch(head(2, 1, 2), command(nil, "rpush k a b c"))
	m.expect(b, "*2|$1|k|$1|a|", "another node pushed")
	if b.waiter != 0 || b.replied != 1 || m.read("LRANGE k 0 -1") != "*1\r\n$1\r\nc\r\n" {
		t.Errorf("waiter %d, %d replies, left %q", b.waiter, b.replied, m.read("LRANGE k 0 -1"))
	}
}

// A push rides in the pipeline behind which nothing waits, and is told first.
func TestAPusherAndWhoWaitsInOneBatch(t *testing.T) {
	m, b, c := conversing(t), newBlocker(), newClient()
	m.block(b, 1, 1, "blpop k 0")
	m.own.pending[2] = pendingOf(c, write("rpush k a"), write("llen k"))
	m.batch(head(1, 1, 2), command(command(nil, "rpush k a"), "llen k"))
	m.expect(b, "*2|$1|k|$1|a|", "its own node pushed")
	if c.got() != ":1\r\n:0\r\n" {
		t.Errorf("who pushed was told %q", c.got())
	}
}

func TestTimeIsUpByTheLogClock(t *testing.T) {
	m, b := conversing(t), newBlocker()
	m.block(b, 1, 1, "blpop k 1") // at clock 2
	if at := m.fsm.opts.Engine.NextExpiry(); at != 1002 {
		t.Errorf("the leader is to tick at %d", at)
	}
	m.stamped(entry.PartTick, nil, 1001)
	m.expect(b, "", "a moment before")
	m.stamped(entry.PartTick, nil, 1002)
	m.expect(b, "*-1|", "its time is up")
	if at := m.fsm.opts.Engine.NextExpiry(); at >= 0 {
		t.Errorf("nothing waits, and the leader is to tick at %d", at)
	}
}

func TestUnblock(t *testing.T) {
	m, a, b, c := conversing(t), newBlocker(), newBlocker(), newClient()
	m.block(a, 1, 1, "blpop k 0")
	m.block(b, 1, 2, "blpop k 0")
	ops := []Op{{Kind: OpUnblock, Waiter: a.waiter}, {Kind: OpUnblock, Waiter: b.waiter, Failed: true}, {Kind: OpUnblock, Waiter: a.waiter}}
	var items []byte
	for _, op := range ops {
		items = entry.AppendUnblock(items, op.Waiter, op.Failed)
	}
	m.own.pending[3] = pendingOf(c, ops...)
	m.batch(head(1, 1, 3), items)
	m.expect(a, "*-1|", "as if its time were up")
	m.expect(b, "-UNBLOCKED client unblocked via CLIENT UNBLOCK|", "with an error")
	if c.got() != ":1\r\n:1\r\n:0\r\n" {
		t.Errorf("who asked was told %q", c.got())
	}
}

// What waits for nobody is dropped: of a client that left, of a batch given up.
func TestWhatNobodyWaitsForIsDropped(t *testing.T) {
	m, b := conversing(t), newBlocker()
	b.gone = true
	m.block(b, 1, 1, "blpop k 0")
	m.batch(head(1, 1, 2), mayWait("blpop k 0")) // nobody is there to take it
	if len(m.own.drops) != 2 {
		t.Fatalf("drops %v", m.own.drops)
	}
	var items []byte
	for _, waiter := range m.own.drops {
		items = entry.AppendDrop(items, waiter)
	}
	m.own.pending[3] = &Pending{}
	m.batch(head(1, 1, 3), items)
	m.batch(head(2, 1, 1), command(nil, "rpush k a"))
	if got := m.read("LLEN k"); got != ":1\r\n" {
		t.Errorf("left %q", got)
	}
}

// A node that begins anew has no clients; one that gives up an incarnation has them
// still.
func TestAnotherLifeOfANode(t *testing.T) {
	m, b := conversing(t), newBlocker()
	m.block(b, 1, 1, "blpop k 0")
	m.batch(head(2, 1, 1), mayWait("blpop j 0"))
	inherits := head(1, 2, 1)
	inherits.Inherit = true
	m.batch(inherits, nil)
	m.batch(head(2, 2, 1), command(command(nil, "rpush j x"), "rpush k x"))
	m.expect(b, "*2|$1|k|$1|x|", "served under another incarnation")
	if got := m.read("LLEN j"); got != ":1\r\n" {
		t.Errorf("what waited for a node's earlier life was served: %q", got)
	}
}

func TestARetiredNodesClientsWaitNoLonger(t *testing.T) {
	m, b := conversing(t), newBlocker()
	m.block(b, 1, 1, "blpop k 0")
	m.batch(head(2, 1, 1), mayWait("blpop k 0"))
	id := node(1)
	m.stamped(entry.PartRetire, id[:], 5)
	m.expect(b, "-"+string(reply.ErrRetired)+"|", "its node was retired")
	id = node(2)
	m.stamped(entry.PartRetire, id[:], 5)
	m.batch(head(2, 1, 2), command(nil, "rpush k a"))
	if got := m.read("LLEN k"); got != ":1\r\n" {
		t.Errorf("left %q", got)
	}
	m.block(b, 1, 2, "blpop k 0")
	m.expect(b, "*2|$1|k|$1|a|", "retired nodes go on")
}

// A snapshot of another node jumps over entries. Who waits in it waits on; what became
// of others is not known; what changes nothing begins anew.
func TestWaitersOverASnapshot(t *testing.T) {
	other := conversing(t)
	m := conversing(t)
	stays, popped, reads := newBlocker(), newBlocker(), newBlocker()
	for _, x := range []*machine{m, other} {
		x.block(stays, 1, 1, "blpop k 0")
		x.block(popped, 1, 2, "blpop j 0")
		x.batch(head(2, 1, 1), command(nil, "xadd s 5-1 f v"))
		x.block(reads, 1, 3, "xread block 0 streams s $")
	}
	other.batch(head(1, 1, 4), mayWait("blpop lost 0")) // sent, and told to be in doubt meanwhile
	other.batch(head(2, 1, 2), command(command(nil, "rpush j x"), "xadd s 6-1 f v"))
	for _, b := range []*blocker{stays, popped, reads} {
		b.said()
	}
	before := reads.replied
	if err := m.restore(other.snapshot()); err != nil {
		t.Fatal(err)
	}
	m.index = other.index
	m.expect(stays, "", "it waits on")
	if got := popped.said(); !strings.HasPrefix(got, "-INDOUBT ") {
		t.Errorf("served before the snapshot: %q", got)
	}
	m.expect(reads, "", "it begins anew")
	if len(m.own.again) != 1 || string(m.own.again[0].Args[5]) != "5-1" || !m.own.again[0].Waits || reads.replied != before {
		t.Errorf("again: %v", m.own.again)
	}
	if len(m.own.drops) != 1 {
		t.Errorf("drops %v: one waits for nobody", m.own.drops)
	}
	m.batch(head(2, 1, 3), command(nil, "rpush k y"))
	m.expect(stays, "*2|$1|k|$1|y|", "served after the snapshot")
	if m.fsm.opts.Engine.Chain() == other.fsm.opts.Engine.Chain() {
		t.Error("one has an entry more")
	}
	other.batch(head(2, 1, 3), command(nil, "rpush k y"))
	if m.fsm.opts.Engine.Chain() != other.fsm.opts.Engine.Chain() {
		t.Error("who came by a snapshot has another chain")
	}
}
