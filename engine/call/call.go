// Package call is all that a data command may see: its arguments, the
// database, the time, a random generator and the place for its reply.
//
// There is no clock, network or logger here. What a command does follows from
// the log alone, so that every node does the same.
package call

import (
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/heat"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// Row is a command: what describes it, and the function that carries it out.
type Row struct {
	command.Spec
	Do func(*Call)
	// Waits reports whether a call may leave a wait; nil: none may.
	Waits func(args [][]byte) bool
	// Quiet: to look a key up is no use of it.
	Quiet bool
	// Serve carries out a call that waited, for one of its keys, which may be ready.
	// It reports whether the call is answered; if not, nothing was changed.
	Serve func(c *Call, key []byte) (served bool)
}

// Env is what all calls of one engine share.
type Env struct {
	Keyspace *keyspace.Keyspace
	Settings *Settings
	// Semantic is the semantic version in force.
	Semantic semantic.Version
	Effects  Effects
	// Pressed says that more memory is used than maxmemory, and that nothing can be
	// freed: as the leader has decided for the log entry that is being applied.
	Pressed bool
	// Heat knows when and how often keys were used, as far as this node does. Nothing that
	// the log makes of the data may depend on it.
	Heat *heat.Map
	// Stream is nil where nobody follows.
	Stream *Stream
	// Counter is nil where nobody counts.
	Counter Counter
	// Observer is nil where nobody looks on while scripts run.
	Observer Observer
	// Lookup finds the row that args call, as command.Table.Find does, among those
	// of the semantic version in force.
	Lookup func(args [][]byte) (row *Row, container string, ok bool)
}

// Effects takes what commands cause outside the data. The engine hands it on
// after the command, on every node alike. Slices are valid during the call
// only.
type Effects interface {
	// Publish delivers a message to the subscribers of this node, and returns
	// how many of the cluster will get it as far as this node knows.
	Publish(channel, message []byte, sharded bool) int
	// SetUsers puts other users in the place of the cluster's.
	SetUsers(*acl.Users)
}

// As says on whose behalf a command runs.
type As struct {
	// User is a user's name; empty: whoever sent the command may do all.
	User string
	// Born, of a command that may wait, is the number of the user's birth, as it was when
	// he sent it: a later user of that name is another.
	Born uint64
	// Denied, if set, is told what the user was denied within the command.
	Denied func(Denial)
	// NoTouch: what is looked up is not used (CLIENT NO-TOUCH), as far as this node is
	// concerned.
	NoTouch bool
}

// Denial is what a user may not do.
type Denial struct {
	Reason acl.Reason
	Object string // the command's name, the key or the channel
}

// Call is one execution of one command.
type Call struct {
	*Env

	// Args holds the command's name and its arguments. They are valid during
	// the call only.
	Args [][]byte
	// DB is the selected database.
	DB *keyspace.DB
	// Now is the log clock in Unix milliseconds: what has expired by then is
	// gone, and relative times count from it.
	Now int64
	// Wall is the time, in Unix milliseconds, that replies such as TTL count
	// with. It is never less than Now. It must not decide any change.
	Wall int64
	// Rand is seeded by the log position of a write.
	Rand *Rand
	// Out takes the reply.
	Out *reply.Writer
	// As is who runs the command: what it calls is checked.
	As As
	// InScript and InTx tell as a part of what the command runs.
	InScript bool
	InTx     bool
	// MayWrite is false on the read path, where nothing may be changed.
	MayWrite bool
	// Refused, if set, is what a script is told that wants to change something where
	// nothing may be changed.
	Refused reply.Error
	// MayWait tells that the client can be answered later, if there is nothing for
	// it now. It is false on the read path, in transactions and in scripts.
	MayWait bool
	// Waiting is what the command waits for, instead of a reply.
	Waiting *Wait
	// Lookups is nil where nobody counts: on nodes that owe nobody the reply.
	Lookups *Lookups
	// By is on whose behalf the command runs, for who counts; it decides nothing.
	By any
	// Reads tells that the row changes nothing: Get counts its lookups.
	Reads bool
	// Quiet tells that what is looked up is not used.
	Quiet bool

	became bool // the stream has, or needs, nothing more of the command
}

// Lookups counts keys that were looked up to be read.
type Lookups struct {
	Hits, Misses uint64
	// Missed are the keys that reads missed, while subscribers want to be told of such.
	Missed []Missed
	// Lagging tells that a key was there that is due by Wall, but not by the log clock yet.
	Lagging bool
}

// Missed is a key that was looked up to be read, and was not there.
type Missed struct {
	DB  int
	Key []byte
}

func (c *Call) count(found bool) {
	switch {
	case c.Lookups == nil:
	case found:
		c.Lookups.Hits++
	default:
		c.Lookups.Misses++
	}
}

// LookedUp counts the lookup of a key that a command reads although it may
// change others, or this one after it. Of a row that only reads Get has counted.
func (c *Call) LookedUp(key []byte, found bool) {
	if !c.Reads {
		c.lookedUp(key, found)
	}
}

// lookedUp counts the lookup of a key, and tells subscribers if it is not there.
func (c *Call) lookedUp(key []byte, found bool) {
	c.count(found)
	if !found && c.Settings.NotifyKeyspaceEvents&EventKeyMiss != 0 {
		c.notifyMiss(key)
	}
}

// Fail replies with an error.
func (c *Call) Fail(e reply.Error) { c.Out.Error(e) }

// TooNew reports whether the semantic version that an option or a form of the
// command came with is not in force yet, and replies with an error then. A client
// is told why. A script gets the error that releases before have for it, since what
// a script makes of it is state.
func (c *Call) TooNew(came semantic.Version, before reply.Error) bool {
	switch {
	case came <= c.Semantic:
		return false
	case c.InScript:
		c.Fail(before)
	default:
		c.Fail(reply.TooNew("this form of the command", came, c.Semantic))
	}
	return true
}

// Get returns what key holds; false when there is nothing or it has expired.
// Where changes are allowed an expired key is deleted on the way, so that
// what follows meets no remains of it.
func (c *Call) Get(key []byte) (keyspace.Entry, bool) {
	var e keyspace.Entry
	var ok bool
	if c.Quiet {
		e, ok = c.Peek(key)
	} else if e, ok = c.DB.Use(key, c.Now); !ok && c.MayWrite {
		c.NotifyLoss(c.DB.Index(), key, c.DB.Evict(key, c.Now))
	} else {
		c.noteLag(e, ok)
	}
	if c.Reads {
		c.lookedUp(key, ok)
	}
	return e, ok
}

// Begins prepares the call of a row.
func (c *Call) Begins(row *Row) {
	c.Reads = row.Flags.Has(command.ReadOnly)
	c.Quiet = row.Quiet || c.As.NoTouch && row.Name != "touch"
}

// GetUntold is Get for a lookup that counts, and of which no subscriber is told.
func (c *Call) GetUntold(key []byte) (keyspace.Entry, bool) {
	e, ok := c.Peek(key)
	c.count(ok)
	return e, ok
}

// Peek is Get for a lookup that does not count, and is no use of the key.
func (c *Call) Peek(key []byte) (keyspace.Entry, bool) {
	e, ok := c.DB.Get(key, c.Now)
	if !ok && c.MayWrite {
		c.NotifyLoss(c.DB.Index(), key, c.DB.Evict(key, c.Now))
	}
	c.noteLag(e, ok)
	return e, ok
}

// noteLag takes down that a key is there which is due by Wall.
func (c *Call) noteLag(e keyspace.Entry, found bool) {
	if found && c.Wall > c.Now && e.Expired(c.Wall) && c.Lookups != nil {
		c.Lookups.Lagging = true
	}
}

// GetType returns what key holds if it is of type t. It replies WRONGTYPE
// itself and then returns failed.
func (c *Call) GetType(key []byte, t keyspace.Type) (e keyspace.Entry, found, failed bool) {
	e, found = c.Get(key)
	if found && e.Type != t {
		c.Fail(reply.ErrWrongType)
		return e, false, true
	}
	return e, found, false
}
