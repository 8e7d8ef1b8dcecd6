package cluster

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/transport/peer"
)

// waitEvery is the pause between two questions of a WAIT.
const waitEvery = 5 * time.Millisecond

// askDurableWait bounds how long the answer to one question is waited for.
const askDurableWait = 200 * time.Millisecond

// WaitDurable waits until want other nodes have everything that clients of this
// node have seen in their durable logs, or until ctx ends, and returns how many have.
//
// Only the leader knows: it has their answers. The end of a node's log by itself
// says nothing, the entries there may be others that were never committed.
func (n *Node) WaitDurable(ctx context.Context, want int) int {
	index := n.shown.Load()
	for {
		have := n.countDurable(ctx, index)
		if have >= want || ctx.Err() != nil {
			return have
		}
		select {
		case <-ctx.Done():
		case <-time.After(waitEvery):
		}
	}
}

// countDurable returns how many other members have the log up to index; 0 if no
// leader can be asked.
func (n *Node) countDurable(ctx context.Context, index uint64) int {
	ids, err := n.askDurable(ctx, index)
	if err != nil {
		return 0
	}
	have := 0
	for _, id := range ids {
		if raft.ServerID(id) != n.id() && n.members.has(raft.ServerID(id)) {
			have++
		}
	}
	return have
}

// WaitSynced waits until everything that clients of this node have seen is fsynced here, if
// local, and on want other nodes, or until ctx ends, and tells where it is. With
// appendfsync everysec and no, which do not fsync before a write is acknowledged,
// the nodes are made to. Nothing is asked of a disk once ctx has ended.
func (n *Node) WaitSynced(ctx context.Context, local bool, want int) (here bool, others int) {
	index := n.shown.Load()
	synced := make(map[string]bool)
	for {
		here = n.syncedHere(ctx)
		n.askSynced(ctx, index, want, synced)
		if (here || !local) && len(synced) >= want || ctx.Err() != nil {
			return here, len(synced)
		}
		select {
		case <-ctx.Done():
		case <-time.After(waitEvery):
		}
	}
}

// syncedHere fsyncs what this node has applied, and reports whether it is.
func (n *Node) syncedHere(ctx context.Context) bool {
	if n.opts.Memory {
		return false
	}
	if ctx.Err() != nil {
		return n.store.own == nil || n.store.own.Policy() == raftlog.Always
	}
	return n.store.sync() == nil // an error ends the process
}

// askSynced asks other members that have the log up to index to fsync it, until
// synced holds the ids of want of them.
func (n *Node) askSynced(ctx context.Context, index uint64, want int, synced map[string]bool) {
	ids, err := n.askDurable(ctx, index)
	if err != nil {
		return
	}
	for _, id := range ids {
		server := raft.ServerID(id)
		if synced[id] || server == n.id() || !n.members.has(server) || len(synced) >= want {
			continue
		}
		ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), askDurableWait)
		if _, err := n.port.Call(ask, n.addrOf(server), callSync, binary.AppendUvarint(nil, index)); err == nil {
			synced[id] = true
		}
		cancel()
	}
}

// serveSync fsyncs the log, of which the caller knows that it is that of the
// cluster up to the index it names.
func (n *Node) serveSync(_ context.Context, _ peer.Info, req []byte) ([]byte, error) {
	index, size := binary.Uvarint(req)
	switch {
	case size <= 0:
		return nil, errMessage
	case n.opts.Memory || n.raft.LastIndex() < index:
		return nil, errNotReady
	}
	return nil, n.store.sync()
}

func (n *Node) askDurable(ctx context.Context, index uint64) ([]string, error) {
	if n.readyTerm.Load() != 0 {
		return n.durable(index)
	}
	_, leader := n.raft.LeaderWithID()
	addr := n.addrOf(leader)
	if leader == n.id() || addr == "" {
		return nil, errNoRoute
	}
	// A question that ctx ends would count nobody: it has a little time always.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askDurableWait)
	defer cancel()
	answer, err := n.port.Call(ctx, addr, callDurable, binary.AppendUvarint(nil, index))
	return strings.Fields(string(answer)), err
}

// durable returns the ids of the nodes that have the log up to index, which is
// committed, as this leader knows.
func (n *Node) durable(index uint64) ([]string, error) {
	term := n.readyTerm.Load()
	if term == 0 || n.raft.LastIndex() < index {
		return nil, errNotReady
	}
	ids := []string{n.ID()}
	for _, p := range n.transport.Progress(term) {
		if p.Acked >= index {
			ids = append(ids, string(p.ID))
		}
	}
	return ids, nil
}

// serveDurable answers a follower's askDurable.
func (n *Node) serveDurable(_ context.Context, _ peer.Info, req []byte) ([]byte, error) {
	index, size := binary.Uvarint(req)
	if size <= 0 {
		return nil, errMessage
	}
	ids, err := n.durable(index)
	return []byte(strings.Join(ids, " ")), err
}
