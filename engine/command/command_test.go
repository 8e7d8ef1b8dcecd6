package command_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/command"
)

func args(line string) [][]byte {
	var a [][]byte
	for _, w := range strings.Fields(line) {
		a = append(a, []byte(w))
	}
	return a
}

func TestAppendKeys(t *testing.T) {
	const ro, rw = command.RO, command.RW
	streams := command.KeySpec{Flags: ro, Keyword: "STREAMS", Index: 1, Last: -1, Step: 1, Limit: 2}
	for _, c := range []struct {
		name, line, want string
		keys             []command.KeySpec
	}{
		{"one", "GET a", "1", command.One(ro)},
		{"all", "DEL a b c", "1 2 3", command.All(ro)},
		{"all but the last", "BLPOP a b 0", "1 2", []command.KeySpec{command.Range(rw, 1, -2, 1)}},
		{"every other", "MSET a 1 b 2", "1 3", []command.KeySpec{command.Range(rw, 1, -1, 2)}},
		{"counted", "ZUNION 2 a b WITHSCORES", "2 3", []command.KeySpec{command.Counted(ro, 1)}},
		{"counted after another", "ZUNIONSTORE d 2 a b", "1 3 4", []command.KeySpec{command.Range(rw, 1, 0, 1), command.Counted(ro, 2)}},
		{"counted none", "EVAL s 0 x", "", []command.KeySpec{command.Counted(ro, 2)}},
		{"counted too many", "ZUNION 3 a b", "invalid", []command.KeySpec{command.Counted(ro, 1)}},
		{"counted by no number", "ZUNION x a b", "invalid", []command.KeySpec{command.Counted(ro, 1)}},
		{"counted by a huge number", "ZUNION 9223372036854775807 a b", "invalid", []command.KeySpec{command.Counted(ro, 1)}},
		{"counted below nothing", "ZUNION -1 a b", "invalid", []command.KeySpec{command.Counted(ro, 1)}},
		{"half of what follows a keyword", "XREAD COUNT 1 streams a b 0 0", "4 5", []command.KeySpec{streams}},
		{"keyword missing", "XREAD COUNT 1 a 0", "", []command.KeySpec{streams}},
		{"keyword last", "XREAD COUNT 1 STREAMS", "", []command.KeySpec{streams}},
		{"keyword from the end", "MIGRATE h 1 - 0 5 KEYS a b", "7 8", []command.KeySpec{{Flags: rw, Keyword: "KEYS", Index: -2, Last: -1, Step: 1}}},
		{"too short", "GET", "invalid", command.One(ro)},
		{"not keys", "SSUBSCRIBE a", "", []command.KeySpec{command.Range(command.NotKey, 1, -1, 1)}},
		{"unknown", "SORT a BY b", "1", []command.KeySpec{command.Range(ro, 1, 0, 1), {Flags: ro}}},
		{"found by code", "SORT a STORE b", "3", []command.KeySpec{{Flags: rw, Find: func(a [][]byte) int { return len(a) - 1 }}}},
	} {
		spec := command.Spec{Keys: c.keys}
		keys, err := spec.AppendKeys(nil, args(c.line))
		var got []string
		for _, k := range keys {
			got = append(got, fmt.Sprint(k.Index))
		}
		if errors.Is(err, command.ErrKeys) {
			got = []string{"invalid"}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s: got %v, want %s", c.name, c.line, got, c.want)
		}
	}
}

func TestNarrowTellsWhatThisCallDoes(t *testing.T) {
	spec := command.Spec{Keys: command.One(command.RW | command.VariableFlags)}
	spec.Keys[0].Narrow = func(a [][]byte) command.KeyFlags { return command.OW }
	keys, err := spec.AppendKeys(nil, args("SET k v"))
	if err != nil || len(keys) != 1 || keys[0].Flags != command.OW {
		t.Errorf("got %v, %v", keys, err)
	}
}

func TestCategories(t *testing.T) {
	for _, c := range []struct {
		spec command.Spec
		want string
	}{
		{command.Spec{Group: command.String, Flags: command.ReadOnly | command.Fast}, "read string fast"},
		{command.Spec{Group: command.Scripting, Flags: command.ReadOnly}, "slow scripting"},
		{command.Spec{Group: command.Server, Flags: command.Admin}, "admin slow dangerous"},
		{command.Spec{Group: command.Generic, Categories: command.NoGroup | command.CatConnection}, "slow connection"},
		{command.NewContainer("xinfo", command.Stream), "slow"},
	} {
		if got := strings.Join(c.spec.AllCategories().Names(), " "); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.spec, got, c.want)
		}
	}
}

func TestCategoryNamesRoundTrip(t *testing.T) {
	for i := range 21 {
		c := command.Category(1) << i
		names := c.Names()
		if len(names) != 1 {
			t.Fatalf("category %d has the names %q", i, names)
		}
		if got, ok := command.ParseCategory(names[0]); !ok || got != c {
			t.Errorf("%s: got %v, %t", names[0], got, ok)
		}
	}
	if _, ok := command.ParseCategory("all"); ok {
		t.Error("all is no single category")
	}
}

func testTable() *command.Table[*command.Spec] {
	config := command.NewContainer("config", command.Server)
	return command.NewTable([]*command.Spec{
		{Name: "get", Arity: 2}, &config, {Name: "config|set", Arity: -4}, {Name: "config|get", Arity: -3},
	}, func(s *command.Spec) *command.Spec { return s })
}

func TestTableFinds(t *testing.T) {
	table := testTable()
	for line, want := range map[string]string{
		"get k": "get", "GeT": "get", "config": "config", "CONFIG Get x": "config|get",
		"config nosuch": "", "nosuch": "", "config|get x": "", strings.Repeat("x", 300): "",
		"config " + strings.Repeat("x", 300): "",
	} {
		spec, container, ok := table.Find(args(line))
		if ok != (want != "") || ok && spec.Name != want {
			t.Errorf("%.40s: got %v, %t; want %s", line, spec, ok, want)
		}
		if missing := !ok && strings.HasPrefix(line, "config "); missing != (container == "config") {
			t.Errorf("%.40s: container %q", line, container)
		}
	}
	if got := table.Subcommands("config"); !slices.Equal(got, []string{"config|get", "config|set"}) {
		t.Errorf("subcommands %q", got)
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	table, line := testTable(), args("CONFIG GET x")
	if n := testing.AllocsPerRun(100, func() { table.Find(line) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTwoRowsOfOneNamePanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	command.NewTable([]*command.Spec{{Name: "get"}, {Name: "get"}}, func(s *command.Spec) *command.Spec { return s })
}
