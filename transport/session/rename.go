package session

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/transport/config"
)

// Renames are the commands that clients of this node call by another name, or not
// at all (rename-command). A name that they send is changed into the command's own
// before it is looked up, so that the log, the counters, SLOWLOG and MONITOR know
// own names alone. Scripts run on all nodes alike, and so by own names too.
type Renames struct {
	own  map[string]string // the name that clients send, in lower case -> the command's own
	gone map[string]bool   // own names that clients can't call any more
}

// NewRenames checks what the configuration says against the commands that there
// are. It returns nil if no command is renamed.
func NewRenames(pairs []config.Rename, data *command.Table[*call.Row]) (*Renames, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	known := make(map[string]bool)
	for _, spec := range Commands(data) {
		known[spec.Name] = true
	}
	r := &Renames{own: make(map[string]string), gone: make(map[string]bool)}
	for _, p := range pairs {
		if !known[p.From] || strings.Contains(p.From, "|") {
			return nil, fmt.Errorf("rename-command: there is no command %q", p.From)
		}
		if r.gone[p.From] {
			return nil, fmt.Errorf("rename-command: %q is renamed twice", p.From)
		}
		r.gone[p.From] = true
		if p.To == "" {
			continue
		}
		if _, taken := r.own[p.To]; taken || known[p.To] && !r.gone[p.To] {
			return nil, fmt.Errorf("rename-command: there is a command %q already", p.To)
		}
		r.own[p.To] = p.From
	}
	return r, nil
}

// disabled reports whether no name is left by which clients may call the command.
func (r *Renames) disabled(spec *command.Spec) bool {
	if r == nil {
		return false
	}
	name := spec.Name
	if container := spec.Container(); container != "" {
		name = container
	}
	if !r.gone[name] {
		return false
	}
	for _, own := range r.own {
		if own == name {
			return false
		}
	}
	return true
}

// resolve returns the command's own name for what a client sent; ok is false if
// clients can't call by that name.
func (r *Renames) resolve(sent []byte) (own []byte, ok bool) {
	if r == nil {
		return sent, true
	}
	name := string(bytes.ToLower(sent))
	if own, ok := r.own[name]; ok {
		return []byte(own), true
	}
	container, _, _ := strings.Cut(name, "|")
	return sent, !r.gone[container]
}

// find returns the command that args call, and args by its own name.
func (s *Server) find(args [][]byte) (e *entry, resolved [][]byte, container string, ok bool) {
	if s.opts.Renames == nil {
		e, container, ok = s.table.Find(args)
		return e, args, container, ok
	}
	own, ok := s.opts.Renames.resolve(args[0])
	if !ok {
		return nil, args, "", false
	}
	resolved = slices.Clone(args)
	resolved[0] = own
	if e, container, ok = s.table.Find(resolved); !ok {
		return nil, args, container, false
	}
	return e, resolved, container, true
}

// lookup returns the command of which a client speaks by that name.
func (s *Server) lookup(name []byte) (*entry, bool) {
	own, ok := s.opts.Renames.resolve(name)
	if !ok {
		return nil, false
	}
	return s.table.Lookup(string(own))
}
