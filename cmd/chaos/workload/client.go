package workload

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/engine/reply"
)

// Style is how a client behaves.
type Style struct {
	Node    int  // where it connects
	Depth   int  // of its pipelines, at most
	RESP    int  // 2 or 3
	Aware   bool // asks for CLUSTER SLOTS, and follows MOVED
	Reads   bool // sends nothing that writes
	Roams   bool // goes on to the next node when its own does not answer
	Timeout time.Duration
	Think   time.Duration // mean pause between requests
}

// Counters are what the clients have done.
type Counters struct {
	Done, Open, InDoubt, Refused, Redirected, Broken atomic.Int64
}

// Env is what all clients share.
type Env struct {
	Board     *Board
	Endpoints []string
	Began     time.Time // of the run
	Counters  *Counters
	// Unexpected is told of error replies that no command of ours may get.
	Unexpected func(text string)
}

func (e *Env) now() int64 { return int64(time.Since(e.Began)) }

// Client sends operations and notes what becomes of them.
type Client struct {
	ID    int
	Style Style
	Env   *Env
	Rand  *rand.Rand

	conn  *client.Conn
	node  int
	doubt []doubted // told INDOUBT on this connection, and nothing since
	pipe  uint64
}

// doubted is an operation whose doubt the connection's next success settles.
type doubted struct {
	op    *history.Op
	group *Group
}

// Run works until the board closes or ctx ends.
func (c *Client) Run(ctx context.Context) {
	c.node = c.Style.Node
	defer c.hangUp()
	for ctx.Err() == nil {
		n := 1
		if c.Style.Depth > 1 {
			n += c.Rand.IntN(c.Style.Depth)
		}
		if !c.connect(ctx) {
			continue
		}
		g := c.Env.Board.pick(c.Rand, n)
		if g == nil {
			return
		}
		c.work(g, n)
		c.Env.Board.leave(g)
		if c.Style.Think > 0 {
			sleep(ctx, time.Duration(c.Rand.Int64N(2*int64(c.Style.Think))))
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// connect sees to it that there is a connection; it returns false, after a
// pause, if its node can't be reached.
func (c *Client) connect(ctx context.Context) bool {
	if c.conn != nil {
		return true
	}
	conn, err := client.Dial(c.Env.Endpoints[c.node], c.Style.RESP, min(c.Style.Timeout, time.Second))
	if err == nil && c.Style.Aware {
		if _, err = conn.Do(c.Style.Timeout, "CLUSTER", "SLOTS"); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		if c.Style.Roams || c.Style.Aware {
			c.node = (c.node + 1) % len(c.Env.Endpoints)
		}
		sleep(ctx, time.Duration(20+c.Rand.IntN(40))*time.Millisecond)
		return false
	}
	c.conn = conn
	return true
}

// hangUp closes the connection. What it was told INDOUBT of stays open.
func (c *Client) hangUp() {
	if c.conn == nil {
		return
	}
	c.conn.Close()
	c.conn = nil
	for _, d := range c.doubt {
		d.op.Outcome, d.op.Return = history.Open, history.Forever
		c.file(d.group, d.op)
		c.Env.Board.leave(d.group)
	}
	c.doubt = c.doubt[:0]
}

// broke is the end of a connection that failed.
func (c *Client) broke() {
	c.Env.Counters.Broken.Add(1)
	c.hangUp()
	if c.Style.Roams {
		c.node = (c.node + 1) % len(c.Env.Endpoints)
	}
}

// file puts operations whose outcomes are not known into the history, but
// those that can have changed nothing.
func (c *Client) file(g *Group, ops ...*history.Op) {
	kept := make([]*history.Op, 0, len(ops))
	for _, op := range ops {
		if !readOnly(op.Cmds) {
			kept = append(kept, op)
		}
	}
	g.add(kept...)
}

// work sends n operations in one pipeline.
func (c *Client) work(g *Group, n int) {
	ops := make([]*history.Op, n)
	r := &chance{c.Rand}
	for i := range ops {
		op := &history.Op{Client: c.ID, Node: c.node}
		op.Form, op.Cmds = g.Kind.next(r)
		if c.Style.Reads && !readOnly(op.Cmds) {
			op.Form, op.Cmds = history.Plain, g.Kind.final[c.Rand.IntN(len(g.Kind.final)):][:1]
		}
		if op.Form == history.Guards {
			if i == 0 {
				c.guarded(g, op)
				return
			}
			op.Form, op.Cmds = history.Plain, []history.Cmd{{"GET", a}}
		}
		ops[i] = op
	}
	c.exchange(g, ops)
}

// guarded watches and reads the group's first key, then sends op.
func (c *Client) guarded(g *Group, op *history.Op) {
	c.conn.Append("WATCH", g.key(0))
	if err := c.conn.Flush(c.Style.Timeout); err != nil {
		c.broke()
		return
	}
	v, err := c.conn.Read(c.Style.Timeout)
	if err != nil {
		c.broke()
		return
	}
	if v.Kind == reply.KindError {
		c.refused(string(v.Text))
		return
	}
	read := &history.Op{Client: c.ID, Node: c.node, Cmds: []history.Cmd{{"GET", a}}}
	conn := c.conn
	c.exchange(g, []*history.Op{read})
	if c.conn != conn {
		return
	}
	if read.Replies == nil { // the watch must not last
		if _, err := c.conn.Do(c.Style.Timeout, "UNWATCH"); err != nil {
			c.broke()
		}
		return
	}
	op.Seen = []history.Seen{{Key: 0, Reply: read.Replies[0]}}
	c.exchange(g, []*history.Op{op})
}

// exchange sends operations in one write, reads their replies and files them.
func (c *Client) exchange(g *Group, ops []*history.Op) {
	for _, op := range ops {
		if op.Form != history.Plain {
			c.conn.Append("MULTI")
		}
		for _, cmd := range op.Cmds {
			c.conn.Append(g.wire(cmd)...)
		}
		if op.Form != history.Plain {
			c.conn.Append("EXEC")
		}
	}
	call := c.Env.now()
	for _, op := range ops {
		op.Call = call
	}
	moved, err := "", c.conn.Flush(c.Style.Timeout)
	filed := make([]*history.Op, 0, len(ops))
	doubts := len(c.doubt)
	rest := ops // not answered yet
	for len(rest) > 0 && err == nil {
		var known bool
		if known, err = c.answer(g, rest[0], &moved); err != nil {
			break
		}
		if known {
			filed = append(filed, rest[0])
		}
		rest = rest[1:]
	}
	c.pipe++
	history.OrderPipe(filed, uint64(c.ID)<<32|c.pipe)
	g.add(filed...)
	c.settle(filed, doubts)
	c.Env.Counters.Done.Add(int64(len(filed)))
	if err != nil {
		for _, op := range rest {
			op.Outcome, op.Return = history.Open, history.Forever
			c.Env.Counters.Open.Add(1)
		}
		c.file(g, rest...)
		c.broke()
		return
	}
	if moved != "" {
		c.follow(moved)
	}
}

// settle closes the doubts that are older than a success: the connection's
// node has executed nothing of it before it knew.
func (c *Client) settle(done []*history.Op, before int) {
	if len(done) == 0 || len(c.doubt) == 0 {
		return
	}
	kept := c.doubt[:0]
	for i, d := range c.doubt {
		// Doubts of this very pipeline are settled by what came after them.
		settledAt := int64(0)
		if i < before {
			settledAt = done[0].Return
		} else {
			for _, op := range done {
				if op.Return > d.op.Return {
					settledAt = op.Return
					break
				}
			}
		}
		if settledAt == 0 {
			kept = append(kept, d)
			continue
		}
		d.op.Return = settledAt
		c.file(d.group, d.op)
		c.Env.Board.leave(d.group)
	}
	c.doubt = kept
}

// answer reads the replies of one operation. known tells that it was executed
// and what it replied. An error is the connection's.
func (c *Client) answer(g *Group, op *history.Op, moved *string) (known bool, err error) {
	if op.Form == history.Plain {
		v, err := c.conn.Read(c.Style.Timeout)
		if err != nil {
			return false, err
		}
		op.Return = c.Env.now()
		return c.outcome(g, op, &v, moved), nil
	}
	for range len(op.Cmds) + 1 { // MULTI, and what it queues
		v, err := c.conn.Read(c.Style.Timeout)
		if err != nil {
			return false, err
		}
		if v.Kind == reply.KindError {
			c.noteRefusal(string(v.Text), moved)
		}
	}
	v, err := c.conn.Read(c.Style.Timeout)
	if err != nil {
		return false, err
	}
	op.Return = c.Env.now()
	return c.outcome(g, op, &v, moved), nil
}

// outcome notes what the last reply of an operation says of it.
func (c *Client) outcome(g *Group, op *history.Op, v *reply.Value, moved *string) (known bool) {
	if v.Kind == reply.KindError {
		if class, _ := client.Classify(string(v.Text)); class == client.InDoubt {
			c.Env.Counters.InDoubt.Add(1)
			op.Outcome = history.Settled
			g.hold()
			c.doubt = append(c.doubt, doubted{op, g})
			return false
		}
		c.noteRefusal(string(v.Text), moved)
		return false
	}
	switch {
	case op.Form == history.Plain:
		op.Replies = []string{canon(op.Cmds[0][0], v)}
	case v.Kind == reply.KindNull:
		op.Aborted = true
	default:
		for i := range v.Elems {
			if i < len(op.Cmds) {
				op.Replies = append(op.Replies, canon(op.Cmds[i][0], &v.Elems[i]))
			}
		}
		if len(v.Elems) != len(op.Cmds) {
			c.Env.Unexpected("EXEC answered another number of replies than of commands")
			return false
		}
	}
	return true
}

// refused is a definite error outside of a pipeline.
func (c *Client) refused(text string) {
	var moved string
	c.noteRefusal(text, &moved)
	if moved != "" {
		c.follow(moved)
	}
}

func (c *Client) noteRefusal(text string, moved *string) {
	switch class, addr := client.Classify(text); class {
	case client.Redirect:
		c.Env.Counters.Redirected.Add(1)
		*moved = addr
	case client.Definite:
		c.Env.Counters.Refused.Add(1)
	case client.InDoubt: // of a command that cannot be in doubt: WATCH, MULTI
		c.Env.Unexpected(text)
	default:
		c.Env.Unexpected(text)
	}
}

// follow goes to the node that a redirection names.
func (c *Client) follow(addr string) {
	c.hangUp()
	for i, e := range c.Env.Endpoints {
		if e == addr || strings.HasSuffix(e, addr) {
			c.node = i
			return
		}
	}
	c.node = (c.node + 1) % len(c.Env.Endpoints)
}
