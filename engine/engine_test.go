package engine

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/keyspace"
	"github.com/quorate/quorate/engine/reply"
)

func args(line string) [][]byte { return bytes.Fields([]byte(line)) }

// apply carries out commands as one log entry, and returns their replies.
func apply(e *Engine, index uint64, stampMs int64, commands ...string) string {
	out := reply.NewWriter(reply.RESP2, nil)
	e.Apply(func(s *Step) {
		s.Entry(index, stampMs)
		for _, line := range commands {
			s.Do(0, args(line), false, out)
		}
	})
	return strings.ReplaceAll(string(out.Bytes()), "\r\n", "|")
}

// view carries out commands as reads, and returns their replies.
func view(e *Engine, db int, wallMs int64, commands ...string) string {
	out := reply.NewWriter(reply.RESP2, nil)
	e.View(wallMs, 0, func(v *View) {
		for _, line := range commands {
			v.Do(db, args(line), false, out)
		}
	})
	return strings.ReplaceAll(string(out.Bytes()), "\r\n", "|")
}

func TestCommandsThatAreNotExecuted(t *testing.T) {
	e := New(Options{})
	for _, c := range []struct{ name, got, want string }{
		{"unknown", apply(e, 1, 1, "NOSUCH a"), "-ERR unknown command 'NOSUCH', with args beginning with: 'a' |"},
		{"unknown subcommand", apply(e, 2, 1, "OBJECT NOSUCH"), "-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.|"},
		{"arity", apply(e, 3, 1, "GET"), "-ERR wrong number of arguments for 'get' command|"},
		{"write on the read path", view(e, 0, 1, "SET k v", "GET k"), "-" + string(reply.ErrReadOnlyContext) + "|$-1|"},
		{"no such database", view(e, Databases, 1, "GET k"), "-" + string(reply.ErrDBIndex) + "|"},
		{"negative database", view(e, -1, 1, "GET k"), "-" + string(reply.ErrDBIndex) + "|"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestLogClockNeverGoesBack(t *testing.T) {
	e := New(Options{})
	apply(e, 1, 5000, "SET k v PX 1000")
	if got := apply(e, 2, 3000, "PEXPIRETIME k"); got != ":6000|" || e.Clock() != 5000 {
		t.Errorf("after an older stamp: the key goes at %s, the clock is %d", got, e.Clock())
	}
	if got := view(e, 0, 5400, "PTTL k"); got != ":600|" {
		t.Errorf("TTL counts with the wall clock: got %s", got)
	}
	if got := view(e, 0, 9000, "PTTL k", "GET k"); got != ":0|$1|v|" {
		t.Errorf("due by the wall clock alone: got %s", got)
	}
	if got := apply(e, 3, 6000, "GET k"); got != "$-1|" {
		t.Errorf("due by the log clock: got %s", got)
	}
}

func TestDueKeysAreDeletedWithEvents(t *testing.T) {
	var events []string
	e := New(Options{Publish: func(m Message) { events = append(events, string(m.Channel)+" "+string(m.Text)) }})
	e.Apply(func(s *Step) {
		if err := s.Set(args("notify-keyspace-events Ex")); err != nil {
			t.Fatal(err)
		}
	})
	apply(e, 1, 100, "SET a 1 PX 10", "SET b 1 PX 20", "SET c 1 PX 30")
	if next := e.NextExpiry(); next != 110 {
		t.Errorf("the next key is due at %d", next)
	}
	e.Apply(func(s *Step) {
		s.Entry(2, 125)
		s.ExpireDue(1)
	})
	if got := strings.Join(events, ","); got != "__keyevent@0__:expired a" {
		t.Errorf("of two that are due, one was asked for: got %q", got)
	}
	e.Apply(func(s *Step) {
		s.Entry(3, 200)
		s.ExpireDue(10)
	})
	if got := strings.Join(events, ","); !strings.HasSuffix(got, "expired b,__keyevent@0__:expired c") || e.NextExpiry() != keyspace.NoExpiry {
		t.Errorf("got %q, and %d comes next", got, e.NextExpiry())
	}
}

func TestMessagesGoOutAfterTheLock(t *testing.T) {
	var e *Engine
	var got []string
	e = New(Options{
		Receivers: func([]byte, bool) int { return 7 },
		Publish: func(m Message) {
			e.Clock() // would wait for ever under the lock
			got = append(got, string(m.Text))
		},
	})
	if n := apply(e, 1, 1, "PUBLISH c one", "PUBLISH c two"); n != ":7|:7|" {
		t.Errorf("PUBLISH returned %s", n)
	}
	// A script could make state of it, and nodes hear of subscribers at different times.
	if n := apply(e, 2, 1, "EVAL return(redis.call('publish','c','three')) 0"); n != ":0|" {
		t.Errorf("PUBLISH in a script returned %s", n)
	}
	if strings.Join(got, " ") != "one two three" {
		t.Errorf("delivered %q", got)
	}
}

func TestSettings(t *testing.T) {
	told := 0
	e := New(Options{Settings: func(map[string]string) { told++ }})
	set := func(line string) (err error) {
		e.Apply(func(s *Step) { err = s.Set(args(line)) })
		return err
	}
	if err := set("hash-max-listpack-entries 7 notify-keyspace-events KEA"); err != nil {
		t.Fatal(err)
	}
	if a, b := e.AllSettings()["hash-max-listpack-entries"], e.AllSettings()["notify-keyspace-events"]; a != "7" || b != "AKE" || told != 1 {
		t.Errorf("got %s and %s, told %d times", a, b, told)
	}
	for line, want := range map[string]string{
		"hash-max-listpack-entries 8 nosuch 1":                 "nosuch is not a cluster-wide setting",
		"hash-max-listpack-entries 8 list-max-listpack-size x": "CONFIG SET failed (possibly related to argument 'list-max-listpack-size') - argument must be between -2147483648 and 2147483647 inclusive",
		"hash-max-listpack-entries 8 proto-max-bulk-len 1":     "CONFIG SET failed (possibly related to argument 'proto-max-bulk-len') - argument must be between 1048576 and 536870912 inclusive",
		"hash-max-listpack-entries 8 notify-keyspace-events q": "CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
	} {
		if err := set(line); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", line, err)
		}
		if value, _ := e.Setting("hash-max-listpack-entries"); value != "7" {
			t.Errorf("%s: the good half was set", line)
		}
	}
	if told != 1 {
		t.Errorf("told %d times of what was refused", told)
	}
	if _, ok := e.Setting("nosuch"); ok {
		t.Error("there is a setting that is none")
	}
}

func TestPanicEndsTheCommandAlone(t *testing.T) {
	var logged bytes.Buffer
	e := New(Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	e.table = command.NewTable([]*call.Row{
		{Spec: command.Spec{Name: "boom", Arity: -1, Flags: command.Write}, Do: func(c *call.Call) {
			c.Out.Array(2) // half a reply
			panic("a broken invariant")
		}},
		{Spec: command.Spec{Name: "fine", Arity: 1, Flags: command.Write}, Do: func(c *call.Call) { c.Out.OK() }},
	}, func(r *call.Row) *command.Spec { return &r.Spec })
	if got := apply(e, 1, 1, "FINE", "BOOM "+strings.Repeat("x", 1000), "FINE"); got != "+OK|-"+string(reply.ErrInternal)+"|+OK|" {
		t.Errorf("got %s", got)
	}
	if e.Panics() != 1 || !strings.Contains(logged.String(), "a broken invariant") || strings.Contains(logged.String(), strings.Repeat("x", 65)) {
		t.Errorf("%d panics; logged %s", e.Panics(), logged.String())
	}
}

// What a read misses is told once, by whoever carried it out, and what a change misses by
// every node.
func TestMissedKeysAreTold(t *testing.T) {
	var read, changed []string
	e := New(Options{
		Missed: func(all []Message) {
			for _, m := range all {
				read = append(read, string(m.Channel)+" "+string(m.Text))
			}
		},
		Publish: func(m Message) { changed = append(changed, string(m.Channel)+" "+string(m.Text)) },
	})
	e.Apply(func(s *Step) {
		s.Entry(1, 1)
		if err := s.Set([][]byte{[]byte("notify-keyspace-events"), []byte("Em")}); err != nil {
			t.Fatal(err)
		}
	})
	view(e, 3, 1, "GET viewed")
	e.Apply(func(s *Step) {
		s.Entry(2, 1)
		s.Read(0, args("GET read"), 1, 0, false, reply.NewWriter(reply.RESP2, nil))
		s.Do(0, args("SUNIONSTORE d source"), false, reply.NewWriter(reply.Discard, nil))
	})
	if want := []string{"__keyevent@3__:keymiss viewed", "__keyevent@0__:keymiss read"}; !slices.Equal(read, want) {
		t.Errorf("reads have told %q, want %q", read, want)
	}
	if want := []string{"__keyevent@0__:keymiss source"}; !slices.Equal(changed, want) {
		t.Errorf("changes have told %q, want %q", changed, want)
	}
}
