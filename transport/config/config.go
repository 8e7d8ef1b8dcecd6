package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/quorate/quorate/engine/glob"
)

// Pair is a directive's name and its value.
type Pair struct{ Name, Value string }

// Config holds the value of every directive. It may be used by many
// goroutines.
type Config struct {
	setting sync.Mutex // held over a whole Commit, hooks included; taken before mu

	mu     sync.RWMutex
	values map[*Spec]string // guarded by mu; canonical; every row of the table is there
	given  map[*Spec]bool   // guarded by mu; set by the file or the command line
	hooks  map[*Spec][]Hook // guarded by mu
	path   string           // guarded by mu; of the file, "" when there is none
	warned []string         // guarded by mu
	users  []string         // the lines of users; settled at the start
}

// Hook is told of a new canonical value. An error refuses it.
type Hook func(value string) error

// byName finds a row by its name or its alias.
var byName = func() map[string]*Spec {
	rows := make(map[string]*Spec)
	add := func(name string, s *Spec) {
		if _, dup := rows[name]; dup {
			panic("config: two directives named " + name)
		}
		rows[name] = s
	}
	for _, table := range [][]Spec{redisTable, ownTable} {
		for i := range table {
			add(table[i].Name, &table[i])
			if table[i].Alias != "" {
				add(table[i].Alias, &table[i])
			}
		}
	}
	return rows
}()

// names holds the names and aliases, sorted.
var names = func() []string {
	all := make([]string, 0, len(byName))
	for name := range byName {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}()

// Lookup returns the row of that name or alias, in any case.
func Lookup(name string) (*Spec, bool) {
	s, ok := byName[strings.ToLower(name)]
	return s, ok
}

// New returns the defaults.
func New() *Config {
	c := &Config{
		values: make(map[*Spec]string),
		given:  make(map[*Spec]bool),
		hooks:  make(map[*Spec][]Hook),
	}
	for _, s := range byName {
		c.values[s] = s.Default
	}
	return c
}

// String returns the canonical value of a directive. Like the other getters
// it panics when the table has no such name or another kind: that is a
// mistake of the program.
func (c *Config) String(name string) string {
	s := mustLookup(name)
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.values[s]
}

// Bool returns the value of a Bool directive.
func (c *Config) Bool(name string) bool { return c.String(name) == "yes" }

// Int returns the value of an Int, Memory (bytes) or Millis (milliseconds)
// directive.
func (c *Config) Int(name string) int64 {
	n, err := strconv.ParseInt(c.String(name), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("config: %s is no number: %v", name, err))
	}
	return n
}

// Given reports whether the file or the command line set the directive.
func (c *Config) Given(name string) bool {
	s := mustLookup(name)
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.given[s]
}

// Path returns the configuration file's path, "" when there is none.
func (c *Config) Path() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.path
}

// Warnings returns what the operator should know of the directives given: one
// line for each that has no effect here.
func (c *Config) Warnings() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.warned)
}

// Get returns the directives whose name or alias matches one of the patterns
// (globs, in any case), each once, sorted by name.
func (c *Config) Get(patterns ...string) []Pair {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var found []Pair
	for _, name := range names {
		s := byName[name]
		if slices.ContainsFunc(patterns, func(p string) bool { return s.shownFor(name, p) }) {
			found = append(found, Pair{name, c.values[s]})
		}
	}
	return found
}

// shownFor reports whether CONFIG GET with the pattern shows the directive.
func (s *Spec) shownFor(name, pattern string) bool {
	if strings.EqualFold(name, pattern) {
		return true
	}
	// "*" is what tools save and give back; our own names would fail on the
	// server that they may give them to.
	if s.Has(Hidden) && strings.Trim(pattern, "*") == "" {
		return false
	}
	return glob.MatchFold(pattern, name)
}

func mustLookup(name string) *Spec {
	s, ok := byName[name]
	if !ok {
		panic("config: no directive " + name)
	}
	return s
}

// give takes a value from the file or the command line. Of a directive that
// repeats, the first value given replaces the default and later ones are
// added.
func (c *Config) give(s *Spec, value string) error {
	old := c.values[s]
	if s.Has(Repeats) && c.given[s] && value != "" && old != "" {
		value = old + s.separator() + value
	}
	canonical, err := s.canonical(old, value)
	if err != nil {
		return err
	}
	c.values[s], c.given[s] = canonical, true
	return nil
}

// separator stands between the values of a directive that repeats.
func (s *Spec) separator() string {
	if s.Name == "listen" {
		return ", "
	}
	return " "
}
