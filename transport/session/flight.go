package session

import (
	"sync/atomic"

	"github.com/quorate/quorate/fsm"
)

// What is executed by the apply is answered there and then: it can't wait for
// a client to read. So the replies of one flight, what a connection has
// submitted from one moment at which nothing was in flight to the next, are
// bounded beforehand, by how many commands whose replies may be large ride in
// it. How large they are is learned from the flight before.
const (
	// flightFirst is how many may ride before anything is known.
	flightFirst = 2
	// flightMax is how many may ride at most.
	flightMax = 4096
)

// flight counts what a connection has in flight.
type flight struct {
	riders int          // commands whose replies may be large; of the connection's goroutine
	most   int          // of them; of the connection's goroutine
	bytes  atomic.Int64 // of all replies so far
}

// land learns from a flight that is over.
func (f *flight) land() {
	bytes := f.bytes.Swap(0)
	if f.riders > 0 {
		f.most = int(min(max(UnreadMax*int64(f.riders)/max(bytes, 1), 1), flightMax))
	}
	f.riders = 0
}

// board makes room in the flight for a command whose reply may be large. It
// may wait until nothing is in flight: the next op begins another.
func (s *Session) board() {
	if s.flight.riders >= s.flight.most {
		s.settle()
	}
}

// opLarge adds an op whose reply may be large.
func (s *Session) opLarge(o fsm.Op) {
	s.op(o)
	s.flight.riders++
}

// awaitRoom waits until the client has read enough of what was written. If it
// will not, the conversation is over.
func (s *Session) awaitRoom() bool {
	if s.follower.cancel != nil || s.out.AwaitRoom() { // a replica's feed waits by itself
		return true
	}
	s.closing = true
	return false
}
