package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func testID(n int) raft.ServerID { return raft.ServerID(fmt.Sprintf("%040d", n)) }

func TestDecide(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	// member is a server as the configuration has it, and as it was last heard.
	type member struct {
		suffrage raft.ServerSuffrage
		at       string // in the configuration
		heardAt  string // "" for at
		seen     time.Duration
		caughtUp time.Duration // ago; 0: it is not
	}
	voter := member{at: "v:1"}
	dead := member{at: "d:1", seen: deadAfter + time.Second}
	away := member{at: "a:1", seen: deadAfter - time.Second}
	learner := member{suffrage: raft.Nonvoter, at: "l:1"}
	with := func(m member, f func(*member)) member { f(&m); return m }
	caughtUp := with(learner, func(m *member) { m.caughtUp = promoteAfter + time.Second })
	moved := with(voter, func(m *member) { m.heardAt = "v:2" })
	cases := []struct {
		name    string
		members []member // the first is the leader
		want    change
		on      int // which member
	}{
		{"all is well", []member{voter, voter, voter}, nothing, 0},
		{"a voter moved", []member{voter, moved, voter}, move, 1},
		{"the leader itself moved", []member{moved, voter, voter}, move, 0},
		{"a learner moved", []member{voter, with(caughtUp, func(m *member) { m.heardAt = "l:2" })}, moveApart, 1},
		{"a silent voter's last address is not used", []member{voter, with(away, func(m *member) { m.heardAt = "a:2" })}, nothing, 0},
		{"a learner is behind", []member{voter, learner}, nothing, 0},
		{"a learner has just caught up", []member{voter, with(learner, func(m *member) { m.caughtUp = promoteAfter / 2 })}, nothing, 0},
		{"a learner has caught up", []member{voter, caughtUp}, promote, 1},
		{"a learner caught up and fell silent", []member{voter, with(caughtUp, func(m *member) { m.seen = offlineAfter + 1 })}, nothing, 0},
		{"one of three is dead", []member{voter, voter, dead}, nothing, 0},
		{"and its replacement is in", []member{voter, dead, voter, voter}, dismiss, 1},
		{"one is away, and a voter is in its place", []member{voter, with(away, func(m *member) { m.at = voter.at }), voter, voter}, dismiss, 1},
		{"the same in a cluster of four", []member{voter, with(away, func(m *member) { m.at = voter.at }), voter, voter, voter}, dismiss, 1},
		{"the same in a cluster of two", []member{voter, with(away, func(m *member) { m.at = voter.at }), voter}, dismiss, 1},
		{"one is away, and what is in its place is no voter yet", []member{voter, with(away, func(m *member) { m.at = learner.at }), voter, voter, learner}, nothing, 0},
		{"one is away, one is dead, and a voter is in one's place", []member{voter, with(away, func(m *member) { m.at = voter.at }), voter, dead, voter}, nothing, 0},
		{"but it is only away", []member{voter, away, voter, voter}, nothing, 0},
		{"the replacement is no voter yet", []member{voter, voter, dead, learner}, nothing, 0},
		{"two of four are dead", []member{voter, dead, dead, voter}, nothing, 0},
		{"one of five is dead", []member{voter, voter, dead, voter, voter}, nothing, 0},
		{"one of two is dead", []member{voter, dead}, nothing, 0},
		{"a dead learner is left to the operator", []member{voter, voter, voter, with(dead, func(m *member) { m.suffrage = raft.Nonvoter })}, nothing, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var servers []raft.Server
			peers := make(map[raft.ServerID]known)
			for i, m := range c.members {
				id := testID(i)
				servers = append(servers, raft.Server{ID: id, Suffrage: m.suffrage, Address: raftAddress(id, m.at)})
				k := known{seen: ago(m.seen)}
				if k.Addr = m.heardAt; k.Addr == "" {
					k.Addr = m.at
				}
				if m.caughtUp > 0 {
					k.caughtUp = ago(m.caughtUp)
				}
				peers[id] = k
			}
			got := decide(now, testID(0), servers, peers)
			if got.change != c.want || c.want != nothing && got.id != testID(c.on) {
				t.Fatalf("got %v of %s, want %v", got.change, got.id, c.want)
			}
			if m := c.members[c.on]; (got.change == move || got.change == moveApart) && got.addr != raftAddress(got.id, m.heardAt) {
				t.Errorf("moved to %s", got.addr)
			}
		})
	}
}
