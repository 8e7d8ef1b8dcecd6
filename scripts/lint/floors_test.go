// Package lint holds checks of the whole tree that no linter knows.
package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/quorate/quorate/"

// floors lists the packages from the ground up. A package may import only
// packages of floors below its own, or those in its own folder. The longest
// matching prefix decides.
var floors = []struct {
	prefix string
	floor  int
}{
	{"engine/command", 0},
	{"engine/command/commandtest", 1},
	{"engine/reply", 0},
	{"engine/glob", -1},   // so small and so settled that the ground floor may use it
	{"engine/fields", -1}, // as well
	{"engine/semantic", -1},
	{"engine/words", -1},
	{"engine/lua", 0},
	{"engine/heat", 0},
	{"engine/types", 0},
	{"fsm/entry", 0},
	{"transport/config", 0},
	{"transport/observe", 0},
	{"transport/peer", 0},
	{"cluster/discovery", 0},
	{"cluster/raftlog", 0},
	{"cluster/rdbsnap", 0},
	{"cluster/wire", 0},
	{"engine/keyspace", 1},
	{"engine/acl", 1},
	{"engine/transcript", 1},
	{"engine/waiting", 2},
	{"engine/call", 2},
	{"engine/rdb", 3},
	{"engine/commands", 4},
	{"engine/script", 4},
	{"engine", 5},
	{"fsm", 6},
	{"transport/pubsub", 6},
	{"cluster", 7},
	{"cluster/simulation", 8},
	{"transport/session", 7},
	{"transport/session/sessiontest", 8},
	{"transport/psync", 6},
	{"transport/resp", 8},
	{"transport/admin", 8},
	{"cmd", 9},
	{"scripts", 9},
}

// families lists folders whose packages may import each other on one floor;
// the compiler sees to it that they do so one way only.
var families = []string{
	"engine/types/",         // a set is made of listpacks and trees
	"cmd/chaos/",            // the harness is one command in several parts
	"scripts/differential/", // as is this
}

// never lists pairs that must not meet even though their floors would allow it.
var never = []struct{ from, to, except string }{
	{"transport", "cluster", ""},                   // a session talks to an interface of its own
	{"cluster", "transport", "transport/peer"},     // peers deliver through callbacks; the port is shared
	{"engine", "fsm", ""},                          // the engine has not heard of a log
	{"engine", "github.com/hashicorp/", ""},        // nor of raft
	{"fsm", "github.com/hashicorp/memberlist", ""}, // gossip is not state
}

func TestImportsGoDown(t *testing.T) {
	eachImport(t, func(from, imp string) {
		if complaint := check(from, imp); complaint != "" {
			t.Error(complaint)
		}
	})
}

// eachImport calls f for every import of every package of the module.
func eachImport(t *testing.T, f func(from, imp string)) {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for _, imp := range p.Imports {
			f(strings.TrimPrefix(p.ImportPath, module), imp)
		}
	}
}

// check returns what is wrong with a package of ours importing imp, or "".
func check(from, imp string) string {
	floor, ok := floorOf(from)
	if !ok {
		return from + " has no floor; add it to the list"
	}
	to, ours := strings.CutPrefix(imp, module)
	for _, n := range never {
		if under(from, n.from) && under(to, n.to) && (n.except == "" || !under(to, n.except)) {
			return from + " must not import " + to
		}
	}
	if !ours || under(to, from) {
		return ""
	}
	for _, family := range families {
		if strings.HasPrefix(from, family) && strings.HasPrefix(to, family) {
			return ""
		}
	}
	if below, ok := floorOf(to); !ok || below >= floor {
		return from + " imports " + to + ", which is not below it"
	}
	return ""
}

func floorOf(pkg string) (int, bool) {
	best, floor, ok := -1, 0, false
	for _, f := range floors {
		if under(pkg, f.prefix) && len(f.prefix) > best {
			best, floor, ok = len(f.prefix), f.floor, true
		}
	}
	return floor, ok
}

// under reports whether pkg is folder or lies in it.
func under(pkg, folder string) bool {
	rest, ok := strings.CutPrefix(pkg, strings.TrimSuffix(folder, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

func TestCheckFindsWhatGoesUp(t *testing.T) {
	for _, c := range []struct {
		from, imp string
		allowed   bool
	}{
		{"engine/call", module + "engine/keyspace", true},
		{"engine/keyspace", module + "engine/call", false},
		{"engine/types/zset", module + "engine/types/tree", true},
		{"engine/command", module + "engine/reply", false},
		{"engine/commands", module + "engine/command", true},
		{"engine/nowhere", "fmt", true}, // the folder engine decides
		{"nowhere", "fmt", false},
		{"cluster", module + "transport/peer", true},
		{"cluster", module + "transport/session", false},
		{"transport/session", module + "cluster", false},
		{"engine", "github.com/hashicorp/raft", false},
		{"fsm", "github.com/hashicorp/raft", true},
		{"cmd/quorate", module + "cluster", true},
	} {
		if complaint := check(c.from, c.imp); (complaint == "") != c.allowed {
			t.Errorf("%s -> %s: %q", c.from, c.imp, complaint)
		}
	}
}
