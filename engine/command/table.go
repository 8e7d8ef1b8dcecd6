package command

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
)

// nameLenMax is longer than any command's name.
const nameLenMax = 64

// Table finds commands by name. T is what its users do with a command; a
// table is built once and may then be read by many goroutines.
type Table[T any] struct {
	byName     map[string]T
	containers map[string][]string // "config" -> its subcommands' full names
	names      []string            // sorted
	specOf     func(T) *Spec
}

// NewTable joins rows under the names that specOf gives. Two rows of one name
// are a mistake of the program: NewTable panics.
func NewTable[T any](rows []T, specOf func(T) *Spec) *Table[T] {
	t := &Table[T]{byName: make(map[string]T, len(rows)), containers: make(map[string][]string), specOf: specOf}
	for _, row := range rows {
		spec := specOf(row)
		if _, dup := t.byName[spec.Name]; dup || len(spec.Name) > nameLenMax {
			panic(fmt.Sprintf("command: two rows named %q, or the name is too long", spec.Name))
		}
		t.byName[spec.Name] = row
		t.names = append(t.names, spec.Name)
		if container := spec.Container(); container != "" {
			t.containers[container] = append(t.containers[container], spec.Name)
		}
	}
	sort.Strings(t.names)
	for _, subs := range t.containers {
		sort.Strings(subs)
	}
	return t
}

// Lookup returns the command of that name ("get", "config|get"), in any case.
func (t *Table[T]) Lookup(name string) (T, bool) {
	row, ok := t.byName[strings.ToLower(name)]
	return row, ok
}

// Find returns the command that args call. A call of a subcommand that does
// not exist finds nothing, and its container is returned. It does not
// allocate.
func (t *Table[T]) Find(args [][]byte) (row T, container string, ok bool) {
	var space [2*nameLenMax + 1]byte
	name, fits := appendLower(space[:0], args[0])
	if !fits || bytes.IndexByte(name, '|') >= 0 {
		return row, "", false
	}
	subs, isContainer := t.containers[string(name)]
	if !isContainer || len(args) == 1 {
		row, ok = t.byName[string(name)]
		return row, "", ok
	}
	full, fits := appendLower(append(name, '|'), args[1])
	if fits {
		if row, ok = t.byName[string(full)]; ok {
			return row, "", true
		}
	}
	container, _, _ = strings.Cut(subs[0], "|")
	return row, container, false
}

func appendLower(dst, name []byte) ([]byte, bool) {
	if len(name) > nameLenMax {
		return dst, false
	}
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst, true
}

// Names returns the names of all commands and subcommands, sorted.
func (t *Table[T]) Names() []string { return t.names }

// Subcommands returns the full names of a container's subcommands, sorted.
func (t *Table[T]) Subcommands(container string) []string { return t.containers[container] }

// Spec returns the specification of the command of that name, which is in the
// table.
func (t *Table[T]) Spec(name string) *Spec { return t.specOf(t.byName[name]) }

// WriteInfo writes what COMMAND INFO says of the command of that name, which
// is in the table.
func (t *Table[T]) WriteInfo(out Out, name string) {
	subs := make([]*Spec, len(t.containers[name]))
	for i, sub := range t.containers[name] {
		subs[i] = t.Spec(sub)
	}
	WriteInfo(out, t.Spec(name), subs)
}
