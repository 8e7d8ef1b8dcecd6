package cluster

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/wire"
	"github.com/quorate/quorate/fsm"
)

// Raft has its leader store an entry before it sends it: two fsyncs, one after
// the other, for every write. Here the leader sends while it fsyncs. Raft then
// counts the leader among those that have an entry before it does, so the
// commit index may run ahead of what a majority has durably. Nobody acts on
// that part of it:
//
//   - The leader applies, and so answers, only what is durable here (durableFSM).
//   - Others hear of no commit beyond it (wire.Options.Durable, Node.commitIndex),
//     also not as a read index. Reads here do not wait for it either.
//   - A deposed leader confirms what it wrote as leader only when it is durable
//     (wire, as above).
//
// Only commands go ahead. Raft itself acts on the commit of a configuration, so
// that and everything a follower stores is fsynced first. With these rules an
// entry is acknowledged exactly when it would have been: durable on a majority,
// and, more than raft asks for, on the leader.

// aheadLog is the log of a node that fsyncs beside replication while it leads.
type aheadLog struct {
	*raftlog.Store
	leads func() bool // called by raft's main goroutine alone: the answer holds until it returns
}

// StoreLog implements raft.LogStore.
func (l aheadLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements raft.LogStore.
func (l aheadLog) StoreLogs(logs []*raft.Log) error {
	for _, log := range logs {
		if log.Type != raft.LogCommand {
			return l.Store.StoreLogs(logs)
		}
	}
	if !l.leads() {
		return l.Store.StoreLogs(logs)
	}
	return l.AppendLogs(logs)
}

// durableFSM applies entries once they are durable here.
type durableFSM struct {
	*fsm.FSM
	wait   func(index uint64) error
	fatal  func(error)
	broken bool // an entry was left out: the state must stay as it is

	loading *wire.Transfer // of a snapshot into the state
	size    func() int64   // of the newest snapshot, in bytes
}

// Restore implements raft.FSM: raft restores the newest snapshot.
func (f *durableFSM) Restore(r io.ReadCloser) error {
	counted, end := f.loading.Reader(r, f.size())
	defer end()
	return f.FSM.Restore(struct {
		io.Reader
		io.Closer
	}{counted, r})
}

var (
	_ raft.BatchingFSM        = (*durableFSM)(nil)
	_ raft.ConfigurationStore = (*durableFSM)(nil)
)

// Apply implements raft.FSM.
func (f *durableFSM) Apply(log *raft.Log) any { return f.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch implements raft.BatchingFSM.
func (f *durableFSM) ApplyBatch(logs []*raft.Log) []any {
	last := logs[len(logs)-1].Index
	if err := f.wait(last); err != nil && !f.broken {
		f.broken = true
		f.fatal(fmt.Errorf("log entry %d is committed, but not durable here: %w", last, err))
	}
	if f.broken {
		return make([]any, len(logs))
	}
	return f.FSM.ApplyBatch(logs)
}

var errIncomplete = errors.New("cluster: the state lacks an entry that could not be made durable")

// Snapshot implements raft.FSM. Raft counts an entry that was left out as applied:
// a snapshot would hold its index without what it did.
func (f *durableFSM) Snapshot() (raft.FSMSnapshot, error) {
	if f.broken {
		return nil, errIncomplete
	}
	return f.FSM.Snapshot()
}

// commitIndex returns raft's commit index, while this node leads no more of it
// than its own log has durably: all that was ever applied or told of anywhere.
func (n *Node) commitIndex() uint64 {
	index := n.raft.CommitIndex() // before the log's: neither goes back here
	if n.readyTerm.Load() == 0 || n.store.own == nil {
		return index
	}
	return min(index, n.store.own.DurableIndex())
}
