package session

import (
	"context"
	"sync"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// answer is an fsm.Conn for ops that a session submits on its own behalf.
type answer struct {
	mu     sync.Mutex
	writer *reply.Writer // guarded by mu
	left   int           // guarded by mu; ops not answered
	done   chan struct{} // closed when there are none
}

func newAnswer(ops int) *answer {
	return &answer{writer: reply.NewWriter(reply.RESP2, nil), left: ops, done: make(chan struct{})}
}

// BeginReplies implements fsm.Conn.
func (a *answer) BeginReplies() *reply.Writer {
	a.mu.Lock()
	return a.writer
}

// EndReplies implements fsm.Conn.
func (a *answer) EndReplies(n int) {
	defer a.mu.Unlock()
	if a.left -= n; a.left == 0 {
		close(a.done)
	}
}

// wait returns the replies once all are there.
func (a *answer) wait(ctx context.Context) (replies []reply.Value, err error) {
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for rest := a.writer.Bytes(); len(rest) > 0; {
		var v reply.Value
		if v, rest, err = reply.Read(rest); err != nil {
			return nil, err
		}
		replies = append(replies, v)
	}
	return replies, nil
}

// execute submits ops on the node's own behalf, and returns their replies.
func (s *Server) execute(ops []fsm.Op) ([]reply.Value, reply.Error) {
	answer := newAnswer(len(ops))
	s.opts.Cluster.Submit(&fsm.Request{Ops: ops, Conn: answer})
	replies, err := answer.wait(s.ctx)
	if err != nil {
		return nil, reply.InDoubt("the node is stopping")
	}
	return replies, ""
}
