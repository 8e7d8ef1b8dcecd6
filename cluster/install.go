package cluster

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/hashicorp/raft"
)

// Snapshots of other nodes. Raft takes one in when the leader's log no longer
// reaches back to where this node's log ends, or to where the two part. It then
// leaves this node's log as it is, of which two things can come:
//
//   - The log ends before the snapshot. Some of its last entries may never have
//     been committed, and another node's entries stand at their places in
//     truth. As a leader this node would send them to a follower, which would
//     apply them.
//   - The log goes on behind the snapshot, with another entry at its index.
//     Everything from where the two part is wrong, but raft keeps the end of
//     the log in memory, refuses the leader's next entry for it, is sent the
//     snapshot again, and so on for ever.
//
// What a snapshot covers is of no use to this node: in the first case the log
// is emptied once the snapshot has been restored. In the second the process has
// to end, because raft can't be told of it and n.raft is used by everybody,
// everywhere, without a lock; the next start empties the log. It takes a
// tail of entries that were never committed and that is longer than the log
// which the leader keeps behind a snapshot.

// logFit is how a node's log stands to a snapshot.
type logFit uint8

const (
	logAgrees    logFit = iota // it has the snapshot's last entry, or begins behind it
	logEnds                    // it ends before the snapshot
	logConflicts               // it has another entry at the snapshot's index
)

// fitLog returns how log stands to a snapshot up to index, of term.
func fitLog(log raft.LogStore, index, term uint64) (logFit, error) {
	last, err := log.LastIndex()
	if err != nil || last == 0 {
		return logAgrees, err
	}
	if last < index {
		return logEnds, nil
	}
	var entry raft.Log
	switch err := log.GetLog(index, &entry); {
	case errors.Is(err, raft.ErrLogNotFound):
		return logAgrees, nil
	case err != nil:
		return logAgrees, err
	case entry.Term != term:
		return logConflicts, nil
	}
	return logAgrees, nil
}

// emptyLog deletes all entries.
func emptyLog(log raft.LogStore) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	return log.DeleteRange(first, last)
}

// mendLog empties a log that the newest snapshot has overtaken. It reports
// whether that snapshot contradicts the log; only a start may empty it then.
func mendLog(log raft.LogStore, snaps raft.SnapshotStore, out *slog.Logger) (conflicts bool, err error) {
	metas, err := snaps.List()
	if err != nil || len(metas) == 0 {
		return false, err
	}
	fit, err := fitLog(log, metas[0].Index, metas[0].Term)
	switch {
	case err != nil:
		return false, fmt.Errorf("compare the log with the newest snapshot: %w", err)
	case fit == logAgrees:
		return false, nil
	case fit == logConflicts:
		return true, nil
	}
	out.Info("a snapshot of the cluster has overtaken this node's log, which is emptied", "snapshot", metas[0].ID)
	return false, emptyLog(log)
}

// mendAtStart is mendLog before there is a raft that knows the log's end.
func mendAtStart(log raft.LogStore, snaps raft.SnapshotStore, out *slog.Logger) error {
	conflicts, err := mendLog(log, snaps, out)
	if err != nil || !conflicts {
		return err
	}
	out.Warn("the newest snapshot of the cluster contradicts this node's log, which is emptied: its end was never committed")
	return emptyLog(log)
}

// errLogConflict ends the process: see the head of this file.
var errLogConflict = errors.New("the snapshot that the leader sent contradicts the end of this node's log, " +
	"which was never committed: start this node again, it will leave that end out")

// restored takes in that a snapshot has replaced the state. Raft waits for it.
func (n *Node) restored(index uint64) {
	n.advance(index)
	switch conflicts, err := mendLog(n.store.log, n.store.snaps, n.opts.Log); {
	case err != nil:
		n.exit(fmt.Errorf("after a snapshot was restored: %w", err))
	case conflicts:
		n.exit(errLogConflict)
	}
}
