package resp

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/quorate/quorate/transport/session"
)

// AwaitRoom implements session.Output. While it waits it takes in what the
// client sends, up to client-pipeline-max, and lets the rest wait in the network.
// A client that sends more than client-query-buffer-limit is closed.
func (o *output) AwaitRoom() bool {
	if o.pending.Load() <= session.UnreadMax {
		return true
	}
	for {
		o.send()
		room, alive := o.lookForRoom()
		if room || !alive {
			return alive
		}
		switch err := o.takeIn(); {
		case errors.Is(err, io.EOF):
			<-o.room // what it has asked for it shall get
		case err != nil:
			return false
		case o.sentTooMuch():
			return false
		}
	}
}

// takeIn reads from the client once. A client that has sent as much as is taken in while
// its commands wait for it to read is left alone: it waits for something to happen to the connection.
func (o *output) takeIn() error {
	if o.input.kept.Load() < o.limits.pipeline.Load() {
		return o.input.take()
	}
	if !o.held {
		o.held = true
		o.log.Warn("a client does not read its replies and has sent client-pipeline-max bytes: no more is read from it until it reads", "addr", o.socket.RemoteAddr())
	}
	return o.stir()
}

// sentTooMuch cuts a client that has sent more than client-query-buffer-limit while
// nothing of it was taken, and reports whether it did. It is called by the connection's
// goroutine when the client has sent something.
func (o *output) sentTooMuch() bool {
	if o.weigh != nil {
		o.weigh()
	}
	if o.input.kept.Load() <= o.limits.query() {
		return false
	}
	o.counters.QueryBufferCuts.Add(1)
	o.Kill()
	return true
}

// lookForRoom reports whether the client has taken enough for more to be
// written. If not, whoever sends will end the wait: a read by its deadline, or
// one from room.
func (o *output) lookForRoom() (room, alive bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	room = o.roomLocked()
	if o.waiting {
		_ = o.socket.SetReadDeadline(time.Time{})
	}
	o.waiting = !room
	return room, !o.dead
}

// AwaitTaken implements session.Output.
func (o *output) AwaitTaken(ctx context.Context) bool {
	for {
		o.send()
		o.mu.Lock()
		o.feeding = true
		room, dead := o.roomLocked(), o.dead
		o.mu.Unlock()
		if room || dead {
			return !dead
		}
		select {
		case <-o.look:
		case <-ctx.Done():
			return false
		}
	}
}

func (o *output) roomLocked() bool { return o.dead || o.w.Len()+o.unsent <= session.UnreadMax }

// wakeLocked ends the wait for room if there is some.
func (o *output) wakeLocked() {
	if o.feeding {
		select {
		case o.look <- struct{}{}:
		default: // a token is there
		}
	}
	if !o.waiting || !o.roomLocked() {
		return
	}
	_ = o.socket.SetReadDeadline(time.Unix(1, 0))
	select {
	case o.room <- struct{}{}:
	default: // a token is there
	}
}
