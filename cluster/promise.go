package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// Fresh nodes found a cluster by promises: the first of them by id proposes a
// list of founders, the others promise to found none without it, and when all
// have, it makes the list raft's first configuration. Two lists that share a
// node must never both become one: raft could elect a leader in each.
//
// A time limit on promises does not do it: a founder may be paused for longer
// between the last promise and its first configuration, and a node that
// restarts has forgotten what it promised. So a promise is durable, and holds
// until the founder itself says that it has gone beyond that attempt: attempts
// are numbered, and the number is part of what a node without a cluster says of
// itself. That the founder has a cluster frees nobody to found another: it may
// have been founded by that very promise. It only lets this node join.
//
// A founder that loses its disk between proposal and founding leaves its
// promises behind. Then an operator empties the data directories of those who
// promised: they hold nothing yet.

// attempt numbers a founder's tries to found a cluster, over its restarts.
type attempt struct {
	Life   uint64 // the incarnation with which the founder's process began
	Number uint64
}

func (a attempt) before(b attempt) bool {
	return a.Life < b.Life || a.Life == b.Life && a.Number < b.Number
}

// pledge is a node's word to found no cluster but the proposed one. It is
// also the proposal.
type pledge struct {
	Founder raft.ServerID
	Addr    string // of the founder's node-to-node port
	Attempt attempt
	List    string // ids of all founders
}

func (p *pledge) given() bool { return p.Founder != "" }

// over reports whether, by what a node says of itself, nothing can come of the
// promise any more.
func (p *pledge) over(s *Status) bool {
	return s.ID == string(p.Founder) && p.Attempt.before(s.Attempt)
}

// admits reports whether the promise allows to give another.
func (p *pledge) admits(other *pledge) bool {
	return !p.given() || p.Founder == other.Founder && !other.Attempt.before(p.Attempt)
}

// promises are what a node has promised and proposes.
type promises struct {
	life  uint64
	load  func() ([]byte, error)
	store func([]byte) error // durable when it returns

	promise  pledge
	number   uint64 // of the latest attempt of our own
	trying   bool   // that attempt is under way, or has founded a cluster
	reminded time.Time
}

// errPromised tells that a node has given its word to others.
var errPromised = errors.New("this node has promised to found a cluster with others")

// recall reads what an earlier life of the node has promised.
func (p *promises) recall() error {
	text, err := p.load()
	if isNotFound(err) || err == nil && len(text) == 0 {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.promise)
	}
	if err != nil {
		return fmt.Errorf("read this node's promise to found a cluster: %w", err)
	}
	return nil
}

// give gives this node's word.
func (p *promises) give(to *pledge) error {
	if p.trying || !p.promise.admits(to) {
		return errPromised
	}
	text, err := json.Marshal(to)
	if err != nil {
		return err
	}
	if err := p.store(text); err != nil {
		return fmt.Errorf("keep the promise: %w", err)
	}
	p.promise = *to
	return nil
}

// hear takes back a promise of which nothing can come any more.
func (p *promises) hear(s *Status) {
	if p.promise.given() && p.promise.over(s) && p.store(nil) == nil { // else at the next word
		p.promise = pledge{}
	}
}

// begin begins an attempt of our own.
func (p *promises) begin() (attempt, error) {
	if p.trying || p.promise.given() {
		return attempt{}, errPromised
	}
	p.number++
	p.trying = true
	return p.attempt(), nil
}

// fail ends the attempt under way: who hears of a later number knows that
// nothing will come of it.
func (p *promises) fail() {
	p.number++
	p.trying = false
}

func (p *promises) attempt() attempt { return attempt{p.life, p.number} }

// decodeProposal reads what a founder proposes.
func decodeProposal(req []byte, from string) (*pledge, error) {
	var p pledge
	if err := json.Unmarshal(req, &p); err != nil || string(p.Founder) != from || !strings.Contains(p.List, from) {
		return nil, errors.New("malformed proposal to found a cluster")
	}
	return &p, nil
}
