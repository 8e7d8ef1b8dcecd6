package cluster

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/fsm"
)

// Recovery: a cluster that has lost its majority for good serves nothing, and
// rightly so: what the lost nodes acknowledged to each other nobody else knows.
// An operator who has decided to do without makes a cluster of one out of a
// survivor, offline. It keeps id, data and origins; all others come in anew.
//
// It is done by one file, a snapshot of everything that the survivor has, in
// which the survivor alone is the configuration: before it is there nothing has
// changed, and once it is there the log behind it no longer counts.

// recoveryTerms is by how much a recovery raises the term: a lost node that
// comes back after all must not be believed, however often it held elections.
const recoveryTerms = 1 << 20

// Survivor is what a node that does not run has on disk.
type Survivor struct {
	ID, ClusterID string
	// Term is the latest that the node knows.
	Term uint64
	// LastIndex and LastTerm are those of its last entry, in the log or in a
	// snapshot: of several survivors the one with the highest term, and of these
	// the one with the highest index, has all that was acknowledged while a
	// majority that included one of them was up.
	LastIndex, LastTerm uint64
	// Snapshot is the index of the newest snapshot, 0 for none.
	Snapshot uint64
	// Members is the latest configuration, with the addresses of the
	// node-to-node ports.
	Members []raft.Server
}

// Inspect tells what the node in o.Dir has. It refuses if that node runs.
func Inspect(o Options) (Survivor, error) {
	store, err := openSurvivor(&o)
	if err != nil {
		return Survivor{}, err
	}
	defer store.close()
	return store.survivor()
}

// Recover makes a cluster of one out of the node in o.Dir, whose id must be
// id. It refuses if that node runs. An error before the end leaves the node as it
// was. o.Engine must be empty, and of no use to anybody else.
func Recover(o Options, id string) (Survivor, error) {
	store, err := openSurvivor(&o)
	if err != nil {
		return Survivor{}, err
	}
	defer store.close()
	s, err := store.survivor()
	if err != nil {
		return s, err
	}
	if s.ID != id {
		return s, fmt.Errorf("the node in %s is %s, not %s", o.Dir, s.ID, id)
	}
	return s, store.recover(&o, &s)
}

// openSurvivor opens the stores of a node that must be there.
func openSurvivor(o *Options) (*storage, error) {
	o.Host.complete()
	if o.Memory {
		return nil, errors.New("with appendonly no there is nothing on disk to recover")
	}
	switch there, err := o.Host.exists(filepath.Join(o.Dir, fileStable)); {
	case err != nil:
		return nil, fmt.Errorf("stable store: %w", err)
	case !there:
		return nil, fmt.Errorf("%s is no node's data directory", o.Dir)
	}
	store, err := openStorage(o, func(err error) { panic(err) })
	if err != nil {
		return nil, err
	}
	if err := mendAtStart(store.log, store.snaps, o.Log); err != nil {
		store.close()
		return nil, err
	}
	return store, nil
}

func (s *storage) survivor() (Survivor, error) {
	var v Survivor
	var err error
	v.ID = s.id.String()
	if v.ClusterID, err = s.clusterID(); err != nil {
		return v, err
	}
	if v.ClusterID == "" {
		return v, fmt.Errorf("node %s belongs to no cluster: empty its directory, it comes back as a new node", v.ID)
	}
	if v.Term, err = s.stable.GetUint64(keyTerm); err != nil {
		return v, fmt.Errorf("read this node's term: %w", err)
	}
	snaps, err := s.snaps.List()
	if err != nil {
		return v, err
	}
	if len(snaps) > 0 {
		newest := snaps[0]
		v.Snapshot, v.LastIndex, v.LastTerm = newest.Index, newest.Index, newest.Term
		v.Members = newest.Configuration.Servers
	}
	err = s.behindSnapshot(v.Snapshot, func(e *raft.Log) {
		v.LastIndex, v.LastTerm = e.Index, e.Term
		if e.Type == raft.LogConfiguration {
			v.Members = raft.DecodeConfiguration(e.Data).Servers
		}
	})
	return v, err
}

// behindSnapshot calls f for every entry of the log behind index.
func (s *storage) behindSnapshot(index uint64, f func(*raft.Log)) error {
	last, err := s.log.LastIndex()
	if err != nil {
		return err
	}
	for i := index + 1; i <= last; i++ {
		var e raft.Log
		if err := s.log.GetLog(i, &e); err != nil {
			return fmt.Errorf("entry %d of the log: %w", i, err)
		}
		f(&e)
	}
	return nil
}

// recover writes the snapshot that makes v a cluster of one.
func (s *storage) recover(o *Options, v *Survivor) (err error) {
	defer func() {
		if reason, ok := recover().(unusable); ok {
			err = reason.error
		}
	}()
	machine := fsm.New(fsm.Options{Engine: o.Engine, Node: s.id, Origin: noOrigin{}, Fatal: func(err error) { panic(unusable{err}) }})
	if v.Snapshot > 0 {
		if err := s.restoreNewest(machine); err != nil {
			return err
		}
	}
	if err := s.behindSnapshot(v.Snapshot, func(e *raft.Log) { machine.ApplyBatch([]*raft.Log{e}) }); err != nil {
		return err
	}
	alone := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(v.ID), Address: addressIn(v.Members, v.ID, o)}}}
	machine.StoreConfiguration(v.LastIndex, alone)
	if err := s.stable.SetUint64(keyTerm, max(v.Term, v.LastTerm)+recoveryTerms); err != nil {
		return fmt.Errorf("raise the term: %w", err)
	}
	if err := s.writeSnapshot(machine, v, alone); err != nil {
		return err
	}
	return emptyLog(s.log)
}

func (s *storage) restoreNewest(machine *fsm.FSM) error {
	snaps, err := s.snaps.List()
	if err != nil {
		return err
	}
	_, source, err := s.snaps.Open(snaps[0].ID)
	if err != nil {
		return fmt.Errorf("open snapshot %s: %w", snaps[0].ID, err)
	}
	return machine.Restore(source)
}

func (s *storage) writeSnapshot(machine *fsm.FSM, v *Survivor, conf raft.Configuration) error {
	snapshot, err := machine.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Release()
	sink, err := s.snaps.Create(raft.SnapshotVersionMax, v.LastIndex, v.LastTerm, conf, v.LastIndex, nil)
	if err != nil {
		return err
	}
	return snapshot.Persist(sink)
}

// addressIn returns the address of a node in a configuration, or what it
// would be by its options.
func addressIn(members []raft.Server, id string, o *Options) raft.ServerAddress {
	for _, m := range members {
		if string(m.ID) == id {
			return m.Address
		}
	}
	addr := o.Advertise
	if addr == "" {
		addr = o.Bind
	}
	return raftAddress(raft.ServerID(id), addr)
}

// unusable ends a recovery: an entry can't be applied.
type unusable struct{ error }

// noOrigin is the origin of a node that serves nobody.
type noOrigin struct{}

func (noOrigin) Take(uint64, uint64) *fsm.Pending { return nil }
func (noOrigin) Gap(uint64, uint64)               {}
func (noOrigin) Registered(uint64)                {}
func (noOrigin) Restored(uint64, uint64)          {}
func (noOrigin) Drop(uint64)                      {}
func (noOrigin) Again(fsm.Conn, fsm.Op)           {}

var _ fsm.Origin = noOrigin{}
