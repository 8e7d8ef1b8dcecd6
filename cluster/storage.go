package cluster

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/cluster/raftlog"
	"github.com/quorate/quorate/cluster/rdbsnap"
	"github.com/quorate/quorate/cluster/wire"
	"github.com/quorate/quorate/fsm/entry"
)

// Keys of the stable store beside raft's own.
var (
	keyIncarnation = []byte("quorate-incarnation")
	keyClusterID   = []byte("quorate-cluster-id")
	keyNodeID      = []byte("quorate-node-id")
	keyLogBegan    = []byte("quorate-log-began") // 1 once the log has held an entry
	keyKeys        = []byte("quorate-keys")      // of checkedStable
	keyPromise     = []byte("quorate-promise")   // to found a cluster with others, empty for none
)

// keyTerm is raft's own.
var keyTerm = []byte("CurrentTerm")

// storage is what a node keeps on disk.
type storage struct {
	id     entry.NodeID
	log    raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore

	size    sizer          // of log
	own     *raftlog.Store // log, if it is our own
	rdb     *rdbsnap.Store // snaps, if they are on disk
	closers []io.Closer    // in the order of opening

	// starting is true until raft has taken in what there is: damage found
	// before may have a remedy.
	starting atomic.Bool
	logNoted atomic.Bool // the stable store knows that the log has begun

	raft atomic.Pointer[raft.Raft] // nil before it runs
}

// leads reports whether raft, which calls it from its main goroutine, leads.
func (s *storage) leads() bool {
	r := s.raft.Load()
	return r != nil && r.State() == raft.Leader
}

// waitDurable waits until the log is durable up to index.
func (s *storage) waitDurable(index uint64) error {
	if s.own == nil {
		return nil // whose StoreLogs returns when it is
	}
	return s.own.WaitDurable(index)
}

// sync fsyncs the log, whatever the policy.
func (s *storage) sync() error {
	if s.own == nil {
		return nil // whose StoreLogs returns when it is
	}
	return s.own.Sync()
}

// durable returns what is asked how far the log is durable, nil if StoreLogs
// returns when it is.
func (s *storage) durable() wire.Durable {
	if s.own == nil {
		return nil
	}
	return s.own
}

// openStorage opens what is in the data directory, or makes it.
func openStorage(o *Options, fatal func(error)) (s *storage, err error) {
	s = new(storage)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := o.Host.makeDir(o.Dir); err != nil {
		return s, fmt.Errorf("data directory: %w", err)
	}
	lock, err := o.Host.lock(o.Dir)
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, lock)
	s.starting.Store(true)
	if err := finishFounding(o); err != nil {
		return s, err
	}
	if err := checkDir(o); err != nil {
		return s, err
	}
	if o.Memory {
		return s, s.openMemory()
	}
	there, err := o.Host.exists(filepath.Join(o.Dir, fileNodeID))
	if err == nil && !there {
		err = foundDir(o)
	}
	if err != nil {
		return s, err
	}
	return s, s.openDisk(o, fatal)
}

// openDisk opens or makes the files.
func (s *storage) openDisk(o *Options, fatal func(error)) (err error) {
	if s.id, err = readNodeID(&o.Host, filepath.Join(o.Dir, fileNodeID)); err != nil {
		return err
	}
	stable, err := o.Host.OpenStable(filepath.Join(o.Dir, fileStable))
	if err != nil {
		return fmt.Errorf("stable store: %w", err)
	}
	s.closers = append(s.closers, stable)
	running := func(err error) {
		if !s.starting.Load() {
			fatal(err)
		}
	}
	checked, err := newCheckedStable(stable, running)
	if err != nil {
		return err
	}
	s.stable = checked
	if err := s.checkIdentity(o); err != nil {
		return err
	}
	logWasThere, err := o.Host.hasLog(o.Dir)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if err := s.checkLogFiles(o, logWasThere); err != nil {
		return err
	}
	if err := s.openLog(o, fatal); err != nil {
		return err
	}
	s.rdb, err = rdbsnap.New(rdbsnap.Options{FS: o.Host.FS, Dir: o.Dir, Name: o.SnapshotName, OnCorrupt: running})
	if err != nil {
		return fmt.Errorf("snapshots: %w", err)
	}
	s.snaps = s.rdb
	if err := s.fallBack(o.Log); err != nil {
		return err
	}
	s.log = o.Host.WrapLog(s.log)
	return s.checkLog(o, logWasThere)
}

func (s *storage) openMemory() error {
	if _, err := rand.Read(s.id[:]); err != nil {
		return fmt.Errorf("node id: %w", err)
	}
	store := raft.NewInmemStore()
	s.count(store)
	s.stable, s.snaps = store, raft.NewInmemSnapshotStore()
	return nil
}

// count makes log the log, and counts its bytes.
// newestSize returns the bytes of the newest snapshot, 0 if there is none.
func (s *storage) newestSize() int64 {
	metas, err := s.snaps.List()
	if err != nil || len(metas) == 0 {
		return 0
	}
	return metas[0].Size
}

func (s *storage) count(log raft.LogStore) {
	sized := &sizedLog{LogStore: log}
	s.log, s.size = sized, sized
}

func (s *storage) openLog(o *Options, fatal func(error)) error {
	if o.LogStore == "boltdb" {
		log, err := raftlog.OpenBolt(filepath.Join(o.Dir, fileBoltLog))
		if err != nil {
			return fmt.Errorf("log: %w", err)
		}
		s.closers = append(s.closers, log)
		s.count(log)
		return nil
	}
	log, err := raftlog.Open(filepath.Join(o.Dir, dirLog), raftlog.Options{
		FS: o.Host.FS, SegmentBytes: o.Host.SegmentBytes, Policy: o.Sync, OnFatal: fatal, Inline: o.Host.InlineLog,
	})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	s.closers = append(s.closers, log)
	s.log, s.own, s.size = aheadLog{log, s.leads}, log, log
	found := log.Recovery()
	stats := log.Stats()
	if found.Torn {
		o.Log.Warn("the end of the log was cut short and is dropped: a write that was under way when the node died, or damage to the last one; the other nodes have what was acknowledged")
	}
	o.Log.Info("log recovered", "first", stats.FirstIndex, "last", stats.LastIndex, "segments", found.Segments, "records", found.Records, "torn", found.Torn, "took", found.Took)
	return nil
}

// sealQuiet is for how long the stable store must not have changed to be sealed.
const sealQuiet = time.Second

// seal makes the newest changes of the stable store proof against later damage.
func (s *storage) seal(quiet time.Duration) {
	if stable, ok := s.stable.(*checkedStable); ok {
		stable.seal(quiet)
	}
}

// close closes in reverse order.
func (s *storage) close() {
	s.seal(0)
	for i := len(s.closers) - 1; i >= 0; i-- {
		_ = s.closers[i].Close() // what was acknowledged is durable already
	}
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

// readNodeID reads this node's id.
func readNodeID(h *Host, path string) (entry.NodeID, error) {
	text, err := h.readFile(path)
	if err != nil {
		return entry.NodeID{}, fmt.Errorf("node id: %w", err)
	}
	id, err := entry.ParseNodeID(strings.TrimSpace(string(text)))
	if err != nil {
		return id, fmt.Errorf("%s: %w; restore the file, or empty the directory to come back as a new node", path, err)
	}
	return id, nil
}

// raiseIncarnation begins a new life of this node's sequencer. It is durable
// when it returns.
func (s *storage) raiseIncarnation() (uint64, error) {
	last, err := s.stable.GetUint64(keyIncarnation)
	if err != nil && !isNotFound(err) {
		return 0, fmt.Errorf("read incarnation: %w", err)
	}
	return last + 1, s.setIncarnation(last + 1)
}

func (s *storage) setIncarnation(n uint64) error { return s.stable.SetUint64(keyIncarnation, n) }

// promise returns what this node has promised of founding a cluster, encoded.
func (s *storage) promise() ([]byte, error) { return s.stable.Get(keyPromise) }

func (s *storage) setPromise(text []byte) error { return s.stable.Set(keyPromise, text) }

// clusterID returns the id of the cluster that this node belongs to, "" for none.
func (s *storage) clusterID() (string, error) {
	id, err := s.stable.Get(keyClusterID)
	if err != nil && !isNotFound(err) {
		return "", fmt.Errorf("read cluster id: %w", err)
	}
	return string(id), nil
}

// isNotFound recognizes the error of both stable stores, by the text that raft
// itself goes by.
func isNotFound(err error) bool { return err != nil && err.Error() == "not found" }
