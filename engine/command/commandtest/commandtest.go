// Package commandtest looks at descriptions of commands: it compares them with the
// facts that redis-server 7.0.15 tells of its own.
package commandtest

import (
	"bufio"
	_ "embed" // for the facts
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

// golden holds what COMMAND INFO says of every command and subcommand, one a
// line, as describe puts it. The package's test makes it.
//
//go:embed testdata/command_info.golden
var golden string

// later names the commands that redis-server 7.0 does not know, or describes
// otherwise, because they are of a later version: 7.2, 7.4, CLIENT CAPA of 8.0.
var later = []string{
	"client|capa", "client|no-touch", "client|setinfo", "waitaof", "zrank", "zrevrank",
	"hexpire", "hexpireat", "hexpiretime", "hpersist", "hpexpire", "hpexpireat", "hpexpiretime", "hpttl", "httl",
}

// laterOptions names the commands of which a later version documents more options.
var laterOptions = []string{"client|kill", "hscan"}

// Check fails t for every command in the table that has no documentation, and
// for every one that COMMAND INFO would show otherwise than redis-server does;
// notes on keys are not compared. ours names the commands that no redis-server
// knows.
func Check[T any](t *testing.T, table *command.Table[T], ours ...string) {
	t.Helper()
	known := parse()
	for _, name := range table.Names() {
		if _, ok := command.DocOf(name); !ok {
			t.Errorf("%s: not in docs.json", name)
		}
		if slices.Contains(later, name) || slices.Contains(ours, name) {
			continue
		}
		out := reply.NewWriter(reply.RESP3, nil)
		table.WriteInfo(out, name)
		v, _, err := reply.Read(out.Bytes())
		if err != nil {
			t.Fatalf("%s: COMMAND INFO writes %q: %v", name, out.Bytes(), err)
		}
		want, ok := known[name]
		if !ok {
			t.Errorf("%s: redis-server knows no such command", name)
			continue
		}
		if got := describe(v); got != want {
			t.Errorf("COMMAND INFO differs\nhave %s\nwant %s", got, want)
		}
	}
}

// Names returns the commands and subcommands of redis-server, sorted.
func Names() []string { return slices.Sorted(maps.Keys(parse())) }

// parse returns the lines of golden by command.
func parse() map[string]string {
	lines := make(map[string]string)
	for scanner := bufio.NewScanner(strings.NewReader(golden)); scanner.Scan(); {
		name, _, _ := strings.Cut(scanner.Text(), " ")
		lines[name] = scanner.Text()
	}
	return lines
}

// describe puts what COMMAND INFO says of a command into one line.
func describe(v reply.Value) string {
	e := v.Elems
	s := fmt.Sprintf("%s arity=%d flags=%s keys=%d,%d,%d acl=%s", e[0].Text, e[1].Int, join(e[2]),
		e[3].Int, e[4].Int, e[5].Int, join(e[6]))
	if len(e[7].Elems) > 0 {
		s += " tips=" + join(e[7])
	}
	for _, spec := range e[8].Elems {
		s += " spec=" + describeSpec(spec)
	}
	return s
}

// describeSpec puts a key specification into one word; notes are left out.
func describeSpec(v reply.Value) string {
	if v.Kind != reply.KindMap {
		return strings.ToLower(string(v.Text)) + number(v)
	}
	var parts []string
	for i := 0; i < len(v.Elems); i += 2 {
		key, value := v.Elems[i], v.Elems[i+1]
		switch {
		case string(key.Text) == "notes":
			continue
		case value.Kind == reply.KindSet:
			parts = append(parts, join(value))
		default:
			parts = append(parts, describeSpec(value))
		}
	}
	return "(" + strings.Join(parts, ";") + ")"
}

func number(v reply.Value) string {
	if v.Kind != reply.KindInt {
		return ""
	}
	return fmt.Sprint(v.Int)
}

func join(v reply.Value) string {
	var words []string
	for _, e := range v.Elems {
		words = append(words, string(e.Text))
	}
	return strings.Join(words, ",")
}

// Options returns the words that set arguments apart, those of groups included.
func Options(args []command.Argument) []string {
	var tokens []string
	for _, a := range args {
		if a.Token != "" {
			tokens = append(tokens, a.Token)
		}
		tokens = append(tokens, Options(a.Arguments)...)
	}
	return tokens
}
