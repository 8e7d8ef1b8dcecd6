package engine

import (
	"fmt"
	"io"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
)

// Attach begins a snapshot, and has Options.Stream told, as commands, of all that
// changes from its moment on. Began is called at that moment, with the lock held. More
// than one may follow: a Detach ends it for all.
func (e *Engine) Attach(began func()) (*Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	snapshot, err := e.freezeLocked(nil)
	if err != nil {
		return nil, err
	}
	e.env.Stream = &e.stream
	e.stream.Restart()
	e.tellFieldsLocked()
	began()
	return snapshot, nil
}

// Detach ends the stream of commands, if still is true then: it is called with the lock
// held.
func (e *Engine) Detach(still func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if still() {
		e.env.Stream = nil
		e.tellFieldsLocked()
	}
}

// tellFieldsLocked has the keyspace tell of lost fields while somebody follows.
func (e *Engine) tellFieldsLocked() {
	if e.env.Stream == nil {
		e.env.Keyspace.OnFieldsLost(nil)
		return
	}
	e.env.Keyspace.OnFieldsLost((&call.Call{Env: &e.env}).FieldsLost)
}

// breakStreamLocked tells followers that they do not have the state any more.
func (e *Engine) breakStreamLocked() {
	if e.env.Stream == nil {
		return
	}
	e.env.Stream = nil
	e.tellFieldsLocked()
	e.opts.StreamBroken()
}

// Plain says what WritePlainRDB writes.
type Plain struct {
	FunctionsOnly bool // no keys
	// FieldTimes: hashes keep the times of their fields, in the form of Redis 7.4, which
	// redis-server 7.0 does not load. Else the fields are there without them.
	FieldTimes bool
}

// WritePlainRDB is WriteRDB without what a redis-server has no use for.
func (s *Snapshot) WritePlainRDB(w io.Writer, p Plain) error {
	out := rdb.NewWriter(w, s.state.clock/1000)
	if !p.FieldTimes {
		out.LeaveOutFieldTimes()
	}
	if err := s.writeLibraries(out); err != nil {
		return err
	}
	if !p.FunctionsOnly {
		if err := s.writeBatches(out, func(*keyspace.Batch) error { return nil }); err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("end the file: %w", err)
	}
	return nil
}
