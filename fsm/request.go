package fsm

import (
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// OpKind tells how an Op is carried out.
type OpKind uint8

const (
	// OpWrite goes into the log and is executed by every node.
	OpWrite OpKind = iota
	// OpRead is executed from the memory of this node. Among the Ops of a
	// Request it takes effect at its place, and is no part of the log.
	OpRead
	// OpLocal calls a function of the session at its place.
	OpLocal
	// OpTx is a transaction: MULTI ... EXEC with at least one write.
	OpTx
	// OpSettings changes cluster-wide settings; Args alternate names and values.
	OpSettings
	// OpUnblock ends the wait of the command whose waiter is Waiter. The reply is 1,
	// or 0 if it waits no longer.
	OpUnblock
)

// Op is one thing that a client wants done.
type Op struct {
	Kind  OpKind
	DB    int
	Args  [][]byte
	Local func(out *reply.Writer) // of OpLocal
	Tx    *Tx                     // of OpTx
	// As is the user for whom an OpWrite, OpRead or OpTx is executed, if what it calls is
	// to be checked: the name goes into the log. Of one that waits, the number of his birth
	// does, too.
	As call.As
	// Waits, of an OpWrite: the command may wait. It is the last op that its
	// connection, a Waiter, submits until it is answered.
	Waits bool
	// Repeats, of one that waits: it changes nothing, and may be executed again.
	Repeats bool
	Waiter  uint64 // of OpUnblock
	Failed  bool   // of OpUnblock: with an error, not as if its time were up
	// Took, unless nil, is told how long the execution of an OpWrite or OpRead
	// took on this node, with the arguments and the reply, which are valid during
	// the call only. It must not block: the state is locked. What is refused
	// before its execution, or in doubt, is not told of.
	Took func(conn Conn, args [][]byte, answer []byte, d time.Duration)
}

// Watch is a key of which a transaction says that it has not changed.
type Watch struct {
	DB      int
	Key     []byte
	Version uint64
}

// Tx is a transaction. Its Ops are OpWrite, OpRead and OpLocal. The reply is
// an array of theirs, or a null array if a watched key has changed.
type Tx struct {
	Watches []Watch
	Ops     []Op
	// Aborted is set at apply, before the reply is written, if a watched key
	// had changed: no Op took effect.
	Aborted bool
}

// Request is what one connection submits at once: Ops that take effect in
// this order, one after the other, each with one reply.
//
// Whoever takes a Request keeps no slice of its Ops' Args after the call
// returned: the session's read buffer lies beneath them.
type Request struct {
	Ops  []Op
	Conn Conn
}

// Conn is the place for the replies of one connection. Its methods are called
// by one goroutine at a time for one connection, and must not block on the
// client.
type Conn interface {
	// BeginReplies locks the connection's output and returns where the next
	// replies go.
	BeginReplies() *reply.Writer
	// EndReplies unlocks the output: n Ops have been answered, in order, and
	// the replies go on their way.
	EndReplies(n int)
}

// Follower is a Conn that is told of each Op's end, before the next one: what
// has become known of the data on the way goes behind its reply.
type Follower interface {
	OpDone(out *reply.Writer)
}

// Waiter is a Conn whose commands may wait. The methods must not block.
type Waiter interface {
	Conn
	// BeginWait tells that the op under way is answered later, and by which number
	// its waiter goes in the state. It returns false if the client has gone.
	BeginWait(waiter uint64) (there bool)
	// EndWait tells that the answer is written, or that the wait begins anew.
	EndWait()
}

// Pending is a batch of this node that has not been applied yet: the Ops as
// their connections want them answered. Writes among them are executed as the
// log says, which has them in the same order.
type Pending struct {
	Parts []Part

	answered atomic.Bool
}

// SetAnswered tells that all replies of the batch have been written.
func (p *Pending) SetAnswered() { p.answered.Store(true) }

// Answered reports whether SetAnswered was called.
func (p *Pending) Answered() bool { return p.answered.Load() }

// Part is what one connection has in a batch.
type Part struct {
	Conn Conn
	Ops  []Op
}

// CloneArgs returns a copy of arguments, which alias a buffer that is used again.
func CloneArgs(args [][]byte) [][]byte {
	size := 0
	for _, arg := range args {
		size += len(arg)
	}
	flat := make([]byte, 0, size)
	clone := make([][]byte, len(args))
	for i, arg := range args {
		flat = append(flat, arg...)
		clone[i] = flat[len(flat)-len(arg) : len(flat) : len(flat)]
	}
	return clone
}
