package engine

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/command/commandtest"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/transcript"
	"github.com/quorate/quorate/engine/types/hash"
	"github.com/quorate/quorate/engine/types/seed"
)

const rulesFile = "testdata/semantic.txt"

// rules is what is written down of the commands and options of each semantic version.
type rules struct {
	settled semantic.Version            // up to it all are listed, and no more may come
	listed  map[string]semantic.Version // "zrank", "zrank WITHSCORE"
}

func readRules(t *testing.T) rules {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	r := rules{listed: make(map[string]semantic.Version)}
	for line := range strings.Lines(string(text)) {
		var version semantic.Version
		first, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case first == "#":
		case first == "settled":
			_, err = fmt.Sscan(rest, &r.settled)
		default:
			_, err = fmt.Sscan(first, &version)
			r.listed[rest] = version
		}
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return r
}

func (r *rules) write(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	fmt.Fprintf(&out, "# What nodes of a cluster of each semantic version know: commands, and their options.\n"+
		"# go test ./engine -run EveryCommand -rewrite settles the versions of a release.\nsettled %d\n", r.settled)
	names := slices.Collect(maps.Keys(r.listed))
	slices.SortFunc(names, func(a, b string) int {
		if va, vb := r.listed[a], r.listed[b]; va != vb {
			return int(va) - int(vb)
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		fmt.Fprintf(&out, "%d %s\n", r.listed[name], name)
	}
	if err := os.WriteFile(rulesFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Releases that are settled know the commands and options of their versions and no
// others, so what comes later must say that it does.
func TestEveryCommandHasItsSemanticVersion(t *testing.T) {
	r, known := readRules(t), make(map[string]bool)
	for _, row := range pointers(tableRows(New(Options{}))) {
		came := max(row.Semantic, semantic.First)
		known[row.Name] = true
		was, listed := r.listed[row.Name]
		switch {
		case came > semantic.Max:
			t.Errorf("%s came with version %d, but semantic.Max is %d", row.Name, came, semantic.Max)
		case listed && was != came:
			t.Errorf("%s came with version %d, and now its row says %d", row.Name, was, came)
		case !listed && came <= r.settled:
			t.Errorf("%s: nodes of version %d do not know it. Its row must have a Semantic above %d: see package semantic", row.Name, came, r.settled)
		}
		doc, _ := command.DocOf(row.Name)
		for _, option := range commandtest.Options(doc.Arguments) {
			option = row.Name + " " + option
			known[option] = true
			if _, ok := r.listed[option]; ok || !listed {
				continue
			}
			t.Errorf("%s: nodes of version %d do not know it. Its function must ask call.TooNew, and %s must list its version, above %d", option, r.settled, rulesFile, r.settled)
		}
	}
	for name := range r.listed {
		if !known[name] {
			t.Errorf("%s was known to version %d, and is gone", name, r.listed[name])
		}
	}
	if transcript.Rewrite() && !t.Failed() {
		r.settle(t)
	}
}

// settle lists all that there is.
func (r *rules) settle(t *testing.T) {
	t.Helper()
	for _, row := range pointers(tableRows(New(Options{}))) {
		came := max(row.Semantic, semantic.First)
		r.listed[row.Name] = came
		doc, _ := command.DocOf(row.Name)
		for _, option := range commandtest.Options(doc.Arguments) {
			if _, ok := r.listed[row.Name+" "+option]; !ok {
				r.listed[row.Name+" "+option] = came
			}
		}
	}
	r.settled = semantic.Max
	r.write(t)
}

func tableRows(e *Engine) []call.Row {
	var rows []call.Row
	for _, name := range e.Table().Names() {
		row, _ := e.Table().Lookup(name)
		rows = append(rows, *row)
	}
	return rows
}

// at returns an engine by the rules of a version, and what carries out a command on it.
func at(v semantic.Version) func(line string) string {
	e := New(Options{})
	e.Apply(func(s *Step) { s.Follow(v) })
	return func(line string) string {
		out := reply.NewWriter(reply.RESP2, nil)
		e.Apply(func(s *Step) { s.Do(0, words(strings.Fields(line)...), false, out) })
		return strings.TrimSpace(string(out.Bytes()))
	}
}

// What a command is to a node whose version it came after.
func TestACommandIsUnknownBeforeItsVersion(t *testing.T) {
	for _, row := range tableRows(New(Options{})) {
		if row.Semantic <= semantic.First {
			continue
		}
		do, line := at(row.Semantic-1), strings.ReplaceAll(row.Name, "|", " ")
		if got := do(line); !strings.HasPrefix(got, "-ERR unknown ") {
			t.Errorf("%s: %s", line, got)
		}
		script := "EVAL return{redis.pcall(unpack(ARGV)).err} 0 " + line
		want := reply.ErrScriptUnknown
		switch {
		case strings.HasPrefix(row.Name, "acl|"), row.Flags.Has(command.Blocking | command.NoScript):
			want = reply.ErrScriptArity // the name was known, and kept from scripts
		}
		if got := do(script); !strings.HasSuffix(got, string(want)) {
			t.Errorf("%s in a script: %s", line, got)
		}
	}
}

// A client is told why an option is refused; a script gets what it always got.
func TestAnOptionIsRefusedBeforeItsVersion(t *testing.T) {
	for _, c := range []struct {
		came            semantic.Version
		line            string
		script, settled string
	}{
		{semantic.Geo, "ZRANK z m WITHSCORE", "Wrong number of args calling Redis command from script", "*2\r\n:0\r\n$1\r\n1"},
		{semantic.Geo, "ZREVRANK z m WITHSCORE", "Wrong number of args calling Redis command from script", "*2\r\n:0\r\n$1\r\n1"},
		{semantic.Geo, "HSCAN h 0 NOVALUES", "syntax error", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nf"},
		{semantic.Geo, "XREAD STREAMS x +", "Invalid stream ID specified as stream command argument", "*-1"},
		{semantic.Geo, "XREADGROUP GROUP g c STREAMS x +", "Invalid stream ID specified as stream command argument", ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			for _, v := range []semantic.Version{c.came - 1, c.came} {
				do := at(v)
				for _, setup := range []string{"ZADD z 1 m", "HSET h f v", "XGROUP CREATE x g $ MKSTREAM"} {
					do(setup)
				}
				direct, script := do(c.line), do("EVAL return{redis.pcall(unpack(ARGV)).err} 0 "+c.line)
				switch {
				case v < c.came:
					want := string(reply.TooNew("this form of the command", c.came, v))
					if direct != "-"+want || !strings.HasSuffix(script, "\nERR "+c.script) {
						t.Errorf("%s; in a script %q", direct, script)
					}
				case c.settled != "" && direct != c.settled, strings.HasPrefix(script, c.script):
					t.Errorf("at its version: %q; in a script %q", direct, script)
				}
			}
		})
	}
}

// A payload of a hash whose fields expire is no data for older releases.
func TestFieldTimesAreNotRestoredBeforeTheirVersion(t *testing.T) {
	h := hash.New(seed.Seed{}, nil)
	h.SetUntil([]byte("f"), []byte("v"), hash.ExpiryMax, hash.Limits{Entries: 9, Value: 9})
	v := keyspace.HashValue(&h)
	payload := string(new(rdb.Dumper).Append(nil, &v))
	for _, c := range []struct {
		version semantic.Version
		command []string
		want    string
	}{
		{semantic.Fields - 1, []string{"RESTORE", "r", "0", payload}, "-" + string(reply.TooNew("this form of the command", semantic.Fields, semantic.Fields-1)) + "\r\n"},
		{semantic.Fields - 1, []string{"EVAL", "return redis.call(unpack(ARGV))", "0", "RESTORE", "r", "0", payload}, "-ERR Bad data format"},
		{semantic.Fields, []string{"RESTORE", "r", "0", payload}, "+OK\r\n"},
	} {
		e := New(Options{})
		out := reply.NewWriter(reply.RESP2, nil)
		e.Apply(func(s *Step) {
			s.Follow(c.version)
			s.Do(0, words(c.command...), false, out)
		})
		if got := string(out.Bytes()); !strings.HasPrefix(got, c.want) {
			t.Errorf("version %d: %q, want %q", c.version, got, c.want)
		}
	}
}

// A setting that came with a later version is refused, and no snapshot tells of it.
func TestASettingIsUnknownBeforeItsVersion(t *testing.T) {
	const name = "hll-sparse-max-bytes"
	was := settings[name]
	defer func() { settings[name] = was }()
	later := was
	later.came = semantic.Chain
	settings[name] = later
	e := New(Options{})
	for _, v := range []semantic.Version{semantic.First, semantic.Chain} {
		var err error
		e.Apply(func(s *Step) {
			s.Follow(v)
			err = s.Set(words(name, "100"))
		})
		known := slices.Contains(settingNames(v), name)
		if want := v == semantic.Chain; (err == nil) != want || known != want {
			t.Errorf("version %d: %v; in snapshots: %v", v, err, known)
		}
	}
}
