package models

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

var functionKind = kind{
	new: func() model { return &functionModel{libraries: make(map[string]modelLibrary)} },
}

func TestFunctions(t *testing.T) { testKind(t, functionKind) }

func FuzzFunctions(f *testing.F) { fuzzKind(f, functionKind) }

// modelLibrary has one function, which adds to a counter, or only reads it.
type modelLibrary struct {
	function string
	adds     int
	reads    bool
}

func (l *modelLibrary) code(name string) string {
	command := fmt.Sprintf("'INCRBY', 'counter', %d", l.adds)
	flags := ""
	if l.reads {
		command, flags = "'GET', 'counter'", "'no-writes'"
	}
	return fmt.Sprintf("#!lua name=%s\nlocal times = 0\nredis.register_function{function_name='%s', flags={%s}, callback=function()\n"+
		"times = times + 1 redis.call(%s) return {times, redis.call('GET', 'counter')} end}", name, l.function, flags, command)
}

// functionModel is the libraries by name, and what their functions have counted.
type functionModel struct {
	libraries map[string]modelLibrary
	counter   int
	dumped    string
	inDump    map[string]modelLibrary
}

// owner returns the library that has a function.
func (m *functionModel) owner(function string) string {
	for name, l := range m.libraries {
		if l.function == function {
			return name
		}
	}
	return ""
}

func (m *functionModel) check(w *walk) {
	var list []any
	for _, name := range slices.Sorted(maps.Keys(m.libraries)) {
		l := m.libraries[name]
		flags := []any{}
		if l.reads {
			flags = append(flags, status("no-writes"))
		}
		list = append(list, []any{
			"library_name", name, "engine", "LUA",
			"functions",
			[]any{[]any{"name", l.function, "description", nil, "flags", flags}},
			"library_code", l.code(name),
		})
	}
	w.want(list, "FUNCTION", "LIST", "WITHCODE")
	w.want(m.counted(), "GET", "counter")
}

func (m *functionModel) counted() any {
	if m.counter == 0 {
		return nil
	}
	return fmt.Sprint(m.counter)
}

func (m *functionModel) step(w *walk) {
	switch w.below(12) {
	case 0:
		m.libraries = make(map[string]modelLibrary)
		w.want(ok, "FUNCTION", "FLUSH")
	case 1:
		name := m.name(w)
		if _, there := m.libraries[name]; !there {
			w.want(fail("ERR Library not found"), "FUNCTION", "DELETE", name)
			return
		}
		delete(m.libraries, name)
		w.want(ok, "FUNCTION", "DELETE", name)
	case 2:
		m.dumped, m.inDump = string(w.do("FUNCTION", "DUMP").Text), maps.Clone(m.libraries)
	case 3:
		m.restore(w)
	case 4:
		m.counter = 0
		w.want(ok, "FLUSHALL")
	case 5, 6, 7, 8:
		m.call(w)
	default:
		m.load(w)
	}
}

func (m *functionModel) name(w *walk) string { return pick(&w.dice, "a", "b", "c", "d") }

func (m *functionModel) function(w *walk) string { return pick(&w.dice, "f", "g", "h", "i") }

func (m *functionModel) load(w *walk) {
	name, l := m.name(w), modelLibrary{function: m.function(w), adds: w.between(1, 5), reads: w.coin()}
	args := []string{"FUNCTION", "LOAD", "REPLACE", l.code(name)}
	_, there := m.libraries[name]
	owner := m.owner(l.function)
	if there && w.coin() {
		w.want(fail("ERR Library '"+name+"' already exists"), "FUNCTION", "LOAD", l.code(name))
		return
	}
	if owner != "" && owner != name {
		w.want(fail("ERR Function "+l.function+" already exists"), args...)
		return
	}
	m.libraries[name] = l
	w.want(name, args...)
}

func (m *functionModel) call(w *walk) {
	function := m.function(w)
	l, there := m.libraries[m.owner(function)]
	command := pick(&w.dice, "FCALL", "FCALL_RO")
	switch {
	case !there:
		w.want(fail("ERR Function not found"), command, function, "0")
		return
	case l.reads:
	case command == "FCALL_RO":
		w.want(fail("ERR Can not execute a script with write flag using *_ro command."), command, function, "0")
		return
	default:
		m.counter += l.adds
	}
	w.want([]any{1, m.counted()}, command, function, "0")
}

func (m *functionModel) restore(w *walk) {
	if m.inDump == nil {
		return
	}
	policy := pick(&w.dice, "APPEND", "REPLACE", "FLUSH")
	next := maps.Clone(m.libraries)
	if policy == "FLUSH" {
		clear(next)
	}
	for _, name := range slices.Sorted(maps.Keys(m.inDump)) {
		if _, there := next[name]; there && policy == "APPEND" {
			w.want(fail("ERR Library "+name+" already exists"), "FUNCTION", "RESTORE", m.dumped, policy)
			return
		}
		delete(next, name)
	}
	for _, name := range slices.Sorted(maps.Keys(m.inDump)) {
		for _, l := range next {
			if l.function == m.inDump[name].function {
				w.want(fail("ERR Function "+l.function+" already exists"), "FUNCTION", "RESTORE", m.dumped, policy)
				return
			}
		}
	}
	maps.Copy(next, m.inDump)
	m.libraries = next
	w.want(ok, "FUNCTION", "RESTORE", m.dumped, policy)
}
