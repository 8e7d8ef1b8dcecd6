package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"time"

	"github.com/quorate/quorate/engine/waiting"
	"github.com/quorate/quorate/fsm/entry"
)

// Clients of a node that is out of contact. What waits in their name would go on being
// served, and what it is given would be lost: nobody is there to deliver it. So after
// retire-after the leader ends by the log what waits in the node's name. Clients that
// are still there when it comes back are told so.

// retireAfterDefault is RetireAfter if it is 0.
const retireAfterDefault = 5 * time.Second

// retireEvery is how often the leader looks.
const retireEvery = 250 * time.Millisecond

// retiring decides which nodes are retired, for the leader of one term.
type retiring struct {
	after time.Duration
	term  uint64
	since time.Time                   // when this node was first seen to lead in term
	asked map[waiting.Owner]time.Time // when the retirement of a node was last logged
}

// look returns the nodes among owners that are to be retired. contact tells when each
// was last heard in term.
func (r *retiring) look(now time.Time, term uint64, owners []waiting.Owner, contact map[waiting.Owner]time.Time) (retire []waiting.Owner) {
	if term != r.term || r.asked == nil {
		r.term, r.since, r.asked = term, now, make(map[waiting.Owner]time.Time)
	}
	for _, o := range owners {
		heard := contact[o]
		if heard.Before(r.since) {
			heard = r.since
		}
		if now.Sub(heard) < r.after || now.Sub(r.asked[o]) < r.after {
			continue
		}
		r.asked[o] = now
		retire = append(retire, o)
	}
	return retire
}

// retireSilent retires silent nodes while this node leads, until ctx ends.
func (n *Node) retireSilent(ctx context.Context) {
	r := retiring{after: cmp.Or(n.opts.RetireAfter, retireAfterDefault)}
	every(ctx, retireEvery, func() {
		term := n.readyTerm.Load()
		if term == 0 || n.opts.Engine.Waiting() == 0 {
			return
		}
		now := time.Now()
		for _, o := range r.look(now, term, n.opts.Engine.WaitingOwners(), n.contacts(now, term)) {
			n.opts.Log.Warn("a node is out of contact: what its clients wait for is given to others", "node", hex.EncodeToString(o[:]), "after", r.after)
			_ = n.packer.add(entry.PartRetire, "", o[:]) // refused when leadership has gone: the next leader looks
		}
	})
}

// contacts returns when each node was last heard in term, this one now.
func (n *Node) contacts(now time.Time, term uint64) map[waiting.Owner]time.Time {
	contact := map[waiting.Owner]time.Time{waiting.Owner(n.store.id): now}
	for _, p := range n.transport.Progress(term) {
		if id, err := entry.ParseNodeID(string(p.ID)); err == nil {
			contact[waiting.Owner(id)] = p.Contact
		}
	}
	return contact
}
