package fsm

import (
	"slices"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/waiting"
	"github.com/quorate/quorate/fsm/entry"
)

// Waiting ties the commands that wait in the state to the connections of this node
// whose clients they are. It is an engine.Answerer: a waiter of this node is answered
// by this node's apply of whatever ends its wait.
//
// A waiter of this node that no connection waits for would swallow what it is given,
// so it is dropped by an item of the log as soon as it is seen.
type Waiting struct {
	// Node is this node.
	Node waiting.Owner
	// Drop has the wait of a waiter of this node ended by the log. It must not block.
	Drop func(waiter uint64)

	clients map[uint64]*waitingClient // by waiter
	discard reply.Writer
	out     *reply.Writer // of the answer under way
	mark    int
	began   time.Time
}

// waitingClient is a connection whose command waits.
type waitingClient struct {
	conn Waiter
	op   Op       // with Args as the client sent them
	args [][]byte // as they are carried out when it is time
}

// Do executes a command that may wait. It reports whether the command waits, so that
// conn, which may be nil, is answered later. op is the client's, if there is one.
func (w *Waiting) Do(step *engine.Step, owner waiting.Owner, as call.As, c entry.Command, conn Conn, op *Op, out *reply.Writer) (waits bool) {
	id := doOrWait(step, owner, as, c, out)
	if id == 0 || owner != w.Node {
		return id != 0
	}
	there, ok := conn.(Waiter)
	if !ok || !there.BeginWait(id) {
		w.Drop(id)
		return true
	}
	kept := *op
	kept.DB, kept.Args = c.DB, CloneArgs(c.Args)
	if w.clients == nil {
		w.clients = make(map[uint64]*waitingClient)
	}
	w.clients[id] = &waitingClient{conn: there, op: kept, args: step.WaitingArgs(id)}
	return true
}

// Begin implements engine.Answerer.
func (w *Waiting) Begin(x *waiting.Waiter) (out *reply.Writer, by any) {
	c := w.clients[x.ID]
	if c == nil {
		return &w.discard, nil
	}
	w.began = time.Now()
	w.out = c.conn.BeginReplies()
	w.mark = w.out.Mark()
	return w.out, c.conn
}

// End implements engine.Answerer.
func (w *Waiting) End(x *waiting.Waiter, answered bool) {
	c := w.clients[x.ID]
	switch {
	case c == nil:
	case !answered:
		c.conn.EndReplies(0)
	default:
		delete(w.clients, x.ID)
		if c.op.Took != nil {
			c.op.Took(c.conn, c.op.Args, w.out.Bytes()[w.mark:], time.Since(w.began))
		}
		if follower, ok := c.conn.(Follower); ok {
			follower.OpDone(w.out)
		}
		c.conn.EndWait()
		c.conn.EndReplies(1)
	}
}

// dropped forgets the client of a waiter that is gone.
func (w *Waiting) dropped(id uint64) { delete(w.clients, id) }

// restored follows a state that has replaced the one before. Waiters that are still
// there wait on. What became of others is not known: their clients are told so, but
// for commands that change nothing, which begin anew.
func (w *Waiting) restored(step *engine.Step, again func(Conn, Op)) {
	there := make(map[uint64]bool)
	step.EachWaiter(func(x *waiting.Waiter) {
		switch {
		case x.Owner != w.Node:
		case w.clients[x.ID] == nil:
			w.Drop(x.ID)
		default:
			there[x.ID] = true
		}
	})
	var gone []uint64
	for id := range w.clients {
		if !there[id] {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		c := w.clients[id]
		delete(w.clients, id)
		if c.op.Repeats {
			c.conn.EndWait()
			c.op.Args = c.args
			again(c.conn, c.op)
			continue
		}
		c.conn.BeginReplies().Error(reply.InDoubt("the node caught up by a snapshot, before which the wait has ended"))
		c.conn.EndWait()
		c.conn.EndReplies(1)
	}
}
