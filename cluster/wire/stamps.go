package wire

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Mark is a moment in this process's life, by a counter that ticks at every mark
// and at every stamp. Marks of one Transport can be compared; nothing else can.
type Mark uint64

// forever is later than any mark.
const forever = ^Mark(0)

// stamp says when an AppendEntries was about to be sent, by counter and clock.
// The two are drawn one after the other, so each is used only with its like.
type stamp struct {
	mark Mark
	at   time.Time
}

// newer returns the later of both parts.
func (s stamp) newer(t stamp) stamp {
	if t.mark > s.mark {
		s.mark = t.mark
	}
	if t.at.After(s.at) {
		s.at = t.at
	}
	return s
}

// quorum returns the quorum-th newest stamp over the voters: at least a majority
// of them followed this leader at some moment after it. The node itself counts
// as now while it is a voter. Without voters, or when fewer than a quorum have
// ever answered, the stamp is zero.
func quorum(voters []raft.ServerID, self raft.ServerID, now time.Time, acked map[raft.ServerID]stamp) stamp {
	if len(voters) == 0 {
		return stamp{}
	}
	marks := make([]Mark, 0, 8)
	times := make([]time.Time, 0, 8)
	for _, id := range voters {
		s := acked[id]
		if id == self {
			s = stamp{mark: forever, at: now}
		}
		marks = append(marks, s.mark)
		times = append(times, s.at)
	}
	slices.Sort(marks)
	slices.SortFunc(times, time.Time.Compare)
	// The k-th newest of n in ascending order, k = n/2+1.
	nth := len(voters) - (len(voters)/2 + 1)
	return stamp{mark: marks[nth], at: times[nth]}
}

// waiter waits until the quorum's mark passes after.
type waiter struct {
	after Mark
	done  chan struct{} // closed when it has, or when the term has passed
}

// ledger holds the answers of one term, the newest seen.
type ledger struct {
	self raft.ServerID

	mu         sync.Mutex
	term       uint64                  // guarded by mu; what follows belongs to it
	acked      map[raft.ServerID]stamp // guarded by mu; newest stamp answered with success
	waiters    []waiter                // guarded by mu; in order of arrival
	newest     Mark                    // guarded by mu; not older than any waiter's; 0 without waiters
	leaseEnded uint64                  // guarded by mu; leases of terms up to this one are over
	noLeases   bool                    // guarded by mu; for the life of the process
}

func newLedger(self raft.ServerID) *ledger {
	return &ledger{self: self, acked: make(map[raft.ServerID]stamp)}
}

// enterLocked makes term the ledger's if it is newer, and reports whether the
// ledger is now of that term. Waiters of an older term are let go: they look
// at the term themselves.
func (b *ledger) enterLocked(term uint64) bool {
	if term > b.term {
		b.term = term
		clear(b.acked)
		for _, w := range b.waiters {
			close(w.done)
		}
		b.waiters, b.newest = nil, 0
	}
	return term == b.term
}

// record notes that id answered with success, in term, to what was stamped s. It
// wakes the waiters whom that satisfies; voters is asked only if there are any.
func (b *ledger) record(term uint64, id raft.ServerID, s stamp, voters func() []raft.ServerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.enterLocked(term) {
		return
	}
	b.acked[id] = b.acked[id].newer(s)
	if len(b.waiters) > 0 {
		b.wakeLocked(voters())
	}
}

func (b *ledger) wakeLocked(voters []raft.ServerID) {
	q := quorum(voters, b.self, time.Time{}, b.acked)
	left := b.waiters[:0]
	for _, w := range b.waiters {
		if q.mark > w.after {
			close(w.done)
			continue
		}
		left = append(left, w)
	}
	clear(b.waiters[len(left):])
	b.keepLocked(left)
}

// keepLocked makes left the waiters.
func (b *ledger) keepLocked(left []waiter) {
	b.waiters = left
	if len(left) == 0 {
		b.newest = 0
	}
}

// wait returns a channel that is closed once the quorum's mark of term passes
// after, or the term passes; nil if the quorum is there already. stale says that
// a later term is known.
func (b *ledger) wait(term uint64, after Mark, voters []raft.ServerID) (done chan struct{}, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.enterLocked(term) {
		return nil, true
	}
	if quorum(voters, b.self, time.Time{}, b.acked).mark > after {
		return nil, false
	}
	w := waiter{after: after, done: make(chan struct{})}
	b.waiters = append(b.waiters, w)
	b.newest = max(b.newest, after)
	return w.done, false
}

// abandon forgets a waiter that gave up.
func (b *ledger) abandon(done chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keepLocked(slices.DeleteFunc(b.waiters, func(w waiter) bool { return w.done == done }))
}

// wanted returns the term and the newest mark that a waiter waits to see passed,
// ok = false if there is none.
func (b *ledger) wanted() (term uint64, newest Mark, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.term, b.newest, len(b.waiters) > 0
}

// quorumOf returns the quorum stamp of term, and whether leases may rest on it.
func (b *ledger) quorumOf(term uint64, voters []raft.ServerID, now time.Time) (q stamp, lease bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var acked map[raft.ServerID]stamp // nobody answered in a term we do not know
	if term == b.term {
		acked = b.acked
	}
	return quorum(voters, b.self, now, acked), term > b.leaseEnded && term >= b.term && !b.noLeases
}

// endLeases ends the leases of all terms up to this one.
func (b *ledger) endLeases(term uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaseEnded = max(b.leaseEnded, term)
}

// endAllLeases ends leases for the life of the process.
func (b *ledger) endAllLeases() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.noLeases = true
}

// contact returns the newest stamp of a peer in the current term.
func (b *ledger) contact(id raft.ServerID) (stamp, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.acked[id]
	return s, ok
}
