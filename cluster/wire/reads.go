package wire

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// Mark draws a mark: the moment of a read's arrival, to be given to WaitAck.
func (t *Transport) Mark() Mark { return Mark(t.marks.Add(1)) }

// WaitAck waits until a quorum of voters has answered, in term, messages sent
// after the mark: then the node was the leader of term at a moment after it, and
// what it knew as committed at the mark, or later, is all that was. If no message
// younger than the mark is on its way to a voter, one is sent at once; waiters
// share them. It returns nil, ErrNotLeader when the node is not the leader of
// term (any more), ErrClosed, or ctx's error.
func (t *Transport) WaitAck(ctx context.Context, term uint64, after Mark) error {
	for {
		if !t.leads(term) {
			return ErrNotLeader
		}
		voters := t.servers()
		done, stale := t.ledger.wait(term, after, voterIDs(voters))
		switch {
		case stale:
			return ErrNotLeader
		case done == nil: // the quorum is there; was it all one term?
			if !t.leads(term) {
				return ErrNotLeader
			}
			return nil
		}
		for _, s := range voters {
			if s.Suffrage == raft.Voter && s.ID != t.opts.LocalID {
				t.link(s.ID).probe(s.Address)
			}
		}
		if err := t.await(ctx, done); err != nil {
			return err
		}
	}
}

// await waits for a waiter's channel, for half a heartbeat timeout: raft does not
// say when it steps down, and the configuration may have changed, so both are
// looked at again.
func (t *Transport) await(ctx context.Context, done chan struct{}) error {
	look := time.NewTimer(t.opts.HeartbeatTimeout / 2)
	defer look.Stop()
	select {
	case <-done:
		return nil
	case <-look.C:
		t.ledger.abandon(done)
		return nil
	case <-ctx.Done():
		t.ledger.abandon(done)
		return ctx.Err()
	case <-t.closing:
		t.ledger.abandon(done)
		return ErrClosed
	}
}

func voterIDs(servers []raft.Server) []raft.ServerID {
	ids := make([]raft.ServerID, 0, len(servers))
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// LeaseHeld reports whether, at a moment within the call, this node was the
// leader of term and no other node could have been elected yet. Reads that had
// arrived before the call and find the node's own state at least as new as the
// commit index of then are linearizable. It asks nobody; false means: use
// WaitAck.
func (t *Transport) LeaseHeld(term uint64) bool {
	q, lease := t.ledger.quorumOf(term, t.voters(), t.opts.Now())
	// The clock is read after the stamps, the leadership after the clock.
	return lease && leaseHolds(t.opts.Now(), q, t.opts.HeartbeatTimeout) && t.leads(term)
}

// EndLeases ends the leases of term before a leadership transfer is asked for.
// TimeoutNow does so too, just before it is sent.
func (t *Transport) EndLeases(term uint64) { t.ledger.endLeases(term) }

// QuorumContact returns Q of the term: the latest time at which a quorum is known
// to have followed this leader, zero if it never was. For INFO and health checks.
func (t *Transport) QuorumContact(term uint64) time.Time {
	q, _ := t.ledger.quorumOf(term, t.voters(), t.opts.Now())
	return q.at
}

// Progress is what this node, while it leads, knows of a follower.
type Progress struct {
	ID      raft.ServerID
	Acked   uint64    // the follower has durably stored the log up to this index; 0 = unknown
	Contact time.Time // newest stamp answered in the current term; zero = none
}

// Progress returns the followers heard of in term, in no particular order.
func (t *Transport) Progress(term uint64) []Progress {
	t.mu.Lock()
	links := make([]*link, 0, len(t.links))
	for _, l := range t.links {
		links = append(links, l)
	}
	t.mu.Unlock()
	out := make([]Progress, 0, len(links))
	for _, l := range links {
		if p, ok := l.progress(term); ok {
			s, _ := t.ledger.contact(l.id)
			p.Contact = s.at
			out = append(out, p)
		}
	}
	return out
}
