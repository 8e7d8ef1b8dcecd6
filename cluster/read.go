package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/peer"
)

// Reads are served from this node's memory after a proof that it is fresh: the
// state has reached an index that was committed, somewhere, at a moment after
// the read arrived.
//
// On the leader the proof is the lease, or a round of messages to a majority.
// A follower asks the leader for such an index. Reads that arrive while a
// question is on its way wait for the next one: its answer could be older than
// they are.

// readWait is how long a read may wait for its proof.
const readWait = 1500 * time.Millisecond

var errNotReady = errors.New("cluster: this leader has not committed anything of its term yet")

// appliedIndex is how far the own state has come, with a way to wait for more.
type appliedIndex struct {
	value   atomic.Uint64
	mu      sync.Mutex
	waiting map[chan struct{}]uint64 // guarded by mu; closed when value has reached it
}

func newAppliedIndex() *appliedIndex {
	return &appliedIndex{waiting: make(map[chan struct{}]uint64)}
}

// advance tells that the state has come to index.
func (a *appliedIndex) advance(index uint64) {
	a.value.Store(index)
	a.mu.Lock()
	defer a.mu.Unlock()
	for ch, want := range a.waiting {
		if want <= index {
			close(ch)
			delete(a.waiting, ch)
		}
	}
}

// wait returns nil once the state has reached index, or ctx's error.
func (a *appliedIndex) wait(ctx context.Context, index uint64) error {
	if a.value.Load() >= index {
		return nil
	}
	ch := make(chan struct{})
	a.mu.Lock()
	if a.value.Load() >= index {
		a.mu.Unlock()
		return nil
	}
	a.waiting[ch] = index
	a.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		a.mu.Lock()
		delete(a.waiting, ch)
		a.mu.Unlock()
		return ctx.Err()
	}
}

// Barrier returns nil once a read of this node's memory reflects every write
// acknowledged anywhere before the call. Otherwise the error is a reply.Error:
// the read was not executed.
func (n *Node) Barrier(ctx context.Context) error {
	if err := n.inService(); err != nil {
		return err
	}
	if !n.sequencer.inDoubt() && n.leaseBarrier(ctx) == nil {
		n.counters.leaseReads.Add(1)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	if err := n.awaitSettled(ctx); err != nil {
		return err
	}
	for {
		err := n.rounds.join(ctx)
		if err == nil {
			n.counters.indexReads.Add(1)
			return n.inService()
		}
		select {
		case <-ctx.Done():
			n.counters.failedReads.Add(1)
			return reply.ErrReadNotConfirmed
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitSettled waits while this node has answered INDOUBT for something that
// may still take effect.
func (n *Node) awaitSettled(ctx context.Context) error {
	if !n.sequencer.inDoubt() {
		return nil
	}
	select {
	case <-n.sequencer.settledNow():
		return nil
	case <-ctx.Done():
		return reply.ErrReadNotConfirmed
	}
}

// leaseBarrier proves freshness by the leader's lease, or fails at once.
//
// The order matters: the index is noted at or after the read's arrival, the
// state reaches it, and then the lease is checked, after the arrival. A lease
// checked before could have ended in a pause of this process between the two.
func (n *Node) leaseBarrier(ctx context.Context) error {
	if !n.opts.ReadLease {
		return errNotReady
	}
	term := n.readyTerm.Load()
	if term == 0 {
		return errNotReady
	}
	index := n.commitIndex()
	if n.applied.value.Load() < index {
		ctx, cancel := context.WithTimeout(ctx, readWait)
		defer cancel()
		if err := n.applied.wait(ctx, index); err != nil {
			return err
		}
	}
	if !n.transport.LeaseHeld(term) {
		return errNotReady
	}
	return nil
}

// confirmIndex returns an index that reflects everything acknowledged before
// the call. Only a leader can; it asks a majority whether it still is one.
func (n *Node) confirmIndex(ctx context.Context) (uint64, error) {
	term := n.readyTerm.Load()
	if term == 0 {
		return 0, errNotReady
	}
	mark := n.transport.Mark()
	index := n.commitIndex()
	if n.raft.CurrentTerm() != term {
		return 0, errNotReady
	}
	if err := n.transport.WaitAck(ctx, term, mark); err != nil {
		return 0, err
	}
	return index, nil
}

// askIndex obtains a confirmed index from whoever leads.
func (n *Node) askIndex(ctx context.Context) (uint64, error) {
	if n.raft.State() == raft.Leader {
		return n.confirmIndex(ctx)
	}
	_, leader := n.raft.LeaderWithID()
	addr := n.addrOf(leader)
	if leader == "" || addr == "" {
		return 0, errNoRoute
	}
	answer, err := n.port.Call(ctx, addr, callReadIndex, nil)
	if err != nil {
		return 0, err
	}
	index, size := binary.Uvarint(answer)
	if size <= 0 {
		return 0, errors.New("cluster: malformed read index")
	}
	return index, nil
}

// serveReadIndex answers a follower's askIndex, and tells it at once that the
// index is committed: its readers wait for that.
func (n *Node) serveReadIndex(ctx context.Context, from peer.Info, _ []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	index, err := n.confirmIndex(ctx)
	if err != nil {
		return nil, err
	}
	n.transport.Kick(raft.ServerID(from.NodeID), index)
	return binary.AppendUvarint(nil, index), nil
}

// rounds shares confirmations between reads. At most one question is on its
// way; all reads that arrived before it was sent share its answer.
type rounds struct {
	ctx   context.Context // ends with the node
	ask   func(ctx context.Context) (uint64, error)
	reach func(ctx context.Context, index uint64) error

	mu     sync.Mutex
	next   *round // guarded by mu; collects reads for the next question
	busy   bool   // guarded by mu; a question is on its way
	closed bool   // guarded by mu

	asking sync.WaitGroup // the goroutine that asks
}

var errClosed = errors.New("cluster: the node is shutting down")

// close waits until nobody asks any more. ctx has ended.
func (r *rounds) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.asking.Wait()
}

type round struct {
	done chan struct{}
	err  error // set before done is closed
}

// join waits for the outcome of a question that is sent after the call.
func (r *rounds) join(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return errClosed
	}
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	mine := r.next
	if !r.busy {
		r.busy = true
		r.asking.Go(r.run)
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run asks until nobody waits. The round is closed to newcomers before the
// question is sent.
func (r *rounds) run() {
	for {
		r.mu.Lock()
		current := r.next
		r.next = nil
		if current == nil {
			r.busy = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		current.err = r.once()
		close(current.done)
	}
}

func (r *rounds) once() error {
	ctx, cancel := context.WithTimeout(r.ctx, readWait)
	defer cancel()
	index, err := r.ask(ctx)
	if err != nil {
		return err
	}
	return r.reach(ctx, index)
}
