package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/command/commandtest"
	"github.com/quorate/quorate/transport/session"
)

// document is what the template of docs/compatibility.md is filled with.
type document struct {
	Redis     int // commands and subcommands of Redis 7.0
	Supported int // of them
	Groups    []group
	Missing   []string // of them, with subcommands behind their container
	Remarks   []remark
	Newer     []string // commands of ours that Redis 7.0 does not have
	Files     []fileRow
	Totals    fileRow
	Lists     []listing
}

// group is the commands of a family that are there.
type group struct {
	Name     string
	Commands []string
}

// remark is how a command that is there differs.
type remark struct {
	Command, State, What string
}

// fileRow is a line of the table of results.
type fileRow struct {
	File  string
	Redis int // tests that redis-server passes
	Cells []figures
}

// columns are the stages in the table, beside redis-server.
var columns = []string{"node", "leader", "follower"}

// listing is the tests of the list of one kind.
type listing struct {
	Kind  kind
	Tests []*listed
}

// writeDoc writes the document; renderDoc is what it says.
func writeDoc() error {
	text, err := renderDoc()
	if err != nil {
		return err
	}
	return os.WriteFile(docFile, []byte(text), 0o644)
}

// checkDoc tells if the document is not what it would be if written anew.
func checkDoc() error {
	want, err := renderDoc()
	if err != nil {
		return err
	}
	have, err := os.ReadFile(docFile)
	if err == nil && string(have) != want {
		err = fmt.Errorf("%s is out of date: make compatibility", docFile)
	}
	return err
}

func renderDoc() (string, error) {
	var doc document
	for _, fill := range []func(*document) error{fillCommands, fillFiles, fillLists} {
		if err := fill(&doc); err != nil {
			return "", err
		}
	}
	funcs := template.FuncMap{"cell": cell, "code": code, "join": strings.Join}
	t, err := template.New("compatibility.md.tmpl").Funcs(funcs).ParseFiles(templateFile)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, &doc)
	return text.String(), err
}

// ourCommands returns the descriptions of all commands that are there.
func ourCommands() map[string]*command.Spec {
	ours := make(map[string]*command.Spec)
	for _, spec := range session.Commands(engine.New(engine.Options{}).Table()) {
		ours[spec.Name] = spec
	}
	return ours
}

// fillCommands compares our commands with those of Redis 7.0.
func fillCommands(doc *document) error {
	ours := ourCommands()
	redis := commandtest.Names()
	groups := make(map[string][]string)
	var missing []string
	for _, name := range redis {
		spec, ok := ours[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		groups[string(spec.Group)] = append(groups[string(spec.Group)], name)
	}
	var newer []string
	for name := range ours {
		if !slices.Contains(redis, name) {
			newer = append(newer, name)
		}
	}
	for name, commands := range groups {
		doc.Groups = append(doc.Groups, group{name, fold(commands)})
	}
	slices.SortFunc(doc.Groups, func(a, b group) int { return cmp.Compare(a.Name, b.Name) })
	doc.Redis, doc.Supported = len(redis), len(redis)-len(missing)
	doc.Missing, doc.Newer = fold(missing), fold(newer)
	return fillRemarks(doc, ours)
}

// fillRemarks adds what is to say of some commands.
func fillRemarks(doc *document, ours map[string]*command.Spec) error {
	rows, err := readTSV(commandsFile)
	if err != nil {
		return err
	}
	for _, row := range rows {
		r := remark{row[0], row[1], row[2]}
		if ours[r.Command] == nil {
			return fmt.Errorf("%s: %s is no command of ours", commandsFile, r.Command)
		}
		if r.State != "refused" && r.State != "partly" {
			return fmt.Errorf("%s: %s: unknown state %q", commandsFile, r.Command, r.State)
		}
		r.Command = strings.ToUpper(strings.ReplaceAll(r.Command, "|", " "))
		doc.Remarks = append(doc.Remarks, r)
	}
	return nil
}

// fold sorts names, and puts subcommands behind their container: "CLIENT ID
// INFO". A container alone says nothing.
func fold(names []string) []string {
	slices.Sort(names)
	subs := make(map[string][]string)
	for _, name := range names {
		container, sub, isSub := strings.Cut(strings.ToUpper(name), "|")
		if isSub {
			subs[container] = append(subs[container], sub)
		} else if _, ok := subs[container]; !ok {
			subs[container] = nil
		}
	}
	var lines []string
	for container, names := range subs {
		lines = append(lines, strings.Join(append([]string{container}, names...), " "))
	}
	slices.Sort(lines)
	return lines
}

// fillFiles makes the table of results. Files of which the suite itself leaves
// out all with an external server are not in it.
func fillFiles(doc *document) error {
	all, err := loadFigures(resultsFile)
	if err != nil {
		return err
	}
	at := make(map[[2]string]figures)
	var files []string
	for _, f := range all {
		at[[2]string{f.stage, f.file}] = f
		if f.passed+f.known+f.skipped > 0 {
			files = append(files, f.file)
		}
	}
	slices.Sort(files)
	doc.Totals.Cells = make([]figures, len(columns))
	for _, file := range slices.Compact(files) {
		row := fileRow{File: file, Redis: at[[2]string{"redis-server", file}].passed}
		doc.Totals.Redis += row.Redis
		for i, stage := range columns {
			f := at[[2]string{stage, file}]
			row.Cells = append(row.Cells, f)
			doc.Totals.Cells[i].add(f)
		}
		doc.Files = append(doc.Files, row)
	}
	return nil
}

func (f *figures) add(g figures) {
	f.passed += g.passed
	f.known += g.known
	f.skipped += g.skipped
}

// cell shows figures, or that there are none.
func cell(f figures) string {
	if f == (figures{}) {
		return "–"
	}
	return fmt.Sprintf("%d / %d / %d", f.passed, f.known, f.skipped)
}

// code puts a test's name into a cell of a table.
func code(name string) string { return "`" + strings.ReplaceAll(name, "|", `\|`) + "`" }

// fillLists takes over the list of tests.
func fillLists(doc *document) error {
	list, err := loadList(listFile)
	if err != nil {
		return err
	}
	for _, k := range []kind{fails, varies, skipped} {
		some := listing{Kind: k}
		for _, l := range list {
			if l.Kind == k {
				some.Tests = append(some.Tests, l)
			}
		}
		doc.Lists = append(doc.Lists, some)
	}
	return nil
}
