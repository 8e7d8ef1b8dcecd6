package session_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session"
)

func TestRenamedCommands(t *testing.T) {
	n := newNodeWith(t, func(o *session.Options) {
		renames, err := session.NewRenames([]config.Rename{{From: "get", To: "fetch"}, {From: "config", To: "c0nf"}, {From: "flushall"}}, o.Engine.Table())
		if err != nil {
			t.Fatal(err)
		}
		o.Renames = renames
	})
	c := n.client()
	c.expect(lines("SET a 1", "GET a", "Fetch a", "FETCH"), "+OK",
		"-ERR unknown command 'GET', with args beginning with: 'a'", "$1 1", "-ERR wrong number of arguments for 'get' command")
	c.expect(lines("FLUSHALL", "MULTI", "FETCH a", "SET a 2", "EXEC"),
		"-ERR unknown command 'FLUSHALL', with args beginning with:", "+OK", "+QUEUED", "+QUEUED", "*2 $1 1 +OK")
	c.expect(lines("CONFIG GET timeout", "C0NF GET timeout"),
		"-ERR unknown command 'CONFIG', with args beginning with: 'GET' 'timeout'", "*2 $7 timeout $1 0")
	c.expect(lines("COMMAND INFO get flushall", "COMMAND GETKEYS fetch a"), "*2 $-1 $-1", "*1 $1 a")
	c.send("COMMAND INFO fetch")
	if got := c.replies(1)[0]; !strings.HasPrefix(got, "*1 *10 $3 get") {
		t.Errorf("COMMAND INFO of the new name: %q", got)
	}
	// Scripts run on all nodes, so they know commands by their own names.
	c.expect(lines("EVAL \"return redis.call('get', 'a')\" 0"), "$1 2")
}

func TestRenamesAreChecked(t *testing.T) {
	data := engine.New(engine.Options{}).Table()
	for want, pairs := range map[string][]config.Rename{
		`there is no command "nope"`:        {{From: "nope", To: "x"}},
		`there is a command "ping" already`: {{From: "get", To: "ping"}},
		`there is a command "x" already`:    {{From: "get", To: "x"}, {From: "set", To: "x"}},
		`"get" is renamed twice`:            {{From: "get", To: "x"}, {From: "get", To: "y"}},
		`there is no command "config|get"`:  {{From: "config|get", To: "x"}},
	} {
		if _, err := session.NewRenames(pairs, data); err == nil || err.Error() != "rename-command: "+want {
			t.Errorf("%v: %v, want %s", pairs, err, want)
		}
	}
}
