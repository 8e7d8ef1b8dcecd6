package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/fsm/entry"
	"github.com/quorate/quorate/transport/peer"
)

// Founding. Of the fresh nodes that see each other the first by id founds the
// cluster, once all others have promised it (promise.go) to found none without it.

const (
	// proposeFor bounds the wait for the promises of all founders.
	proposeFor = 2500 * time.Millisecond
	// remindEvery is how often a node says that it waits for its founder.
	remindEvery = 10 * time.Second
)

// fresh reports whether this node has nothing to do with any cluster yet.
func (m *membership) fresh() bool { return !m.hasState && len(m.servers()) == 0 }

func (m *membership) attempt() attempt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.promises.attempt()
}

// awaitsFounder reports whether this node has promised to found a cluster of
// which nothing is known yet: it enters no other.
func (m *membership) awaitsFounder() bool {
	if m.node.ClusterID() != "" {
		return false // it has been founded
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.promises
	if !p.promise.given() {
		return false
	}
	if k := m.peers[p.promise.Founder]; k != nil && k.ClusterID != "" {
		return false
	}
	if now := time.Now(); now.Sub(p.reminded) > remindEvery {
		p.reminded = now
		m.node.opts.Log.Info("waiting for the node that proposed to found a cluster; if its disk is lost, empty this node's data directory: it holds nothing yet",
			"founder", string(p.promise.Founder), "addr", p.promise.Addr)
	}
	return true
}

// found founds a cluster with fresh nodes, if this one is the first of them
// and all others promise to found none without it.
func (m *membership) found(ctx context.Context, fresh []Status) {
	founders := m.founders(fresh)
	if founders == nil {
		return
	}
	m.mu.Lock()
	attempt, err := m.promises.begin()
	m.mu.Unlock()
	if err != nil {
		return
	}
	self := m.self()
	proposal := pledge{Founder: self.ID, Addr: m.node.port.Advertised(), Attempt: attempt, List: foundersText(founders)}
	if err := m.propose(ctx, &proposal, founders[1:]); err != nil {
		m.node.opts.Log.Info("a founder does not agree yet", "error", err)
	} else if err := m.bootstrap(founders); !errors.Is(err, raft.ErrCantBootstrap) {
		return // founded, or not known: then the promises must stand
	}
	m.mu.Lock()
	m.promises.fail()
	m.mu.Unlock()
}

// founders returns with whom this node founds a cluster, or nil if it is not
// the one to do so.
func (m *membership) founders(fresh []Status) []raft.Server {
	expect := m.node.opts.BootstrapExpect
	if expect == 0 || len(fresh)+1 < expect {
		return nil
	}
	founders := []raft.Server{m.self()}
	for _, s := range fresh {
		if s.Expect == expect {
			founders = append(founders, raft.Server{ID: raft.ServerID(s.ID), Address: raftAddress(raft.ServerID(s.ID), s.Addr)})
		}
	}
	slices.SortFunc(founders, func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if len(founders) < expect || founders[0].ID != m.node.id() {
		return nil
	}
	return founders[:expect]
}

// propose asks the others for their promises. It returns nil once all have
// given them.
func (m *membership) propose(ctx context.Context, p *pledge, others []raft.Server) error {
	req, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proposeFor)
	defer cancel()
	for _, f := range others {
		if _, err := m.node.port.Call(ctx, m.node.addrOf(f.ID), callPropose, req); err != nil {
			return fmt.Errorf("node %s: %w", f.ID, err)
		}
	}
	return nil
}

func foundersText(founders []raft.Server) string {
	var ids []string
	for _, f := range founders {
		ids = append(ids, string(f.ID))
	}
	return strings.Join(ids, ",")
}

func (m *membership) servePropose(_ context.Context, from peer.Info, req []byte) ([]byte, error) {
	p, err := decodeProposal(req, from.NodeID)
	switch {
	case err != nil:
		return nil, err
	case !m.fresh():
		return nil, errors.New("this node belongs to a cluster already")
	case !strings.Contains(p.List, m.node.ID()):
		return nil, errors.New("this node is not among the founders")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return nil, m.promises.give(p)
}

// bootstrap makes servers the first configuration.
func (m *membership) bootstrap(servers []raft.Server) error {
	if err := m.node.raft.BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		m.node.opts.Log.Error("cluster was not founded", "error", err)
		return err
	}
	m.node.opts.Log.Info("founded a cluster", "nodes", len(servers))
	return nil
}

// newGenesis returns the identity of a new cluster, with its first settings.
func newGenesis(settings [][]byte) []byte {
	var g entry.Genesis
	var seed [16]byte
	// crypto/rand does not fail on the systems that Go supports.
	_, _ = rand.Read(g.ClusterID[:])
	_, _ = rand.Read(seed[:])
	g.Seed = [2]uint64{binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])}
	return entry.AppendFounding(nil, g, settings)
}
