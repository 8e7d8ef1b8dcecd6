package call

import (
	"math"

	"github.com/quorate/quorate/engine/keyspace"
)

// Wait is what a command waits for.
type Wait struct {
	// Type is what a key must hold to be of use.
	Type keyspace.Type
	// Keys are any of those that will do.
	Keys [][]byte
	// Deadline is by the log clock; 0 is never.
	Deadline int64
	// Args are the command as it is carried out when a key is ready.
	Args [][]byte
}

// Wait has the command wait for one of keys, for ever if timeoutMs is 0. The command
// must have changed nothing, and args are what Serve is given later. Whoever may not
// wait is answered as if the time were up: false is returned, and the reply is the
// caller's.
func (c *Call) Wait(t keyspace.Type, keys [][]byte, timeoutMs int64, args [][]byte) bool {
	if !c.MayWait {
		return false
	}
	w := &Wait{Type: t, Keys: keys, Args: args}
	if timeoutMs > 0 && timeoutMs < math.MaxInt64-c.Now {
		w.Deadline = c.Now + timeoutMs
	}
	c.Waiting = w
	return true
}
