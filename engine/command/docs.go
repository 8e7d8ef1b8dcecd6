package command

import (
	_ "embed" // for the documentation
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed docs.json
var docsJSON []byte

// Doc is what COMMAND DOCS says of a command beside its group.
type Doc struct {
	Summary    string     `json:"summary"`
	Since      string     `json:"since"`
	Complexity string     `json:"complexity"`
	Deprecated string     `json:"deprecated"` // the version that deprecated it, or empty
	ReplacedBy string     `json:"replaced_by"`
	Internal   bool       `json:"internal"` // for servers and tests, not applications
	Arguments  []Argument `json:"arguments"`

	// History tells what came later: a version, and what it brought.
	History [][2]string `json:"history"`
}

// Argument is an argument of a command, or a group of them.
type Argument struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"` // "key", "string", "oneof", "block" ...
	Token      string     `json:"token"`
	KeySpec    *int       `json:"key_spec"` // which of the key specifications finds it
	Since      string     `json:"since"`
	Deprecated string     `json:"deprecated"`
	Flags      []string   `json:"flags"` // "optional", "multiple", "multiple_token"
	Arguments  []Argument `json:"arguments"`
}

var docs = sync.OnceValue(func() map[string]*Doc {
	var all map[string]*Doc
	if err := json.Unmarshal(docsJSON, &all); err != nil {
		panic(fmt.Sprintf("command: docs.json: %v", err))
	}
	return all
})

// DocOf returns the documentation of the command of that name.
func DocOf(name string) (*Doc, bool) {
	d, ok := docs()[name]
	return d, ok
}

// Syntax returns the arguments in the notation of HELP: <name>, TOKEN, [optional],
// (this|that), with ... behind what may be repeated.
func (d *Doc) Syntax() string { return syntaxOf(d.Arguments, " ") }

func syntaxOf(all []Argument, between string) string {
	parts := make([]string, len(all))
	for i := range all {
		parts[i] = all[i].syntax()
	}
	return strings.Join(parts, between)
}

func (a *Argument) syntax() string {
	value := ""
	switch a.Type {
	case "oneof":
		value = syntaxOf(a.Arguments, "|")
		if !a.has("optional") || a.Token != "" {
			value = "(" + value + ")"
		}
	case "block":
		value = syntaxOf(a.Arguments, " ")
	case "pure-token":
	default:
		value = "<" + a.Name + ">"
	}
	// What a token stands before may be repeated with the token, or alone.
	if a.has("multiple") && !a.has("multiple_token") {
		value += " [" + value + " ...]"
	}
	if a.Token != "" {
		value = strings.TrimSuffix(a.Token+" "+value, " ")
	}
	if a.has("multiple_token") {
		value += " [" + value + " ...]"
	}
	if a.has("optional") {
		return "[" + value + "]"
	}
	return value
}

func (a *Argument) has(flag string) bool { return slices.Contains(a.Flags, flag) }

// WriteDocs writes what COMMAND DOCS says of the command of that name, which
// is in the table: its name, then a map.
func (t *Table[T]) WriteDocs(out Out, name string) {
	out.BulkString(name)
	doc, ok := DocOf(name)
	if !ok {
		doc = new(Doc)
	}
	spec, subs := t.Spec(name), t.containers[name]
	m := mapping{out: out}
	m.text("summary", doc.Summary)
	m.text("since", doc.Since)
	m.text("group", string(spec.Group))
	m.text("complexity", doc.Complexity)
	var flags []string
	if doc.Deprecated != "" {
		flags = append(flags, "deprecated")
	}
	if doc.Internal {
		flags = append(flags, "syscmd")
	}
	if len(flags) > 0 {
		m.part("doc_flags", func() { writeStatuses(out, flags, "") })
	}
	m.text("deprecated_since", doc.Deprecated)
	m.text("replaced_by", doc.ReplacedBy)
	if len(doc.History) > 0 {
		m.part("history", func() { writeHistory(out, doc.History) })
	}
	if len(doc.Arguments) > 0 {
		m.part("arguments", func() { writeArguments(out, doc.Arguments) })
	}
	if len(subs) > 0 {
		m.part("subcommands", func() {
			out.Map(len(subs))
			for _, sub := range subs {
				t.WriteDocs(out, sub)
			}
		})
	}
	m.write()
}

func writeHistory(out Out, history [][2]string) {
	out.Set(len(history))
	for _, change := range history {
		out.Array(len(change))
		for _, word := range change {
			out.BulkString(word)
		}
	}
}

func writeArguments(out Out, args []Argument) {
	out.Array(len(args))
	for i := range args {
		args[i].write(out)
	}
}

func (a *Argument) write(out Out) {
	m := mapping{out: out}
	m.text("name", a.Name)
	m.text("type", a.Type)
	if a.KeySpec != nil {
		m.part("key_spec_index", func() { out.Int(int64(*a.KeySpec)) })
	}
	if a.Token != "" || a.Type == "pure-token" { // MIGRATE's "" is one
		m.part("token", func() { out.BulkString(a.Token) })
	}
	m.text("since", a.Since)
	m.text("deprecated_since", a.Deprecated)
	if len(a.Flags) > 0 {
		m.part("flags", func() { writeStatuses(out, a.Flags, "") })
	}
	if len(a.Arguments) > 0 {
		m.part("arguments", func() { writeArguments(out, a.Arguments) })
	}
	m.write()
}

// mapping collects the parts of a map, whose number is written first.
type mapping struct {
	out   Out
	names []string
	parts []func()
}

func (m *mapping) part(name string, write func()) {
	m.names = append(m.names, name)
	m.parts = append(m.parts, write)
}

// text adds a string, if there is one.
func (m *mapping) text(name, s string) {
	if s != "" {
		m.part(name, func() { m.out.BulkString(s) })
	}
}

func (m *mapping) write() {
	m.out.Map(len(m.names))
	for i, name := range m.names {
		m.out.BulkString(name)
		m.parts[i]()
	}
}
