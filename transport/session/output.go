package session

import (
	"context"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
)

// UnreadMax is how many bytes a client may leave unread, about, before the
// connection's next command waits for it to read. A single reply may be
// larger, and so may those of commands that are in the log by then.
const UnreadMax = 4 << 20

// Output takes what a session says to its client, in order. transport/resp
// implements it over a socket, without ever waiting for the client.
type Output interface {
	// Begin locks the output and returns where to write.
	Begin() *reply.Writer
	// End unlocks the output. What was written is not on its way yet.
	End()
	// Send puts on its way what was written.
	Send()
	// SendSoon has it put on its way by the node's replier: for goroutines
	// that have better to do.
	SendSoon()
	// Pending returns how many bytes were written that the client has not
	// taken.
	Pending() int
	// Memory tells what the connection takes. It may be called by any goroutine, also
	// between Begin and End.
	Memory() Memory
	// AwaitRoom waits, if more than UnreadMax bytes are not taken, until the
	// client has taken enough. It returns false when that will not happen any
	// more. It is called by the connection's goroutine, outside Begin and End.
	AwaitRoom() bool
	// AwaitTaken is AwaitRoom for one goroutine beside the connection's: what the
	// client sends meanwhile it leaves alone. It ends with ctx.
	AwaitTaken(ctx context.Context) bool
	// Await waits for a token from done, and takes in what the client sends
	// meanwhile, up to client-pipeline-max. It returns false, perhaps with the
	// token taken, when the client has gone. It is called like AwaitRoom.
	Await(done <-chan struct{}) bool
	// SetClass tells by which limits a slow client is cut. Like Pending and
	// Kill it may be called between Begin and End.
	SetClass(OutputClass)
	// Kill ends the connection at once.
	Kill()
}

// OutputClass is a class of client-output-buffer-limit.
type OutputClass uint8

// The classes.
const (
	ClassNormal OutputClass = iota
	ClassReplica
	ClassPubSub
)

// Peer tells who is at the other end.
type Peer struct {
	Addr     string // host:port, or the path of a unix socket with ":0"
	Local    string // likewise
	Loopback bool   // over the loopback interface or a unix socket
	TLS      bool
	Unix     bool // a unix socket
	FD       int
	Listener string // name of the listener by which it came
	Redirect config.Redirect
}
