package script

import (
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

// sessionRow finds a command of the session that a script may call all the same, unless the table of data
// commands has it.
func (r *runner) sessionRow(args [][]byte) (*call.Row, bool) {
	for i := range r.session {
		if row := &r.session[i]; isWord(args[0], row.Name) {
			return row, true
		}
	}
	return nil, false
}

// sessionRows returns the commands of the session that scripts call, as far as they can mean something here.
func (r *runner) sessionRows() []call.Row {
	row := func(name string, arity int, flags command.Flags, group command.Group, do func(*call.Call)) call.Row {
		return call.Row{Spec: command.Spec{Name: name, Arity: arity, Flags: flags, Group: group}, Do: do}
	}
	return []call.Row{
		row("ping", -1, command.Fast, command.Connection, ping),
		row("echo", 2, command.Fast, command.Connection, func(c *call.Call) { c.Out.Bulk(c.Args[1]) }),
		row("select", 2, command.Fast, command.Connection, r.selectDB),
		row("time", 1, command.Fast, command.Server, now),
		row("debug", -2, command.Admin|command.NoScript, command.Server, debugReply),
	}
}

// SessionSpecs describes the commands that are the session's and that scripts may call.
func (e *Engine) SessionSpecs() []*command.Spec {
	var specs []*command.Spec
	for _, row := range (&runner{}).sessionRows() {
		specs = append(specs, &row.Spec)
	}
	return specs
}

// debugReply implements what of DEBUG scripts may be let do, to see what they make of
// replies. Time stands still in a script: SLEEP is over at once.
func debugReply(c *call.Call) {
	switch {
	case len(c.Args) == 3 && c.Is(1, "SLEEP"):
		c.Out.OK()
	case len(c.Args) == 3 && c.Is(1, "PROTOCOL") && c.Out.Sample(strings.ToLower(string(c.Args[2]))):
	default:
		c.Fail(reply.ErrSyntax)
	}
}

func ping(c *call.Call) {
	switch len(c.Args) {
	case 1:
		c.Out.Status("PONG")
	case 2:
		c.Out.Bulk(c.Args[1])
	default:
		c.Fail(reply.WrongArgs("ping"))
	}
}

// selectDB chooses the database of the commands that follow in the script.
func (r *runner) selectDB(c *call.Call) {
	n, err := call.ParseDB(c.Args[1], c.Keyspace.Databases())
	if err != "" {
		c.Fail(err)
		return
	}
	r.nested.DB = c.Keyspace.DB(n)
	c.Out.OK()
}

// now replies with the log clock: the same on every node.
func now(c *call.Call) {
	c.Out.Array(2)
	c.Out.BulkInt(c.Now / 1000)
	c.Out.BulkInt(c.Now % 1000 * 1000)
}
