package commandtest

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
)

// With -oracle the golden file is compared with redis-server, and with
// -rewrite made anew.
func TestGoldenIsWhatTheOracleSays(t *testing.T) {
	if !transcript.Oracle() {
		t.Skip("needs redis-server: run with -oracle")
	}
	var lines []string
	for _, v := range transcript.Ask(t, "COMMAND").Elems {
		lines = append(lines, describe(v))
		for _, sub := range v.Elems[9].Elems {
			lines = append(lines, describe(sub))
		}
	}
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n"
	if transcript.Rewrite() {
		if err := os.WriteFile("testdata/command_info.golden", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != golden {
		t.Error("testdata/command_info.golden differs from the server; see the change with -rewrite")
	}
}

func TestDescribeTellsAllButNotes(t *testing.T) {
	spec := &command.Spec{
		Name: "sort", Arity: -2, Group: command.Generic, Flags: command.Write | command.DenyOOM,
		Categories: command.NoGroup | command.CatList, Tips: []string{"tip"},
		Keys: []command.KeySpec{
			command.Range(command.RO|command.Access, 1, 0, 1),
			{Flags: command.OW | command.Update, Notes: "anywhere"},
			command.Counted(command.RO, 2),
			{Flags: command.RO, Keyword: "STREAMS", Index: 4, Last: -1, Step: 1, Limit: 2},
		},
	}
	table := command.NewTable([]*command.Spec{spec}, func(s *command.Spec) *command.Spec { return s })
	out := reply.NewWriter(reply.RESP3, nil)
	table.WriteInfo(out, "sort")
	v, rest, err := reply.Read(out.Bytes())
	if err != nil || len(rest) > 0 {
		t.Fatalf("%q: %v", out.Bytes(), err)
	}
	want := "sort arity=-2 flags=write,denyoom,movablekeys keys=1,1,1 acl=@write,@list,@slow tips=tip " +
		"spec=(RO,access;(index;(1));(range;(0;1;0))) spec=(OW,update;(unknown;());(unknown;())) " +
		"spec=(RO;(index;(2));(keynum;(0;1;1))) spec=(RO;(keyword;(streams;4));(range;(-1;1;2)))"
	if got := describe(v); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// With -oracle the facts in docs.json are compared with redis-server's.
func TestDocsAgreeWithOracle(t *testing.T) {
	if !transcript.Oracle() {
		t.Skip("needs redis-server: run with -oracle")
	}
	documented := 0
	var compare func(name string, theirs reply.Value)
	compare = func(name string, theirs reply.Value) {
		if subs, ok := field(theirs, "subcommands"); ok {
			for i := 0; i < len(subs.Elems); i += 2 {
				compare(string(subs.Elems[i].Text), subs.Elems[i+1])
			}
		}
		if _, ok := command.DocOf(name); !ok || slices.Contains(later, name) || slices.Contains(laterOptions, name) {
			return
		}
		documented++
		spec := &command.Spec{Name: name}
		table := command.NewTable([]*command.Spec{spec}, func(s *command.Spec) *command.Spec { return s })
		out := reply.NewWriter(reply.RESP3, nil)
		table.WriteDocs(out, name)
		_, rest, err := reply.Read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		ours, _, err := reply.Read(rest)
		if err != nil {
			t.Fatal(err)
		}
		for _, fact := range []string{"since", "deprecated_since", "arguments"} {
			got, _ := field(ours, fact)
			want, _ := field(theirs, fact)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s differ: got %v, want %v", name, fact, got, want)
			}
		}
		if got, want := versions(ours), versions(theirs); !slices.Equal(got, want) {
			t.Errorf("%s: history of %v, want %v", name, got, want)
		}
	}
	all := transcript.Ask(t, "COMMAND", "DOCS").Elems
	for i := 0; i < len(all); i += 2 {
		compare(string(all[i].Text), all[i+1])
	}
	if documented < 300 {
		t.Errorf("only %d commands are documented", documented)
	}
}

// versions returns those of a command's history. What it tells of them is in other words.
func versions(docs reply.Value) (all []string) {
	history, _ := field(docs, "history")
	for _, change := range history.Elems {
		all = append(all, string(change.Elems[0].Text))
	}
	return all
}

// field returns a value of a map.
func field(v reply.Value, name string) (reply.Value, bool) {
	for i := 0; i < len(v.Elems); i += 2 {
		if string(v.Elems[i].Text) == name {
			return v.Elems[i+1], true
		}
	}
	return reply.Value{}, false
}
