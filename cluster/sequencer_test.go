package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// leadership is a scripted way to a leader and the log behind it: what was sent
// and not lost lies in sent until the test applies it.
type leadership struct {
	known  atomic.Bool
	broken atomic.Bool // send fails

	mu   sync.Mutex
	sent [][]byte // guarded by mu
}

func (l *leadership) open() bool { return l.known.Load() }

func (l *leadership) send(batch []byte) error {
	if l.broken.Load() {
		return errNoRoute
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, batch)
	return nil
}

// take takes what was sent off the way.
func (l *leadership) take() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.sent
	l.sent = nil
	return all
}

// first takes the oldest batch off the way; nil if there is none.
func (l *leadership) first() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sent) == 0 {
		return nil
	}
	batch := l.sent[0]
	l.sent = l.sent[1:]
	return batch
}

func (l *leadership) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// rig is a sequencer with its way and its FSM, in a bubble of virtual time.
type rig struct {
	t         *testing.T
	seq       *sequencer
	way       *leadership
	persisted uint64

	// The state, as the FSM keeps it.
	incarnation, last uint64
	fragments         []byte
	applied           []string // commands, in order
}

const (
	testTimeout    = 10 * time.Second
	testLeaderWait = 1500 * time.Millisecond
)

func newRig(t *testing.T) *rig {
	r := &rig{t: t, way: new(leadership)}
	r.way.known.Store(true)
	r.seq = newSequencer(entry.NodeID{1}, 1, r.way, testTimeout, testLeaderWait, time.Now)
	r.seq.pause = time.Sleep
	r.seq.persist = func(n uint64) error { r.persisted = n; return nil }
	r.seq.fatal = func(err error) { t.Errorf("fatal: %v", err) }
	go r.seq.run()
	r.seq.kick()
	t.Cleanup(r.seq.close)
	return r
}

// after lets d of virtual time pass, and everything come to rest.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// conn is a client's connection: it collects the replies.
type conn struct {
	mu  sync.Mutex
	out *reply.Writer // guarded by mu
}

func newConn() *conn { return &conn{out: reply.NewWriter(reply.RESP2, nil)} }

func (c *conn) BeginReplies() *reply.Writer {
	c.mu.Lock()
	return c.out
}

func (c *conn) EndReplies(int) { c.mu.Unlock() }

// replies returns the first word of each reply, without its type.
func (c *conn) replies() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, line := range strings.Split(strings.TrimSuffix(string(c.out.Bytes()), "\r\n"), "\r\n") {
		if line != "" {
			word, _, _ := strings.Cut(line[1:], " ")
			all = append(all, word)
		}
	}
	return all
}

func (c *conn) want(t *testing.T, want ...string) {
	t.Helper()
	if got := c.replies(); !slices.Equal(got, want) {
		t.Errorf("replies %q, want %q", got, want)
	}
}

func (r *rig) submit(c *conn, commands ...string) {
	var ops []fsm.Op
	for _, text := range commands {
		ops = append(ops, fsm.Op{Kind: fsm.OpWrite, Args: [][]byte{[]byte(text)}})
	}
	r.seq.Submit(&fsm.Request{Conn: c, Ops: ops})
	synctest.Wait()
}

// apply applies a batch as the FSM does, and answers its clients.
func (r *rig) apply(wire []byte) {
	r.t.Helper()
	b, commands, ok := r.commit(wire)
	if !ok {
		return
	}
	if pending := r.seq.Take(b.Incarnation, b.Seq); pending != nil {
		r.answer(pending, commands)
	}
}

// commit takes a batch into the state, if it is its turn.
func (r *rig) commit(wire []byte) (b entry.Batch, commands []string, ok bool) {
	r.t.Helper()
	b, err := entry.DecodeBatch(wire)
	if err != nil {
		r.t.Fatal(err)
	}
	switch {
	case b.Incarnation > r.incarnation && b.Seq == 1:
		r.incarnation, r.last, r.fragments = b.Incarnation, 1, nil
		r.seq.Registered(b.Incarnation)
	case b.Incarnation != r.incarnation || b.Seq <= r.last:
		return b, nil, false
	case b.Seq > r.last+1:
		r.seq.Gap(b.Incarnation, r.last)
		return b, nil, false
	default:
		r.last++
	}
	var it entry.Item
	for {
		ok, err := b.Next(&it)
		if err != nil {
			r.t.Fatal(err)
		}
		if !ok {
			break
		}
		switch it.Kind {
		case entry.ItemDrop:
			continue
		case entry.ItemFragment:
			r.fragments = append(r.fragments, it.Piece...)
			continue
		case entry.ItemLastFragment:
			whole := append(r.fragments, it.Piece...)
			r.fragments = nil
			if err := entry.DecodeItem(whole, &it); err != nil {
				r.t.Fatal(err)
			}
		}
		commands = append(commands, clip(string(it.Commands[0].Args[0])))
	}
	r.applied = append(r.applied, commands...)
	return b, commands, true
}

func (r *rig) answer(pending *fsm.Pending, commands []string) {
	for _, part := range pending.Parts {
		out := part.Conn.BeginReplies()
		for _, op := range part.Ops {
			switch op.Kind {
			case fsm.OpWrite:
				out.Status(commands[0])
				commands = commands[1:]
			case fsm.OpLocal:
				op.Local(out)
			default:
				out.Status("read")
			}
		}
		part.Conn.EndReplies(len(part.Ops))
	}
	pending.SetAnswered()
}

func clip(s string) string { return s[:min(len(s), 20)] }

// applyAll applies what was sent, and what is sent for it.
func (r *rig) applyAll() {
	r.t.Helper()
	for synctest.Wait(); ; synctest.Wait() {
		wire := r.way.first()
		if wire == nil {
			return
		}
		r.apply(wire)
	}
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestSequencer(t *testing.T) {
	bubble(t, "answers from the own apply, in order", func(t *testing.T) {
		r, a, b := newRig(t), newConn(), newConn()
		r.submit(a, "a1")
		r.submit(b, "b1", "b2")
		r.submit(a, "a2")
		r.applyAll()
		a.want(t, "a1", "a2")
		b.want(t, "b1", "b2")
	})
	bubble(t, "sends again what was lost", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.way.take()
		r.after(resendAfter + 100*time.Millisecond)
		r.applyAll()
		a.want(t, "a1")
	})
	bubble(t, "sends again to a new leader, and twice does not count", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.seq.sendAgain()
		r.after(0)
		if n := r.way.count(); n != 2 {
			t.Fatalf("sent %d times", n)
		}
		r.applyAll()
		a.want(t, "a1")
		if !slices.Equal(r.applied, []string{"a1"}) {
			t.Errorf("applied %q", r.applied)
		}
	})
	bubble(t, "refuses what waited too long for a leader, and what was never sent", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.way.known.Store(false)
		r.submit(a, "a1")
		r.after(testLeaderWait - 100*time.Millisecond)
		a.want(t)
		r.after(300 * time.Millisecond)
		a.want(t, "CLUSTERDOWN")
		r.way.known.Store(true)
		r.submit(a, "a2")
		r.applyAll()
		a.want(t, "CLUSTERDOWN", "a2")
		if !slices.Equal(r.applied, []string{"a2"}) {
			t.Errorf("applied %q", r.applied)
		}
	})
	bubble(t, "gives up after the timeout, and settles the doubt before it goes on", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.submit(a, "a1")
		late := r.way.take()
		r.after(testTimeout + time.Second)
		a.want(t, "INDOUBT")
		if !r.seq.inDoubt() || r.persisted != 2 {
			t.Errorf("in doubt %v, incarnation %d is kept", r.seq.inDoubt(), r.persisted)
		}
		r.submit(a, "a2")
		sent := r.way.take()
		for _, wire := range append(late, sent...) { // the old one comes first
			r.apply(wire)
		}
		if r.seq.inDoubt() {
			t.Error("still in doubt after the registration")
		}
		for range 3 {
			for _, wire := range late {
				r.apply(wire) // and once more, behind the registration
			}
		}
		r.applyAll()
		a.want(t, "INDOUBT", "a2")
		if !slices.Equal(r.applied, []string{"a1", "a2"}) {
			t.Errorf("applied %q", r.applied)
		}
	})
	bubble(t, "a connection with something in flight is not refused out of turn", func(t *testing.T) {
		r, a, b := newRig(t), newConn(), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.submit(a, "a2")
		r.submit(b, "b1")
		r.way.known.Store(false)
		r.after(testLeaderWait + 200*time.Millisecond)
		a.want(t)
		b.want(t, "CLUSTERDOWN")
		r.after(testTimeout)
		a.want(t, "INDOUBT", "CLUSTERDOWN")
	})
	bubble(t, "nobody is refused while the FSM writes replies", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.submit(a, "a2")
		b, _ := entry.DecodeBatch(r.way.first())
		r.way.known.Store(false)
		pending := r.seq.Take(b.Incarnation, b.Seq) // a slow command is being executed
		r.after(testLeaderWait + time.Second)
		a.want(t)
		r.answer(pending, []string{"a1"})
		r.after(time.Second)
		a.want(t, "a1", "CLUSTERDOWN")
	})
	bubble(t, "what waits behind a registration that gets nowhere is refused", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.submit(a, "a1") // the registration is in flight
		r.after(testTimeout + time.Second)
		a.want(t, "CLUSTERDOWN")
		r.submit(a, "a2")
		r.applyAll()
		a.want(t, "CLUSTERDOWN", "a2")
	})
	bubble(t, "a snapshot that holds the batch leaves its clients in doubt", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.seq.Restored(1, 2)
		a.want(t, "INDOUBT")
		r.last = 2
		r.submit(a, "a2")
		r.applyAll()
		a.want(t, "INDOUBT", "a2")
	})
	bubble(t, "a snapshot that does not hold it changes nothing", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.seq.Restored(1, 1)
		r.applyAll()
		a.want(t, "a1")
	})
	bubble(t, "another life of the node ends the process", func(t *testing.T) {
		r := newRig(t)
		var died error
		r.seq.fatal = func(err error) { died = err }
		r.seq.Registered(2)
		if died == nil {
			t.Error("it goes on")
		}
	})
	bubble(t, "an incarnation that can't be kept ends the process", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		var died error
		r.seq.fatal = func(err error) { died = err }
		r.seq.persist = func(uint64) error { return errors.New("disk") }
		r.submit(a, "a1")
		r.after(testTimeout + time.Second)
		if died == nil {
			t.Error("it goes on")
		}
		r.seq.persist = func(uint64) error { return nil }
	})
	bubble(t, "close answers everybody once", func(t *testing.T) {
		r, a, b := newRig(t), newConn(), newConn()
		r.applyAll()
		r.submit(a, "a1", "a2")
		r.submit(a, "a3")
		r.submit(b, "b1")
		r.seq.close()
		r.submit(b, "b2")
		a.want(t, "INDOUBT", "INDOUBT", "CLUSTERDOWN")
		b.want(t, "CLUSTERDOWN", "CLUSTERDOWN")
	})
	bubble(t, "a refusal comes in turn, and takes no place in the log", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		refuse := func() {
			r.seq.refuse(&fsm.Request{Conn: a, Ops: make([]fsm.Op, 2)}, reply.ErrMisconf)
			r.after(0)
		}
		refuse()
		a.want(t, "MISCONF", "MISCONF")
		r.submit(a, "a1")
		refuse()
		a.want(t, "MISCONF", "MISCONF")
		r.applyAll()
		r.after(time.Second) // while a batch is answered, a refusal waits for the next tick
		a.want(t, "MISCONF", "MISCONF", "a1", "MISCONF", "MISCONF")
		if r.last != 2 {
			t.Errorf("%d batches were sent", r.last)
		}
	})
	bubble(t, "a full queue refuses after a while", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		large := strings.Repeat("x", batchBytesMax-1000)
		for range queueBytesMax/batchBytesMax + 2 {
			r.submit(newConn(), large)
		}
		done := make(chan bool)
		go func() {
			r.seq.Submit(&fsm.Request{Conn: a, Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: [][]byte{[]byte("a1")}}}})
			close(done)
		}()
		r.after(testLeaderWait + 200*time.Millisecond)
		select {
		case <-done:
		default:
			t.Fatal("still waiting")
		}
		r.applyAll()
		a.want(t, "TRYAGAIN")
	})
}

func TestSequencerLargeCommands(t *testing.T) {
	large := func(name string) string { return name + strings.Repeat(".", 3*batchBytesMax) }
	dots := func(name string) string { return clip(large(name)) }
	bubble(t, "come in pieces", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.submit(a, "a1", large("a2"), "a3")
		r.applyAll()
		a.want(t, "a1", dots("a2"), "a3")
	})
	bubble(t, "too large is refused in turn", func(t *testing.T) {
		r, a := newRig(t), newConn()
		huge := make([]byte, commandBytesMax+1)
		r.submit(a, "a1")
		r.seq.Submit(&fsm.Request{Conn: a, Ops: []fsm.Op{{Kind: fsm.OpWrite, Args: [][]byte{huge}}}})
		r.submit(a, "a2")
		a.want(t)
		r.applyAll()
		a.want(t, "a1", "ERR", "a2")
	})
	bubble(t, "are refused as a whole without a leader", func(t *testing.T) {
		r, a := newRig(t), newConn()
		r.applyAll()
		r.way.known.Store(false)
		r.submit(a, large("a1"))
		r.after(testLeaderWait + 200*time.Millisecond)
		a.want(t, "CLUSTERDOWN")
		r.way.known.Store(true)
		r.submit(a, "a2")
		r.applyAll()
		a.want(t, "CLUSTERDOWN", "a2")
	})
	bubble(t, "are given up half way", func(t *testing.T) {
		r, a, b := newRig(t), newConn(), newConn()
		r.applyAll()
		r.submit(a, large("a1"))
		r.submit(b, "b1")
		r.way.known.Store(false)
		r.apply(r.way.first()) // one piece of four
		r.way.take()
		r.after(testTimeout + time.Second)
		a.want(t, "CLUSTERDOWN")
		b.want(t, "CLUSTERDOWN")
		r.way.known.Store(true)
		r.submit(a, large("a2"))
		r.applyAll()
		a.want(t, "CLUSTERDOWN", dots("a2"))
		if !slices.Equal(r.applied, []string{dots("a2")}) {
			t.Errorf("applied %q", r.applied)
		}
	})
	bubble(t, "not begun are not given up with what was before them", func(t *testing.T) {
		r, a, b := newRig(t), newConn(), newConn()
		r.applyAll()
		r.submit(a, "a1")
		r.way.take()
		r.after(testTimeout - time.Second)
		r.submit(b, large("b1"))
		r.way.take()
		r.after(2 * time.Second)
		a.want(t, "INDOUBT")
		r.applyAll()
		b.want(t, dots("b1"))
	})
}

// Whatever is lost, repeated or delayed on the way, however often there is no
// leader or one that gets nowhere, and whatever comes by snapshot: a command
// answered is applied once, one refused never, one in doubt at most once; and a
// connection's replies and effects are in the order of its commands.
func TestSequencerKeepsItsPromises(t *testing.T) {
	for seed := range uint64(30) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) { walk(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func walk(t *testing.T, random *rand.Rand) {
	r := newRig(t)
	conns := make([]*conn, 4)
	sent := make([][]string, len(conns))
	for i := range conns {
		conns[i] = newConn()
	}
	var old [][]byte // everything that was ever sent: any of it may come again
	step := func() {
		switch random.IntN(12) {
		case 0, 1, 2, 3:
			i := random.IntN(len(conns))
			name := fmt.Sprintf("c%d-%d-", i, len(sent[i]))
			if random.IntN(30) == 0 {
				name += strings.Repeat(".", batchBytesMax+random.IntN(batchBytesMax))
			}
			sent[i] = append(sent[i], clip(name))
			r.submit(conns[i], name)
		case 4, 5, 6:
			if wire := r.way.first(); wire != nil {
				old = append(old, wire)
				if random.IntN(4) != 0 { // else it is lost
					r.apply(wire)
				}
			}
		case 7:
			if len(old) > 0 {
				r.apply(old[random.IntN(len(old))])
			}
		case 8:
			r.way.known.Store(random.IntN(3) != 0)
			r.way.broken.Store(random.IntN(4) == 0)
			r.seq.sendAgain()
		case 9:
			r.after(time.Duration(random.IntN(3000)) * time.Millisecond)
		case 10:
			if random.IntN(10) == 0 {
				r.after(testTimeout + time.Second)
			}
		case 11:
			// What is on its way is committed and comes by a snapshot.
			if random.IntN(10) == 0 {
				for _, wire := range r.way.take() {
					r.commit(wire)
				}
				r.seq.Restored(r.incarnation, r.last)
			}
		}
		synctest.Wait()
	}
	for range 300 {
		step()
	}
	r.way.known.Store(true)
	r.way.broken.Store(false)
	for range 5 {
		r.after(2 * time.Second)
		r.applyAll()
	}
	times := make(map[string]int)
	for _, name := range r.applied {
		times[name]++
	}
	for i, c := range conns {
		replies := c.replies()
		if len(replies) != len(sent[i]) {
			t.Fatalf("connection %d: %d replies to %d commands", i, len(replies), len(sent[i]))
		}
		for k, name := range sent[i] {
			switch n := times[name]; {
			case replies[k] == "CLUSTERDOWN" && n == 0, replies[k] == "INDOUBT" && n <= 1, replies[k] == name && n == 1:
			default:
				t.Errorf("%s: reply %s, applied %d times", name, replies[k], n)
			}
		}
		prefix, next := fmt.Sprintf("c%d-", i), 0
		for _, name := range r.applied {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			at := slices.Index(sent[i][next:], name)
			if at < 0 {
				t.Fatalf("%s was applied out of order", name)
			}
			next += at + 1
		}
	}
}
