package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate/cmd/chaos/history"
)

// Group is the history of a few keys of one kind.
type Group struct {
	ID     uint64
	Kind   *Kind
	prefix string
	begun  time.Time

	mu     sync.Mutex
	ops    []*history.Op // guarded by mu
	issued int           // guarded by mu; operations taken on by clients
	flying int           // guarded by mu; holders that may still add operations
	closed bool          // guarded by mu; no new holders
}

// Ops returns the group's operations. It is for groups that are done.
func (g *Group) Ops() []*history.Op { return g.ops }

// key returns the name of the group's i-th key.
func (g *Group) key(i int) string { return fmt.Sprintf("%s:%d", g.prefix, i) }

// wire returns a command with the names of its keys.
func (g *Group) wire(cmd history.Cmd) []string {
	args := make([]string, 0, len(cmd)+1)
	for _, arg := range cmd {
		if k, ok := history.KeyIndex(arg); ok {
			arg = g.key(k)
		}
		args = append(args, arg)
	}
	switch args[0] {
	case "CAS":
		args = append([]string{"EVAL", casScript, "1"}, args[1:]...)
	}
	return args
}

// add takes operations into the history.
func (g *Group) add(ops ...*history.Op) {
	g.mu.Lock()
	g.ops = append(g.ops, ops...)
	g.mu.Unlock()
}

// hold keeps the group open for one more holder.
func (g *Group) hold() {
	g.mu.Lock()
	g.flying++
	g.mu.Unlock()
}

// Board is the groups that clients work at now. A group that has had its
// operations or its time is replaced by a fresh one, so that histories stay
// short and memory is bounded however long the run is.
type Board struct {
	opts BoardOptions

	mu      sync.Mutex
	slots   []*Group // guarded by mu
	nextID  uint64   // guarded by mu
	pending int      // guarded by mu; groups replaced and not checked yet
	changed *sync.Cond
	closed  bool // guarded by mu
}

// BoardOptions are the limits of a Board.
type BoardOptions struct {
	Kinds   []*Kind
	Slots   int           // groups at a time: few are hot
	Ops     int           // operations a group
	Life    time.Duration // of a group
	Pending int           // groups that may wait for their check; clients wait beyond
	Prefix  string        // of all keys
	Rand    *rand.Rand
	// Done is given each group when its last operation is in.
	Done func(*Group)
}

// NewBoard returns a board with all its groups fresh.
func NewBoard(o BoardOptions) *Board {
	b := &Board{opts: o, slots: make([]*Group, o.Slots)}
	b.changed = sync.NewCond(&b.mu)
	b.nextID = uint64(o.Rand.IntN(len(o.Kinds)))
	for i := range b.slots {
		b.slots[i] = b.freshLocked()
	}
	return b
}

func (b *Board) freshLocked() *Group {
	b.nextID++
	id := b.nextID
	kind := b.opts.Kinds[id%uint64(len(b.opts.Kinds))]
	return &Group{ID: id, Kind: kind, prefix: fmt.Sprintf("%s%d", b.opts.Prefix, id), begun: time.Now()}
}

// pick returns a group to send n operations to, and holds it: the caller
// leaves it. It returns nil at the end.
func (b *Board) pick(r *rand.Rand, n int) *Group {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := r.IntN(len(b.slots))
	g := b.slots[i]
	for b.full(g) && !b.closed {
		if b.pending >= b.opts.Pending {
			b.changed.Wait()
			g = b.slots[i]
			continue
		}
		b.slots[i] = b.freshLocked()
		b.retireLocked(g)
		g = b.slots[i]
	}
	if b.closed {
		return nil
	}
	g.mu.Lock()
	g.flying++
	g.issued += n
	g.mu.Unlock()
	return g
}

func (b *Board) full(g *Group) bool {
	life := b.opts.Life
	if g.Kind.life > 0 {
		life = max(life, g.Kind.life)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.issued >= b.opts.Ops || time.Since(g.begun) > life
}

func (b *Board) retireLocked(g *Group) {
	b.pending++
	g.mu.Lock()
	g.closed = true
	done := g.flying == 0
	g.mu.Unlock()
	if done {
		go b.opts.Done(g)
	}
}

// leave ends one hold of a group.
func (b *Board) leave(g *Group) {
	g.mu.Lock()
	g.flying--
	done := g.closed && g.flying == 0
	g.mu.Unlock()
	if done {
		go b.opts.Done(g)
	}
}

// Checked tells that a group that was done has been checked.
func (b *Board) Checked() {
	b.mu.Lock()
	b.pending--
	b.mu.Unlock()
	b.changed.Broadcast()
}

// Close retires all groups. Clients get none any more.
func (b *Board) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for _, g := range b.slots {
		b.retireLocked(g)
	}
	b.changed.Broadcast()
}

// Wait waits until every group has been checked, or ctx ends.
func (b *Board) Wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		b.mu.Lock() // else the word may come between the look at ctx and the wait
		defer b.mu.Unlock()
		b.changed.Broadcast()
	})
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.pending > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("%d groups are not checked: %w", b.pending, ctx.Err())
		}
		b.changed.Wait()
	}
	return nil
}
