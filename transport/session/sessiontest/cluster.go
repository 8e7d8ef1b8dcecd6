// Package sessiontest stands in for a cluster in tests of sessions: one node
// over a bare engine, with no log beneath it.
package sessiontest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/pubsub"
	"github.com/quorate/quorate/transport/session"
)

// Cluster implements session.Cluster. Its zero values of the plain fields are
// good; they must not change while sessions use it.
type Cluster struct {
	Engine   *engine.Engine
	Registry *pubsub.Registry
	// View is what Topology returns; nil is a single leader.
	View func(listener string) session.Topology
	// Barrier answers ReadBarrier; nil is always fresh.
	Barrier func(session.Consistency) error
	// Others are what RemoteSubscribers returns.
	Others session.Subscribers
	// Saves tells that a snapshot is being written, of the node's own.
	Saves bool
	// Late tells that the log's clock moves with what is submitted alone.
	Late bool
	// Now is the clock that the log's follows; nil is the system's.
	Now func() time.Time
	// Err, if set, is the answer to all that is submitted, in place of its
	// execution.
	Err func() reply.Error
	// Rules is what Semantic returns; 0 is the newest.
	Rules semantic.Version

	mu      sync.Mutex
	index   uint64         // guarded by mu; also the order of Apply
	waiting []*fsm.Request // guarded by mu; while paused
	paused  bool           // guarded by mu
	submits int            // guarded by mu; calls of Submit
	queue   chan *fsm.Request
	drops   chan uint64
	done    sync.WaitGroup
	waits   fsm.Waiting // of the one goroutine that applies
}

// Semantic implements session.Cluster.
func (c *Cluster) Semantic() semantic.Version {
	if c.Rules == 0 {
		return semantic.Max
	}
	return c.Rules
}

// Start begins to execute what is submitted, on a goroutine of its own, until
// Close.
func (c *Cluster) Start() {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.queue = make(chan *fsm.Request, 1<<16)
	c.drops = make(chan uint64, 1<<16)
	c.waits = fsm.Waiting{Drop: c.Drop}
	c.done.Go(c.run)
}

func (c *Cluster) run() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case req, ok := <-c.queue:
			if !ok {
				return
			}
			c.apply(req)
		case waiter := <-c.drops:
			c.entry(func(s *engine.Step) { s.Drop(waiter) })
		case <-tick.C:
			if due := c.Engine.NextExpiry(); !c.Late && due >= 0 && due <= c.Now().UnixMilli() {
				c.entry(func(*engine.Step) {})
			}
		}
	}
}

// entry applies what an entry of the log would.
func (c *Cluster) entry(f func(*engine.Step)) {
	c.mu.Lock()
	c.index++
	index := c.index
	c.mu.Unlock()
	c.Engine.Apply(func(s *engine.Step) {
		s.Entry(index, c.Now().UnixMilli())
		s.ExpireDue(256)
		s.Serve(&c.waits)
		s.ExpireWaiters(&c.waits)
		f(s)
	})
}

// Drop implements session.Cluster.
func (c *Cluster) Drop(waiter uint64) { c.drops <- waiter }

// Close waits until all that was submitted is done.
func (c *Cluster) Close() {
	close(c.queue)
	c.done.Wait()
}

// Pause holds back what is submitted until Resume.
func (c *Cluster) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = true
}

// Resume executes what was held back and what comes.
func (c *Cluster) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = false
	for _, req := range c.waiting {
		c.queue <- req
	}
	c.waiting = nil
}

// Waiting returns how many ops each request holds that is held back.
func (c *Cluster) Waiting() (ops []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, req := range c.waiting {
		ops = append(ops, len(req.Ops))
	}
	return ops
}

// Submitted returns how often Submit was called.
func (c *Cluster) Submitted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.submits
}

// Submit implements session.Cluster.
func (c *Cluster) Submit(req *fsm.Request) {
	kept := &fsm.Request{Conn: req.Conn}
	for _, op := range req.Ops {
		op.Args = fsm.CloneArgs(op.Args)
		kept.Ops = append(kept.Ops, op)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.submits++
	if c.paused {
		c.waiting = append(c.waiting, kept)
		return
	}
	c.queue <- kept
}

func (c *Cluster) apply(req *fsm.Request) {
	if c.Err != nil {
		if err := c.Err(); err != "" {
			out := req.Conn.BeginReplies()
			defer req.Conn.EndReplies(len(req.Ops))
			for range req.Ops {
				out.Error(err)
			}
			return
		}
	}
	c.entry(func(s *engine.Step) {
		s.For(req.Conn)
		follower, follows := req.Conn.(fsm.Follower)
		out := req.Conn.BeginReplies()
		answered := len(req.Ops)
		defer func() { req.Conn.EndReplies(answered) }()
		for i := range req.Ops {
			if op := &req.Ops[i]; !op.Waits {
				c.do(s, req.Conn, op, false, out)
			} else if c.waits.Do(s, c.waits.Node, op.As, entry.Command{DB: op.DB, Args: op.Args}, req.Conn, op, out) {
				answered--
			}
			if follows {
				follower.OpDone(out)
			}
			s.Serve(&c.waits)
		}
	})
}

func (c *Cluster) do(s *engine.Step, conn fsm.Conn, op *fsm.Op, inTx bool, out *reply.Writer) {
	if op.Took != nil {
		defer func(began time.Time, mark int) {
			op.Took(conn, op.Args, out.Bytes()[mark:], time.Since(began))
		}(time.Now(), out.Mark())
	}
	switch op.Kind {
	case fsm.OpWrite:
		s.DoAs(op.As, op.DB, op.Args, inTx, out)
	case fsm.OpRead:
		s.ReadAs(op.As, op.DB, op.Args, c.Now().UnixMilli(), 1, inTx, out)
	case fsm.OpLocal:
		op.Local(out)
	case fsm.OpUnblock:
		out.Flag(s.Unblock(op.Waiter, op.Failed, &c.waits))
	case fsm.OpSettings:
		if err := s.Set(op.Args); err != nil {
			out.Error(reply.Error("ERR " + err.Error()))
			return
		}
		out.OK()
	case fsm.OpTx:
		for _, w := range op.Tx.Watches {
			if s.Version(w.DB, w.Key) != w.Version {
				op.Tx.Aborted = true
				out.NullArray()
				return
			}
		}
		out.Array(len(op.Tx.Ops))
		for i := range op.Tx.Ops {
			c.do(s, conn, &op.Tx.Ops[i], true, out)
		}
	}
}

// ReadBarrier implements session.Cluster.
func (c *Cluster) ReadBarrier(_ context.Context, level session.Consistency) error {
	if c.Barrier == nil {
		return nil
	}
	return c.Barrier(level)
}

// Topology implements session.Cluster.
func (c *Cluster) Topology(listener string) session.Topology {
	if c.View != nil {
		return c.View(listener)
	}
	self := session.Member{ID: strings.Repeat("a", 40), Host: "127.0.0.1", Port: 6379, PeerAddr: "127.0.0.1:16379", Voter: true, Online: true, Leader: true, Self: true}
	return session.Topology{ClusterID: "c", Self: self, Leader: self, Members: []session.Member{self}, Term: 1}
}

// Publish implements session.Cluster.
func (c *Cluster) Publish(channel, message []byte, sharded bool) int {
	return c.Registry.Publish(channel, message, sharded)
}

// HearAll implements session.Cluster: there is nobody to hear.
func (c *Cluster) HearAll(bool) {}

// SubscriptionsKnown implements session.Cluster: there is nobody to tell.
func (c *Cluster) SubscriptionsKnown(context.Context) {}

// Forget implements session.Cluster.
func (c *Cluster) Forget(string) error { return errors.New("this is no member") }

// Status implements session.Cluster.
func (c *Cluster) Status() []byte { return []byte("{}") }

// RemoteSubscribers implements session.Cluster.
func (c *Cluster) RemoteSubscribers() session.Subscribers { return c.Others }

// WaitReplicas implements session.Cluster.
func (c *Cluster) WaitReplicas(context.Context, int) int { return 0 }

// WaitSynced implements session.Cluster.
func (c *Cluster) WaitSynced(context.Context, bool, int) (here bool, replicas int) { return true, 0 }

// Snapshot implements session.Cluster.
func (c *Cluster) Snapshot(context.Context) error {
	if c.Saving() {
		return reply.ErrSaving
	}
	return nil
}

// Saving implements session.Cluster.
func (c *Cluster) Saving() bool { return c.Saves }

// LastSave implements session.Cluster.
func (c *Cluster) LastSave() time.Time { return time.Unix(1, 0) }

// Transfer implements session.Cluster.
func (c *Cluster) Transfer(context.Context, string) error { return errors.New("no other node") }

// Digest implements session.Cluster.
func (c *Cluster) Digest() (string, uint64) { return strings.Repeat("0", 40), 0 }

// Info implements session.Cluster.
func (c *Cluster) Info(string) []session.Field { return nil }

var _ session.Cluster = (*Cluster)(nil)
