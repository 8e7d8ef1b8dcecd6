package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/fields"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/types/chain"
	"github.com/quorate/quorate/engine/waiting"
)

// Restore replaces the state by that of a snapshot. The fields beside the
// data are shown to check before any key is read; if it or the reading fails,
// the state is what it was. Readers see the old state until all is read, so
// that for a time both are in memory.
func (e *Engine) Restore(r io.Reader, check func(aux map[string][]byte) error) error {
	l, err := e.Load(r, check)
	if err != nil {
		return err
	}
	return e.Adopt(l)
}

// Loaded is the state of a snapshot that is nobody's yet.
type Loaded struct{ loader }

// Load reads a snapshot without making it the state. Check is as Restore's.
func (e *Engine) Load(r io.Reader, check func(aux map[string][]byte) error) (*Loaded, error) {
	l := &Loaded{loader{check: check, aux: make(map[string][]byte)}}
	if err := l.load(r); err != nil {
		return nil, err
	}
	return l, nil
}

// Adopt replaces the state by the one loaded, which must not be used again.
func (e *Engine) Adopt(l *Loaded) error {
	if err := e.adopt(&l.loader); err != nil {
		return err
	}
	e.opts.Settings(e.AllSettings())
	e.watched()
	e.tellUsers()
	return nil
}

// Reload reads the state from a snapshot of itself, and goes on with what was read: the
// same, which the recount in the snapshot proves. It holds the lock all the while, and
// there are two states in memory.
func (e *Engine) Reload() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.freezeLocked(nil)
	if err != nil {
		return err
	}
	s.held = true
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(s.WriteRDB(w)) // the reader is told
	}()
	l := loader{aux: make(map[string][]byte)}
	err = l.load(r)
	_ = r.CloseWithError(err) // never fails
	<-done
	s.frozen.Close()
	e.saving.done.Store(0)
	e.saving.total.Store(0)
	if err != nil {
		return err
	}
	return e.adoptLocked(&l)
}

// adopt makes the loaded state the engine's.
func (e *Engine) adopt(l *loader) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.adoptLocked(l); err != nil {
		return err
	}
	e.breakStreamLocked()
	return nil
}

func (e *Engine) adoptLocked(l *loader) error {
	if err := e.scripts.Restore(l.state.scripts, l.state.libraries); err != nil {
		return fmt.Errorf("scripts in the snapshot: %w", err)
	}
	if l.waiting == nil {
		l.waiting = new(waiting.Table)
	}
	e.hold(l.keyspace, l.waiting)
	e.clock, e.seed, e.settings = l.state.clock, l.state.seed, l.state.settings
	e.followLimit()
	e.tight.Store(false)
	e.users.Store(e.settings.Users)
	e.compiled.Clear()
	keys := 0
	for db := range Databases {
		keys += e.env.Keyspace.DB(db).Len()
	}
	e.loaded.Store(int64(keys))
	return nil
}

// loader builds the state that is in a snapshot.
type loader struct {
	check    func(aux map[string][]byte) error
	aux      map[string][]byte // the fields that are not the engine's
	hasState bool
	state    state
	keyspace *keyspace.Keyspace // nil until the first key
	waiting  *waiting.Table     // nil: nothing waits
	facts    fields.Decoder     // of the keys that come next

	read      recount     // of the keys so far
	wrote     chain.Value // the recount in the file
	recounted bool        // there is one
}

var errFacts = errors.New("the snapshot's keys and what it tells of them do not fit together")

func (l *loader) load(r io.Reader) error {
	in, err := rdb.NewReader(r)
	if err != nil {
		return err
	}
	for {
		item, err := in.Next()
		if err != nil {
			return err
		}
		switch item.Kind {
		case rdb.Aux:
			err = l.field(item)
		case rdb.Function:
			l.read.library(string(item.Text))
			l.state.libraries = append(l.state.libraries, string(item.Text))
		case rdb.Size:
			err = l.size(in, item)
		case rdb.Key:
			err = l.key(in, item)
		case rdb.End:
			return l.end(in)
		}
		if err != nil {
			return err
		}
	}
}

func (l *loader) field(item *rdb.Item) (err error) {
	switch item.Name {
	case auxState:
		before := l.state
		l.state, err = decodeState(item.Text)
		l.state.scripts, l.state.libraries, l.hasState = before.scripts, before.libraries, true
		l.state.versions.Chain = before.versions.Chain
	case auxChain:
		l.state.versions.Chain, err = decodeChain(item.Text)
	case auxUsers:
		l.state.settings.Users, err = acl.Decode(item.Text)
	case auxRecount:
		if len(item.Text) != chain.Size || l.recounted {
			return errState
		}
		l.wrote, l.recounted = chain.Value(item.Text), true
	case auxScript:
		body, err := decodeScript(item.Text)
		if err != nil {
			return err
		}
		l.state.scripts = append(l.state.scripts, body)
	case auxWaiting:
		l.waiting, err = waiting.Decode(item.Text, Databases)
	case auxFacts:
		if len(l.facts.Rest) != 0 {
			return errFacts
		}
		l.facts = fields.Decoder{Rest: slices.Clone(item.Text)}
	default:
		l.aux[item.Name] = slices.Clone(item.Text)
	}
	return err
}

// begin is called when all fields beside the data are known: before the first
// key is read.
func (l *loader) begin(in *rdb.Reader) error {
	if l.check != nil {
		if err := l.check(l.aux); err != nil {
			return err
		}
	}
	if !l.hasState {
		return errors.New("the file is no snapshot of a cluster: it has no field " + auxState)
	}
	l.keyspace = keyspace.New(keyspace.Options{Seed: l.state.seed, Databases: Databases})
	in.Build(rdb.Build{Seed: l.state.seed, Settings: l.state.settings})
	return nil
}

// database sees to it that there is the database that an item is of.
func (l *loader) database(in *rdb.Reader, item *rdb.Item) error {
	if item.DB >= Databases {
		return fmt.Errorf("the snapshot has database %d; there are %d", item.DB, Databases)
	}
	if l.keyspace == nil {
		return l.begin(in)
	}
	return nil
}

func (l *loader) size(in *rdb.Reader, item *rdb.Item) error {
	if err := l.database(in, item); err != nil {
		return err
	}
	l.keyspace.DB(item.DB).Reserve(item.Keys)
	return nil
}

func (l *loader) key(in *rdb.Reader, item *rdb.Item) error {
	if err := l.database(in, item); err != nil {
		return err
	}
	entry := &item.Entry
	if err := takeFacts(&l.facts, entry); err != nil {
		return err
	}
	if entry.Version > l.state.versions.Mutations {
		return errFacts
	}
	l.read.add(item.DB, entry)
	return l.keyspace.DB(item.DB).Load(entry.Key, entry.Value, entry.ExpireAt, entry.Version)
}

func (l *loader) end(in *rdb.Reader) error {
	if l.keyspace == nil {
		if err := l.begin(in); err != nil {
			return err
		}
	}
	if len(l.facts.Rest) != 0 || in.Empty() != 0 {
		return errFacts
	}
	if err := l.checkRecount(); err != nil {
		return err
	}
	return l.keyspace.SetState(l.state.versions)
}

// Import replaces all data, and the libraries of functions, by those of an RDB file
// of a redis-server of any version that package rdb reads. Scripts, settings and the
// log clock stay; values take the forms that the settings call for. It is for an engine that
// begins: nothing in the log tells other nodes of it.
func (e *Engine) Import(r io.Reader) error {
	in, err := rdb.NewReader(r)
	if err != nil {
		return err
	}
	e.mu.RLock()
	build := rdb.Build{Seed: e.seed, Settings: e.settings, Derive: true}
	e.mu.RUnlock()
	in.Build(build)
	ks := keyspace.New(keyspace.Options{Seed: build.Seed, Databases: Databases})
	var libraries []string
	for {
		item, err := in.Next()
		switch {
		case err != nil:
			return err
		case item.Kind == rdb.End:
			return e.imported(ks, libraries)
		case item.Kind == rdb.Function:
			libraries = append(libraries, string(item.Text))
		case item.Kind == rdb.Key && item.DB >= Databases:
			return fmt.Errorf("the file has database %d; there are %d", item.DB, Databases)
		case item.Kind == rdb.Key:
			ks.DB(item.DB).Put(item.Entry.Key, item.Entry.Value, item.Entry.ExpireAt)
		}
	}
}

// imported makes what Import has read the state.
func (e *Engine) imported(ks *keyspace.Keyspace, libraries []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.scripts.RestoreLibraries(libraries); err != nil {
		return fmt.Errorf("libraries of functions in the file: %w", err)
	}
	e.hold(ks, new(waiting.Table))
	return nil
}

// LastLoad returns how many keys the last state had that was read: at the start, or in
// place of another one. 0: none was.
func (e *Engine) LastLoad() int64 { return e.loaded.Load() }

// AsCommands reads an RDB file, of this cluster or of a redis-server, and gives f the
// commands that bring what it holds, as the log takes them: FUNCTION RESTORE and RESTORE,
// which put what they bring in the place of what has its name if they may. It stops at f's
// first error. The file is known to be whole when AsCommands has returned nil.
func (e *Engine) AsCommands(r io.Reader, replace bool, f func(db int, args [][]byte) error) error {
	in, err := rdb.NewReader(r)
	if err != nil {
		return err
	}
	e.mu.RLock()
	in.Build(rdb.Build{Seed: e.seed, Settings: e.settings, Derive: true})
	e.mu.RUnlock()
	var dumper rdb.Dumper
	for {
		item, err := in.Next()
		if err != nil {
			return err
		}
		switch {
		case item.Kind == rdb.End:
			return nil
		case item.Kind == rdb.Function:
			args := [][]byte{[]byte("FUNCTION"), []byte("RESTORE"), rdb.AppendLibraries(nil, []string{string(item.Text)})}
			if replace {
				args = append(args, []byte("REPLACE"))
			}
			err = f(0, args)
		case item.Kind == rdb.Key && item.DB >= Databases:
			return fmt.Errorf("the file has database %d; there are %d", item.DB, Databases)
		case item.Kind == rdb.Key:
			err = f(item.DB, restoring(&item.Entry, &dumper, replace))
		}
		if err != nil {
			return err
		}
	}
}

// restoring returns the command that brings a key.
func restoring(k *keyspace.Entry, d *rdb.Dumper, replace bool) [][]byte {
	at := []byte("0")
	if k.ExpireAt != keyspace.NoExpiry {
		at = strconv.AppendInt(nil, max(k.ExpireAt, 1), 10)
	}
	args := [][]byte{[]byte("RESTORE"), bytes.Clone(k.Key), at, d.Append(nil, &k.Value), []byte("ABSTTL")}
	if replace {
		args = append(args, []byte("REPLACE"))
	}
	return args
}
