package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/peer"
)

// A node whose state is wrong rebuilds it. Its log and its votes are not wrong:
// entries carry checksums of their own, and to drop them would be dangerous: under
// its old id the node would have forgotten what it acknowledged, and under a new
// one the cluster would lack a voter meanwhile (docs/adr/0004). So raft is not
// concerned at all. The node takes the state of a node that is with the majority,
// as a snapshot, and applies its own log from there on to where it had come
// (fsm.Replace). Then it takes a snapshot of its own, and puts aside the older
// ones, which hold the wrong state.

// rebuild replaces the state of this node by that of one of the nodes that agree.
func (p *proof) rebuild(ctx context.Context, c fsm.Check, agree []raft.ServerID) {
	n := p.node
	n.sequencer.distrust()
	report := p.report(ctx, c, agree)
	path := filepath.Join(n.opts.Dir, fmt.Sprintf("divergence-%d.txt", c.Index))
	if err := n.opts.Host.writeDurably(path, report); err != nil {
		n.opts.Log.Error("the report of a divergence was not written", "error", err)
	}
	n.opts.Log.Error("the state of this node is wrong: it is rebuilt from that of another", "index", c.Index, "agreed", p.agreed.Load(), "report", path)
	if p.tooOften(time.Now()) {
		n.exit(fmt.Errorf("the state of this node has been wrong %d times within %v: see %s; the machine or this release is not to be trusted", rebuildsMax, rebuildsWithin, path))
		return
	}
	for ctx.Err() == nil {
		p.stepDown(ctx, agree)
		for _, from := range agree {
			if err := p.takeStateOf(ctx, from); err != nil {
				n.opts.Log.Warn("the state was not rebuilt", "from", string(from), "error", err)
				continue
			}
			if v, again := p.confirm(ctx); v == right {
				p.rebuilt.Add(1)
				p.replacedAt = n.applied.value.Load()
				p.renewSnapshots(ctx)
				n.opts.Log.Info("the state is rebuilt, and is that of the majority: this node serves again", "from", string(from), "index", n.applied.value.Load())
				p.serveAgain()
				return
			} else if v == wrong {
				agree = again
				break
			}
		}
		pause(ctx, judgeAgain)
	}
}

// tooOften counts a rebuild and reports whether there were too many.
func (p *proof) tooOften(now time.Time) bool {
	recent := p.rebuilds[:0]
	for _, at := range p.rebuilds {
		if now.Sub(at) < rebuildsWithin {
			recent = append(recent, at)
		}
	}
	p.rebuilds = append(recent, now)
	return len(p.rebuilds) >= rebuildsMax
}

// stepDown hands leadership to one of the nodes that agree. If none takes it this
// node goes on ordering, which does not depend on its state.
func (p *proof) stepDown(ctx context.Context, agree []raft.ServerID) {
	n := p.node
	for _, heir := range agree {
		if n.raft.State() != raft.Leader {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := n.Transfer(ctx, string(heir))
		cancel()
		if err != nil {
			n.opts.Log.Warn("leadership was not handed over to a node whose state is right", "to", string(heir), "error", err)
		}
	}
}

// takeStateOf replaces the state by that of another node.
func (p *proof) takeStateOf(ctx context.Context, from raft.ServerID) error {
	n := p.node
	source := &stateReader{ctx: ctx, node: n, from: from}
	err := n.fsm.Replace(source, func(index uint64) (*raft.Log, error) {
		log := new(raft.Log)
		return log, n.store.log.GetLog(index, log)
	})
	if err == nil {
		n.advance(max(n.applied.value.Load(), n.fsm.Applied()))
	}
	return err
}

// confirm asks whether the state is now the majority's, at the newest index that
// this node knows its value of. Others may have to catch up.
func (p *proof) confirm(ctx context.Context) (v verdict, agree []raft.ServerID) {
	index, own := p.node.fsm.Chain()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; pause(ctx, judgeAgain) {
		if v, agree = p.ask(ctx, index, own); v != unknown {
			return v, agree
		}
	}
	return v, agree
}

// renewSnapshots takes a snapshot, and puts aside those before it.
func (p *proof) renewSnapshots(ctx context.Context) {
	n := p.node
	old, err := n.store.snaps.List()
	if err != nil || len(old) == 0 {
		return
	}
	for err = n.snapshots.take(); err != nil; err = n.snapshots.take() {
		n.opts.Log.Warn("no snapshot of the rebuilt state yet", "error", err)
		if pause(ctx, time.Second); ctx.Err() != nil {
			return
		}
	}
	if n.store.rdb == nil {
		return // in memory, where the newest takes the place of the one before
	}
	for _, meta := range old {
		if err := n.store.rdb.SetAside(meta.ID); err != nil {
			n.opts.Log.Debug("a snapshot of the wrong state is gone already", "snapshot", meta.ID, "error", err)
		}
	}
}

// report says what was found.
func (p *proof) report(ctx context.Context, c fsm.Check, agree []raft.ServerID) []byte {
	n := p.node
	var out bytes.Buffer
	fmt.Fprintf(&out, "The state of this node differs from that of the majority. It was found at log entry %d.\n\n", c.Index)
	fmt.Fprintf(&out, "found            %s\nnode             %s\nrelease          %s\nsemantic version %d\n", time.Now().UTC().Format(time.RFC3339Nano), n.ID(), Version, n.fsm.Semantic())
	fmt.Fprintf(&out, "index            %d\nown value        %s\nother value      %s (of node %s)\nlast agreed      %d\n", c.Index, c.Own, chain.Value(c.Value), c.Leader, p.agreed.Load())
	for _, id := range agree {
		fmt.Fprintf(&out, "with the majority %s\n", id)
	}
	first := c.Index
	if len(agree) > 0 {
		first = p.firstDifference(ctx, agree[0], c.Index)
		fmt.Fprintf(&out, "\nThe first entry after which the values differ, as far as they are remembered: %d.\n", first)
	}
	fmt.Fprintf(&out, "\nThis node's values around it:\n")
	const around = 32
	for i := first - min(first, around); i <= first+around; i++ {
		if value, ok := n.fsm.ChainAt(i); ok {
			fmt.Fprintf(&out, "%d %s\n", i, value)
		}
	}
	return out.Bytes()
}

// firstDifference returns the first index up to last after which this node's chain
// is not that of another: chains that differ once differ ever after.
func (p *proof) firstDifference(ctx context.Context, other raft.ServerID, last uint64) uint64 {
	ctx, cancel := context.WithTimeout(ctx, judgeWait)
	defer cancel()
	low := p.agreed.Load() // they agree here, or it is not known any more
	for low+1 < last {
		middle := low + (last-low)/2
		own, known := p.node.fsm.ChainAt(middle)
		if !known { // no entry of ours, or too long ago
			if own, known = p.node.fsm.ChainAt(middle + 1); !known || middle+1 >= last {
				break
			}
			middle++
		}
		value, err := p.node.askChain(ctx, other, middle, nil)
		if err != nil {
			break
		}
		if value == own {
			low = middle
		} else {
			last = middle
		}
	}
	return last
}

// stateChunk is how much of a state travels in one answer.
const stateChunk = 512 << 10

// stateReader reads the state of another node, as a snapshot taken for it.
type stateReader struct {
	ctx    context.Context
	node   *Node
	from   raft.ServerID
	offset uint64
	rest   []byte
	done   bool
}

// Read implements io.Reader.
func (r *stateReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.done {
			return 0, io.EOF
		}
		const patience = time.Minute // the first answer comes when the snapshot is taken
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		answer, err := r.node.port.Call(ctx, r.node.addrOf(r.from), callState, binary.BigEndian.AppendUint64(nil, r.offset))
		cancel()
		if err != nil {
			return 0, fmt.Errorf("state of node %s: %w", r.from, err)
		}
		r.offset += uint64(len(answer))
		r.rest, r.done = answer, len(answer) == 0
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// exports are the snapshots that other nodes are reading, one each.
type exports struct {
	node *Node

	mu   sync.Mutex
	open map[string]*export // guarded by mu; by the id of who reads
}

type export struct {
	file   io.ReadCloser
	offset uint64
	used   time.Time
}

const (
	exportsMax = 8
	exportIdle = 30 * time.Second
)

// serve answers a stateReader: the bytes from an offset on, in order; none at the
// end. Offset 0 begins with a new snapshot.
func (e *exports) serve(_ context.Context, from peer.Info, req []byte) ([]byte, error) {
	if len(req) != 8 {
		return nil, errors.New("malformed question for a state")
	}
	offset := binary.BigEndian.Uint64(req)
	if offset == 0 {
		if err := e.begin(from.NodeID); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.open[from.NodeID]
	if x == nil || x.offset != offset {
		return nil, errors.New("the snapshot is not open at that place: begin again")
	}
	chunk := make([]byte, stateChunk)
	n, err := io.ReadFull(x.file, chunk)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		e.closeLocked(from.NodeID)
		return nil, err
	}
	x.offset += uint64(n)
	x.used = time.Now()
	if n == 0 {
		e.closeLocked(from.NodeID)
	}
	return chunk[:n], nil
}

// begin takes a snapshot and opens it for a node.
func (e *exports) begin(id string) error {
	n := e.node
	if n.proof.out.Load() {
		return errors.New("this node's own state is in doubt")
	}
	if err := n.snapshots.take(); err != nil {
		return err
	}
	metas, err := n.store.snaps.List()
	if err != nil {
		return fmt.Errorf("list the snapshots: %w", err)
	}
	if len(metas) == 0 {
		return errors.New("this node has no snapshot: nothing is applied yet that one would hold")
	}
	_, file, err := n.store.snaps.Open(metas[0].ID)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closeLocked(id)
	if len(e.open) >= exportsMax {
		file.Close()
		return errors.New("too many nodes are reading this node's state")
	}
	if e.open == nil {
		e.open = make(map[string]*export)
	}
	e.open[id] = &export{file: file, used: time.Now()}
	return nil
}

func (e *exports) closeLocked(id string) {
	if x := e.open[id]; x != nil {
		x.file.Close()
		delete(e.open, id)
	}
}

// expire closes what nobody has read from for a while.
func (e *exports) expire(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, x := range e.open {
		if now.Sub(x.used) > exportIdle {
			e.closeLocked(id)
		}
	}
}

func (e *exports) close() { e.expire(time.Now().Add(2 * exportIdle)) }
