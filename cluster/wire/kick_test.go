package wire

import (
	"testing"

	"github.com/hashicorp/raft"
)

// node is raft as the transport sees it. hook runs when the commit index is read.
type node struct {
	state  raft.RaftState
	term   uint64
	commit uint64
	hook   func()
}

func (n *node) State() raft.RaftState { return n.state }
func (n *node) CurrentTerm() uint64   { return n.term }
func (n *node) CommitIndex() uint64 {
	if n.hook != nil {
		defer n.hook()
	}
	return n.commit
}
func (n *node) GetConfiguration() raft.ConfigurationFuture { return nil }

type streams struct{ Streams }

func (streams) Addr() string { return "host:1" }

func attached(n Node) *Transport {
	t := &Transport{opts: Options{LocalID: "a", Streams: streams{}}, attached: make(chan struct{})}
	t.Attach(n)
	return t
}

func TestKickIsClamped(t *testing.T) {
	tests := []struct {
		name       string
		commit     uint64
		p          position
		told, want uint64
		upTo       uint64 // 0 = no kick
	}{
		{"the entry is there", 10, position{10, 3}, 9, 10, 10},
		{"more is there than committed", 10, position{12, 3}, 9, 10, 10},
		{"the follower lacks the newest: as far as it has", 10, position{8, 3}, 7, 10, 8},
		{"never beyond the verified entry", 100, position{8, 3}, 7, 100, 8},
		{"told already", 10, position{10, 3}, 10, 10, 0},
		{"nobody wants it", 10, position{10, 3}, 8, 8, 0},
		{"the follower has nothing untold", 10, position{9, 3}, 9, 10, 0},
		{"no entry is known of it", 10, position{}, 0, 10, 0},
		{"not committed yet", 8, position{10, 3}, 8, 10, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			tr := attached(&node{state: raft.Leader, term: 5, commit: tc.commit})
			m, due := tr.kickFor(5, tc.p, tc.told, tc.want)
			if due != (tc.upTo > 0) {
				t.Fatalf("kick %+v", m)
			}
			if due && (m.LeaderCommitIndex != tc.upTo || m.PrevLogEntry != tc.p.index || m.PrevLogTerm != tc.p.term ||
				m.Term != 5 || len(m.Entries) != 0 || string(m.ID) != "a" || string(m.Addr) != "a@host:1") {
				t.Errorf("kick %+v", m)
			}
		})
	}
}

// A commit index that belongs to the log of another leader is never told.
func TestKickOnlyByItsLeader(t *testing.T) {
	p := position{10, 3}
	deposed := &node{state: raft.Leader, term: 5, commit: 10}
	deposed.hook = func() { deposed.state, deposed.term = raft.Follower, 6 }
	for name, n := range map[string]Node{
		"follower":                         &node{state: raft.Follower, term: 5, commit: 10},
		"leader of a later term":           &node{state: raft.Leader, term: 6, commit: 10},
		"deposed as the commit index came": deposed,
	} {
		if m, due := attached(n).kickFor(5, p, 0, 10); due {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, due := (&Transport{attached: make(chan struct{})}).kickFor(5, p, 0, 10); due {
		t.Error("a kick without a node")
	}
}

// The term may move between the reads of the state; then nothing is led.
func TestLeadsIsOneMoment(t *testing.T) {
	n := &flipping{terms: []uint64{5, 6}}
	if attached(n).leads(5) {
		t.Error("the state of term 6 was taken for that of term 5")
	}
}

type flipping struct {
	node
	terms []uint64
}

func (f *flipping) State() raft.RaftState { return raft.Leader }
func (f *flipping) CurrentTerm() uint64 {
	term := f.terms[0]
	f.terms = f.terms[1:]
	return term
}

func TestAddressCarriesTheID(t *testing.T) {
	tr := &Transport{}
	b := tr.EncodePeer("n1", "host:7")
	if string(b) == string(tr.EncodePeer("n2", "host:7")) {
		t.Error("two nodes of one address look alike to the vote")
	}
	if a := tr.DecodePeer(b); a != "host:7" {
		t.Errorf("address %q", a)
	}
	if a := tr.DecodePeer([]byte("host:7")); a != "host:7" {
		t.Errorf("plain address %q", a)
	}
}
