// Package model says what a correct store may answer: a few keys of a Redis,
// as a sequential specification for porcupine.
//
// A state is a value and is never changed in place. Where a reply does not
// tell what a command did (an SPOP without one, a key that may have expired by
// now) a command leads to several states, all of which are kept.
package model

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// Keys is the number of keys of a group.
const Keys = 3

// kind is the type of a value.
type kind byte

const (
	none kind = iota
	str
	list
	hash   // items: field, value, field, value ... by field
	set    // items: members, sorted
	zset   // items: score, member ... by score, then member
	stream // items: id, value ...; an id not known yet is ""
)

// value is what a key holds.
type value struct {
	kind  kind
	str   string
	items []string // never changed in place
	// The key expires at a time in [lo, hi]; lo is 0 if it does not. Times are
	// those of the run, in nanoseconds.
	lo, hi int64
	// lastID is a stream's: the newest id known to have been given.
	lastID string
}

// place is how far a pipeline has come: its operation next comes next.
type place struct {
	pipe uint64
	next int
}

// State is the sequential store's.
type State struct {
	keys  [Keys]value
	pipes []place // of the pipelines under way, by pipe
}

func (v *value) equal(w *value) bool {
	return v.kind == w.kind && v.str == w.str && v.lo == w.lo && v.hi == w.hi && v.lastID == w.lastID && slices.Equal(v.items, w.items)
}

func (s *State) equal(t *State) bool {
	for i := range s.keys {
		if !s.keys[i].equal(&t.keys[i]) {
			return false
		}
	}
	return slices.Equal(s.pipes, t.pipes)
}

var seed = maphash.MakeSeed()

func (s *State) hash() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range s.keys {
		v := &s.keys[i]
		h.WriteByte(byte(v.kind))
		h.WriteString(v.str)
		for _, it := range v.items {
			h.WriteString(it)
			h.WriteByte(0)
		}
		h.WriteByte(1)
	}
	for _, p := range s.pipes {
		h.WriteByte(byte(p.pipe))
		h.WriteByte(byte(p.next))
	}
	return h.Sum64()
}

func (s *State) String() string {
	var words []string
	for i := range s.keys {
		v := &s.keys[i]
		word := fmt.Sprintf("%c", 'a'+i)
		switch v.kind {
		case none:
			continue
		case str:
			word += "=" + v.str
		default:
			word += fmt.Sprintf("=%v", v.items)
		}
		if v.lo != 0 {
			word += fmt.Sprintf(" (until %.3fs)", float64(v.lo)/1e9)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// with returns s with key k holding v.
func (s State) with(k int, v value) State {
	if v.kind != str && v.kind != none && v.kind != stream && len(v.items) == 0 {
		v = value{} // an empty collection is no key
	}
	s.keys[k] = v
	return s
}

// enter returns s after op's place in its pipeline, and false if it is not
// op's turn.
func (s State) enter(pipe uint64, pos int, last bool) (State, bool) {
	i, found := slices.BinarySearchFunc(s.pipes, pipe, func(p place, pipe uint64) int {
		switch {
		case p.pipe < pipe:
			return -1
		case p.pipe > pipe:
			return 1
		}
		return 0
	})
	switch {
	case !found && pos != 0, found && s.pipes[i].next != pos:
		return s, false
	case last:
		s.pipes = slices.Delete(slices.Clone(s.pipes), i, i+1)
		return s, true
	}
	pipes := slices.Clone(s.pipes)
	if !found {
		pipes = slices.Insert(pipes, i, place{pipe: pipe})
	}
	pipes[i].next = pos + 1
	s.pipes = pipes
	return s, true
}
