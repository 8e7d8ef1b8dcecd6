package session_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// fakeTarget is a server that answers every command as its function says, or ends the
// connection where that says "".
type fakeTarget struct {
	host, port string
	commands   chan string // those it got, their payloads left out
}

func newTarget(t *testing.T, answer func(n int, command []string) string) *fakeTarget {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := &fakeTarget{commands: make(chan string, 10000)}
	target.host, target.port, _ = net.SplitHostPort(l.Addr().String())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			target.serve(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return target
}

func (f *fakeTarget) serve(conn net.Conn, answer func(n int, command []string) string) {
	in := bufio.NewReader(conn)
	for n := 0; ; n++ {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		text := answer(n, command)
		if command[0] == "RESTORE" {
			command[3] = "-"
		}
		f.commands <- strings.Join(command, " ")
		if text == "" {
			return
		}
		if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
			return
		}
	}
}

// got returns the commands that came so far.
func (f *fakeTarget) got() string {
	var lines []string
	for len(f.commands) > 0 {
		lines = append(lines, <-f.commands)
	}
	return strings.Join(lines, "; ")
}

func readCommand(in *bufio.Reader) ([]string, error) {
	number := func(kind byte) (int, error) {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line[0] != kind {
			return 0, fmt.Errorf("%q in the place of %c", line, kind)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := number('$')
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

func allOK(int, []string) string { return "+OK" }

// call executes one command and returns its reply.
func (c *client) call(format string, args ...any) string {
	c.t.Helper()
	c.send(fmt.Sprintf(format, args...))
	return c.replies(1)[0]
}

func TestMigrateArguments(t *testing.T) {
	c := newNode(t, nil).client()
	c.expect(lines("SET k v"), "+OK")
	for _, test := range []struct{ args, want string }{
		{"127.0.0.1 1 none 0 100", "+NOKEY"},
		{`127.0.0.1 1 "" 0 100`, "+NOKEY"},
		{`127.0.0.1 1 "" 0 100 KEYS`, "+NOKEY"},
		{`127.0.0.1 1 "" 0 100 KEYS none nor this`, "+NOKEY"},
		{"127.0.0.1 1 k 0 100 KEYS k", "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"},
		{"127.0.0.1 1 k 0 100 AUTH", "-ERR syntax error"},
		{"127.0.0.1 1 k 0 100 AUTH2 a", "-ERR syntax error"},
		{"127.0.0.1 1 k 0 100 NOPE", "-ERR syntax error"},
		{"127.0.0.1 1 k x 100", "-ERR value is not an integer or out of range"},
		{"127.0.0.1 1 k 0 y", "-ERR value is not an integer or out of range"},
		{"127.0.0.1 1 k 0", "-ERR wrong number of arguments for 'migrate' command"},
		{"127.0.0.1 nonsense k 0 100", "-IOERR error or timeout writing to target instance"},
		{"host.invalid 1 k 0 100", "-IOERR error or timeout connecting to the client"},
	} {
		if got := c.call("MIGRATE %s", test.args); got != test.want {
			t.Errorf("%s: got %q, want %q", test.args, got, test.want)
		}
	}
	c.expect(lines("MULTI", "MIGRATE 127.0.0.1 1 k 0 100", "EXEC"), "+OK", "+QUEUED", "*1 -ERR this command waits for the cluster and can't be used inside a transaction")
	c.expect(lines(`COMMAND GETKEYS MIGRATE h p "" 0 1 AUTH keys KEYS keys x`, "COMMAND GETKEYS MIGRATE h p k 0 1 COPY"), "*2 $4 keys $1 x", "*1 $1 k")
	c.expect(lines("COMMAND GETKEYS MIGRATE h p k 0 1 KEYS x"), "-ERR Invalid arguments specified for command")
}

// TestMigrateSpeaks compares what the target gets.
func TestMigrateSpeaks(t *testing.T) {
	c := newNode(t, nil).client()
	target := newTarget(t, allOK)
	c.expect(lines("SET k v", "SET l w PXAT 4000000000000", "SELECT 3", "SET m v"), "+OK", "+OK", "+OK", "+OK")
	for _, test := range []struct{ args, want, commands string }{
		{"m 0 1000 COPY", "+OK", "SELECT 0; RESTORE m 0 -"},
		{"m 7 1000 COPY REPLACE AUTH pw", "+OK", "AUTH pw; SELECT 7; RESTORE m 0 - REPLACE"},
		{`"" 0 -1 COPY AUTH2 u pw KEYS x m m y`, "+OK", "AUTH u pw; SELECT 0; RESTORE m 0 -; RESTORE m 0 -"},
		{"m 0 1000", "+OK", "SELECT 0; RESTORE m 0 -"},
		{"m 0 1000", "+NOKEY", ""},
	} {
		if got := c.call("MIGRATE %s %s %s", target.host, target.port, test.args); got != test.want {
			t.Errorf("%s: got %q, want %q", test.args, got, test.want)
		}
		if got := target.got(); got != test.commands {
			t.Errorf("%s: sent %q, want %q", test.args, got, test.commands)
		}
	}
	c.expect(lines("EXISTS m", "SELECT 0", "EXISTS k"), ":0", "+OK", ":1")
	if got := c.call("MIGRATE %s %s l 0 1000", target.host, target.port); got != "+OK" {
		t.Error(got)
	}
	var ttl int64
	if got := target.got(); !strings.HasPrefix(got, "SELECT 0; RESTORE l ") {
		t.Error(got)
	} else if _, err := fmt.Sscanf(got, "SELECT 0; RESTORE l %d -", &ttl); err != nil || ttl < 1e12 {
		t.Errorf("%q: time to live %d, %v", got, ttl, err)
	}
}

// TestMigrateRefused has a target that refuses, or goes.
func TestMigrateRefused(t *testing.T) {
	refuse := func(word, with string) func(int, []string) string {
		return func(_ int, command []string) string {
			if strings.Contains(strings.Join(command, " ")+" ", word+" ") {
				return with
			}
			return "+OK"
		}
	}
	const busy = "-BUSYKEY Target key name already exists."
	for _, test := range []struct {
		name   string
		answer func(int, []string) string
		want   string
		left   string // of the keys a, b and c
	}{
		{"password", refuse("AUTH", "-WRONGPASS no"), "-ERR Target instance replied with error: WRONGPASS no", "a b c"},
		{"database", refuse("SELECT", "-ERR DB index is out of range"), "-ERR Target instance replied with error: ERR DB index is out of range", "a b c"},
		{"a key", refuse("RESTORE b", busy), "-ERR Target instance replied with error: BUSYKEY Target key name already exists.", "b"},
		{"two keys", refuse("RESTORE", busy), "-ERR Target instance replied with error: BUSYKEY Target key name already exists.", "a b c"},
		{"gone at once", refuse("AUTH", ""), "-IOERR error or timeout reading to target instance", "a b c"},
		{"gone after a key", refuse("RESTORE b", ""), "-IOERR error or timeout reading to target instance", "b c"},
		{"no line", refuse("RESTORE b", strings.Repeat("x", 5000)), "-IOERR error or timeout reading to target instance", "b c"},
		{"an empty line", refuse("RESTORE b", "\r\n"), "-IOERR error or timeout reading to target instance", "b c"},
	} {
		c := newNode(t, nil).client()
		target := newTarget(t, test.answer)
		c.expect(lines("MSET a 1 b 2 c 3"), "+OK")
		if got := c.call(`MIGRATE %s %s "" 0 5000 AUTH pw KEYS a b c`, target.host, target.port); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		var left []string
		for _, key := range []string{"a", "b", "c"} {
			if c.call("EXISTS %s", key) == ":1" {
				left = append(left, key)
			}
		}
		if got := strings.Join(left, " "); got != test.left {
			t.Errorf("%s: %q is left, want %q", test.name, got, test.left)
		}
	}
}

// TestMigrateChanging has another client write to a key between RESTORE and DEL.
func TestMigrateChanging(t *testing.T) {
	n := newNode(t, nil)
	c, other := n.client(), n.client()
	write := func(commands ...string) func(int, []string) string {
		return func(_ int, command []string) string {
			if command[0] == "RESTORE" && command[1] == "k" && len(commands) > 0 {
				other.send(commands[0])
				other.replies(1)
				commands = commands[1:]
			}
			return "+OK"
		}
	}
	again := []string{"INCR k", "INCR k", "INCR k", "INCR k", "INCR k"}
	for _, test := range []struct {
		name     string
		during   []string
		want     string
		commands string
		left     string
	}{
		{"twice", again[:2], "+OK", "SELECT 0; RESTORE k 0 -; RESTORE j 0 -; RESTORE k 0 - REPLACE; RESTORE k 0 - REPLACE", "$-1"},
		{"deleted", []string{"DEL k"}, "+OK", "SELECT 0; RESTORE k 0 -; RESTORE j 0 -; DEL k", "$-1"},
		{
			"all the time", again, "-TRYAGAIN 1 keys changed while they were moved: they are here, and older copies on the target",
			"SELECT 0; RESTORE k 0 -; RESTORE j 0 -; RESTORE k 0 - REPLACE; RESTORE k 0 - REPLACE; RESTORE k 0 - REPLACE; RESTORE k 0 - REPLACE", "$1 6",
		},
	} {
		c.expect(lines("SET k 1", "SET j 1"), "+OK", "+OK")
		target := newTarget(t, write(test.during...))
		if got := c.call(`MIGRATE %s %s "" 0 5000 KEYS k j`, target.host, target.port); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if got := target.got(); got != test.commands {
			t.Errorf("%s: sent %q, want %q", test.name, got, test.commands)
		}
		c.expect(lines("GET k", "GET j"), test.left, "$-1")
	}
}

// TestMigrateInDoubt has the cluster refuse the deletion, or not know of it.
func TestMigrateInDoubt(t *testing.T) {
	for _, refusal := range []reply.Error{"INDOUBT no leader; the write may or may not have been applied", "CLUSTERDOWN The cluster is down"} {
		var refuse atomic.Bool
		c := newNode(t, func(cluster *sessiontest.Cluster) {
			cluster.Err = func() reply.Error {
				if refuse.CompareAndSwap(true, false) {
					return refusal
				}
				return ""
			}
		}).client()
		target := newTarget(t, allOK)
		c.expect(lines("SET k 1"), "+OK")
		refuse.Store(true)
		if got := c.call("MIGRATE %s %s k 0 5000", target.host, target.port); got != "-"+string(refusal) {
			t.Errorf("got %q, want %q", got, refusal)
		}
		c.expect(lines("GET k"), "$1 1")
	}
}

// TestMigrateReadsLinearizably also when the connection's reads are stale.
func TestMigrateReadsLinearizably(t *testing.T) {
	var level session.Consistency
	c := newNode(t, func(cluster *sessiontest.Cluster) {
		cluster.Barrier = func(l session.Consistency) error {
			level = l
			return reply.Error("CLUSTERDOWN no")
		}
	}).client()
	c.expect(lines("CLIENT CONSISTENCY stale", "MIGRATE 127.0.0.1 1 k 0 100"), "+OK", "-CLUSTERDOWN no")
	if level != session.Linearizable {
		t.Error(level)
	}
}

// TestMigrateManyKeys needs several batches, one of them of a single large key.
func TestMigrateManyKeys(t *testing.T) {
	c := newNode(t, nil).client()
	target := newTarget(t, allOK)
	c.expect(lines("SETRANGE large 3000000 x"), ":3000001")
	command := fmt.Sprintf(`MIGRATE %s %s "" 0 10000 KEYS large`, target.host, target.port)
	for i := range 3000 {
		c.send(fmt.Sprintf("SET key:%d %s%d", i, strings.Repeat("value", 50), i))
		command += fmt.Sprintf(" key:%d", i)
	}
	c.replies(3000)
	c.expect(lines(command, "DBSIZE"), "+OK", ":0")
	if got := strings.Count(target.got(), "RESTORE"); got != 3001 {
		t.Errorf("%d keys came", got)
	}
}

// TestMigrateHidesPasswords looks at what SLOWLOG and MONITOR show.
func TestMigrateHidesPasswords(t *testing.T) {
	n := newNode(t, nil)
	c, watcher := n.client(), n.client()
	c.expect(lines("CONFIG SET slowlog-log-slower-than 0"), "+OK")
	watcher.expect(lines("MONITOR"), "+OK")
	c.expect(lines(`MIGRATE h 1 "" 0 1 AUTH2 user pw KEYS k`), "+NOKEY")
	if got := c.call("SLOWLOG GET 1"); strings.Contains(got, "pw") || strings.Count(got, "(redacted)") != 2 {
		t.Error(got)
	}
	if got := watcher.replies(1)[0]; strings.Contains(got, "pw") || !strings.Contains(got, `"AUTH2" "(redacted)" "(redacted)" "KEYS" "k"`) {
		t.Error(got)
	}
}

// TestMigrateWaitsInPause: CLIENT PAUSE WRITE holds it up, as it writes.
func TestMigrateWaitsInPause(t *testing.T) {
	n := newNode(t, nil)
	c, other := n.client(), n.client()
	other.expect(lines("CLIENT PAUSE 100000 WRITE"), "+OK")
	answered := make(chan string)
	go func() { answered <- c.call("MIGRATE h 1 k 0 1") }()
	for !strings.Contains(other.call("INFO clients"), "blocked_clients:1") {
		runtime.Gosched()
	}
	other.expect(lines("CLIENT UNPAUSE"), "+OK")
	if got := <-answered; got != "+NOKEY" {
		t.Error(got)
	}
}
