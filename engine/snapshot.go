package engine

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/script"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/types/seed"
)

// Aux is a field of a snapshot beside the data. Redis ignores those that it
// does not know. Names that begin with "quorate-engine" are the engine's.
type Aux struct {
	Name  string
	Value []byte
}

// Snapshot is the state at one moment, while the engine goes on.
type Snapshot struct {
	engine *Engine
	frozen *keyspace.Frozen
	aux    []Aux
	state  state
	held   bool // the lock is, by whoever writes it: Reload
}

// state is what an engine holds beside the keys.
type state struct {
	clock    int64
	seed     seed.Seed
	settings call.Settings
	semantic semantic.Version // in force: which settings are known
	versions keyspace.State
	scripts  []script.Body
	waiting  []byte // the encoded table of what waits; nil if nothing ever has
	// libraries is the code of the libraries of functions, by name.
	libraries []string
}

// Freeze begins a snapshot that also holds the fields aux. It takes no time
// that grows with the data, but for the commands that wait. There is one snapshot at a time: until it is closed
// more are refused with [keyspace.ErrFrozen].
func (e *Engine) Freeze(aux []Aux) (*Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.freezeLocked(aux)
}

func (e *Engine) freezeLocked(aux []Aux) (*Snapshot, error) {
	frozen, err := e.env.Keyspace.Freeze()
	if err != nil {
		return nil, fmt.Errorf("begin a snapshot: %w", err)
	}
	var waiting []byte
	if e.waiting.Used() {
		waiting = e.waiting.Append(nil)
	}
	return &Snapshot{engine: e, frozen: frozen, aux: aux, state: state{
		clock:     e.clock,
		seed:      e.seed,
		settings:  e.settings,
		semantic:  e.env.Semantic,
		versions:  frozen.State(),
		scripts:   e.scripts.Bodies(),
		libraries: e.scripts.Libraries(),
		waiting:   waiting,
	}}, nil
}

// WriteRDB writes the snapshot as an RDB file that redis-server 7.0 loads. It
// may be called once, and holds the lock for reading a bounded time now and
// then.
func (s *Snapshot) WriteRDB(w io.Writer) error {
	out := rdb.NewWriter(w, s.state.clock/1000)
	for _, field := range append(s.state.fields(), s.aux...) {
		if err := out.Aux(field.Name, field.Value); err != nil {
			return fmt.Errorf("write field %s: %w", field.Name, err)
		}
	}
	if err := s.writeLibraries(out); err != nil {
		return err
	}
	counted, err := s.writeKeys(out)
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	if err := out.Aux(auxRecount, counted[:]); err != nil {
		return fmt.Errorf("write field %s: %w", auxRecount, err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("end the file: %w", err)
	}
	return nil
}

func (s *Snapshot) writeLibraries(out *rdb.Writer) error {
	for _, code := range s.state.libraries {
		if err := out.Function([]byte(code)); err != nil {
			return fmt.Errorf("write functions: %w", err)
		}
	}
	return nil
}

func (s *Snapshot) writeKeys(out *rdb.Writer) (chain.Value, error) {
	counted := s.state.counted()
	var facts []byte
	err := s.writeBatches(out, func(batch *keyspace.Batch) error {
		facts = facts[:0]
		for i := range batch.Entries {
			facts = appendFacts(facts, &batch.Entries[i])
			counted.add(batch.DB, &batch.Entries[i])
		}
		return out.Aux(auxFacts, facts)
	})
	return counted.value(), err
}

// writeBatches writes the keys, database by database. Before is called ahead of those of
// each batch.
func (s *Snapshot) writeBatches(out *rdb.Writer, before func(*keyspace.Batch) error) error {
	saving := &s.engine.saving
	for db := range Databases {
		keys, _ := s.frozen.Keys(db)
		saving.total.Add(int64(keys))
	}
	var batch keyspace.Batch
	db := -1
	for s.next(&batch) {
		if len(batch.Entries) == 0 {
			continue
		}
		if batch.DB != db {
			db = batch.DB
			keys, expires := s.frozen.Keys(db)
			if err := out.Database(db, keys, expires); err != nil {
				return err
			}
		}
		if err := before(&batch); err != nil {
			return err
		}
		for i := range batch.Entries {
			if err := out.Key(&batch.Entries[i]); err != nil {
				return err
			}
		}
		saving.done.Add(int64(len(batch.Entries)))
	}
	return nil
}

// saving is how many keys have been written of the snapshot that is being written.
type saving struct{ done, total atomic.Int64 }

// Saving returns how many keys have been written of the snapshot that is being written,
// and how many it has; zeros if none is.
func (e *Engine) Saving() (done, total int64) { return e.saving.done.Load(), e.saving.total.Load() }

// next takes the next keys out of the state.
func (s *Snapshot) next(batch *keyspace.Batch) bool {
	if !s.held {
		s.engine.mu.RLock()
		defer s.engine.mu.RUnlock()
	}
	return s.frozen.Next(batch)
}

// Close ends the snapshot, written or not.
func (s *Snapshot) Close() {
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	s.frozen.Close()
	s.engine.saving.done.Store(0)
	s.engine.saving.total.Store(0)
}
