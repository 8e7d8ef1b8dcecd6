package cluster

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// maxmemory. The leader measures before each entry how much memory its data take, and
// puts in front of the entry which keys go to make room, and whether there is none to be
// made. That is part of the log, so all nodes do the same; they never measure for
// themselves what to do.
//
// One entry names a bounded number of keys. While that is not enough the next entry
// follows at once, batches or none. An entry may bring as much data as its commands make,
// which is seen before the next one: so much can be used beyond the limit.

// evictEvery is how often each node looks at its memory while no entry makes it.
const evictEvery = 100 * time.Millisecond

// tellEvery is how often a node tells the leader which keys it has read, which the leader
// does not see: 128 KiB a second at most. That is lost when nobody leads, or does not
// answer in time.
const tellEvery = 500 * time.Millisecond

// eviction is a node's view of its memory, and what it does about it as the leader.
type eviction struct {
	node    *Node
	chooser engine.Chooser // of the packer's goroutine
	pressed atomic.Bool    // the newest entry that this node has packed was under pressure
	hearing atomic.Bool    // of another node's reads

	since    atomic.Int64 // Unix nanoseconds since when more is used than maxmemory; 0: it is not
	exceeded atomic.Int64 // nanoseconds before that for which it was
}

// decides reports whether this node leads, has applied all that came before its term, and
// members understand what it decides.
func (v *eviction) decides() bool {
	n := v.node
	return n.readyTerm.Load() != 0 && n.fsm.Semantic() >= semantic.Conversation
}

// relieve decides about memory before an entry with that many bytes of batches.
func (v *eviction) relieve(bytes int) engine.Relief {
	if v.node.opts.Engine.MaxMemory() == 0 && !v.pressed.Load() || !v.decides() {
		return engine.Relief{}
	}
	r := v.node.opts.Engine.Relieve(&v.chooser, bytes)
	v.pressed.Store(r.Pressed)
	return r
}

// run looks at memory now and then until ctx ends: the limit may be another one, and this
// node may have begun to lead.
func (v *eviction) run(ctx context.Context) {
	every(ctx, evictEvery, func() {
		over := v.node.opts.Engine.Over()
		v.note(over, time.Now())
		// A command that brings no data can have made a key one that may go; those that
		// bring some are refused meanwhile, and bring no entry.
		if (over != v.pressed.Load() || over && v.node.opts.Engine.Evictable()) && v.decides() {
			_ = v.node.packer.add(entry.PartTick, "", nil) // refused when leadership has gone: the next leader looks
		}
	})
}

// tellReads tells the leader now and then what this node's clients have read, until ctx
// ends.
func (v *eviction) tellReads(ctx context.Context) {
	n := v.node
	var told []byte
	every(ctx, tellEvery, func() {
		_, leader := n.raft.LeaderWithID()
		addr := n.addrOf(leader)
		if addr == "" || leader == n.id() {
			return
		}
		if told = n.opts.Engine.TellReads(told[:0]); len(told) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, 4*tellEvery)
		defer cancel()
		_, _ = n.port.Call(ctx, addr, callReads, told) // a hint: members of older releases don't know of it
	})
}

// hear takes what another node's clients have read. While that waits for a command that
// takes long, others are passed over: they are hints.
func (v *eviction) hear(_ context.Context, _ peer.Info, told []byte) ([]byte, error) {
	if !v.hearing.CompareAndSwap(false, true) {
		return nil, nil
	}
	defer v.hearing.Store(false)
	return nil, v.node.opts.Engine.HearReads(told)
}

// note counts for how long more is used than maxmemory.
func (v *eviction) note(over bool, now time.Time) {
	since := v.since.Load()
	switch {
	case over && since == 0:
		v.since.Store(now.UnixNano())
	case !over && since != 0:
		v.exceeded.Add(now.UnixNano() - since)
		v.since.Store(0)
	}
}

// Exceeded returns for how long, since the start, this node's data have needed more memory
// than maxmemory, and for how long they do now.
func (n *Node) Exceeded() (total, current time.Duration) {
	if since := n.eviction.since.Load(); since != 0 {
		current = time.Duration(time.Now().UnixNano() - since)
	}
	return time.Duration(n.eviction.exceeded.Load()) + current, current
}
