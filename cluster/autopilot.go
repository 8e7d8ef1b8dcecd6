package cluster

import (
	"time"

	"github.com/hashicorp/raft"
)

// change is what an action does to the configuration.
type change uint8

const (
	nothing   change = iota
	move             // the server is reached at another address
	promote          // the non-voter becomes a voter
	dismiss          // the dead voter goes: its replacement is in
	moveApart        // move, of a non-voter
)

// String returns the words for the log.
func (c change) String() string {
	switch c {
	case nothing:
		return "nothing changes"
	case move, moveApart:
		return "a member has moved"
	case promote:
		return "a member becomes a voter"
	default:
		return "a dead member is removed: its replacement is in"
	}
}

// action is one step towards the configuration that the nodes' state calls for.
type action struct {
	change change
	id     raft.ServerID
	addr   raft.ServerAddress // of move and promote
}

// decide returns what the leader self should change first, if anything. peers
// are the nodes as last heard, self included.
//
// Only one thing changes at a time. A dead voter goes only if no other one is
// dead, and its replacement is in: another voter is where it was; or it has been
// silent for deadAfter, and an even number of voters, more than three, says so.
// What is left is a cluster with all of its voters alive.
func decide(now time.Time, self raft.ServerID, servers []raft.Server, peers map[raft.ServerID]known) action {
	voters, dead, replaced := 0, []raft.ServerID(nil), false
	for _, s := range servers {
		k := peers[s.ID]
		online := s.ID == self || now.Sub(k.seen) < offlineAfter
		voter := s.Suffrage == raft.Voter
		if voter {
			voters++
		}
		switch addr := raftAddress(s.ID, k.Addr); {
		case !online:
			if !voter {
				continue
			}
			supplanted := supplanted(now, s, servers, peers)
			replaced = replaced || supplanted
			if supplanted || now.Sub(k.seen) > deadAfter {
				dead = append(dead, s.ID)
			}
		case k.Addr != "" && addr != s.Address && voter:
			return action{move, s.ID, addr}
		case k.Addr != "" && addr != s.Address:
			return action{moveApart, s.ID, addr}
		case !voter && !k.caughtUp.IsZero() && now.Sub(k.caughtUp) > promoteAfter:
			return action{promote, s.ID, addr}
		}
	}
	if len(dead) == 1 && (replaced || voters > 3 && voters%2 == 0) {
		return action{change: dismiss, id: dead[0]}
	}
	return action{}
}

// supplanted reports whether another voter, heard lately, is where s was: a node
// that lost its disk has come back under a new id, and the old one is gone for
// good.
func supplanted(now time.Time, s raft.Server, servers []raft.Server, peers map[raft.ServerID]known) bool {
	for _, other := range servers {
		k := peers[other.ID]
		if other.Suffrage == raft.Voter && other.ID != s.ID && dialAddress(other.Address) == dialAddress(s.Address) && now.Sub(k.seen) < offlineAfter {
			return true
		}
	}
	return false
}
