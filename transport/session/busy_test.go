package session_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

const (
	busyScript   = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	busyFunction = "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	notBusy      = "-NOTBUSY No scripts in execution right now."
	unkillable   = "-UNKILLABLE Sorry the script already executed write commands against the dataset. " +
		"You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)

// holder is a log at which scripts stop that write "hold" to it, until they are released:
// so a test decides how long they take.
type holder struct {
	held, release chan struct{}
	call.Observer
	run *call.Run // the last one that has begun
}

// Begins implements call.Observer: the server is told, and the test can look.
func (h *holder) Begins(r *call.Run) {
	h.run = r
	h.Observer.Begins(r)
}

func (*holder) Enabled(context.Context, slog.Level) bool { return true }
func (h *holder) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h *holder) WithGroup(string) slog.Handler          { return h }
func (h *holder) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "hold" {
		h.held <- struct{}{}
		<-h.release
	}
	return nil
}

// hold stops a script; then it goes on without end.
const hold = "redis.log(redis.LOG_WARNING, 'hold') "

// newBusyNode returns a node on which nothing may take long.
func newBusyNode(t *testing.T) (*node, *holder) {
	t.Helper()
	h := &holder{held: make(chan struct{}, 1), release: make(chan struct{})}
	n := openLoggingNode(t, slog.New(h), nil, func(*session.Options) {})
	h.Observer = n.server
	n.engine.ShowRuns(h)
	n.client().expect(lines("CONFIG SET busy-reply-threshold 1 lua-instructions-max 100000"), "+OK")
	n.client().expect(lines(`FUNCTION LOAD "#!lua name=lib
redis.register_function('endless', function() `+hold+`while true do end end)
redis.register_function('quick', function() `+hold+`return 1 end)
redis.register_function{function_name='reads', flags={'no-writes'}, callback=function() `+hold+`while true do end end}"`), "$3 lib")
	return n, h
}

// begin has a new client call a script, which then is held, and returns it once others are
// told.
func (n *node) begin(h *holder, line string) *client {
	n.t.Helper()
	c := n.client()
	c.sendBeside(line)
	<-h.held
	n.awaitBusy()
	return c
}

// sendBeside is send on a goroutine of its own, as a connection's is. All that the test may
// do with the client then is to read its replies.
func (c *client) sendBeside(line string) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send(line)
	}()
	c.t.Cleanup(func() { <-sent })
}

// awaitBusy asks until clients are told that the node is busy.
func (n *node) awaitBusy() {
	n.t.Helper()
	for other := n.client(); ; runtime.Gosched() {
		other.send("PING")
		if got := other.replies(1)[0]; strings.HasPrefix(got, "-BUSY") {
			return
		}
	}
}

// kill has a new client kill what runs, lets that go on once it is told, and returns the
// answer.
func (n *node) kill(h *holder, line string) string {
	n.t.Helper()
	c := n.client()
	c.sendBeside(line)
	for !h.run.Killed().Load() {
		runtime.Gosched()
	}
	h.release <- struct{}{}
	return c.replies(1)[0]
}

// While a script takes too long, all but a few commands are refused.
func TestBusy(t *testing.T) {
	n, h := newBusyNode(t)
	before := n.client()
	before.expect(lines("MULTI", "INCR a"), "+OK", "+QUEUED")
	started := n.client()
	started.expect(lines("MULTI", "INCR a"), "+OK", "+QUEUED")
	c := n.begin(h, `EVAL "`+hold+`while true do end" 0`)

	o := n.client()
	o.expect(lines("GET a", "SET a 1", "SELECT 1", "CLIENT ID", "SUBSCRIBE x", "EVAL_RO 'return 1' 0", "FUNCTION STATS", "FUNCTION KILL"),
		busyScript, busyScript, busyScript, busyScript, busyScript, busyScript, busyScript, busyScript)
	o.expect(lines("NOSUCH", "GET"), "-ERR unknown command 'NOSUCH', with args beginning with:", "-ERR wrong number of arguments for 'get' command")
	o.expect(lines("AUTH x", "MULTI", "DISCARD", "UNWATCH", "RESET"),
		"-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", "+OK", "+OK", "+OK", "+RESET")
	o.send("HELLO 3")
	if got := o.replies(1)[0]; !strings.HasPrefix(got, "%") {
		t.Errorf("HELLO: %q", got)
	}
	// No half of a transaction is executed: not what began before, nor what is sent now.
	before.expect(lines("EXEC", "DISCARD"), "-EXECABORT Transaction discarded because of: "+busyScript[1:], "-ERR DISCARD without MULTI")
	o.expect(lines("MULTI", "INCR a", "SCRIPT KILL"), "+OK", busyScript, "+QUEUED")
	started.expect(lines("INCR a"), busyScript)
	// What comes behind the script on its own connection waits for it.
	if got := n.kill(h, "SCRIPT KILL"); got != "+OK" {
		t.Errorf("SCRIPT KILL: %q", got)
	}
	if got, want := c.replies(1)[0], "-ERR Script killed by user with SCRIPT KILL... script: "; !strings.HasPrefix(got, want) {
		t.Errorf("the script's client hears %q, want %q", got, want)
	}
	started.expect(lines("EXEC"), "-EXECABORT Transaction discarded because of previous errors.")
	o.expect(lines("EXEC"), "-EXECABORT Transaction discarded because of previous errors.")
	o.expect(lines("GET a", "SCRIPT KILL", "FUNCTION KILL"), "_", notBusy, notBusy)
}

// What comes behind the script on its own connection waits for it.
func TestBusyForOthersOnly(t *testing.T) {
	n, h := newBusyNode(t)
	c := n.client()
	c.send(`EVAL "` + hold + `redis.call('set', 'k', 'v') return 1" 0`)
	<-h.held
	n.awaitBusy()
	c.send("GET k", "PING")
	h.release <- struct{}{}
	if got := strings.Join(c.replies(3), " "); got != ":1 $1 v +PONG" {
		t.Errorf("got %q", got)
	}
}

func TestFunctionKill(t *testing.T) {
	n, h := newBusyNode(t)
	c := n.begin(h, "FCALL endless 1 k v")
	o := n.client()
	o.expect(lines("PING", "SCRIPT KILL"), busyFunction, busyFunction)
	o.send("FUNCTION STATS")
	got := o.replies(1)[0]
	if !strings.HasPrefix(got, "*4 $14 running_script *6 $4 name $7 endless $7 command *5 $5 FCALL $7 endless $1 1 $1 k $1 v $11 duration_ms :") ||
		!strings.HasSuffix(got, " $7 engines *2 $3 LUA *4 $15 libraries_count :1 $15 functions_count :3") {
		t.Errorf("FUNCTION STATS: %q", got)
	}
	if got := n.kill(h, "FUNCTION KILL"); got != "+OK" {
		t.Errorf("FUNCTION KILL: %q", got)
	}
	if got, want := c.replies(1)[0], "-ERR Script killed by user with SCRIPT KILL... script: endless, on @user_function:2."; got != want {
		t.Errorf("the function's client hears %q, want %q", got, want)
	}
	o.expect(lines("FUNCTION STATS"), "*4 $14 running_script $-1 $7 engines *2 $3 LUA *4 $15 libraries_count :1 $15 functions_count :3")
}

// What only reads runs on this node alone and is really killed: no budget ends it here.
func TestKillOfWhatReads(t *testing.T) {
	for _, tc := range []struct{ line, kill string }{
		{`EVAL_RO "` + hold + `while true do end" 0`, "SCRIPT KILL"},
		{`EVAL_RO "` + hold + `while true do pcall(function() while true do redis.call('ping') end end) end" 0`, "SCRIPT KILL"},
		{"FCALL_RO reads 0", "FUNCTION KILL"},
		{"FCALL reads 0", "FUNCTION KILL"},
	} {
		n, h := newBusyNode(t)
		n.client().expect(lines("CONFIG SET lua-instructions-max 2147483647 lua-bytes-max 2147483647"), "+OK")
		c := n.begin(h, tc.line)
		if got := n.kill(h, tc.kill); got != "+OK" {
			t.Errorf("%s: killed with %q", tc.line, got)
		}
		if got := c.replies(1)[0]; !strings.HasPrefix(got, "-ERR Script killed by user with SCRIPT KILL... script: ") {
			t.Errorf("%s: %q", tc.line, got)
		}
		n.client().expect(lines("SET a 1", "GET a"), "+OK", "$1 1")
	}
}

// A script that has written is not killed, and one that comes to its own end was not.
func TestKillThatComesTooLate(t *testing.T) {
	n, h := newBusyNode(t)
	c := n.begin(h, `EVAL "redis.call('set', 'k', 'v') `+hold+`while true do end" 0`)
	n.client().expect(lines("SCRIPT KILL", "FUNCTION KILL", "FUNCTION STATS"), unkillable, unkillable, busyScript)
	h.release <- struct{}{}
	if got, want := c.replies(1)[0], "-ERR script exceeded its instruction budget script: "; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	n.client().expect(lines("GET k"), "$1 v")

	c = n.begin(h, "FCALL quick 0")
	if got := n.kill(h, "FUNCTION KILL"); got != notBusy {
		t.Errorf("FUNCTION KILL: %q", got)
	}
	if got := c.replies(1)[0]; got != ":1" {
		t.Errorf("FCALL: %q", got)
	}

	c = n.begin(h, `EVAL "`+hold+`redis.call('set', 'k', 'w') while true do end" 0`)
	if got := n.kill(h, "SCRIPT KILL"); got != unkillable {
		t.Errorf("SCRIPT KILL: %q", got)
	}
	if got, want := c.replies(1)[0], "-ERR script exceeded its instruction budget script: "; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Without a threshold nobody is told, and KILL finds nothing once it is its turn.
func TestNobodyIsBusy(t *testing.T) {
	n, h := newBusyNode(t)
	n.client().expect(lines("CONFIG SET lua-time-limit 0"), "+OK")
	c, o := n.client(), n.client()
	c.send("FCALL quick 0")
	<-h.held
	o.expect(lines("PING", "ECHO x"), "+PONG", "$1 x")
	o.sendBeside("FUNCTION KILL")
	h.release <- struct{}{}
	if got := o.replies(1)[0] + c.replies(1)[0]; got != notBusy+":1" {
		t.Errorf("got %q", got)
	}
}

// A script that was killed does not run again for a key that was due.
func TestKilledScriptsRunOnce(t *testing.T) {
	clock := newClock()
	h := &holder{held: make(chan struct{}, 1), release: make(chan struct{})}
	n := openLoggingNode(t, slog.New(h),
		func(c *sessiontest.Cluster) { c.Late, c.Now = true, clock.now },
		func(o *session.Options) { o.Now = clock.now })
	h.Observer = n.server
	n.engine.ShowRuns(h)
	n.client().expect(lines("CONFIG SET busy-reply-threshold 1", "SET a 1 PX 1"), "+OK", "+OK")
	clock.add(5 * time.Millisecond)
	submitted := n.cluster.Submitted()
	c := n.begin(h, `EVAL_RO "redis.call('get', KEYS[1]) `+hold+`while true do end" 1 a`)
	if got := n.kill(h, "SCRIPT KILL"); got != "+OK" {
		t.Errorf("SCRIPT KILL: %q", got)
	}
	c.replies(1)
	if got := n.cluster.Submitted() - submitted; got != 0 {
		t.Errorf("%d ops submitted for a script that was killed", got)
	}
}
