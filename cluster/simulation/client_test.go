package simulation

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// conn is a client's connection to one process. It implements fsm.Conn.
type conn struct {
	life    *life
	mu      sync.Mutex
	out     *reply.Writer
	answers chan reply.Value
	waits   sync.Mutex
	waiter  uint64 // guarded by waits; of the command that waits; 0: none does
	left    bool   // guarded by waits; the client has gone
}

func newConn(l *life) *conn {
	return &conn{life: l, out: reply.NewWriter(reply.RESP2, nil), answers: make(chan reply.Value, 64)}
}

// BeginReplies implements fsm.Conn.
func (c *conn) BeginReplies() *reply.Writer {
	c.mu.Lock()
	return c.out
}

// EndReplies implements fsm.Conn.
func (c *conn) EndReplies(int) {
	defer c.mu.Unlock()
	rest := append([]byte(nil), c.out.Bytes()...)
	c.out.Reset(c.out.Bytes())
	for len(rest) > 0 {
		v, after, err := reply.Read(rest)
		if err != nil {
			panic(err)
		}
		if !c.life.isDead.Load() {
			c.answers <- v
		}
		rest = after
	}
}

// client runs a plan.
type client struct {
	world  *world
	plan   clientPlan
	conn   *conn
	next   int
	mortal *record // the put of its newest key with a time to live; nil before there is one
}

// answerWait is how long a client waits for a reply before the run fails: it
// exceeds all timeouts of a node together.
const answerWait = 60 * time.Second

func (c *client) run(stop <-chan struct{}) {
	for _, o := range c.plan.ops {
		time.Sleep(o.gap + time.Millisecond)
		select {
		case <-stop:
			return
		default:
		}
		m := c.world.machine(c.plan.node)
		l := m.alive()
		if l == nil {
			continue
		}
		m.gate.pass()
		if c.conn == nil || c.conn.life != l {
			c.conn = newConn(l)
		}
		c.do(o, l)
	}
}

// token returns what an append adds: eight bytes that no other one adds.
func (c *client) token() string {
	c.next++
	return fmt.Sprintf("%02d%05d,", c.plan.id, c.next)
}

const tokenLen = 8

// epochLen is how long a set of keys is in use: it bounds the size of values.
const epochLen = 15 * time.Second

func (c *client) key(kind string, n int) string {
	return fmt.Sprintf("%s:%d:%d", kind, c.world.now()/epochLen, n)
}

func (c *client) do(o op, l *life) {
	if c.world.tight() {
		c.doTight(o, l)
		return
	}
	switch o.kind {
	case "append":
		c.write(l, appendOp(c.key("a", o.key), c.token()))
	case "push":
		c.write(l, pushOp(c.key("l", o.key), c.token()))
	case "incr":
		c.write(l, incrOp(c.key("c", o.key)))
	case "pair":
		c.pair(l)
	case "cas":
		c.compareAndSet(l, c.key("w", o.key))
	case "pipeline":
		key := c.key("a", o.key)
		c.write(l, appendOp(key, c.token()), incrOp(c.key("c", o.key)), appendOp(key, c.token()))
	case "ride":
		key := c.key("a", o.key)
		c.write(l, appendOp(key, c.token()), rideOp(key))
	case "get":
		c.get(l, c.key("a", o.key))
	case "getpair":
		c.get(l, c.key("p", 0), c.key("p", 1))
	case "add":
		c.write(l, addOp(c.key("s", 0), c.token()))
	case "pop":
		c.write(l, popOp(c.key("s", 0)))
	case "put":
		put := putOp(fmt.Sprintf("t:%d:%d", c.plan.id, c.next), c.token(), 300*time.Millisecond+o.gap*37%(3*time.Second))
		c.write(l, put)
		c.mortal = put.records[0]
	case "peek":
		c.peek(l)
	case "publish":
		c.publish(l)
	case "feed":
		c.write(l, feedOp(c.key("q", o.key), c.token()))
	case "wait":
		c.wait(l, c.key("q", o.key), o.wait, 0)
	case "leave":
		c.wait(l, c.key("q", o.key), time.Minute, o.wait+time.Millisecond)
	case "unblock":
		c.wait(l, c.key("q", o.key), time.Minute, -o.wait-time.Millisecond)
	}
}

// command is one write of a submission, and how its reply is told to the
// history.
type command struct {
	op      fsm.Op
	args    [][]byte // of op, which loses its own when it is submitted
	records []*record
	take    func(v reply.Value, rs []*record)
}

func words(args ...string) [][]byte {
	out := make([][]byte, len(args))
	for i, a := range args {
		out[i] = []byte(a)
	}
	return out
}

func writeOp(take func(reply.Value, []*record), rs []*record, args ...string) command {
	return command{op: fsm.Op{Kind: fsm.OpWrite, Args: words(args...)}, args: words(args...), records: rs, take: take}
}

func takeInt(v reply.Value, rs []*record) { rs[0].number = v.Int }

func appendOp(key, token string) command {
	return writeOp(func(v reply.Value, rs []*record) { rs[0].number = v.Int / tokenLen }, []*record{{kind: "add", key: key, token: token}}, "APPEND", key, token)
}

func pushOp(key, token string) command {
	return writeOp(takeInt, []*record{{kind: "add", key: key, token: token}}, "RPUSH", key, token)
}

func incrOp(key string) command {
	return writeOp(takeInt, []*record{{kind: "incr", key: key}}, "INCR", key)
}

func addOp(key, token string) command {
	return writeOp(takeInt, []*record{{kind: "sadd", key: key, token: token}}, "SADD", key, token)
}

func popOp(key string) command {
	return writeOp(func(v reply.Value, rs []*record) { rs[0].token = string(v.Text) }, []*record{{kind: "spop", key: key}}, "SPOP", key)
}

func putOp(key, value string, ttl time.Duration) command {
	return writeOp(func(reply.Value, []*record) {}, []*record{{kind: "put", key: key, token: value, number: ttl.Milliseconds()}},
		"SET", key, value, "PX", strconv.FormatInt(ttl.Milliseconds(), 10))
}

func rideOp(key string) command {
	return command{
		op: fsm.Op{Kind: fsm.OpRead, Args: words("GET", key)}, records: []*record{{kind: "read", key: key, rides: true}},
		take: func(v reply.Value, rs []*record) { rs[0].text(string(v.Text)) },
	}
}

// write submits commands at once and waits for all replies.
func (c *client) write(l *life, cs ...command) {
	h := &c.world.history
	req := &fsm.Request{Conn: c.conn}
	for _, cmd := range cs {
		h.invoke(c, l, cmd.records...)
		req.Ops = append(req.Ops, cmd.op)
	}
	l.node.Submit(req)
	patience := time.NewTimer(answerWait)
	defer patience.Stop()
	for i, cmd := range cs {
		select {
		case v := <-c.conn.answers:
			h.answer(v, cmd)
			if c.world.bug.resend && cmd.records[0].outcome == doubt && cmd.op.Tx == nil {
				l.node.Submit(&fsm.Request{Conn: newConn(l), Ops: []fsm.Op{{Kind: cmd.op.Kind, Args: cmd.args}}})
			}
		case <-l.dead:
			for _, rest := range cs[i:] {
				h.lost(rest.records...)
			}
			return
		case <-patience.C:
			c.world.fail("client %d of %s: no reply to %s within %v", c.plan.id, l.machine.name, cmd.records[0], answerWait)
			<-l.dead
			return
		}
	}
}

// pair appends one token to two keys in a transaction.
func (c *client) pair(l *life) {
	token := c.token()
	one, two := c.key("p", 0), c.key("p", 1)
	tx := &fsm.Tx{Ops: []fsm.Op{
		{Kind: fsm.OpWrite, Args: words("APPEND", one, token)},
		{Kind: fsm.OpWrite, Args: words("APPEND", two, token)},
	}}
	c.write(l, command{
		op: fsm.Op{Kind: fsm.OpTx, Tx: tx}, records: []*record{{kind: "add", key: one, token: token}, {kind: "add", key: two, token: token}},
		take: func(v reply.Value, rs []*record) {
			for i := range rs {
				rs[i].number = v.Elems[i].Int / tokenLen
			}
		},
	})
}

// compareAndSet appends to a key if nobody has since it was read.
func (c *client) compareAndSet(l *life, key string) {
	if !c.barrier(l) {
		return
	}
	var version uint64
	out := reply.NewWriter(reply.RESP2, nil)
	l.engine.View(time.Now().UnixMilli(), 1, func(v *engine.View) {
		version = v.Version(0, []byte(key))
		v.Do(0, words("STRLEN", key), false, out)
	})
	before, _, err := reply.Read(out.Bytes())
	if err != nil {
		panic(err)
	}
	l.machine.gate.pass()
	token := c.token()
	tx := &fsm.Tx{
		Watches: []fsm.Watch{{Key: []byte(key), Version: version}},
		Ops:     []fsm.Op{{Kind: fsm.OpWrite, Args: words("APPEND", key, token)}},
	}
	c.write(l, command{
		op: fsm.Op{Kind: fsm.OpTx, Tx: tx}, records: []*record{{kind: "add", key: key, token: token}},
		take: func(v reply.Value, rs []*record) {
			if v.Kind == reply.KindNull {
				rs[0].outcome = refused
				return
			}
			rs[0].number = v.Elems[0].Int / tokenLen
			if got, want := v.Elems[0].Int, before.Int+tokenLen; got != want {
				c.world.fail("a watched key changed before EXEC: %s is %d bytes long, %d were expected", key, got, want)
			}
		},
	})
}

// barrier proves that this node's memory is fresh. It reports whether it could.
func (c *client) barrier(l *life) bool {
	if c.world.bug.noBarrier {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return l.node.Barrier(ctx) == nil && !l.isDead.Load()
}

// get reads keys at one moment.
func (c *client) get(l *life, keys ...string) {
	rs := make([]*record, len(keys))
	for i, key := range keys {
		rs[i] = &record{kind: "read", key: key}
	}
	h := &c.world.history
	h.invoke(c, l, rs...)
	if !c.barrier(l) {
		h.forget(rs...)
		return
	}
	l.machine.gate.pass() // a pause of the process between proof and read
	texts := l.read("GET", keys...)
	if l.isDead.Load() {
		h.forget(rs...)
		return
	}
	for i := range rs {
		rs[i].text(texts[i])
	}
	h.returned(rs...)
}

// peek looks whether the client's newest mortal key is there. It asks for no proof,
// and needs none: the process has applied the put before it answered it, and its
// state only goes on.
func (c *client) peek(l *life) {
	if c.mortal == nil || c.mortal.outcome != done || c.mortal.life != l.number {
		return
	}
	r := &record{kind: "peek", key: c.mortal.key}
	h := &c.world.history
	h.invoke(c, l, r)
	r.token = l.read("GET", r.key)[0]
	if l.isDead.Load() {
		h.forget(r)
		return
	}
	if r.token == "" {
		c.world.note("mortal keys seen gone")
	} else {
		c.world.note("mortal keys seen there")
	}
	h.returned(r)
}

// read executes the same read of several keys on the node's memory, at one
// moment.
func (l *life) read(name string, keys ...string) []string {
	texts := make([]string, len(keys))
	l.engine.View(time.Now().UnixMilli(), 1, func(v *engine.View) {
		for i, key := range keys {
			out := reply.NewWriter(reply.RESP2, nil)
			v.Do(0, words(append([]string{name, key}, rangeArgs(name)...)...), false, out)
			value, _, err := reply.Read(out.Bytes())
			if err != nil {
				panic(err)
			}
			texts[i] = flat(value)
		}
	})
	return texts
}

func rangeArgs(name string) []string {
	if name == "LRANGE" {
		return []string{"0", "-1"}
	}
	return nil
}

// flat returns a reply's text, the elements of an array one after the other.
func flat(v reply.Value) string {
	if len(v.Elems) == 0 {
		return string(v.Text)
	}
	var b strings.Builder
	for _, e := range v.Elems {
		b.Write(e.Text)
	}
	return b.String()
}

// channelName is what every node subscribes to.
const channelName = "news"

// publish appends a token, and then tells all nodes how long the value is.
func (c *client) publish(l *life) {
	key, token := c.key("a", 0), c.token()
	cmd := appendOp(key, token)
	c.write(l, cmd)
	if r := cmd.records[0]; r.outcome == done {
		l.node.Publish([]byte(channelName), []byte(fmt.Sprintf("%s %d", key, r.number)), false)
	}
}

// inbox holds the messages of other nodes until their publisher's log has been
// applied here.
type inbox struct {
	mu      sync.Mutex
	waiting []cluster.Remote     // guarded by mu
	numbers map[string][3]uint64 // guarded by mu; by node: incarnation, connection, number
}

func (l *life) receive(r cluster.Remote) {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	if l.inbox.numbers == nil {
		l.inbox.numbers = make(map[string][3]uint64)
	}
	last, this := l.inbox.numbers[r.Node], [3]uint64{r.Incarnation, r.Connection, r.Number}
	if this[0] < last[0] || this[0] == last[0] && this[1] < last[1] {
		return // a stream of an older life or connection
	}
	if this[0] == last[0] && this[1] == last[1] && this[2] <= last[2] {
		l.machine.world.fail("%s: message %v of %s after %v", l.machine.name, this, r.Node, last)
	}
	l.inbox.numbers[r.Node] = this
	l.inbox.waiting = append(l.inbox.waiting, r)
}

// deliver hands out the messages whose time has come: whoever gets one sees at
// least what its publisher saw.
func (l *life) deliver(index uint64) {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	kept := l.inbox.waiting[:0]
	for _, r := range l.inbox.waiting {
		if r.After > index {
			kept = append(kept, r)
			continue
		}
		var key string
		var length int
		if _, err := fmt.Sscan(string(r.Text), &key, &length); err != nil {
			panic(err)
		}
		if text := l.read("GET", key)[0]; len(text)/tokenLen < length {
			l.machine.world.fail("%s: got a message about %d tokens of %s and sees %d", l.machine.name, length, key, len(text)/tokenLen)
		}
	}
	l.inbox.waiting = kept
}
