package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SetError refuses a CONFIG SET. Its text is what redis-server says after
// "ERR ".
type SetError struct {
	Name string // as the client wrote it
	Why  string // empty: there is no such directive
}

func (e *SetError) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("Unknown option or number of arguments for CONFIG SET - '%s'", e.Name)
	}
	return fmt.Sprintf("CONFIG SET failed (possibly related to argument '%s') - %s", e.Name, e.Why)
}

// Change is a CONFIG SET that was found to be well-formed and was not yet
// carried out.
type Change struct {
	items []item
}

type item struct {
	spec   *Spec
	asked  string // the name as the client wrote it
	value  string // canonical
	before string // set by Commit
}

// Cluster returns the directives of the change that are the cluster's state,
// with canonical values, in the order asked: they go through the log, and
// come back by [Config.Adopt].
func (ch *Change) Cluster() []Pair {
	var pairs []Pair
	for _, it := range ch.items {
		if it.spec.Has(Cluster) {
			pairs = append(pairs, Pair{it.spec.Name, it.value})
		}
	}
	return pairs
}

// Value returns the value that the change gives a directive, if it does.
func (ch *Change) Value(name string) (string, bool) {
	for _, it := range ch.items {
		if it.spec.Name == name {
			return it.value, true
		}
	}
	return "", false
}

// OnSet registers a hook that hears of each new value that CONFIG SET gives
// the directive. Hooks run one at a time and must not call Set or Commit.
func (c *Config) OnSet(name string, hook Hook) {
	s := mustLookup(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks[s] = append(c.hooks[s], hook)
}

// Prepare checks a CONFIG SET as a whole and changes nothing. Local tells
// that the client came over the loopback interface or a unix socket.
func (c *Config) Prepare(pairs []Pair, local bool) (*Change, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	change := &Change{}
	seen := make(map[string]bool)
	for _, p := range pairs {
		s, ok := Lookup(p.Name)
		if !ok {
			return nil, &SetError{Name: p.Name}
		}
		if why := c.refusedLocked(s, p.Value, local); why != "" {
			return nil, &SetError{p.Name, why}
		}
		if folded := strings.ToLower(p.Name); seen[folded] {
			return nil, &SetError{p.Name, "duplicate parameter"}
		} else {
			seen[folded] = true
		}
		change.items = append(change.items, item{spec: s, asked: p.Name})
	}
	for i := range change.items {
		it := &change.items[i]
		value, err := it.spec.canonical(c.values[it.spec], pairs[i].Value)
		if err != nil {
			return nil, &SetError{it.asked, err.Error()}
		}
		it.value = value
	}
	return change, nil
}

// refusedLocked tells why the directive can't be set now, or "".
func (c *Config) refusedLocked(s *Spec, value string, local bool) string {
	if s.Has(Protected) {
		switch allowed := c.values[byName["enable-protected-configs"]]; {
		case allowed == "yes", allowed == "local" && local:
		default:
			return "can't set protected config"
		}
	}
	// What redis-server can change and this node can't may be set to what it is:
	// tools save all settings and give them back.
	if s.Has(Immutable) && !(s.Has(Settled) && c.values[s] == value) {
		return "can't set immutable config"
	}
	return ""
}

// Commit carries out what Prepare found good, but for the directives of
// [Change.Cluster]. All values are in place before the first hook hears of its
// own, so that hooks see them together: a certificate and its key. When a hook
// refuses its value all is as before, and those whose hooks had heard of the change
// hear of the old values again.
func (c *Config) Commit(ch *Change) error {
	c.setting.Lock()
	defer c.setting.Unlock()
	for i := range ch.items {
		if it := &ch.items[i]; !it.spec.Has(Cluster) {
			it.before = c.swap(it.spec, it.value)
		}
	}
	for i, it := range ch.items {
		if it.spec.Has(Cluster) {
			continue
		}
		if err := c.tell(it.spec, it.value); err != nil {
			c.undo(ch.items, i+1)
			return &SetError{it.asked, err.Error()}
		}
	}
	return nil
}

// Rollback undoes a Commit, for a change whose other half failed, but for what somebody else
// has set since.
func (c *Config) Rollback(ch *Change) {
	c.setting.Lock()
	defer c.setting.Unlock()
	items := slices.DeleteFunc(slices.Clone(ch.items), func(it item) bool {
		return !it.spec.Has(Cluster) && c.String(it.spec.Name) != it.value
	})
	c.undo(items, len(items))
}

// Sets reports whether the change is about one of the directives.
func (ch *Change) Sets(names ...string) bool {
	for _, name := range names {
		if _, ok := ch.Value(name); ok {
			return true
		}
	}
	return false
}

// Set carries out a whole change at once, where no cluster has a say.
func (c *Config) Set(pairs ...Pair) error {
	ch, err := c.Prepare(pairs, true)
	if err != nil {
		return err
	}
	if err := c.Commit(ch); err != nil {
		return err
	}
	c.Adopt(ch.Cluster())
	return nil
}

// Adopt takes values on which the cluster has decided. Hooks hear of those
// that are new, and can't refuse them.
func (c *Config) Adopt(pairs []Pair) {
	c.setting.Lock()
	defer c.setting.Unlock()
	for _, p := range pairs {
		s := mustLookup(p.Name)
		if c.swap(s, p.Value) == p.Value {
			continue
		}
		_ = c.tell(s, p.Value) // decided elsewhere: there is nobody to refuse it to
	}
}

// undo takes all items back. The hooks of the first heard of them hear of it.
func (c *Config) undo(items []item, heard int) {
	for _, it := range items {
		if !it.spec.Has(Cluster) {
			c.swap(it.spec, it.before)
		}
	}
	for i := heard - 1; i >= 0; i-- {
		if it := items[i]; !it.spec.Has(Cluster) {
			_ = c.tell(it.spec, it.before) // the value was in force a moment ago
		}
	}
}

func (c *Config) swap(s *Spec, value string) (before string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.values[s]
	c.values[s] = value
	return before
}

func (c *Config) tell(s *Spec, value string) error {
	c.mu.RLock()
	hooks := c.hooks[s]
	c.mu.RUnlock()
	for _, hook := range hooks {
		if err := hook(value); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile replaces the file at path by data: after a crash one or the other
// is there, whole.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
