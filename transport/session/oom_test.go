package session_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
)

// press has memory be short, as an entry of the log tells.
func (n *node) press() {
	n.engine.Apply(func(s *engine.Step) { s.Press() })
}

// What would be refused by the log is refused at the door while it is known to be so.
func TestMemoryIsShortAtTheDoor(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	const still = "CLIENT GETNAME" // waits until nothing is in flight, behind which the door is open
	c.expect(lines("SET k v", still), "+OK", "$-1")
	n.press()
	oom := "-OOM command not allowed when used memory > 'maxmemory'."
	c.expect(lines("SET k w", "GET k", "DECR n", "EVAL 'return 1' 0", still), oom, "$1 v", oom, ":1", "$-1")
	n.press() // EVAL may have made room
	c.send("EVAL \"#!lua\nreturn 1\" 0", "EVAL \"#!lua flags=allow-oom\nreturn 2\" 0")
	if got := strings.Join(c.replies(2), " "); got != oom+" :2" {
		t.Errorf("scripts that say something of themselves: %q", got)
	}
	c.expect(lines(still), "$-1")
	n.press()
	c.expect(lines("FLUSHALL", "SET a 1"), "+OK", "+OK") // there may be room behind it
	c.expect(lines(still), "$-1")
	n.press()
	abort := "-EXECABORT Transaction discarded because of previous errors."
	c.expect(lines("MULTI", "GET k", "EXEC"), "+OK", oom, abort)
	c.expect(lines("MULTI", "DISCARD"), "+OK", "+OK")
	if text := n.server.Info("commandstats"); !strings.Contains(text, "cmdstat_decr:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0") {
		t.Error(text)
	}
}

// EXEC is refused for a command that was queued before memory was short.
func TestMemoryIsShortAtExec(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("MULTI", "SET k v", "GET k"), "+OK", "+QUEUED", "+QUEUED")
	n.press()
	c.expect(lines("EXEC"), "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.")
	n.engine.Apply(func(s *engine.Step) { s.Entry(1, 1) })
	c.expect(lines("MULTI", "GET k", "EXEC"), "+OK", "+QUEUED", "*1 $-1")
}
