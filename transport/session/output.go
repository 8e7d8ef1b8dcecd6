package session

import (
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
)

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
