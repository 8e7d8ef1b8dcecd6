package cluster

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/fsm/entry"
)

const (
	// entryBytesMax bounds a log entry, unless one batch alone is larger.
	entryBytesMax = 1 << 20
	// packerBytesMax bounds the batches that wait for their entry. Streams
	// from other nodes are read no further beyond it.
	packerBytesMax = 128 << 20
	// failurePause is the time between an entry's failure and the next entry.
	failurePause = 10 * time.Millisecond
)

var errNotLeading = errors.New("cluster: this node does not lead")

// packer is the leader's one extra duty: it orders. It packs the batches of all
// origins into log entries, one entry in flight at a time, which is the
// batching window: what arrives meanwhile shares the next entry.
type packer struct {
	apply   func(data []byte) raft.ApplyFuture
	applied func() (logClock int64) // the log clock of the own state
	// kick tells a node that the entry at index, with a batch of its own, is committed.
	kick   func(id raft.ServerID, index uint64)
	failed func(error) // an entry's fate is unknown: all streams must begin anew
	// relieve decides about memory, before an entry with that many bytes of batches; nil:
	// nobody does.
	relieve func(bytes int) engine.Relief
	// semantic is the semantic version in force.
	semantic func() uint16
	now      func() time.Time // by its monotonic part
	wall     func() time.Time // the wall clock
	log      *slog.Logger

	mu      sync.Mutex
	changed sync.Cond // on mu: any of the fields below
	leading bool      // guarded by mu
	closed  bool      // guarded by mu
	queue   []queued  // guarded by mu; oldest first
	bytes   int       // guarded by mu; payloads of queue
	stamper stamper   // guarded by mu

	builder entry.Builder // of the one goroutine that packs
	stop    chan struct{} // closed by close
	done    chan struct{}

	flying  atomic.Int64 // bytes of the entry in flight, 0 if there is none
	entries atomic.Uint64
	batches atomic.Uint64
}

// queued is a part of a coming entry.
type queued struct {
	kind    entry.PartKind
	from    raft.ServerID // whose batch it is; "" for parts of our own making
	payload []byte
}

func newPacker(wall func() time.Time) *packer {
	p := &packer{stop: make(chan struct{}), done: make(chan struct{}), now: time.Now, wall: wall}
	p.changed.L = &p.mu
	p.stamper = newStamper(p.now(), p.wall().UnixMilli())
	return p
}

// lead starts or stops taking batches. What is queued at a stop is dropped:
// the origins send it again.
func (p *packer) lead(leading bool) {
	p.mu.Lock()
	p.leading = leading
	if !leading {
		p.queue, p.bytes = nil, 0
	}
	p.mu.Unlock()
	p.changed.Broadcast()
}

// takes reports whether batches are taken now.
func (p *packer) takes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leading && !p.closed
}

// add queues a part for the next entry. Parts of other nodes wait while the
// queue is full; the own sequencer has at most a batch or two here.
func (p *packer) add(kind entry.PartKind, from raft.ServerID, payload []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for from != "" && p.leading && !p.closed && p.bytes > packerBytesMax {
		p.changed.Wait()
	}
	if !p.leading || p.closed {
		return errNotLeading
	}
	p.queue = append(p.queue, queued{kind: kind, from: from, payload: payload})
	p.bytes += len(payload)
	p.changed.Broadcast()
	return nil
}

// close ends run and waits for it.
func (p *packer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.stop)
	p.changed.Broadcast()
	<-p.done
}

// run packs until close.
func (p *packer) run() {
	defer close(p.done)
	for {
		parts, stamp := p.take()
		if parts == nil {
			return
		}
		p.builder.Reset()
		more := p.addRelief(parts)
		for _, part := range parts {
			p.builder.Add(part.kind, part.payload)
		}
		data := p.builder.Seal(stamp, needs(p.semantic(), parts))
		p.flying.Store(int64(len(data)))
		future := p.apply(data)
		err := p.confirmed(future)
		p.flying.Store(0)
		if err != nil {
			p.log.Info("log entry was not confirmed", "error", err)
			p.failed(err)
			p.pause()
			continue
		}
		p.entries.Add(1)
		p.batches.Add(uint64(len(parts)))
		p.notify(parts, future.Index())
		if more {
			_ = p.add(entry.PartTick, "", nil) // refused when leadership has gone: the next leader looks
		}
	}
}

// addRelief begins an entry with what is to be done about memory. It reports whether the
// next entry is to do more, and soon.
func (p *packer) addRelief(parts []queued) (more bool) {
	if p.relieve == nil {
		return false
	}
	size := 0
	for _, part := range parts {
		if part.kind == entry.PartBatch {
			size += len(part.payload)
		}
	}
	relief := p.relieve(size)
	var victims []byte
	for _, v := range relief.Victims {
		victims = entry.AppendEvict(victims, v.DB, v.Keys)
	}
	if len(victims) > 0 {
		p.builder.Add(entry.PartEvict, victims)
	}
	if relief.Pressed {
		p.builder.Add(entry.PartPressure, nil)
	}
	return relief.More
}

// confirmed waits until raft knows what became of an entry. What raft is given at
// the moment at which it shuts down stays in its channel, and is never answered:
// close, which follows, ends the wait.
func (p *packer) confirmed(future raft.ApplyFuture) error {
	done := make(chan error, 1)
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		return err
	case <-p.stop:
		return raft.ErrRaftShutdown
	}
}

// needs returns the semantic version that an entry of these parts needs: the one
// in force, or the one that it puts in force, so that nodes that do not know it
// stop here.
func needs(inForce uint16, parts []queued) uint16 {
	for _, part := range parts {
		if part.kind != entry.PartRaise {
			continue
		}
		if version, err := entry.DecodeRaise(part.payload); err == nil {
			inForce = max(inForce, version)
		}
	}
	return inForce
}

// pause waits a little after a failure. Until this node notices that it leads no
// longer, or while leadership is being handed over, raft refuses every entry at
// once, and its batches come back at once.
func (p *packer) pause() {
	select {
	case <-p.stop:
	case <-time.After(failurePause):
	}
}

// take waits for parts and returns as many as one entry takes, and its stamp.
// It returns nil at the end.
func (p *packer) take() ([]queued, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && len(p.queue) == 0 {
		p.changed.Wait()
	}
	if p.closed {
		return nil, 0
	}
	n, size := 0, 0
	for n < len(p.queue) && (n == 0 || size+len(p.queue[n].payload) <= entryBytesMax) {
		size += len(p.queue[n].payload)
		n++
	}
	parts := p.queue[:n:n]
	p.queue = p.queue[n:]
	p.bytes -= size
	p.changed.Broadcast()
	p.stamper.saw(p.applied())
	return parts, p.stamper.stamp(p.now(), p.wall().UnixMilli())
}

// look follows the clocks while nothing is packed, and returns the stamp that an
// entry would get.
func (p *packer) look() int64 {
	applied := p.applied() // it may wait for a command that is being executed
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stamper.saw(applied)
	p.stamper.look(p.now(), p.wall().UnixMilli())
	return p.stamper.next()
}

// notify tells the nodes whose batches are in the committed entry at index.
func (p *packer) notify(parts []queued, index uint64) {
	for i, part := range parts {
		if part.from == "" || seenBefore(parts[:i], part.from) {
			continue
		}
		p.kick(part.from, index)
	}
}

func seenBefore(parts []queued, id raft.ServerID) bool {
	for _, part := range parts {
		if part.from == id {
			return true
		}
	}
	return false
}
