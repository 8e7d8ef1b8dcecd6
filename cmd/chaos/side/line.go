package side

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/engine/reply"
)

// line is a client's connection to one node, made anew after it has ended.
type line struct {
	env  *Env
	node int
	resp int
	// hello is sent on each new connection; what it is answered must be no error.
	hello [][]string
	// who stands in complaints.
	who string

	conn *client.Conn
}

// connect sees to it that there is a connection. It returns false, after a pause, if
// the node can't be reached.
func (l *line) connect(ctx context.Context) bool {
	if l.conn != nil {
		return true
	}
	began := l.env.now()
	conn, err := client.Dial(l.env.Endpoints[l.node], l.resp, 2*time.Second)
	if err == nil {
		l.conn = conn
		for _, cmd := range l.hello {
			if _, err = conn.Do(ledgerTimeout, cmd...); err != nil {
				break
			}
		}
	}
	if err == nil {
		return true
	}
	l.hangUp()
	note(l.env, &l.env.refusals, Refusal{Node: l.node, From: began, To: l.env.now(), Text: "not reached", Broken: true})
	pause(ctx, 50*time.Millisecond)
	return false
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// failed notes that a command that was sent at began was not carried out, and says what
// that means for it. It hangs up if the connection is of no use any more.
func (l *line) failed(err error, began time.Duration) Outcome {
	var refused reply.Error
	isReply := errors.As(err, &refused)
	note(l.env, &l.env.refusals, Refusal{
		Node: l.node, From: began, To: l.env.now(), Text: l.who + ": " + err.Error(), Broken: !isReply, Unproven: refused == reply.ErrReadNotConfirmed,
	})
	if !isReply {
		l.hangUp()
		return Doubted
	}
	switch class, _ := client.Classify(string(refused)); class {
	case client.InDoubt:
		return Doubted
	case client.Unexpected:
		if refused != reply.ErrRetired {
			l.env.Violation(l.who + " was answered " + string(refused))
		}
	}
	return Refused
}

// transaction sends commands as one transaction and returns what EXEC replied.
func transaction(conn *client.Conn, timeout time.Duration, cmds ...[]string) (reply.Value, error) {
	conn.Append("MULTI")
	for _, cmd := range cmds {
		conn.Append(cmd...)
	}
	conn.Append("EXEC")
	if err := conn.Flush(timeout); err != nil {
		return reply.Value{}, err
	}
	var first error // why EXEC will be refused
	for range len(cmds) + 1 {
		v, err := conn.Read(timeout)
		if err != nil {
			return v, err
		}
		if v.Kind == reply.KindError && first == nil {
			first = reply.Error(v.Text)
		}
	}
	v, err := conn.Read(timeout)
	if err == nil && v.Kind == reply.KindError {
		err = reply.Error(v.Text)
		if first != nil {
			err = first
		}
	}
	return v, err
}
