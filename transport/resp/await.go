package resp

import "time"

// Await implements session.Output. The read under way is ended by its deadline when
// the token has come.
func (o *output) Await(done <-chan struct{}) bool {
	came, gone, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-done:
			close(came)
			_ = o.socket.SetReadDeadline(time.Unix(1, 0))
		case <-gone:
		}
	}()
	alive := o.readUntil(came)
	close(gone)
	<-over
	_ = o.socket.SetReadDeadline(time.Time{})
	return alive
}

// readUntil takes in what the client sends until came is closed. It returns false if
// the client goes before, or sends more than client-query-buffer-limit. It does not stop
// before that: an end behind what is not read would not be seen, and what the command is
// then given would be lost.
func (o *output) readUntil(came <-chan struct{}) bool {
	for {
		err := o.input.take()
		select {
		case <-came:
			return true
		default:
		}
		switch {
		case err != nil:
			return false
		case o.sentTooMuch():
			return false
		}
	}
}
