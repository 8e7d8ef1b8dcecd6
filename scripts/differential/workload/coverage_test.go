package workload

import (
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/scripts/differential/grammar"
)

// notDrawn are the data commands that no row draws, and why.
var notDrawn = map[string]string{
	"hexpire":      newer,
	"hexpireat":    newer,
	"hexpiretime":  newer,
	"hpersist":     newer,
	"hpexpire":     newer,
	"hpexpireat":   newer,
	"hpexpiretime": newer,
	"hpttl":        newer,
	"httl":         newer,
	"acl|deluser":  users,
	"acl|setuser":  users,
	"script|debug": "there is no debugger here",
}

// users are compared by conversations and transcripts: FLUSHALL does not take them away.
const users = "it would outlive the epoch"

const newer = "redis-server 7.0 does not have it"

// Every data command is drawn, or there is a reason.
func TestEveryDataCommandIsDrawn(t *testing.T) {
	drawn := make(map[string]bool)
	for i := range rows {
		c, err := grammar.Parse(rows[i].Grammar)
		if err != nil {
			t.Fatal(err)
		}
		drawn[c.Name] = true
	}
	table := engine.New(engine.Options{}).Table()
	names := table.Names()
	for _, name := range names {
		container := slices.ContainsFunc(names, func(other string) bool { return strings.HasPrefix(other, name+"|") })
		switch why := notDrawn[name]; {
		case drawn[name] && why != "":
			t.Errorf("%s is drawn, though it is in the list of those that are not: %s", name, why)
		case !drawn[name] && why == "" && !container:
			t.Errorf("%s is drawn by no row", name)
		}
	}
}
