package cluster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/fsm/entry"
)

// What a data directory must hold together. A node that has lost a part of it
// must not go on under its id: without its votes it could vote twice, without its
// log it forgets what it has acknowledged.

// The names in the data directory.
const (
	fileNodeID  = "node-id"
	fileStable  = "stable.db"
	fileFounded = "stable.db.new" // see foundDir
	fileBoltLog = "log.db"
	dirLog      = "log"
	dirSnaps    = "snapshots"
)

const wayOut = "restore what is missing, or, while the other nodes have a majority, remove this node from the cluster and empty the directory: it comes back as a new node"

const wayIn = "how its keys come into a cluster is in docs/operating/lost.md"

// checkDir refuses a data directory of which a part is missing, or that belongs
// to a node with other settings.
func checkDir(o *Options) error {
	var unknown error
	has := func(name string) bool {
		there, err := o.Host.exists(filepath.Join(o.Dir, name))
		unknown = errors.Join(unknown, err)
		return there
	}
	boltLog, ownLog := has(fileBoltLog), o.Host.hasSegments(filepath.Join(o.Dir, dirLog))
	stable, id, snaps := has(fileStable), has(fileNodeID), has(dirSnaps)
	fresh := !stable && !id && !snaps && !boltLog && !ownLog
	foreign := fresh && o.SnapshotName != "" && has(o.SnapshotName)
	switch {
	case unknown != nil:
		return fmt.Errorf("data directory: %w", unknown)
	case foreign && o.Memory:
		return fmt.Errorf("%s is there: a node with appendonly no does not load it. Move it away, or set another dir, and start again; %s", filepath.Join(o.Dir, o.SnapshotName), wayIn)
	case foreign:
		return fmt.Errorf("%s is there, and no node has been in this directory: a node does not load it, and its own snapshots would take its place. "+
			"Move it away and start again; %s", filepath.Join(o.Dir, o.SnapshotName), wayIn)
	case o.Memory && stable:
		return fmt.Errorf("%s holds the data of a node with appendonly yes, which appendonly no would leave out: set appendonly yes, or another dir", o.Dir)
	case o.Memory:
		return nil
	case stable && !id:
		return fmt.Errorf("%s is missing although the directory holds a node's votes: %s", filepath.Join(o.Dir, fileNodeID), wayOut)
	case !stable && (boltLog || ownLog || snaps || id):
		return fmt.Errorf("%s, with this node's votes, is missing although the directory is a node's: %s", filepath.Join(o.Dir, fileStable), wayOut)
	case stable && o.Host.isEmpty(filepath.Join(o.Dir, fileStable)):
		return fmt.Errorf("%s, with this node's votes, is empty: %s", filepath.Join(o.Dir, fileStable), wayOut)
	case o.LogStore == "own" && boltLog:
		return fmt.Errorf("this node's log is in %s: set log-store boltdb; the store of a node's log can't be changed", filepath.Join(o.Dir, fileBoltLog))
	case o.LogStore == "boltdb" && ownLog:
		return fmt.Errorf("this node's log is in %s: set log-store own; the store of a node's log can't be changed", filepath.Join(o.Dir, dirLog))
	}
	return nil
}

// foundDir makes a fresh directory a node's. It takes two files, which can't appear
// at once, and one without the other is refused as a loss. So the stable store is
// made whole under another name first, then the id's file, and finishFounding
// renames the store: now, or at the next start if there is an id by then.
func foundDir(o *Options) error {
	var id entry.NodeID
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("node id: %w", err)
	}
	inner, err := o.Host.OpenStable(filepath.Join(o.Dir, fileFounded))
	if err != nil {
		return fmt.Errorf("stable store: %w", err)
	}
	stable, err := newCheckedStable(inner, func(error) {})
	if err == nil {
		err = stable.Set(keyNodeID, []byte(id.String()))
	}
	if err := errors.Join(err, inner.Close()); err != nil {
		return fmt.Errorf("stable store: %w", err)
	}
	if err := o.Host.writeDurably(filepath.Join(o.Dir, fileNodeID), []byte(id.String()+"\n")); err != nil {
		return fmt.Errorf("node id: %w", err)
	}
	return finishFounding(o)
}

// finishFounding finishes or undoes what foundDir had begun.
func finishFounding(o *Options) error {
	founded, stable := filepath.Join(o.Dir, fileFounded), filepath.Join(o.Dir, fileStable)
	begun, err := o.Host.exists(founded)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if !begun {
		return nil
	}
	done, err := o.Host.exists(stable)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	identified, err := o.Host.exists(filepath.Join(o.Dir, fileNodeID))
	switch {
	case err != nil:
	case done || !identified:
		err = o.Host.FS.Remove(founded)
	default:
		err = o.Host.FS.Rename(founded, stable)
	}
	if err == nil {
		err = o.Host.FS.SyncDir(o.Dir)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// checkIdentity refuses a stable store that is another node's, or that has lost
// what it held. One of a version that did not begin with it takes this node's id.
func (s *storage) checkIdentity(o *Options) error {
	path := filepath.Join(o.Dir, fileStable)
	id, err := s.stable.Get(keyNodeID)
	switch {
	case isNotFound(err):
		switch began, err := o.Host.hasLog(o.Dir); {
		case err != nil:
			return fmt.Errorf("log: %w", err)
		case began:
			return fmt.Errorf("%s has lost what it held: %s", path, wayOut)
		}
		return s.stable.Set(keyNodeID, []byte(s.id.String()))
	case err != nil:
		return err
	case string(id) != s.id.String():
		return fmt.Errorf("%s says that this is node %s, but %s holds the votes of node %s: restore the right one", filepath.Join(o.Dir, fileNodeID), s.id, path, id)
	}
	return nil
}

// noteLog remembers that the log has begun: from then on it must be there, also
// where its entries are not fsynced one by one.
func (s *storage) noteLog() error {
	if s.logNoted.Load() {
		return nil
	}
	last, err := s.log.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	if s.own != nil {
		if err := s.own.Sync(); err != nil {
			return err
		}
	}
	if err := s.stable.SetUint64(keyLogBegan, 1); err != nil {
		return err
	}
	s.logNoted.Store(true)
	return nil
}

// checkLogFiles refuses a log whose files are gone although it had begun. It
// must look before they are opened, which makes new ones.
func (s *storage) checkLogFiles(o *Options, there bool) error {
	began, err := s.logBegan()
	if err != nil {
		return err
	}
	if began && !there {
		return fmt.Errorf("the log in %s is gone: %s", o.Dir, wayOut)
	}
	return nil
}

func (s *storage) logBegan() (bool, error) {
	began, err := s.stable.GetUint64(keyLogBegan)
	if err != nil && !isNotFound(err) {
		return false, err
	}
	return began == 1, nil
}

// checkLog refuses a log that was lost, and with it what this node has
// acknowledged: it is empty although this node has voted and its cluster has
// begun, with no snapshot to stand for it; or it begins later than the newest
// snapshot ends.
func (s *storage) checkLog(o *Options, logWasThere bool) error {
	if err := s.checkReach(o); err != nil {
		return err
	}
	last, err := s.log.LastIndex()
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if last > 0 {
		return nil
	}
	metas, err := s.snaps.List()
	if err != nil || len(metas) > 0 {
		return err
	}
	term, err := s.stable.GetUint64(keyTerm)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("read this node's term: %w", err)
	}
	id, err := s.clusterID()
	if err != nil {
		return err
	}
	began, err := s.logBegan()
	if err != nil {
		return err
	}
	// A node that was killed between its first vote and its first entry has an
	// empty log by right; its files are there. So has one that lost its first
	// entries with the power, if it does not fsync each.
	if term == 0 || logWasThere && !began && (id == "" || o.Sync != raftlog.Always) {
		return nil
	}
	return fmt.Errorf("the log in %s is empty although this node has voted in term %d, and there is no snapshot: %s", o.Dir, term, wayOut)
}

// checkReach refuses a log whose beginning is neither the first entry of all
// nor covered by a snapshot.
func (s *storage) checkReach(o *Options) error {
	first, err := s.log.FirstIndex()
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	metas, err := s.snaps.List()
	if err != nil {
		return err
	}
	covered := uint64(0)
	if len(metas) > 0 {
		covered = metas[0].Index
	}
	if first > covered+1 {
		return fmt.Errorf("the log in %s begins with entry %d, but the newest snapshot ends with %d (0: there is none): %s", o.Dir, first, covered, wayOut)
	}
	return nil
}

// fallBack sets the newest snapshot aside if it is damaged and nothing is lost
// by it: the one behind it is whole, and the log holds every entry since; or the
// log holds all entries there ever were. Otherwise it returns the damage.
func (s *storage) fallBack(out *slog.Logger) error {
	if s.rdb == nil {
		return nil
	}
	_, damage := s.rdb.List()
	if damage == nil {
		return nil
	}
	statuses := s.rdb.Check()
	if len(statuses) == 0 {
		return damage
	}
	first, last := uint64(1), statuses[0].Index
	if len(statuses) > 1 {
		if statuses[1].Err != nil {
			return damage
		}
		first = statuses[1].Index + 1
	}
	if err := s.logHolds(first, last); err != nil {
		return fmt.Errorf("%w; the log can't stand in for it: %w", damage, err)
	}
	out.Error("the newest snapshot is damaged and set aside; the log holds all entries since the one before", "snapshot", statuses[0].ID, "error", damage)
	return s.rdb.SetAside(statuses[0].ID)
}

// logHolds returns nil if the log holds every entry from first to last.
func (s *storage) logHolds(first, last uint64) error {
	var entry raft.Log
	for i := first; i <= last; i++ {
		if err := s.log.GetLog(i, &entry); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}
