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

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// Self-proof: nodes that have applied the same log must have the same state, and
// the chain of changes tells whether they have.
//
//  1. Every second, or 4096 entries, the leader logs what its chain was at an
//     index. A node whose own value at that index is another one takes no more
//     commands from then on. Either it is wrong, or the leader is.
//  2. It asks all voters for their values at that index, and tells them its own: a
//     leader that is alone with its value finds out in this way. What a majority
//     has is right.
//  3. Who is with the majority serves again. Who is not writes a report, hands
//     leadership over if it leads, and rebuilds its state: see rebuild.go.
//
// While no majority answers or agrees nobody can tell, and who differed stays out
// of service; nobody takes over another's state without a majority.
const (
	chainEvery        = time.Second
	chainEveryEntries = 4096
	proofEvery        = 50 * time.Millisecond
	// judgeAgain is the pause between two attempts to find out who is right.
	judgeAgain = 200 * time.Millisecond
	judgeWait  = time.Second
	// rebuildsMax within rebuildsWithin are taken for a fault of this machine
	// that rebuilding does not mend: the process ends.
	rebuildsMax    = 3
	rebuildsWithin = 10 * time.Minute
)

type proof struct {
	node *Node

	mu     sync.Mutex // orders what comes into checks and condemned, and changes of out
	checks chan fsm.Check
	// condemned takes what a majority has found wrong already.
	condemned chan condemnation
	// out says that this node takes no commands: while a doubt waits or is settled.
	out atomic.Bool

	agreed      atomic.Uint64 // the newest index at which the chain was the leader's
	divergences atomic.Uint64 // found on this node
	rebuilt     atomic.Uint64 // how often its state was replaced

	// history is the end of the log at the start. What was logged up to there may
	// be the value of a leader that was wrong and has been put right since.
	history uint64

	loggedIndex uint64    // of run: up to where this leader has logged its chain
	loggedAt    time.Time // of run
	rebuilds    []time.Time
	replacedAt  uint64 // of run: the index of the state that last replaced a wrong one

	exports exports
}

func newProof(n *Node) *proof {
	const checksMax = 64 // each is of a second or more
	return &proof{node: n, checks: make(chan fsm.Check, checksMax), condemned: make(chan condemnation, 1), exports: exports{node: n}}
}

// condemnation is a difference of which is known who is right.
type condemnation struct {
	fsm.Check
	agree []raft.ServerID
}

// condemn puts the node out of service and has it rebuilt.
func (p *proof) condemn(c fsm.Check, agree []raft.ServerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Store(true)
	select {
	case p.condemned <- condemnation{c, agree}:
	default: // it is being rebuilt
	}
}

// checked takes what the FSM has compared. The FSM waits for it.
func (p *proof) checked(c fsm.Check) {
	if c.Agrees() {
		p.agreed.Store(max(c.Index, p.agreed.Load()))
		return
	}
	if !c.Known || c.Index <= p.history {
		return
	}
	p.suspect(c)
}

// suspect puts the node out of service until it is known who is right.
func (p *proof) suspect(c fsm.Check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Store(true)
	select {
	case p.checks <- c:
	default: // it is busy with an older one
	}
}

// serve answers other nodes.
func (p *proof) serve() {
	p.node.port.HandleCall(callChain, p.serveChain)
	p.node.port.HandleCall(callState, p.exports.serve)
	p.node.port.HandleCall(callRecount, p.node.recounts.serve)
}

func (p *proof) run(ctx context.Context) {
	defer p.exports.close()
	tick := time.NewTicker(proofEvery)
	defer tick.Stop()
	var raise raiser
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-p.checks:
			if !p.moot(c.Index) {
				p.settle(ctx, c)
			}
		case c := <-p.condemned:
			if !p.moot(c.Index) {
				p.divergences.Add(1)
				p.rebuild(ctx, c.Check, c.agree)
			}
		case now := <-tick.C:
			p.node.raiseVersion(&raise, now)
			p.log(now)
			p.exports.expire(now)
		}
	}
}

// moot reports whether a doubt at an index is about a state that has been replaced
// since, as the word of a recount may be, which takes its time; then that is no reason
// to stay out of service.
func (p *proof) moot(index uint64) bool {
	if index > p.replacedAt {
		return false
	}
	p.serveAgain()
	return true
}

// log logs this leader's chain if it is time and anything has happened.
func (p *proof) log(now time.Time) {
	n := p.node
	if n.readyTerm.Load() == 0 || n.fsm.Semantic() < semantic.Chain {
		return
	}
	behind := n.applied.value.Load() - min(p.loggedIndex, n.applied.value.Load())
	// What is logged here is applied too, and is no reason to log again.
	if behind <= 1 || behind < chainEveryEntries && now.Sub(p.loggedAt) < chainEvery {
		return
	}
	index, value := n.fsm.Chain()
	if index == 0 {
		return
	}
	logged := entry.Chain{Leader: n.store.id, Index: index, Value: entry.ChainValue(value)}
	if n.packer.add(entry.PartChain, "", entry.AppendChain(nil, logged)) == nil {
		p.loggedIndex, p.loggedAt = index, now
	}
}

// verdict is what a majority says of this node.
type verdict uint8

const (
	unknown verdict = iota // there is none, or it can't be asked
	right
	wrong
)

// ballot is a voter's value at an index.
type ballot struct {
	id    raft.ServerID
	value chain.Value
}

// judge counts the values of voters. It returns those that have the value of a
// majority.
func judge(own chain.Value, voters int, ballots []ballot) (v verdict, agree []raft.ServerID) {
	count := make(map[chain.Value]int)
	for _, b := range ballots {
		count[b.value]++
		if count[b.value] == voters/2+1 {
			v = wrong
			if b.value == own {
				v = right
			}
			for _, other := range ballots {
				if other.value == b.value {
					agree = append(agree, other.id)
				}
			}
		}
	}
	return v, agree
}

// settle finds out who is right about c, and acts on it. It returns when this node
// is in service again, or at the end of ctx.
func (p *proof) settle(ctx context.Context, c fsm.Check) {
	n := p.node
	n.opts.Log.Error("the state of this node differs from that of another: it takes no commands until a majority says which is right",
		"index", c.Index, "own", c.Own, "other", chain.Value(c.Value), "logged_by", c.Leader)
	for attempt := 0; ctx.Err() == nil; attempt++ {
		index, own := c.Index, c.Own
		if attempt%2 == 1 { // others may not remember that far back
			index, own = n.fsm.Chain()
		}
		v, agree := p.ask(ctx, index, own)
		if v == unknown && p.agreed.Load() > c.Index {
			v = right // by now it is the leader's again: that one was wrong, and chains that part do not meet
		}
		switch v {
		case right:
			n.opts.Log.Info("a majority has the state of this node, which serves again", "index", c.Index)
			p.serveAgain()
			return
		case wrong:
			p.divergences.Add(1)
			p.rebuild(ctx, c, agree)
			return
		}
		pause(ctx, judgeAgain)
	}
}

// serveAgain takes commands again if no doubt waits. One that does is settled by run
// next: that a majority has the chain of this node does not acquit it of what a
// recount found.
func (p *proof) serveAgain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.checks) == 0 && len(p.condemned) == 0 {
		p.out.Store(false)
	}
}

// ask asks all voters for their values at index, and tells them this node's.
func (p *proof) ask(ctx context.Context, index uint64, own chain.Value) (verdict, []raft.ServerID) {
	return p.poll(ctx, own, func(ctx context.Context, id raft.ServerID) (chain.Value, error) {
		return p.node.askChain(ctx, id, index, &own)
	})
}

// poll asks all voters and counts their answers.
func (p *proof) poll(ctx context.Context, own chain.Value, askOne func(context.Context, raft.ServerID) (chain.Value, error)) (verdict, []raft.ServerID) {
	ctx, cancel := context.WithTimeout(ctx, judgeWait)
	defer cancel()
	n := p.node
	voters := n.voters()
	var mu sync.Mutex
	var ballots []ballot
	var wg sync.WaitGroup
	for _, s := range voters {
		if s.ID == n.id() {
			mu.Lock()
			ballots = append(ballots, ballot{s.ID, own})
			mu.Unlock()
			continue
		}
		wg.Go(func() {
			value, err := askOne(ctx, s.ID)
			if err != nil {
				n.opts.Log.Debug("a node does not tell its value", "id", string(s.ID), "error", err)
				return
			}
			mu.Lock()
			ballots = append(ballots, ballot{s.ID, value})
			mu.Unlock()
		})
	}
	wg.Wait()
	return judge(own, len(voters), ballots)
}

// askChain asks a node for its value at index. With own, that node takes the
// difference for a reason to find out who is right.
func (n *Node) askChain(ctx context.Context, id raft.ServerID, index uint64, own *chain.Value) (chain.Value, error) {
	req := binary.BigEndian.AppendUint64(nil, index)
	if own != nil {
		req = append(req, own[:]...)
	}
	return n.askValue(ctx, id, callChain, req)
}

// askValue asks a node something that it answers with one value.
func (n *Node) askValue(ctx context.Context, id raft.ServerID, call uint16, req []byte) (chain.Value, error) {
	answer, err := n.port.Call(ctx, n.addrOf(id), call, req)
	if err != nil {
		return chain.Value{}, err
	}
	if len(answer) != chain.Size {
		return chain.Value{}, fmt.Errorf("malformed value in the answer to call %d", call)
	}
	return chain.Value(answer), nil
}

func (p *proof) serveChain(_ context.Context, from peer.Info, req []byte) ([]byte, error) {
	if len(req) != 8 && len(req) != 8+chain.Size {
		return nil, errors.New("malformed question for a chain")
	}
	index := binary.BigEndian.Uint64(req)
	own, known := p.node.fsm.ChainAt(index)
	if !known {
		return nil, fmt.Errorf("the value at %d is not known here", index)
	}
	if other := req[8:]; len(other) > 0 && chain.Value(other) != own && !p.out.Load() {
		c := fsm.Check{Chain: entry.Chain{Index: index, Value: entry.ChainValue(other)}, Own: own, Known: true}
		c.Leader, _ = entry.ParseNodeID(from.NodeID)
		p.suspect(c)
	}
	return own[:], nil
}

// inService returns nil while this node may take commands.
func (n *Node) inService() error {
	if n.proof.out.Load() {
		return reply.ErrNotTrusted
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
