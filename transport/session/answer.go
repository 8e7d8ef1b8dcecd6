package session

import (
	"context"
	"sync"

	"github.com/quorate/quorate/engine/reply"
)

// answer is an fsm.Conn for one op that a session submits on its own behalf.
type answer struct {
	mu     sync.Mutex
	writer *reply.Writer // guarded by mu
	done   chan struct{}
}

func newAnswer() *answer {
	return &answer{writer: reply.NewWriter(reply.RESP2, nil), done: make(chan struct{})}
}

// BeginReplies implements fsm.Conn.
func (a *answer) BeginReplies() *reply.Writer {
	a.mu.Lock()
	return a.writer
}

// EndReplies implements fsm.Conn.
func (a *answer) EndReplies(int) {
	a.mu.Unlock()
	close(a.done)
}

// wait returns the reply once it is there.
func (a *answer) wait(ctx context.Context) (reply.Value, error) {
	select {
	case <-a.done:
		v, _, err := reply.Read(a.writer.Bytes())
		return v, err
	case <-ctx.Done():
		return reply.Value{}, ctx.Err()
	}
}
