package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// The chain tells that nodes did the same, not that what came of it is still in
// memory. So after each of its snapshots the leader logs an entry at which every
// node freezes its state and, beside its work, counts all keys with what they
// hold. The counts are compared as chains are: by a majority of all voters.
const (
	recountsMax = 4 // that are remembered
	// recountWait is how long others are asked that have not counted yet.
	recountWait  = 10 * time.Minute
	recountPause = 200 * time.Millisecond
)

// recounts are the counts of this node.
type recounts struct {
	node *Node

	mu     sync.Mutex
	counts []recountAt // guarded by mu; newest last

	last uint64 // guarded by mu; the index of the newest count that a majority has

	open chan struct{} // guarded by mu; closed when the frozen state is let go; nil if there is none

	busy   atomic.Bool  // something is frozen
	held   atomic.Int32 // snapshots that want the place
	frozen chan frozenAt
}

type recountAt struct {
	index uint64
	value chain.Value
}

type frozenAt struct {
	index    uint64
	snapshot *engine.Snapshot
}

func newRecounts(n *Node) *recounts {
	return &recounts{node: n, frozen: make(chan frozenAt, 1)}
}

// take freezes the state for the recount at index. One is done at a time; while a
// snapshot is being written there is none, and the others do without this node.
func (r *recounts) take(index uint64, freeze func() (*engine.Snapshot, error)) {
	if !r.busy.CompareAndSwap(false, true) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var snapshot *engine.Snapshot
	err := keyspace.ErrFrozen
	if r.held.Load() == 0 {
		snapshot, err = freeze()
	}
	if err != nil {
		r.busy.Store(false)
		return
	}
	r.open = make(chan struct{})
	r.frozen <- frozenAt{index, snapshot} // there is room: one at a time
}

// run counts until ctx ends.
func (r *recounts) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			select {
			case f := <-r.frozen:
				r.letGo(f.snapshot)
			default:
			}
			return
		case f := <-r.frozen:
			value, counted := f.snapshot.Recount(func() bool { return r.held.Load() > 0 || ctx.Err() != nil })
			r.letGo(f.snapshot)
			r.busy.Store(false)
			if counted {
				r.note(recountAt{f.index, value})
				r.compare(ctx, recountAt{f.index, value})
			}
		}
	}
}

// letGo ends the frozen state.
func (r *recounts) letGo(snapshot *engine.Snapshot) {
	snapshot.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.open)
	r.open = nil
}

// hold makes room for a snapshot, of which there is one at a time: a recount under
// way is given up, and none begins until release.
func (r *recounts) hold() (release func()) {
	const patience = 10 * time.Second // a batch of keys takes a millisecond
	r.held.Add(1)
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	if open != nil {
		select {
		case <-open:
		case <-time.After(patience): // the node is stopping
		}
	}
	return func() { r.held.Add(-1) }
}

func (r *recounts) note(c recountAt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = append(r.counts, c)
	if len(r.counts) > recountsMax {
		r.counts = r.counts[1:]
	}
}

func (r *recounts) at(index uint64) (chain.Value, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.counts {
		if c.index == index {
			return c.value, true
		}
	}
	return chain.Value{}, false
}

// compare asks the others until a majority has the same count, or is seen to have
// another, or the next recount is due: what can't be found out now that one will.
func (r *recounts) compare(ctx context.Context, own recountAt) {
	n := r.node
	for deadline := time.Now().Add(recountWait); time.Now().Before(deadline) && ctx.Err() == nil && len(r.frozen) == 0; pause(ctx, recountPause) {
		v, agree := n.proof.poll(ctx, own.value, func(ctx context.Context, id raft.ServerID) (chain.Value, error) {
			return n.askRecount(ctx, id, own.index)
		})
		switch v {
		case right:
			r.mu.Lock()
			r.last = own.index
			r.mu.Unlock()
			return
		case wrong:
			other, _ := n.askRecount(ctx, agree[0], own.index)
			c := fsm.Check{Chain: entry.Chain{Index: own.index, Value: entry.ChainValue(other)}, Own: own.value, Known: true}
			c.Leader, _ = entry.ParseNodeID(string(agree[0]))
			n.proof.condemn(c, agree)
			return
		}
	}
}

// agreedAt returns the index of the newest count that a majority has.
func (r *recounts) agreedAt() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (n *Node) askRecount(ctx context.Context, id raft.ServerID, index uint64) (chain.Value, error) {
	return n.askValue(ctx, id, callRecount, binary.BigEndian.AppendUint64(nil, index))
}

func (r *recounts) serve(_ context.Context, _ peer.Info, req []byte) ([]byte, error) {
	if len(req) != 8 {
		return nil, errors.New("malformed question for a recount")
	}
	index := binary.BigEndian.Uint64(req)
	value, ok := r.at(index)
	if !ok {
		return nil, fmt.Errorf("the recount at %d is not known here", index)
	}
	return value[:], nil
}

// logRecount makes all nodes count their keys, if this one leads.
func (n *Node) logRecount() {
	if n.readyTerm.Load() != 0 && n.fsm.Semantic() >= semantic.Chain {
		_ = n.packer.add(entry.PartRecount, "", nil) // refused when leadership has gone: there will be another snapshot
	}
}
