package wire

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxExtras is how many kicks and probes may be unanswered on a pipeline. More
// are merged into one that follows an answer.
const maxExtras = 16

// position names a log entry.
type position struct{ index, term uint64 }

// link is what a leader knows about its messages to one follower, and the
// goroutine that sends kicks and probes between them. The fields hold for one
// term and start again with the next.
type link struct {
	t    *Transport
	id   raft.ServerID
	wake chan struct{} // cap 1: there may be something to send

	mu     sync.Mutex
	addr   raft.ServerAddress // guarded by mu; the configuration's, of the last message
	term   uint64             // guarded by mu
	pipe   *pipeline          // guarded by mu; raft's pipeline to the follower, nil if none
	acked  position           // guarded by mu; last entry that the follower is known to have
	told   uint64             // guarded by mu; commit index that it knows, or will by what is on the pipeline
	want   uint64             // guarded by mu; commit index that it should know
	newest Mark               // guarded by mu; of the messages answered or on their way; 0 = unsure
	asked  bool               // guarded by mu; a probe is unanswered
	extras int                // guarded by mu; kicks and probes unanswered on pipe
}

// link returns the link to a follower.
func (t *Transport) link(id raft.ServerID) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.links[id]
	if l == nil {
		l = &link{t: t, id: id, wake: make(chan struct{}, 1)}
		t.links[id] = l
		if !t.closed {
			t.wg.Go(l.run)
		}
	}
	return l
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// enterLocked makes term the link's if it is newer, and reports whether the link
// is now of that term. Messages of an older leadership count for nothing.
func (l *link) enterLocked(term uint64) bool {
	if term > l.term {
		l.term = term
		l.acked, l.told, l.want, l.newest = position{}, 0, 0, 0
	}
	return term == l.term
}

// sending notes that a message of term with this mark is on its way to target.
func (l *link) sending(target raft.ServerAddress, term uint64, m Mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addr = target
	if l.enterLocked(term) {
		l.newest = max(l.newest, m)
	}
}

// lost notes that a message of term was not answered with success: what was on
// its way may not arrive.
func (l *link) lost(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.enterLocked(term) {
		l.newest = 0
	}
}

// acknowledged notes a success.
func (l *link) acknowledged(m *raft.AppendEntriesRequest) {
	last := lastOf(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.enterLocked(m.Term) {
		return
	}
	if last.index > l.acked.index {
		l.acked = last
	}
	l.told = max(l.told, min(m.LeaderCommitIndex, last.index))
	if l.want > l.told {
		l.signal()
	}
}

// lastOf returns the last entry that a follower has verified or stored when it
// answers the message with success; zero for heartbeats, which verify nothing.
func lastOf(m *raft.AppendEntriesRequest) position {
	if n := len(m.Entries); n > 0 {
		return position{m.Entries[n-1].Index, m.Entries[n-1].Term}
	}
	return position{m.PrevLogEntry, m.PrevLogTerm}
}

func (l *link) progress(term uint64) (Progress, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Progress{ID: l.id, Acked: l.acked.index}, l.term == term
}

// Kick tells a follower at once that the entry at index, committed, is. It never
// waits: if the follower does not have the entry yet, it is told behind it, or
// when it acknowledges it. Nothing happens if it was told already, or if this node
// is not the leader.
func (t *Transport) Kick(id raft.ServerID, index uint64) {
	term, ok := t.ledTerm()
	if !ok || id == t.opts.LocalID {
		return
	}
	l := t.link(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.enterLocked(term) || index <= l.want {
		return
	}
	l.want = index
	if l.want > l.told {
		l.signal()
	}
}

// probe asks the link to see to it that the waiting reads get their answer.
func (l *link) probe(addr raft.ServerAddress) {
	l.mu.Lock()
	l.addr = addr
	l.mu.Unlock()
	l.signal()
}

// run sends kicks and probes until the transport closes.
func (l *link) run() {
	failures := 0
	for {
		select {
		case <-l.t.closing:
			return
		case <-l.wake:
		}
		if l.step() {
			failures = 0
			continue
		}
		// raft's own heartbeats go on meanwhile; this only spares a dead
		// address from being dialled in a loop.
		failures = min(failures+1, 4)
		select {
		case <-l.t.closing:
			return
		case <-time.After(10 * time.Millisecond << failures):
			l.signal()
		}
	}
}

// step sends what is due. It returns false if a message got no answer.
func (l *link) step() bool {
	l.mu.Lock()
	pipe := l.pipe
	l.mu.Unlock()
	if pipe != nil {
		pipe.kick()
		pipe.ask()
		return true // the pipeline's failures are raft's to mend
	}
	ok := true
	if m, due := l.dueKick(); due {
		l.t.stats.kicks.Add(1)
		ok = l.call(m)
	}
	if m, due := l.dueProbe(); due {
		l.t.stats.probes.Add(1)
		ok = l.call(m) && ok
		l.mu.Lock()
		l.asked = false
		l.mu.Unlock()
		l.signal() // reads may have come meanwhile
	}
	return ok
}

// call sends one message beside any pipeline, and waits for the answer.
func (l *link) call(m *raft.AppendEntriesRequest) bool {
	l.mu.Lock()
	addr := l.addr
	l.mu.Unlock()
	var resp raft.AppendEntriesResponse
	return l.t.AppendEntries(l.id, addr, m, &resp) == nil
}

// dueKick returns the message that tells the follower what it should know, as
// far as the entries that it acknowledged go.
func (l *link) dueKick() (*raft.AppendEntriesRequest, bool) {
	l.mu.Lock()
	term, p, told, want := l.term, l.acked, l.told, l.want
	l.mu.Unlock()
	return l.t.kickFor(term, p, told, want)
}

// kickFor returns the kick for entry p of the log of the leader of term, and
// false if there is nothing to tell: nobody wants it, it is told, the follower
// does not have an untold committed entry, or this node leads no longer.
func (t *Transport) kickFor(term uint64, p position, told, want uint64) (*raft.AppendEntriesRequest, bool) {
	if want <= told || p.index <= told || p.term == 0 {
		return nil, false
	}
	n := t.attachedNode()
	if n == nil {
		return nil, false
	}
	// The commit index is read before the leadership is checked. A node that
	// lost its leadership learns commit indexes of the new leader's log, and
	// its own entry p may have been replaced there: told to a follower that
	// still has p, such an index would commit what never was.
	commit := n.CommitIndex()
	if !t.leads(term) {
		return nil, false
	}
	upTo := min(t.durableCommit(commit), p.index)
	if upTo <= told {
		return nil, false
	}
	return &raft.AppendEntriesRequest{
		RPCHeader:         t.header(),
		Term:              term,
		PrevLogEntry:      p.index,
		PrevLogTerm:       p.term,
		LeaderCommitIndex: upTo,
	}, true
}

// dueProbe returns an empty AppendEntries if reads wait for a message younger
// than those on their way, and marks it as asked.
func (l *link) dueProbe() (*raft.AppendEntriesRequest, bool) {
	term, mark, waiting := l.t.ledger.wanted()
	if !waiting || !l.t.leads(term) {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.enterLocked(term) || l.newest > mark || l.asked {
		return nil, false
	}
	l.asked = true
	return &raft.AppendEntriesRequest{RPCHeader: l.t.header(), Term: term}, true
}

// header is the header of messages that raft did not write.
func (t *Transport) header() raft.RPCHeader {
	return raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax,
		ID:              []byte(t.opts.LocalID),
		Addr:            t.EncodePeer(t.opts.LocalID, t.LocalAddr()),
	}
}
