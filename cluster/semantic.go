package cluster

import (
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/fsm/entry"
)

// The semantic version of the cluster (fsm/semantic.go) rises when every member
// knows the next one. Until then nothing is logged that the oldest member does not
// know, and any node can go back to the release before. After it none can: a
// release that does not know the version stops at the entry that raised it. So the
// leader waits a while after the last member came up, in which an operator may
// change his mind, or for ever if it is told to. A cluster that this node has just
// founded has no past to go back to, and does not wait: if its members are known to
// know a version, it begins with it.

// raiser is what the leader remembers between two looks.
type raiser struct {
	since time.Time // when all members were first seen to know the version; zero if they do not
}

// look returns the version to raise the cluster to, 0 for none yet. A look in
// between at which a member did not know it begins the wait anew.
func (r *raiser) look(now time.Time, inForce, known uint16, wait time.Duration) uint16 {
	if known <= inForce {
		r.since = time.Time{}
		return 0
	}
	if r.since.IsZero() {
		r.since = now
	}
	if now.Sub(r.since) < wait {
		return 0
	}
	return known
}

// knownToAll returns the newest semantic version that every member knows, 1 if
// one of them is silent.
func knownToAll(self raft.ServerID, servers []raft.Server, peer func(raft.ServerID) (Status, bool)) uint16 {
	known := fsm.SemanticMax
	for _, s := range servers {
		if s.ID == self {
			continue
		}
		status, online := peer(s.ID)
		if !online {
			return 1
		}
		known = min(known, max(status.SemanticMax, 1)) // releases before 2 do not say
	}
	return known
}

// Semantic returns the semantic version that is in force on this node.
func (n *Node) Semantic() semantic.Version { return n.fsm.Semantic() }

// HoldVersion keeps this node, as leader, from raising the semantic version, or
// lets it do so again.
func (n *Node) HoldVersion(hold bool) { n.held.Store(hold) }

// foundingEntry returns the first entry of a cluster: the version that it begins
// with, its identity and its settings.
func (n *Node) foundingEntry() []byte {
	var first entry.Builder
	version := semantic.First
	if !n.held.Load() {
		version = knownToAll(n.id(), n.members.servers(), n.members.peer)
	}
	if version > semantic.First {
		first.Add(entry.PartRaise, entry.AppendRaise(nil, version))
	}
	settings := n.opts.Settings
	if err := engine.CheckSettings(settings, version); err != nil {
		n.opts.Log.Error("the cluster begins with default settings: those of this node's configuration are not valid", "error", err)
		settings = nil
	}
	first.Add(entry.PartGenesis, newGenesis(settings))
	return first.Seal(0, version)
}

// raiseVersion logs that a newer semantic version is in force, if it is time.
func (n *Node) raiseVersion(r *raiser, now time.Time) {
	if n.readyTerm.Load() == 0 || n.held.Load() {
		*r = raiser{}
		return
	}
	wait := n.opts.RaiseAfter
	if n.founded.Load() {
		wait = 0
	}
	version := r.look(now, n.fsm.Semantic(), knownToAll(n.id(), n.members.servers(), n.members.peer), wait)
	if version == 0 {
		return
	}
	n.opts.Log.Info("all members know a newer semantic version, which is in force from now on; no node can go back to an older release", "version", version)
	_ = n.packer.add(entry.PartRaise, "", entry.AppendRaise(nil, version)) // refused when leadership has gone: the next leader raises
	r.since = now
}
