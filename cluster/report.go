package cluster

import (
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

// DefaultListener is the name of the listener made of bind and port.
const DefaultListener = "default"

// Report is the cluster as one node sees it.
type Report struct {
	ClusterID string   `json:"cluster_id"`
	Self      string   `json:"self"`   // id of the node that tells
	Leader    string   `json:"leader"` // "" while none is known
	Term      uint64   `json:"term"`
	Commit    uint64   `json:"commit_index"`
	Applied   uint64   `json:"applied_index"`
	Ready     bool     `json:"ready"`                // this node leads and may serve reads, or follows a leader
	Semantic  uint16   `json:"semantic_version"`     // in force
	Chain     string   `json:"chain_value"`          // of changes, at chain_index
	ChainAt   uint64   `json:"chain_index"`          // 0 if there is none
	AgreedAt  uint64   `json:"chain_agreed_index"`   // where it was last compared with the leader's
	Recounted uint64   `json:"recount_agreed_index"` // where all keys were last counted and found equal
	Diverged  uint64   `json:"chain_divergences"`    // found on this node since its start
	Members   []Member `json:"members"`
}

// Member is a node of the cluster.
type Member struct {
	ID        string            `json:"id"`
	Addr      string            `json:"addr"`   // host:port of its node-to-node port
	Client    string            `json:"client"` // host:port of its default listener
	Listeners map[string]string `json:"listeners"`
	Role      string            `json:"role"` // leader, follower or learner
	Voter     bool              `json:"voter"`
	Online    bool              `json:"online"`
	Applied   uint64            `json:"applied_index"`
	Durable   uint64            `json:"durable_index"` // the end of its log
	Lag       uint64            `json:"lag"`           // entries that it has not applied, as last heard
	Version   string            `json:"version"`
	Semantic  uint16            `json:"semantic_version_known"`
	InService bool              `json:"in_service"` // its state is not in doubt
}

// Report returns the cluster as this node sees it, members sorted by id.
func (n *Node) Report() Report {
	_, leader := n.raft.LeaderWithID()
	r := Report{
		ClusterID: n.ClusterID(), Self: n.ID(), Leader: string(leader), Term: n.raft.CurrentTerm(),
		Commit: n.commitIndex(), Applied: n.applied.value.Load(),
	}
	index, value := n.fsm.Chain()
	r.Semantic, r.ChainAt, r.Chain = n.fsm.Semantic(), index, value.String()
	r.Recounted = n.recounts.agreedAt()
	r.AgreedAt, r.Diverged = n.proof.agreed.Load(), n.proof.divergences.Load()
	r.Ready = n.inService() == nil && (n.readyTerm.Load() != 0 || leader != "" && leader != n.id())
	for _, s := range n.members.servers() {
		r.Members = append(r.Members, n.member(s, r.Commit, string(leader)))
	}
	slices.SortFunc(r.Members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return r
}

func (n *Node) member(s raft.Server, commit uint64, leader string) Member {
	status, online := n.members.peer(s.ID)
	if s.ID == n.id() {
		status, online = n.Status(), true
	}
	m := Member{
		ID: string(s.ID), Addr: dialAddress(s.Address), Client: status.Listeners[DefaultListener],
		Listeners: status.Listeners, Voter: s.Suffrage == raft.Voter, Online: online,
		Applied: status.Applied, Durable: status.Last, Version: status.Version,
		Semantic: max(status.SemanticMax, 1), InService: !status.Distrusted,
	}
	if status.Addr != "" {
		m.Addr = status.Addr
	}
	if commit > m.Applied {
		m.Lag = commit - m.Applied
	}
	switch {
	case m.ID == leader:
		m.Role = "leader"
	case m.Voter:
		m.Role = "follower"
	default:
		m.Role = "learner"
	}
	return m
}
