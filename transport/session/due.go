package session

import (
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/fsm"
)

// While DEBUG SET-ACTIVE-EXPIRE keeps what is due where it is, it goes when somebody
// looks at it. A read changes nothing; so the session that has read such a key has the
// log look at it too, before it goes on.

// dueKey is a key that was due when it was read.
type dueKey struct {
	db  int
	key []byte
}

// dueMost is how many keys SCAN and its kind are taken to have met.
const dueMost = 1000

// appendDue adds the keys of steps, which are done, that are due and there.
func (s *Session) appendDue(due []dueKey, v *engine.View, steps []step) []dueKey {
	if !v.KeepsDue() {
		return due
	}
	for i := range steps {
		if t := &steps[i]; t.answer == nil {
			due = s.appendDueOf(due, v, t.db, t.args)
		}
	}
	return due
}

// appendDueOf adds the keys of one command.
func (s *Session) appendDueOf(due []dueKey, v *engine.View, db int, args [][]byte) []dueKey {
	e, _, ok := s.srv.table.Find(args)
	if !ok {
		return due
	}
	switch e.Name {
	case "scan", "keys", "randomkey":
		for _, key := range v.DueAmong(db, dueMost) {
			due = append(due, dueKey{db, key})
		}
		return due
	}
	keys, err := e.AppendKeys(s.keys[:0], args)
	s.keys = keys
	if err != nil {
		return due
	}
	for _, k := range keys {
		if key := args[k.Index]; v.Due(db, key) {
			due = append(due, dueKey{db, key})
		}
	}
	return due
}

// drop has the log delete keys that are due, each by itself.
func (s *Session) drop(due []dueKey) {
	if len(due) == 0 {
		return
	}
	s.fencing.Store(true)
	for _, d := range due {
		s.op(fsm.Op{Kind: fsm.OpWrite, DB: d.db, Args: [][]byte{[]byte("TOUCH"), d.key}})
	}
	s.submit()
	s.waitIdle()
	s.fencing.Store(false)
}

// A read that meets a key which is due by the wall clock, but not by the log's, has the log
// clock taken on, and is made again. That costs an entry, and is in vain while this node's
// clock is ahead of what the log clock follows: of the leader's, or of the log's own after
// a jump. Then reads go without for as long as the log clock was found to lag, after which
// the key that was met is gone, and at most for aheadMostMs.
const aheadMostMs = 100

// takeClockOn has an op that does nothing take the log clock on, and notes by how much it
// still lags.
func (s *Session) takeClockOn() {
	wall := s.srv.now().UnixMilli()
	s.fence()
	if lag := wall - s.srv.opts.Engine.Clock(); lag > 0 {
		s.srv.aheadUntil.Store(int64(s.srv.since() + time.Duration(min(lag, aheadMostMs))*time.Millisecond))
	}
}

// ahead reports whether taking the log clock on was of no use just now.
func (s *Server) ahead() bool {
	until := s.aheadUntil.Load()
	return until != 0 && int64(s.since()) < until
}

// since is the time since the start by the clock that keys are due by.
func (s *Server) since() time.Duration { return s.now().Sub(s.started) }
