package wire

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// errResigned says that a message was not sent because this node has resigned, or
// abstains from elections.
var errResigned = errors.New("wire: this node has resigned as a leader")

// abstainFor is for how many heartbeat timeouts a node that resigned asks nobody
// for a vote: the others need two or three of them to elect one of themselves.
const abstainFor = 10

// resignation is what a node that has resigned or abstains does not say.
type resignation struct {
	term atomic.Uint64 // no entries, heartbeats and snapshots of terms up to this one

	mu    sync.Mutex
	until time.Time // guarded by mu; no candidacy before
}

// Resign makes this node's leadership of term end although its heartbeats pass: it
// sends no AppendEntries, heartbeats, probes and kicks included, and no snapshots of
// that term any more, and asks nobody for a vote for some heartbeat timeouts. So the
// followers hear of no leader and elect one of themselves, and raft here steps down
// when its leader lease has run out. Raft's own way, a leadership transfer, is no
// way out for a leader whose entries do not get through: it waits until the heir
// has them all.
//
// Silence is always safe. Raft takes no promise from a message that was not sent: a
// leader that says nothing can't be told from one that has died, and a node that
// does not stand for election from one that has not noticed yet. What is on its way
// already counts as it would have: it may commit entries, which the next leader then
// has, or put the election off a little. The term's leases end first, as before a
// transfer. They would be true for as long as ever, since the followers keep to
// their heartbeat timeout; but who gives an office up gives up its privileges.
func (t *Transport) Resign(term uint64) {
	t.ledger.endLeases(term)
	t.Abstain(abstainFor * t.opts.HeartbeatTimeout)
	r := &t.resigned
	for {
		old := r.term.Load()
		if old >= term || r.term.CompareAndSwap(old, term) {
			return
		}
	}
}

// Abstain keeps this node from asking for votes for so long, so that others stand
// for election first; a leadership transfer to it is none of that. A later call can
// make the time longer, not shorter.
func (t *Transport) Abstain(d time.Duration) {
	until := t.opts.Now().Add(d)
	r := &t.resigned
	r.mu.Lock()
	defer r.mu.Unlock()
	if until.After(r.until) {
		r.until = until
	}
}

// Stand ends an abstention. It is for when another leads: the others have had their
// turn, and if that one dies this node may be the only one with all entries.
func (t *Transport) Stand() {
	r := &t.resigned
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Time{}
}

// silent reports whether nothing is said as the leader of term.
func (r *resignation) silent(term uint64) bool { return term <= r.term.Load() }

// abstains reports whether no vote is asked for at this time.
func (r *resignation) abstains(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.until)
}
