package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm/entry"
)

// sequencer stands in for the node's own.
type sequencer struct {
	pending map[uint64]*Pending
	gaps    int
	drops   []uint64
	again   []Op
}

func (s *sequencer) Take(_, seq uint64) *Pending { return s.pending[seq] }
func (s *sequencer) Gap(uint64, uint64)          { s.gaps++ }
func (s *sequencer) Registered(uint64)           {}
func (s *sequencer) Restored(uint64, uint64)     {}
func (s *sequencer) Drop(waiter uint64)          { s.drops = append(s.drops, waiter) }
func (s *sequencer) Again(_ Conn, op Op)         { s.again = append(s.again, op) }

// client collects replies.
type client struct{ out *reply.Writer }

func newClient() *client                      { return &client{reply.NewWriter(reply.RESP2, nil)} }
func (c *client) BeginReplies() *reply.Writer { return c.out }
func (c *client) EndReplies(int)              {}
func (c *client) got() string                 { return string(c.out.Bytes()) }
func node(n byte) entry.NodeID                { return entry.NodeID{n} }
func words(s string) [][]byte                 { return split(strings.Fields(s)) }
func command(dst []byte, s string) []byte     { return entry.AppendCommand(dst, 0, words(s)) }
func write(s string) Op                       { return Op{Kind: OpWrite, Args: words(s)} }
func readOp(s string) Op                      { return Op{Kind: OpRead, Args: words(s)} }
func pendingOf(c *client, ops ...Op) *Pending { return &Pending{Parts: []Part{{Conn: c, Ops: ops}}} }

func head(n byte, inc, seq uint64) entry.BatchHead {
	return entry.BatchHead{Node: node(n), Incarnation: inc, Seq: seq}
}

func split(fields []string) [][]byte {
	var args [][]byte
	for _, f := range fields {
		args = append(args, []byte(f))
	}
	return args
}

// machine is an FSM of node 1 in a cluster of nodes 1 and 2.
type machine struct {
	t     *testing.T
	fsm   *FSM
	own   *sequencer
	index uint64
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, own: &sequencer{pending: make(map[uint64]*Pending)}}
	m.fsm = New(Options{
		Engine: engine.New(engine.Options{}), Node: node(1), Origin: m.own,
		Fatal: func(err error) { t.Fatalf("fatal: %v", err) },
	})
	m.fsm.StoreConfiguration(1, raft.Configuration{Servers: []raft.Server{
		{ID: raft.ServerID(node(1).String())}, {ID: raft.ServerID(node(2).String())},
	}})
	return m
}

// batch applies an entry with one batch of these encoded items.
func (m *machine) batch(h entry.BatchHead, items []byte) {
	m.t.Helper()
	var b entry.Builder
	b.Add(entry.PartBatch, append(entry.AppendBatchHead(nil, h), items...))
	m.index++
	m.fsm.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.Seal(int64(m.index), 1)})
}

func (m *machine) read(s string) string {
	out := reply.NewWriter(reply.RESP2, nil)
	m.fsm.opts.Engine.View(0, 0, func(v *engine.View) { v.Do(0, words(s), false, out) })
	return string(out.Bytes())
}

func TestAdmit(t *testing.T) {
	at := func(incarnation, last uint64) state {
		s := newState()
		s.members = []entry.NodeID{node(1)}
		if incarnation > 0 {
			s.origins[node(1)] = &origin{incarnation: incarnation, last: last}
		}
		return s
	}
	cases := []struct {
		name             string
		state            state
		head             entry.BatchHead
		want             verdict
		incarnation, seq uint64 // afterwards
	}{
		{"the first of all registers", at(0, 0), head(1, 1, 1), registered, 1, 1},
		{"another first does not", at(0, 0), head(1, 1, 2), gap, 0, 0},
		{"the next applies", at(2, 7), head(1, 2, 8), applies, 2, 8},
		{"the last is a duplicate", at(2, 7), head(1, 2, 7), duplicate, 2, 7},
		{"an older one is a duplicate", at(2, 7), head(1, 2, 1), duplicate, 2, 7},
		{"one too far is a gap", at(2, 7), head(1, 2, 9), gap, 2, 7},
		{"a new life begins with 1", at(2, 7), head(1, 3, 1), registered, 3, 1},
		{"and with nothing else", at(2, 7), head(1, 3, 2), gap, 2, 7},
		{"lives may be skipped", at(2, 7), head(1, 9, 1), registered, 9, 1},
		{"an old life is refused", at(2, 7), head(1, 1, 8), refused, 2, 7},
		{"a stranger is refused", at(2, 7), head(5, 1, 1), refused, 2, 7},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, got := c.state.admit(c.head); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
			var incarnation, last uint64
			if o := c.state.origins[node(1)]; o != nil {
				incarnation, last = o.incarnation, o.last
			}
			if incarnation != c.incarnation || last != c.seq {
				t.Errorf("afterwards incarnation %d, last %d", incarnation, last)
			}
		})
	}
}

// Whatever is lost, repeated or reordered on the way, and however often the
// node begins a new life, what is applied is a prefix of each life, in order.
func TestBatchesApplyOnceAndInOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newMachine(t)
		type batch struct{ incarnation, seq uint64 }
		var sent []batch
		incarnation, seq := uint64(1), uint64(0)
		for range 60 {
			if r.IntN(15) == 0 {
				incarnation, seq = incarnation+1, 0
			}
			seq++
			sent = append(sent, batch{incarnation, seq})
		}
		for range 400 {
			b := sent[r.IntN(len(sent))]
			m.batch(head(2, b.incarnation, b.seq), command(nil, fmt.Sprintf("RPUSH l%d %d", b.incarnation, b.seq)))
		}
		for life := uint64(1); life <= incarnation; life++ {
			got := m.read(fmt.Sprintf("LRANGE l%d 0 -1", life))
			v, _, err := reply.Read([]byte(got))
			if err != nil {
				t.Fatal(err)
			}
			for i, elem := range v.Elems {
				if string(elem.Text) != fmt.Sprint(i+1) {
					t.Fatalf("seed %d: life %d applied %q", seed, life, got)
				}
			}
		}
	}
}

func TestOwnBatchAnswersItsConnections(t *testing.T) {
	m := newMachine(t)
	a, b := newClient(), newClient()
	m.own.pending[1] = &Pending{Parts: []Part{
		{Conn: a, Ops: []Op{write("RPUSH l 1"), readOp("LLEN l"), write("RPUSH l 2")}},
		{Conn: b, Ops: []Op{readOp("LLEN l"), {Kind: OpLocal, Local: func(out *reply.Writer) { out.Status("HERE") }}}},
	}}
	m.batch(head(1, 1, 1), command(command(nil, "RPUSH l 1"), "RPUSH l 2"))
	if a.got() != ":1\r\n:1\r\n:2\r\n" || b.got() != ":2\r\n+HERE\r\n" {
		t.Errorf("got %q and %q", a.got(), b.got())
	}
	m.batch(head(1, 1, 1), command(command(nil, "RPUSH l 1"), "RPUSH l 2"))
	if got := m.read("LLEN l"); got != ":2\r\n" {
		t.Errorf("after a duplicate: %q", got)
	}
	m.batch(head(1, 1, 3), command(nil, "RPUSH l 3"))
	if m.own.gaps != 1 {
		t.Errorf("%d gaps were told", m.own.gaps)
	}
}

// What a client may have seen is told before it can see it: messages that it
// publishes carry the index.
func TestApplyingIsToldBeforeTheReply(t *testing.T) {
	m := newMachine(t)
	var told uint64
	m.fsm.opts.Applying = func(index uint64) { told = index }
	c := newClient()
	m.own.pending[1] = pendingOf(c, write("INCR n"), Op{Kind: OpLocal, Local: func(*reply.Writer) {
		if c.got() != ":1\r\n" || told != m.index {
			t.Errorf("with reply %q of entry %d, %d was told", c.got(), m.index, told)
		}
	}})
	m.batch(head(1, 1, 1), command(nil, "INCR n"))
	if told != 1 {
		t.Errorf("%d was told", told)
	}
}

func TestTransactionCommitsOnlyIfNothingWatchedChanged(t *testing.T) {
	for _, changed := range []bool{false, true} {
		t.Run(fmt.Sprintf("changed=%v", changed), func(t *testing.T) {
			m := newMachine(t)
			m.batch(head(2, 1, 1), command(nil, "RPUSH w 1"))
			var version uint64
			m.fsm.opts.Engine.View(0, 0, func(v *engine.View) { version = v.Version(0, []byte("w")) })
			if changed {
				m.batch(head(2, 1, 2), command(nil, "RPUSH w 2"))
			}
			tx := &Tx{Ops: []Op{write("RPUSH l 1"), readOp("LLEN l")}}
			c := newClient()
			m.own.pending[1] = pendingOf(c, Op{Kind: OpTx, Tx: tx})
			item := entry.AppendTxHead(nil, 1, 1)
			item = entry.AppendTxWatch(item, 0, []byte("w"), version)
			item = entry.AppendTxCommand(item, 0, words("RPUSH l 1"))
			m.batch(head(1, 1, 1), item)
			want, length := "*2\r\n:1\r\n:1\r\n", ":1\r\n"
			if changed {
				want, length = "*-1\r\n", ":0\r\n"
			}
			if c.got() != want || tx.Aborted != changed || m.read("LLEN l") != length {
				t.Errorf("got %q, aborted %v, length %q", c.got(), tx.Aborted, m.read("LLEN l"))
			}
		})
	}
}

func TestLargeCommandComesInPieces(t *testing.T) {
	m := newMachine(t)
	whole := command(nil, "RPUSH l "+strings.Repeat("x", 1000))
	c := newClient()
	for seq := uint64(1); len(whole) > 0; seq++ {
		n := min(len(whole), 300)
		piece := entry.AppendFragment(nil, whole[:n], n == len(whole))
		whole = whole[n:]
		m.own.pending[seq] = new(Pending)
		if len(whole) == 0 {
			m.own.pending[seq] = pendingOf(c, write(""))
		}
		m.batch(head(1, 1, seq), piece)
	}
	if c.got() != ":1\r\n" || m.read("LLEN l") != ":1\r\n" {
		t.Errorf("got %q, length %q", c.got(), m.read("LLEN l"))
	}
}

func TestStateRoundTripAndEveryCut(t *testing.T) {
	s := newState()
	s.applied = 77
	s.genesis = entry.Genesis{ClusterID: [20]byte{1, 2}, Seed: [2]uint64{3, 4}}
	s.members = []entry.NodeID{node(1), node(2)}
	s.origins[node(1)] = &origin{incarnation: 3, last: 400, fragments: []byte("half a command")}
	s.origins[node(9)] = &origin{incarnation: 1, last: 1}
	text := s.append(nil)
	got, err := decodeState(text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.append(nil), text) || got.origins[node(1)].last != 400 || got.applied != 77 {
		t.Errorf("got %+v", got)
	}
	for i := range text {
		if _, err := decodeState(text[:i]); err == nil {
			t.Fatalf("cut at %d was taken", i)
		}
	}
}

// A read for a connection that is owed very much is refused; writes are
// executed whatever it is owed.
func TestReadsOfAConnectionThatIsOwedTooMuch(t *testing.T) {
	m := newMachine(t)
	c := newClient()
	c.out.Reset(make([]byte, 0, unreadMax+1024))
	m.own.pending[1] = pendingOf(c, write("SET a 1"), readOp("GET a"), Op{Kind: OpLocal, Local: func(out *reply.Writer) {
		out.Raw(make([]byte, unreadMax))
	}}, readOp("GET a"), write("INCR a"))
	m.batch(head(1, 1, 1), command(command(nil, "SET a 1"), "INCR a"))
	all := c.out.Bytes()
	if got, want := string(all[:12]), "+OK\r\n$1\r\n1\r\n"; got != want {
		t.Errorf("replies begin with %q, want %q", got, want)
	}
	if got, want := string(all[12+unreadMax:]), "-"+string(reply.ErrTooMuchUnread)+"\r\n:2\r\n"; got != want {
		t.Errorf("replies end with %q, want %q", got, want)
	}
}

// The genesis brings the settings with which the cluster begins. A second
// genesis changes nothing.
func TestGenesisBringsSettings(t *testing.T) {
	m := newMachine(t)
	for i, entries := range []string{"7", "9"} {
		var b entry.Builder
		b.Add(entry.PartGenesis, entry.AppendFounding(nil, entry.Genesis{Seed: [2]uint64{1, uint64(i)}}, words("set-max-intset-entries "+entries)))
		m.index++
		m.fsm.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.Seal(1, 1)})
		if got, _ := m.fsm.opts.Engine.Setting("set-max-intset-entries"); got != "7" {
			t.Errorf("after genesis %d: %s", i, got)
		}
	}
}

// Whoever wants to know is told how long each command took here, with its
// arguments and its reply, also inside a transaction; of what is not executed nothing is told.
func TestDurationsAreTold(t *testing.T) {
	m := newMachine(t)
	c := newClient()
	var told []string
	took := func(conn Conn, args [][]byte, answer []byte, d time.Duration) {
		if conn != c || d <= 0 {
			t.Errorf("%q of %v took %v", args, conn, d)
		}
		told = append(told, string(bytes.Join(args, []byte(" ")))+" "+string(bytes.TrimSpace(answer)))
	}
	timed := func(op Op) Op {
		op.Took = took
		return op
	}
	tx := func(ops ...Op) Op { return Op{Kind: OpTx, Tx: &Tx{Ops: ops}} }
	m.own.pending[1] = pendingOf(c, timed(write("SET a 1")), timed(readOp("GET a")), write("SET b 1"), tx(timed(readOp("GET b")), timed(write("INCR a"))), timed(tx()))
	items := command(command(nil, "SET a 1"), "SET b 1")
	items = entry.AppendTxCommand(entry.AppendTxHead(items, 0, 1), 0, words("INCR a"))
	items = entry.AppendTxWatch(entry.AppendTxHead(items, 1, 0), 0, []byte("a"), 999)
	m.batch(head(1, 1, 1), items)
	if want := []string{"SET a 1 +OK", "GET a $1\r\n1", "GET b $1\r\n1", "INCR a :2"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}
