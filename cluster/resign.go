package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// Leaders whose entries do not get through. Links may fail by halves: a heartbeat
// of two hundred bytes passes in time, an entry does not, or one in minutes. Raft
// keeps such a leader in office, and as long as it is there nobody's writes are
// committed.
//
// So a leader whose oldest entry has waited for its majority too long, though the
// followers answer its heartbeats, resigns (wire.Transport.Resign has the argument
// why it may): the others, whose links to each other are well, elect one of
// themselves. It does not try a transfer first: that waits until the heir has all
// entries, which is just what fails.
//
// Between well and that there are links over which entries take a second each, and
// heartbeats are late so often that raft's leader lease runs out and this node
// steps down. Having the longest log, it would be elected again at once, and again.
// So a node that lost its office in that way lets the others stand first, until one
// of them leads or some heartbeat timeouts have passed.
//
// Time counts while this process ran, while its disk was not what the entry waited
// for, and while a majority was there without this node: else nobody is better, as
// in a cluster of one or two. A follower that takes a snapshot or whose disk hangs
// answers no heartbeats, and is not there either. Where all links are slow,
// resigning helps nobody: the pause before the next attempt doubles each time.

const (
	// officeEvery is the time between looks, and not less than two thirds of a
	// heartbeat timeout: links on which raft keeps a leader commit a small entry
	// between two.
	officeEvery = 200 * time.Millisecond
	// commitPatience is how long an entry may wait for its majority, or several may
	// with little progress between, and not less than commitPatienceBeats heartbeat
	// timeouts.
	commitPatience      = 2 * time.Second
	commitPatienceBeats = 6
	// slowestLink is how many bytes a second a link must carry: the time that a large
	// entry takes on it does not count.
	slowestLink = 256 << 10
	// resignPause is the pause after a node's first resignation. It doubles with
	// each one that follows before resignPauseMax has passed in peace.
	resignPause    = 5 * time.Second
	resignPauseMax = time.Minute

	// standBack is for how many heartbeat timeouts a node stands back that lost its
	// office, and standBackAgain if that happens again within resignPauseMax.
	standBack      = 3
	standBackAgain = 10
)

// office is what a node sees of its leadership at one look.
type office struct {
	term   uint64 // 0 if it does not lead
	commit uint64 // raft's commit index
	last   uint64 // index of the last entry in its log, read after commit
	flying int64  // bytes of the packer's entry in flight
	voters int
	heard  int  // voters beside this node that answered a heartbeat lately
	hangs  bool // its own disk is at something slow
}

// tenure judges by one look after the other whether a leader should resign.
type tenure struct {
	every    time.Duration // between looks
	patience time.Duration

	looked time.Time
	term   uint64
	commit uint64
	waits  bool          // an entry did
	still  time.Duration // that the oldest entry has waited
	waited time.Duration // that entries waited for no good reason, less the time without

	next  time.Time     // no resignation before
	pause time.Duration // after the last one; 0 if there was none
}

func newTenure(heartbeat time.Duration) *tenure {
	return &tenure{every: max(officeEvery, heartbeat*2/3), patience: max(commitPatience, commitPatienceBeats*heartbeat)}
}

// look takes in what there is to see at a moment, and reports whether to resign.
func (t *tenure) look(now time.Time, o office) bool {
	// What exceeds the time between two looks, the process stood still.
	ran := min(now.Sub(t.looked), 2*t.every)
	moved := o.term != t.term || o.commit != t.commit
	t.looked, t.term, t.commit = now, o.term, o.commit
	waits := o.term != 0 && o.last > o.commit
	begins := moved || !t.waits
	t.waits = waits
	switch {
	case !waits || begins:
		t.still, t.waited = 0, max(0, t.waited-ran)
		return false
	case o.hangs || o.heard < o.voters/2+1:
		return false
	}
	t.still += ran
	if t.still > time.Duration(o.flying)*time.Second/slowestLink {
		t.waited += ran
	}
	if t.waited < t.patience || now.Before(t.next) {
		return false
	}
	t.resign(now)
	return true
}

// resign begins the pause before the next resignation.
func (t *tenure) resign(now time.Time) {
	if t.pause == 0 || now.Sub(t.next) > resignPauseMax {
		t.pause = resignPause
	} else {
		t.pause = min(2*t.pause, resignPauseMax)
	}
	t.next, t.waited = now.Add(t.pause), 0
}

// deposals are the times at which this node lost its office without another leader.
type deposals struct{ last time.Time }

// beats takes in that it happened now, and returns for how many heartbeat timeouts
// the node stands back.
func (d *deposals) beats(now time.Time) time.Duration {
	again := !d.last.IsZero() && now.Sub(d.last) < resignPauseMax
	d.last = now
	if again {
		return standBackAgain
	}
	return standBack
}

// watchOffice resigns for this node when it should, until ctx ends.
func (n *Node) watchOffice(ctx context.Context) {
	t := newTenure(n.opts.HeartbeatTimeout)
	every(ctx, t.every, func() {
		o := n.office(t.patience / 2)
		if t.look(time.Now(), o) {
			n.opts.Log.Warn("this leader resigns: its heartbeats are answered, but its entries do not get through",
				"term", o.term, "committed", o.commit, "last", o.last, "bytes", o.flying, "again-after", t.pause)
			n.transport.Resign(o.term)
		}
	})
}

// office looks at this node's leadership. Who has answered within lately is heard.
func (n *Node) office(lately time.Duration) office {
	term := n.raft.CurrentTerm()
	if n.raft.State() != raft.Leader || n.raft.CurrentTerm() != term {
		return office{}
	}
	o := office{term: term, commit: n.raft.CommitIndex(), flying: n.packer.flying.Load()}
	o.last = n.raft.LastIndex()
	if o.last <= o.commit {
		return o
	}
	o.hangs = n.store.own != nil && n.store.own.SlowSince() >= slowFsync
	contact := make(map[raft.ServerID]time.Time)
	for _, p := range n.transport.Progress(term) {
		contact[p.ID] = p.Contact
	}
	for _, s := range n.voters() {
		o.voters++
		if s.ID != n.id() && time.Since(contact[s.ID]) < lately {
			o.heard++
		}
	}
	return o
}
