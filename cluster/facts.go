package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// ErrTooStale answers a bounded read on a node that has lost touch.
var ErrTooStale = errors.New("cluster: no word from the leader within the bound")

// BarrierStale returns nil when this node's memory is at most maxAge behind;
// with maxAge 0, whatever its age. Not even then does it reflect less than this
// node has told its clients.
func (n *Node) BarrierStale(ctx context.Context, maxAge time.Duration) error {
	if err := n.inService(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	if err := n.awaitSettled(ctx); err != nil {
		return err
	}
	if maxAge == 0 {
		return nil
	}
	if n.raft.State() != raft.Leader && time.Since(n.raft.LastContact()) > maxAge {
		return ErrTooStale
	}
	return n.applied.wait(ctx, n.commitIndex())
}

// Fact is a line of INFO.
type Fact struct{ Name, Value string }

// Facts returns what INFO tells of raft, origins and reads.
func (n *Node) Facts() []Fact {
	_, leader := n.raft.LeaderWithID()
	fsm := n.fsm.Counters()
	s := n.sequencer
	s.mu.Lock()
	seq, incarnation := s.counters, s.incarnation
	queued, inFlight := s.queueBytes, len(s.inFlight)
	s.mu.Unlock()
	fact := func(name string, value any) Fact { return Fact{name, fmt.Sprint(value)} }
	chainIndex, chainValue := n.fsm.Chain()
	serves := 0
	if n.inService() == nil {
		serves = 1
	}
	return []Fact{
		fact("raft_node_id", n.ID()),
		fact("raft_cluster_id", n.ClusterID()),
		fact("raft_state", strings.ToLower(n.raft.State().String())),
		fact("raft_leader_id", string(leader)),
		fact("raft_term", n.raft.CurrentTerm()),
		fact("raft_last_index", n.raft.LastIndex()),
		fact("raft_commit_index", n.commitIndex()),
		fact("raft_applied_index", n.applied.value.Load()),
		fact("raft_voters", len(n.voters())),
		fact("semantic_version", n.fsm.Semantic()),
		fact("semantic_version_known", SemanticMax),
		fact("chain_index", chainIndex),
		fact("chain_value", chainValue),
		fact("chain_agreed_index", n.proof.agreed.Load()),
		fact("recount_agreed_index", n.recounts.agreedAt()),
		fact("chain_divergences", n.proof.divergences.Load()),
		fact("chain_rebuilds", n.proof.rebuilt.Load()),
		fact("in_service", serves),
		fact("raft_elections_won", n.counters.elections.Load()),
		fact("raft_entries_packed", n.packer.entries.Load()),
		fact("raft_batches_packed", n.packer.batches.Load()),
		fact("origin_incarnation", incarnation),
		fact("origin_batches", seq.batches),
		fact("origin_commands", seq.commands),
		fact("origin_resends", seq.resends),
		fact("origin_given_up", seq.givenUp),
		fact("origin_refused", seq.refused),
		fact("origin_queued_bytes", queued),
		fact("origin_in_flight", inFlight),
		fact("fsm_duplicate_batches", fsm.Duplicates),
		fact("fsm_gap_batches", fsm.Gaps),
		fact("fsm_refused_batches", fsm.Refused),
		fact("reads_by_lease", n.counters.leaseReads.Load()),
		fact("reads_by_index", n.counters.indexReads.Load()),
		fact("reads_unconfirmed", n.counters.failedReads.Load()),
	}
}
