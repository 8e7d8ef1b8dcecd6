package script

import (
	"bytes"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// heldMax bounds how many errors of one script wait for its end.
const heldMax = 16

// tally tells the node's counter what a script calls, if a client of this node
// waits for its reply. As in Redis, an error that becomes the script's reply
// counts once: as the reply. So errors are held back until the reply is known.
type tally struct {
	counter call.Counter // nil: nobody counts
	script  call.Script
	held    []reply.Error
}

func (t *tally) begin(c *call.Call) {
	t.counter, t.script, t.held = nil, call.Script{}, t.held[:0]
	if !c.Out.Discards() {
		t.counter, t.script = c.Counter, call.Script{By: c.By, Args: c.Args}
	}
}

// called counts a command that was executed.
func (t *tally) called(row *call.Row, db int, args [][]byte, answer []byte) {
	switch {
	case t.counter == nil:
	case len(answer) > 0 && answer[0] == '-':
		t.counter.Nested(t.script, row.Name, db, args, call.Failed)
		t.hold(reply.Error(bytes.TrimSuffix(answer[1:], []byte("\r\n"))))
	default:
		t.counter.Nested(t.script, row.Name, db, args, call.Done)
	}
}

// rejected counts a command that was refused; its name is "" if there is none.
func (t *tally) rejected(name string, e reply.Error) {
	if t.counter == nil {
		return
	}
	if name != "" {
		t.counter.Nested(t.script, name, 0, nil, call.Rejected)
	}
	t.hold(e)
}

func (t *tally) hold(e reply.Error) {
	if len(t.held) == heldMax { // the last ones are the likeliest to become the reply
		t.counter.NestedError(t.held[0])
		t.held = append(t.held[:0], t.held[1:]...)
	}
	t.held = append(t.held, e)
}

// end counts the errors that are not the script's reply.
func (t *tally) end(answer []byte) {
	replied := false
	for i := len(t.held) - 1; i >= 0; i-- {
		if !replied && len(answer) > 0 && bytes.HasPrefix(answer[1:], []byte(t.held[i])) && answer[0] == '-' {
			replied = true
			continue
		}
		t.counter.NestedError(t.held[i])
	}
	clear(t.held)
	t.counter = nil
}
