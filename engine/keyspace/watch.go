package keyspace

import "sync/atomic"

// Watch is told of changes of keys while On is set, before they are made: what a keyspace does not keep, it can't
// tell afterwards. Changed may be called more than once for a change, and for one that changes nothing. Neither
// function may touch the keyspace.
type Watch struct {
	On      atomic.Bool
	Changed func(key string)
	Flushed func() // all keys of a database have changed
}

// SetWatch makes w the one that is told of changes from now on.
func (k *Keyspace) SetWatch(w *Watch) { k.watch = w }

// tell tells the watch which keys a change is of.
func (k *Keyspace) tell(c *change) {
	switch w := k.watch; c.op {
	case opFlush, opSwap:
		w.Flushed()
	case opMove:
		w.Changed(string(c.key))
		w.Changed(string(c.value.Packed))
	case opCopy:
		w.Changed(string(c.value.Packed))
	default:
		w.Changed(string(c.key))
	}
}
