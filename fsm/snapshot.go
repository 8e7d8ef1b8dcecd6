package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/fields"
	"github.com/quorate/quorate/fsm/entry"
)

// auxState is the AUX field of a snapshot in which the FSM keeps its own
// state. Redis ignores fields that it does not know.
const auxState = "quorate-fsm"

// Snapshot implements raft.FSM. It takes no time that grows with the data.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock() // both are of one moment
	aux := []engine.Aux{{Name: auxState, Value: f.state.append(nil)}}
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
	loaded, err := f.load(r)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	f.mu.Lock()
	f.applying(loaded.state.applied)
	err = f.adopt(loaded)
	f.mu.Unlock()
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	f.tellRestored(loaded)
	if f.opts.Restored != nil {
		f.opts.Restored(loaded.state.applied)
	}
	return nil
}

// Replace puts the state of another node's snapshot in the place of this node's,
// which is not to be trusted, and applies what this node had applied beyond it
// once more: entryAt returns entries of the log. Raft is not told: the log and the
// votes are as good as ever. On an error the state is what it was, but for entries
// that can't be applied any more, which are fatal.
func (f *FSM) Replace(r io.Reader, entryAt func(index uint64) (*raft.Log, error)) error {
	loaded, err := f.load(r)
	if err != nil {
		return fmt.Errorf("load the snapshot: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	reached := f.state.applied
	for i := loaded.state.applied + 1; i <= reached; i++ {
		if _, err := entryAt(i); err != nil {
			return fmt.Errorf("entry %d, which follows on the snapshot: %w", i, err)
		}
	}
	f.applying(max(reached, loaded.state.applied))
	if err := f.adopt(loaded); err != nil {
		return err
	}
	f.tellRestored(loaded)
	for i := loaded.state.applied + 1; i <= reached; i++ {
		log, err := entryAt(i)
		if err != nil {
			f.opts.Fatal(fmt.Errorf("log entry %d, which is to be applied again: %w", i, err))
			return err
		}
		f.applyLog(log)
		f.state.applied = i
	}
	return nil
}

// loaded is the content of a snapshot before it is the state.
type loaded struct {
	engine *engine.Loaded
	state  state
}

func (f *FSM) load(r io.Reader) (*loaded, error) {
	l := new(loaded)
	var err error
	l.engine, err = f.opts.Engine.Load(r, func(aux map[string][]byte) error {
		text, ok := aux[auxState]
		if !ok {
			return errors.New("the snapshot is no snapshot of a cluster: it has no field " + auxState)
		}
		var err error
		l.state, err = decodeState(text)
		return err
	})
	return l, err
}

// adopt makes what was loaded the state. It needs mu.
func (f *FSM) adopt(l *loaded) error {
	if err := f.opts.Engine.Adopt(l.engine); err != nil {
		return err
	}
	f.state = l.state
	f.opts.Engine.Apply(func(step *engine.Step) {
		f.follow(step)
		if f.opts.Origin != nil {
			f.waiting.restored(step, f.opts.Origin.Again)
		}
	})
	f.trail = trail{}
	f.trail.put(l.state.applied, f.opts.Engine.Chain())
	return nil
}

func (f *FSM) tellRestored(l *loaded) {
	if f.opts.Genesis != nil && l.state.genesis != (entry.Genesis{}) {
		f.opts.Genesis(l.state.genesis)
	}
	if own := l.state.origins[f.opts.Node]; own != nil {
		f.opts.Origin.Restored(own.incarnation, own.last)
	}
}

// The formats of the state in a snapshot. Releases that know no semantic version
// but 1 read the first alone: they load what was written before the cluster was
// raised, and refuse what was written after.
const (
	statePlain    = 1
	stateSemantic = 2 // the semantic version, two bytes, comes first
)

// append appends the encoded state. The order follows from the content.
func (s *state) append(dst []byte) []byte {
	if s.semantic > 1 {
		dst = append(dst, stateSemantic)
		dst = binary.LittleEndian.AppendUint16(dst, s.semantic)
	} else {
		dst = append(dst, statePlain)
	}
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
	// The commands that wait are the engine's: this format has a place for them that
	// stays empty.
	return binary.AppendUvarint(dst, 0)
}

var errState = errors.New("the cluster's state in the snapshot is damaged")

func decodeState(b []byte) (state, error) {
	const appliedEnd, genesisEnd = 8, 8 + 36
	s := newState()
	switch {
	case len(b) > 0 && b[0] == statePlain:
		b = b[1:]
	case len(b) > 2 && b[0] == stateSemantic:
		s.semantic = binary.LittleEndian.Uint16(b[1:])
		b = b[3:]
	default:
		return s, errState
	}
	switch {
	case s.semantic > SemanticMax:
		return s, tooNew(s.semantic)
	case len(b) < genesisEnd || s.semantic == 0:
		return s, errState
	}
	s.applied = binary.LittleEndian.Uint64(b[:appliedEnd])
	var err error
	if s.genesis, err = entry.DecodeGenesis(b[appliedEnd:genesisEnd]); err != nil {
		return s, err
	}
	d := fields.Decoder{Rest: b[genesisEnd:]}
	for n := d.Uvarint(); n > 0 && !d.Failed; n-- {
		s.members = append(s.members, takeNode(&d))
	}
	for n := d.Uvarint(); n > 0 && !d.Failed; n-- {
		id := takeNode(&d)
		s.origins[id] = &origin{incarnation: d.Uvarint(), last: d.Uvarint(), fragments: slices.Clone(d.Bytes())}
	}
	if waiters := d.Uvarint(); waiters != 0 || !d.Whole() {
		return s, errState
	}
	return s, nil
}

func takeNode(d *fields.Decoder) (id entry.NodeID) {
	copy(id[:], d.Take(len(id)))
	return id
}
