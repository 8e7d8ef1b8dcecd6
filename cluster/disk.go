package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// The disk of the log. A leader whose disk hangs would neither lead nor step
// down: the process ends. One whose disk is full would step down with each entry
// and be elected again: so before that, at the low-water mark, writes are refused
// at this node's door and leadership goes to a node that has room. Reads go on,
// and so does what other nodes write, until there is no room at all.
//
// A leader whose disk is slow makes all writes slow: of the followers the quickest
// count, of the leader there is one. So it hands over too, to one whose disk is not.

const (
	diskEvery = 200 * time.Millisecond
	// handOverEvery is the pause between attempts to hand leadership over.
	handOverEvery = 5 * time.Second
	// slowFsync is how long an fsync of the log takes on a slow disk, and
	// slowLooks how many looks in a row must have found such a one.
	slowFsync = 100 * time.Millisecond
	slowLooks = 4
)

// diskGuard knows whether the log's disk has room.
type diskGuard struct {
	free func() (uint64, error)
	low  uint64 // bytes; 0: whatever there is will do

	full     atomic.Bool
	slow     atomic.Bool
	pace     pace      // of watchDisk's goroutine
	handedAt time.Time // of watchDisk's goroutine
}

// pace judges by its fsyncs whether a disk is slow.
type pace struct {
	fsyncs uint64 // up to the last look
	looks  int    // in a row that found a slow one
}

// look takes in how many fsyncs there were, how long the last one took, and for
// how long one has been in progress. It reports whether the disk is slow: no news
// changes nothing.
func (p *pace) look(fsyncs uint64, last, inProgress time.Duration) bool {
	switch {
	case inProgress >= slowFsync:
		p.looks++
	case fsyncs == p.fsyncs:
	case last >= slowFsync:
		p.looks++
	default:
		p.looks = 0
	}
	p.fsyncs = fsyncs
	return p.looks >= slowLooks
}

// look measures, and reports whether the verdict changed. Once there was too
// little room, an eighth more than the mark makes enough.
func (d *diskGuard) look() (changed bool, free uint64, err error) {
	if d.low == 0 {
		return false, 0, nil
	}
	if free, err = d.free(); err != nil {
		return false, 0, err
	}
	switch full := d.full.Load(); {
	case !full && free < d.low:
		d.full.Store(true)
		return true, free, nil
	case full && free >= d.low+d.low/8:
		d.full.Store(false)
		return true, free, nil
	}
	return false, free, nil
}

// watchDisk looks after the log's disk until ctx ends.
func (n *Node) watchDisk(ctx context.Context) {
	if n.store.own == nil {
		return
	}
	every(ctx, diskEvery, func() {
		if slow := n.store.own.SlowSince(); slow > cmp.Or(n.opts.storeHang, storeHangMax) {
			n.exit(fmt.Errorf("the disk of the log has not answered for %v", slow))
		}
		n.checkPace()
		n.checkRoom()
		if n.disk.full.Load() || n.disk.slow.Load() {
			n.handOver(ctx)
		}
	})
}

func (n *Node) checkPace() {
	stats := n.store.own.Stats()
	slow := n.disk.pace.look(stats.Fsyncs, stats.LastFsync, n.store.own.SlowSince())
	if n.disk.slow.Swap(slow) == slow {
		return
	}
	if slow {
		n.opts.Log.Warn("the disk of the log is slow: this node does not lead if another's is not", "fsync", stats.LastFsync)
	} else {
		n.opts.Log.Info("the disk of the log is quick again", "fsync", stats.LastFsync)
	}
}

func (n *Node) checkRoom() {
	changed, free, err := n.disk.look()
	switch full := n.disk.full.Load(); {
	case err != nil:
		n.opts.Log.Warn("free space is unknown", "error", err)
	case changed && full:
		n.opts.Log.Error("the disk is nearly full: this node refuses writes until there is room", "free", free, "disk-low-water", n.disk.low)
	case changed:
		n.opts.Log.Info("the disk has room again: writes are taken", "free", free)
	}
}

// handOver hands leadership, if it is here, to a node whose disk is well.
func (n *Node) handOver(ctx context.Context) {
	if n.readyTerm.Load() == 0 || time.Since(n.disk.handedAt) < handOverEvery {
		return
	}
	heir := n.members.heir()
	if heir == "" {
		return // no other disk is better: the leader stays, and refuses or is slow
	}
	n.disk.handedAt = time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.Transfer(ctx, string(heir)); err != nil {
		n.opts.Log.Warn("leadership was not handed over to a node with a better disk", "to", string(heir), "error", err)
	}
}

// heir returns the voter that is online, whose disk has room and is not slow, and
// that is furthest; "" if there is none.
func (m *membership) heir() raft.ServerID {
	servers := m.servers()
	m.mu.Lock()
	defer m.mu.Unlock()
	var best *known
	for _, s := range servers {
		k := m.peers[s.ID]
		if s.Suffrage != raft.Voter || k == nil || k.DiskFull || k.DiskSlow || k.Distrusted || time.Since(k.seen) >= offlineAfter {
			continue
		}
		if best == nil || k.Last > best.Last {
			best = k
		}
	}
	if best == nil {
		return ""
	}
	return raft.ServerID(best.ID)
}

// entryFailed takes in why an entry was not confirmed.
func (n *Node) entryFailed(err error) {
	if errors.Is(err, raftlog.ErrNoSpace) && n.disk.low > 0 {
		n.disk.full.Store(true) // before the next look finds out
	}
	n.dropIncoming()
}

// submitWithoutRoom passes on what needs no place in the log.
func (n *Node) submitWithoutRoom(req *fsm.Request) {
	if allLogged(req.Ops) {
		n.sequencer.refuse(req, reply.ErrMisconf)
		return
	}
	n.sequencer.Submit(withoutWrites(req))
}

func allLogged(ops []fsm.Op) bool {
	for i := range ops {
		if !logged(&ops[i]) {
			return false
		}
	}
	return true
}

// withoutWrites returns req with a refusal in the place of each Op that would go
// into the log.
func withoutWrites(req *fsm.Request) *fsm.Request {
	left := &fsm.Request{Conn: req.Conn, Ops: make([]fsm.Op, len(req.Ops))}
	for i := range req.Ops {
		left.Ops[i] = req.Ops[i]
		if logged(&req.Ops[i]) {
			left.Ops[i] = refusal(reply.ErrMisconf)
		}
	}
	return left
}
