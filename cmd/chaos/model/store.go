package model

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/cmd/chaos/history"
)

// Store is a correct store of one group of keys, by the model itself: histories
// to try the checks on are made with it. Its States can be kept and put back,
// which is how it is made to err.
type Store struct {
	State State
	Rand  *rand.Rand
	ids   uint64
}

// Do executes an operation at a time and gives it its replies.
func (s *Store) Do(op *history.Op, at int64) {
	op.Replies, op.Aborted = nil, false
	for k := range s.State.keys {
		if v := &s.State.keys[k]; v.hi != 0 && at >= v.hi {
			s.State = s.State.with(k, value{})
		}
	}
	if !holds(&s.State, op) {
		op.Aborted = true
		return
	}
	now := *op
	now.Call, now.Return = at, at
	for _, c := range op.Cmds {
		op.Replies = append(op.Replies, s.one(c, &now))
	}
}

// one executes one command, by trying what the model would take.
func (s *Store) one(c history.Cmd, now *history.Op) string {
	e := exec{s: s.State, cmd: c, op: now}
	switch c[0] {
	case "XADD":
		s.ids++
		e.known, e.want = true, fmt.Sprintf("$%d-%d", now.Call/int64(time.Millisecond)+1, s.ids)
	case "SPOP":
		if v := e.at(1); len(v.items) > 0 {
			e.known, e.want = true, "$"+v.items[s.Rand.IntN(len(v.items))]
		}
	case "XRANGE":
		v := e.at(1)
		var words []string
		for i := 0; i < len(v.items); i += 2 {
			words = append(words, v.items[i], "f", v.items[i+1])
		}
		e.known, e.want = true, flat(words)
	case "PTTL":
		if v := e.at(1); v.lo != 0 {
			e.known, e.want = true, fmt.Sprintf(":%d", max(v.hi-now.Call, 0)/int64(time.Millisecond))
		}
	}
	e.run()
	if len(e.out) == 0 {
		panic("model: the store has no reply to " + c.String())
	}
	s.State = e.out[0]
	if e.known {
		return e.want
	}
	return e.told
}

// Expire lets every key that will expire do so now, before its time.
func (s *Store) Expire() (expired bool) {
	for k := range s.State.keys {
		if s.State.keys[k].lo != 0 {
			s.State, expired = s.State.with(k, value{}), true
		}
	}
	return expired
}

// Revive puts back, without a time to live, a key of a past state that has expired
// since.
func (s *Store) Revive(past State) bool {
	for k := range past.keys {
		if v := past.keys[k]; v.kind != none && s.State.keys[k].kind == none {
			v.lo, v.hi = 0, 0
			s.State = s.State.with(k, v)
			return true
		}
	}
	return false
}

// Turn reverses a list of two or more.
func (s *Store) Turn() (turned bool) {
	for k := range s.State.keys {
		v := s.State.keys[k]
		if v.kind != list || len(v.items) < 2 || v.items[0] == v.items[len(v.items)-1] {
			continue
		}
		items := make([]string, len(v.items))
		for i, it := range v.items {
			items[len(items)-1-i] = it
		}
		v.items = items
		s.State, turned = s.State.with(k, v), true
	}
	return turned
}

// Same reports whether two states hold the same.
func Same(s, t State) bool { return sameData(&s, &t) }
