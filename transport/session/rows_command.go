package session

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/reply"
)

var anyOrder = []string{"nondeterministic_output_order"}

var commandRows = []row{
	commandRow("command", -1, anyOrder, func(s *Session, r *request) { s.srv.table.writeAll(r.out) }),
	commandRow("command|count", 2, nil, func(s *Session, r *request) { r.out.Int(int64(len(s.srv.table.top()))) }),
	commandRow("command|docs", -2, anyOrder, commandDocs),
	commandRow("command|getkeys", -4, nil, commandGetKeys(false)),
	commandRow("command|getkeysandflags", -4, nil, commandGetKeys(true)),
	commandRow("command|help", 2, nil, help("command")),
	commandRow("command|info", -2, anyOrder, commandInfo),
	commandRow("command|list", -2, anyOrder, commandList),
}

func commandRow(name string, arity int, tips []string, do func(*Session, *request)) row {
	return row{Spec: command.Spec{Name: name, Arity: arity, Flags: anytime, Group: command.Server, Categories: command.CatConnection, Tips: tips}, do: do}
}

// top returns the commands that are not subcommands, by name.
func (t *table) top() []*entry {
	return slices.DeleteFunc(slices.Clone(t.all), func(e *entry) bool { return e.Container() != "" })
}

func (t *table) writeAll(out *reply.Writer) {
	top := t.top()
	out.Array(len(top))
	for _, e := range top {
		t.WriteInfo(out, e.Name)
	}
}

func commandInfo(s *Session, r *request) {
	t := s.srv.table
	if len(r.args) == 2 {
		t.writeAll(r.out)
		return
	}
	r.out.Array(len(r.args) - 2)
	for _, name := range r.args[2:] {
		if e, ok := s.srv.lookup(name); ok {
			t.WriteInfo(r.out, e.Name)
		} else {
			r.out.Null()
		}
	}
}

func commandDocs(s *Session, r *request) {
	t := s.srv.table
	var names []string
	if len(r.args) == 2 {
		for _, e := range t.top() {
			names = append(names, e.Name)
		}
	}
	for _, arg := range r.args[2:] {
		if e, ok := s.srv.lookup(arg); ok {
			names = append(names, e.Name)
		}
	}
	r.out.Map(len(names))
	for _, name := range names {
		t.WriteDocs(r.out, name)
	}
}

// commandGetKeys: COMMAND GETKEYS command arg ...
func commandGetKeys(withFlags bool) func(*Session, *request) {
	return func(s *Session, r *request) {
		e, args, _, ok := s.srv.find(r.args[2:])
		switch {
		case !ok:
			r.fail("ERR Invalid command specified")
			return
		case len(e.Keys) == 0:
			r.fail("ERR The command has no key arguments")
			return
		case !e.TakesArgs(len(args)):
			r.fail("ERR Invalid number of arguments specified for command")
			return
		}
		keys, err := e.AppendKeys(nil, args)
		if err != nil {
			r.fail("ERR Invalid arguments specified for command")
			return
		}
		r.out.Array(len(keys))
		for _, key := range keys {
			if !withFlags {
				r.out.Bulk(args[key.Index])
				continue
			}
			r.out.Array(2)
			r.out.Bulk(args[key.Index])
			flags := key.Flags.Names()
			r.out.Set(len(flags))
			for _, flag := range flags {
				r.out.Status(flag)
			}
		}
	}
}

// commandList: COMMAND LIST [FILTERBY (MODULE name | ACLCAT category |
// PATTERN glob)].
func commandList(s *Session, r *request) {
	keep := func(*entry) bool { return true }
	entries := s.srv.table.all
	if len(r.args) > 2 {
		if len(r.args) != 5 || !strings.EqualFold(string(r.args[2]), "filterby") {
			r.fail(reply.ErrSyntax)
			return
		}
		value := string(r.args[4])
		switch strings.ToLower(string(r.args[3])) {
		case "module":
			keep = func(*entry) bool { return false }
		case "aclcat":
			category, ok := command.ParseCategory(strings.ToLower(value))
			keep = func(e *entry) bool { return ok && e.AllCategories()&category != 0 }
		case "pattern":
			keep = func(e *entry) bool { return glob.MatchFold(value, e.Name) }
		default:
			r.fail(reply.ErrSyntax)
			return
		}
	}
	mark, n := r.out.Mark(), 0
	for _, e := range entries {
		if keep(e) {
			r.out.BulkString(e.Name)
			n++
		}
	}
	r.out.EndArray(mark, n)
}

// help answers HELP of a container: its subcommands, from the table.
func help(container string) func(*Session, *request) {
	return func(s *Session, r *request) {
		lines := []string{strings.ToUpper(container) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
		for _, name := range s.srv.table.Subcommands(container) {
			_, sub, _ := strings.Cut(name, "|")
			line := strings.ToUpper(sub)
			doc, ok := command.DocOf(name)
			if ok && len(doc.Arguments) > 0 {
				line += " " + doc.Syntax()
			}
			lines = append(lines, line)
			if ok {
				lines = append(lines, "    "+doc.Summary)
			}
		}
		r.out.Array(len(lines))
		for _, line := range lines {
			r.out.Status(line)
		}
	}
}

func matchesAll(pattern, name string) bool { return pattern == "" || glob.Match(pattern, name) }
