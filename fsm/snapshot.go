package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/fsm/entry"
)

// auxState is the AUX field of a snapshot in which the FSM keeps its own
// state. Redis ignores fields that it does not know.
const auxState = "quorate-fsm"

// Snapshot implements raft.FSM. It takes no time that grows with the data.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	aux := []engine.Aux{{Name: auxState, Value: f.state.append(nil)}}
	f.mu.Unlock()
	frozen, err := f.opts.Engine.Freeze(aux)
	if err != nil {
		return nil, fmt.Errorf("freeze the state: %w", err)
	}
	return snapshot{frozen}, nil
}

type snapshot struct{ *engine.Snapshot }

// Persist implements raft.FSMSnapshot: it writes an RDB file, beside writers.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.WriteRDB(sink); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() { s.Close() }

// Restore implements raft.FSM. On an error the state is unchanged.
func (f *FSM) Restore(r io.ReadCloser) error {
	defer r.Close()
	var restored state
	err := f.opts.Engine.Restore(r, func(aux map[string][]byte) error {
		text, ok := aux[auxState]
		if !ok {
			return errors.New("the snapshot is no snapshot of a cluster: it has no field " + auxState)
		}
		var err error
		if restored, err = decodeState(text); err == nil {
			f.applying(restored.applied)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	f.mu.Lock()
	f.state = restored
	f.mu.Unlock()
	if f.opts.Genesis != nil && restored.genesis != (entry.Genesis{}) {
		f.opts.Genesis(restored.genesis)
	}
	if own := restored.origins[f.opts.Node]; own != nil {
		f.opts.Origin.Restored(own.incarnation, own.last)
	}
	if f.opts.Restored != nil {
		f.opts.Restored(restored.applied)
	}
	return nil
}

// stateVersion is the format of the state in a snapshot.
const stateVersion = 1

// append appends the encoded state. The order follows from the content.
func (s *state) append(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.LittleEndian.AppendUint64(dst, s.applied)
	dst = entry.AppendGenesis(dst, s.genesis)
	dst = binary.AppendUvarint(dst, uint64(len(s.members)))
	for _, id := range s.members {
		dst = append(dst, id[:]...)
	}
	ids := make([]entry.NodeID, 0, len(s.origins))
	for id := range s.origins {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b entry.NodeID) int { return slices.Compare(a[:], b[:]) })
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for _, id := range ids {
		o := s.origins[id]
		dst = append(dst, id[:]...)
		dst = binary.AppendUvarint(dst, o.incarnation)
		dst = binary.AppendUvarint(dst, o.last)
		dst = binary.AppendUvarint(dst, uint64(len(o.fragments)))
		dst = append(dst, o.fragments...)
	}
	// The commands that wait in the state: none are known to this format yet.
	return binary.AppendUvarint(dst, 0)
}

var errState = errors.New("the cluster's state in the snapshot is damaged")

func decodeState(b []byte) (state, error) {
	const appliedEnd, genesisEnd = 1 + 8, 1 + 8 + 36
	s := newState()
	if len(b) < genesisEnd || b[0] != stateVersion {
		return s, errState
	}
	s.applied = binary.LittleEndian.Uint64(b[1:appliedEnd])
	var err error
	if s.genesis, err = entry.DecodeGenesis(b[appliedEnd:genesisEnd]); err != nil {
		return s, err
	}
	d := stateDecoder{b: b[genesisEnd:]}
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		s.members = append(s.members, d.node())
	}
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		id := d.node()
		s.origins[id] = &origin{incarnation: d.uvarint(), last: d.uvarint(), fragments: d.bytes()}
	}
	if waiters := d.uvarint(); waiters != 0 || d.failed || len(d.b) != 0 {
		return s, errState
	}
	return s, nil
}

type stateDecoder struct {
	b      []byte
	failed bool
}

func (d *stateDecoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.b, d.failed = nil, true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *stateDecoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.failed = nil, true
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *stateDecoder) bytes() []byte { return slices.Clone(d.take(d.uvarint())) }

func (d *stateDecoder) node() (id entry.NodeID) {
	copy(id[:], d.take(uint64(len(id))))
	return id
}
