package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// redialAfter is the pause between attempts to reach the leader.
const redialAfter = 50 * time.Millisecond

// route is the way of this node's batches to whoever leads. It implements
// sender.
type route struct {
	self   raft.ServerID
	port   *peer.Port
	packer *packer
	addr   func(id raft.ServerID) string
	opened func() // the way is new: everything in flight must be sent again
	log    *slog.Logger

	mu     sync.Mutex
	leader raft.ServerID // guarded by mu; "" while none is known
	stream *peer.Stream  // guarded by mu; to leader, nil while there is none
	// giveUp ends the dialling of leader, which may be dead, when another one
	// is known; nil while nobody is dialled.
	giveUp context.CancelFunc // guarded by mu

	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}
}

func newRoute() *route {
	return &route{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// start begins to keep a stream to the leader.
func (r *route) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go r.run(ctx)
}

func (r *route) close() {
	r.stop()
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cutLocked()
}

// follow tells the route who leads; "" while nobody is known to.
func (r *route) follow(leader raft.ServerID) {
	r.mu.Lock()
	if r.leader != leader {
		r.leader = leader
		r.cutLocked()
		if r.giveUp != nil {
			r.giveUp()
		}
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	if leader == r.self {
		r.opened()
	}
}

func (r *route) cutLocked() {
	if r.stream != nil {
		r.stream.Close()
		r.stream = nil
	}
}

func (r *route) open() bool {
	r.mu.Lock()
	leader, stream := r.leader, r.stream
	r.mu.Unlock()
	if leader != "" && leader == r.self {
		return r.packer.takes()
	}
	return stream != nil && stream.Err() == nil
}

func (r *route) send(batch []byte) error {
	r.mu.Lock()
	leader, stream := r.leader, r.stream
	r.mu.Unlock()
	switch {
	case leader == r.self && leader != "":
		return r.packer.add(entry.PartBatch, "", batch)
	case stream == nil:
		return errNoRoute
	}
	return stream.Send(batch)
}

// run keeps a stream to the leader open.
func (r *route) run(ctx context.Context) {
	defer close(r.done)
	retry := time.NewTicker(redialAfter)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-retry.C:
		}
		r.mu.Lock()
		leader := r.leader
		if r.stream != nil && r.stream.Err() != nil {
			r.cutLocked()
		}
		open := r.stream != nil
		r.mu.Unlock()
		if leader == "" || leader == r.self || open {
			continue
		}
		r.connect(ctx, leader)
	}
}

func (r *route) connect(ctx context.Context, leader raft.ServerID) {
	addr := r.addr(leader)
	if addr == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r.mu.Lock()
	if r.leader != leader {
		r.mu.Unlock()
		return
	}
	r.giveUp = cancel
	r.mu.Unlock()
	stream, err := r.port.OpenStream(ctx, addr, topicBatches, peer.StreamOptions{})
	r.mu.Lock()
	r.giveUp = nil
	if err != nil {
		r.mu.Unlock()
		r.log.Debug("leader not reached", "leader", leader, "addr", addr, "error", err)
		return
	}
	if r.leader != leader || stream.Peer().NodeID != string(leader) {
		r.mu.Unlock()
		stream.Close()
		return
	}
	r.cutLocked()
	r.stream = stream
	r.mu.Unlock()
	r.opened()
}
