package call

import "github.com/quorate/quorate/engine/reply"

// Counter is told what nobody sees from outside: what scripts do on behalf of
// clients of this node. It must not block, nor have any effect on the data; it
// is called by several goroutines at once.
type Counter interface {
	// Nested tells that a script has called a command in database db, and how that
	// ended. The arguments are valid during the call only.
	Nested(s Script, command string, db int, args [][]byte, o Outcome)
	// NestedError tells of an error that a script has met and that is not its
	// own reply.
	NestedError(e reply.Error)
}

// Script is the call of a script: on whose behalf, and its own arguments.
type Script struct {
	By   any
	Args [][]byte
}

// Outcome is how the call of a command ended.
type Outcome uint8

// The outcomes.
const (
	Done     Outcome = iota
	Failed           // it was executed, and replied an error
	Rejected         // it was refused before its execution
)
