package session_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/engine/words"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/observe"
	"github.com/quorate/quorate/transport/pubsub"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// node is a server with its parts, as a test needs them.
type node struct {
	engine  *engine.Engine
	t       *testing.T
	server  *session.Server
	cluster *sessiontest.Cluster
	config  *config.Config
}

func newNode(t *testing.T, change func(*sessiontest.Cluster)) *node {
	t.Helper()
	return newNodeAt(t, nil, change)
}

// newNodeAt is newNode with a clock; nil is the system's.
func newNodeAt(t *testing.T, now func() time.Time, change func(*sessiontest.Cluster)) *node {
	t.Helper()
	return openNode(t, change, func(o *session.Options) { o.Now = now })
}

// newNodeWith is newNode with other options.
func newNodeWith(t *testing.T, options func(*session.Options)) *node {
	t.Helper()
	return openNode(t, nil, options)
}

func openNode(t *testing.T, change func(*sessiontest.Cluster), options func(*session.Options)) *node {
	t.Helper()
	return openLoggingNode(t, nil, change, options)
}

// openLoggingNode is openNode with a log of the engine; nil is none.
func openLoggingNode(t *testing.T, log *slog.Logger, change func(*sessiontest.Cluster), options func(*session.Options)) *node {
	t.Helper()
	n := &node{t: t, config: config.New()}
	registry := pubsub.NewRegistry()
	e := engine.New(engine.Options{
		Receivers: registry.Receivers,
		Publish:   func(m engine.Message) { registry.Publish(m.Channel, m.Text, m.Sharded) },
		Log:       log,
	})
	n.cluster = &sessiontest.Cluster{Engine: e, Registry: registry}
	n.engine = e
	if change != nil {
		change(n.cluster)
	}
	n.cluster.Start()
	o := session.Options{
		Engine: e, Cluster: n.cluster, Config: n.config, Registry: registry,
		Counters: &observe.Counters{}, Version: "test",
	}
	options(&o)
	n.server = session.New(o)
	t.Cleanup(func() {
		n.server.Close()
		n.cluster.Close()
	})
	return n
}

// memory is a session.Output that keeps what was sent.
type memory struct {
	mu   sync.Mutex
	cond *sync.Cond
	w    reply.Writer
	dead atomic.Bool
	// takes is how large the buffers are.
	takes atomic.Int64
	// before, if set, is called once, before the output is locked.
	before func()
}

func newMemory() *memory {
	m := &memory{}
	m.cond = sync.NewCond(&m.mu)
	m.w.SetProto(reply.RESP2)
	return m
}

func (m *memory) Begin() *reply.Writer {
	if f := m.before; f != nil {
		m.before = nil
		f()
	}
	m.mu.Lock()
	return &m.w
}

func (m *memory) End() {
	m.cond.Broadcast()
	m.mu.Unlock()
}

func (m *memory) Send()                           {}
func (m *memory) SendSoon()                       {}
func (m *memory) Pending() int                    { return 0 }
func (m *memory) Memory() session.Memory          { return session.Memory{Beyond: m.takes.Load()} }
func (m *memory) AwaitRoom() bool                 { return true }
func (m *memory) AwaitTaken(context.Context) bool { return !m.dead.Load() }
func (m *memory) SetClass(session.OutputClass)    {}

func (m *memory) Await(done <-chan struct{}) bool {
	<-done
	return true
}

func (m *memory) Kill() { m.dead.Store(true) }

// client talks to a session as a connection would.
type client struct {
	t       *testing.T
	session *session.Session
	out     *memory
	taken   int
	open    bool
}

func (n *node) client() *client {
	return n.clientFrom(session.Peer{Addr: "127.0.0.1:1", Local: "127.0.0.1:6379", Loopback: true})
}

func (n *node) clientFrom(p session.Peer) *client {
	c := &client{t: n.t, out: newMemory(), open: true}
	c.session = n.server.Open(p, c.out)
	n.t.Cleanup(c.session.Close)
	return c
}

// send gives the session a pipeline: one command a line.
func (c *client) send(lines ...string) {
	var commands [][][]byte
	for _, line := range lines {
		list, ok := words.Split([]byte(line))
		if !ok {
			c.t.Fatalf("bad line %q", line)
		}
		commands = append(commands, list)
	}
	c.open = c.session.Run(commands)
	// The buffer beneath is used again.
	for _, args := range commands {
		for _, arg := range args {
			for i := range arg {
				arg[i] = '#'
			}
		}
	}
}

// replies waits for n replies and returns them as they came, each on a line
// of its own with CR LF as spaces.
func (c *client) replies(n int) []string {
	c.t.Helper()
	var got []string
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	for len(got) < n {
		b := c.out.w.Bytes()[c.taken:]
		v, rest, err := reply.Read(b)
		if err != nil {
			c.out.cond.Wait()
			continue
		}
		_ = v
		raw := b[:len(b)-len(rest)]
		c.taken += len(raw)
		got = append(got, strings.TrimSpace(strings.ReplaceAll(string(raw), "\r\n", " ")))
	}
	return got
}

// expect sends a pipeline and compares the replies.
func (c *client) expect(pipeline []string, want ...string) {
	c.t.Helper()
	c.send(pipeline...)
	got := c.replies(len(want))
	for i := range want {
		if got[i] != want[i] {
			c.t.Errorf("%q: reply %d is %q, want %q", pipeline, i, got[i], want[i])
		}
	}
	if rest := c.rest(); rest != "" {
		c.t.Errorf("%q: more replies than expected: %q", pipeline, rest)
	}
}

// rest returns what was written beyond the replies taken.
func (c *client) rest() string {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return string(c.out.w.Bytes()[c.taken:])
}

func lines(s ...string) []string { return s }

func TestMixedPipeline(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(
		lines("SET a 1", "GET a", "PING", "INCR a", "GET a", "ECHO x", "NOPE", "SET a"),
		"+OK", "$1 1", "+PONG", ":2", "$1 2", "$1 x", "-ERR unknown command 'NOPE', with args beginning with:", "-ERR wrong number of arguments for 'set' command",
	)
	c.expect(lines("GET a", "GET b", "PING y"), "$1 2", "$-1", "$1 y")
}

// Reads and answers behind a write ride in one submission; session commands
// wait for it; nothing overtakes.
func TestOneSubmission(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	n.cluster.Pause()
	c.send("GET a", "SET a 1", "GET a", "PING", "SET b 1")
	c.expect(nil, "$-1")
	if got := fmt.Sprint(n.cluster.Waiting()); got != "[4]" {
		t.Errorf("submissions of %s ops, want one of 4", got)
	}
	c.send("GET b") // behind what is in flight, it rides too
	if got := fmt.Sprint(n.cluster.Waiting()); got != "[4 1]" {
		t.Errorf("submissions of %s ops, want 4 and 1", got)
	}
	n.cluster.Resume()
	for i, want := range []string{"+OK", "$1 1", "+PONG", "+OK", "$1 1"} {
		if got := c.replies(1)[0]; got != want {
			t.Errorf("reply %d is %q, want %q", i, got, want)
		}
	}
	c.expect(lines("SET a 5", "SELECT 1", "GET a", "SELECT 0", "GET a"), "+OK", "+OK", "$-1", "+OK", "$1 5")
}

// A command that came with a later semantic version is refused before it is logged,
// also where it would only read or wait in a transaction.
func TestCommandsOfALaterVersionAreRefused(t *testing.T) {
	n := newNode(t, func(c *sessiontest.Cluster) { c.Rules = semantic.Geo - 1 })
	c := n.client()
	refused := func(name string) string {
		return "-ERR '" + name + "' needs semantic version 3, and the cluster is at 2 until all its members know it; nothing was executed"
	}
	c.expect(lines("PFADD k a", "GEOPOS k a", "SET a 1"), refused("pfadd"), refused("geopos"), "+OK")
	c.expect(lines("MULTI", "SET a 2", "PFADD k a", "EXEC", "GET a"),
		"+OK", "+QUEUED", refused("pfadd"), "-EXECABORT Transaction discarded because of previous errors.", "$1 1")
	if got := n.cluster.Submitted(); got != 1 {
		t.Errorf("%d submissions, want that of SET", got)
	}
}

// Sessions read numbers as strictly as data commands, with redis-server's errors.
func TestNumbersAreReadStrictly(t *testing.T) {
	c := newNode(t, nil).client()
	for line, want := range map[string]string{
		"WAIT %s 1":                            "value is not an integer or out of range",
		"WAIT 0 %s":                            "timeout is not an integer or out of range",
		"WAITAOF %s 0 1":                       "value is not an integer or out of range",
		"SELECT %s":                            "value is not an integer or out of range",
		"HELLO %s":                             "Protocol version is not an integer or out of range",
		"CLIENT PAUSE %s":                      "timeout is not an integer or out of range",
		"CLIENT LIST ID %s":                    "Invalid client ID",
		"CLIENT KILL ID %s":                    "client-id should be greater than 0",
		"CLIENT KILL MAXAGE %s":                "maxage is not an integer or out of range",
		"SLOWLOG GET %s":                       "count should be greater than or equal to -1",
		"CLUSTER COUNTKEYSINSLOT %s":           "value is not an integer or out of range",
		"CLUSTER GETKEYSINSLOT %s 1":           "value is not an integer or out of range",
		"CLUSTER GETKEYSINSLOT 1 %s":           "value is not an integer or out of range",
		"FAILOVER TIMEOUT %s":                  "value is not an integer or out of range",
		"FAILOVER TO host %s":                  "value is not an integer or out of range",
		"MIGRATE host 1 k %s 1":                "value is not an integer or out of range",
		"MIGRATE host 1 k 0 %s":                "value is not an integer or out of range",
		"CONFIG SET slowlog-max-len %s":        "CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument couldn't be parsed into an integer",
		"CONFIG SET list-max-listpack-size %s": "CONFIG SET failed (possibly related to argument 'list-max-listpack-size') - argument couldn't be parsed into an integer",
	} {
		for _, number := range []string{"+1", "01", `" 1"`, `"1 "`, "-0", `""`, "1e1", "9223372036854775808"} {
			c.expect(lines(fmt.Sprintf(line, number)), "-ERR "+want)
		}
	}
	c.expect(lines("CLIENT LIST ID 0 -1", "CLIENT KILL ID 0", "FAILOVER TIMEOUT 0"),
		"$0", "-ERR client-id should be greater than 0", "-ERR FAILOVER timeout must be greater than 0")
}

func TestTransactions(t *testing.T) {
	n := newNode(t, nil)
	c, other := n.client(), n.client()
	c.expect(lines("MULTI", "SET a 1", "INCR a", "GET a", "PING", "EXEC"),
		"+OK", "+QUEUED", "+QUEUED", "+QUEUED", "+QUEUED", "*4 +OK :2 $1 2 +PONG")
	c.expect(lines("MULTI", "GET a", "EXEC"), "+OK", "+QUEUED", "*1 $1 2")
	c.expect(lines("MULTI", "EXEC"), "+OK", "*0")
	c.expect(lines("MULTI", "SELECT 3", "SET x y", "EXEC", "GET x", "SELECT 0"), "+OK", "+QUEUED", "+QUEUED", "*2 +OK +OK", "$1 y", "+OK")
	c.expect(lines("MULTI", "MULTI", "WATCH a", "SET a", "EXEC"),
		"+OK", "-ERR MULTI calls can not be nested", "-ERR WATCH inside MULTI is not allowed",
		"-ERR wrong number of arguments for 'set' command", "-EXECABORT Transaction discarded because of previous errors.")
	c.expect(lines("MULTI", "EXEC x", "GET a"), "+OK", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command", "$1 2")
	c.expect(lines("EXEC", "DISCARD", "UNWATCH"), "-ERR EXEC without MULTI", "-ERR DISCARD without MULTI", "+OK")
	c.expect(lines("MULTI", "SET a 9", "DISCARD", "GET a"), "+OK", "+QUEUED", "+OK", "$1 2")
	c.expect(lines("MULTI", "SAVE", "EXEC"), "+OK", "-ERR Command not allowed inside a transaction", "-EXECABORT Transaction discarded because of previous errors.")
	c.expect(lines("MULTI", "LPUSH a x", "INCR a", "EXEC"), "+OK", "+QUEUED", "+QUEUED",
		"*2 -WRONGTYPE Operation against a key holding the wrong kind of value :3")

	for name, commands := range map[string][]string{"of writes": {"SET b 2"}, "of reads": {"GET b"}, "of nothing": nil} {
		c.expect(lines("WATCH a"), "+OK")
		other.expect(lines("INCR a"), fmt.Sprint(":", intOf(t, c, "a")+1))
		c.send(append(append(lines("MULTI"), commands...), "EXEC")...)
		if got := c.replies(2 + len(commands)); got[len(got)-1] != "*-1" {
			t.Errorf("transaction %s with a changed watch: %q", name, got)
		}
	}
	c.expect(lines("WATCH a", "UNWATCH"), "+OK", "+OK")
	other.expect(lines("SET a 1"), "+OK")
	c.expect(lines("MULTI", "GET a", "EXEC"), "+OK", "+QUEUED", "*1 $1 1")
}

// A key that is due is watched as one that is gone, also before the log's clock says so.
func TestWatchOfWhatIsDue(t *testing.T) {
	n := newNode(t, nil)
	c, other := n.client(), n.client()
	c.expect(lines("SET a 1 PX 1"), "+OK")
	for until := time.Now().Add(2 * time.Millisecond); time.Now().Before(until); {
		runtime.Gosched()
	}
	c.expect(lines("WATCH a"), "+OK")
	other.expect(lines("SET b 1", "FLUSHDB"), "+OK", "+OK")
	c.expect(lines("MULTI", "GET a", "EXEC"), "+OK", "+QUEUED", "*1 $-1")
	c.expect(lines("WATCH a"), "+OK")
	other.expect(lines("SET a 1", "FLUSHDB"), "+OK", "+OK")
	c.expect(lines("MULTI", "GET a", "EXEC"), "+OK", "+QUEUED", "*-1")
}

func intOf(t *testing.T, c *client, key string) (n int) {
	t.Helper()
	c.send("GET " + key)
	if _, err := fmt.Sscanf(c.replies(1)[0], "$1 %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The engine's lock is held while a transaction runs.
func TestLooksInsideTransactions(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	for _, first := range []string{"SET a 1", "GET a"} {
		for _, look := range []string{"INFO", "CONFIG GET hash-max-listpack-entries", "LASTSAVE", "MEMORY DOCTOR", "CLUSTER COUNTKEYSINSLOT 0", "CLUSTER GETKEYSINSLOT 0 1"} {
			c.send("MULTI", first, look, "EXEC")
			if got := c.replies(4)[3]; !strings.HasPrefix(got, "*2 ") || strings.Contains(got, " -") {
				t.Errorf("%s behind %s: %.80q", look, first, got)
			}
		}
	}
}

func TestSubscribe(t *testing.T) {
	n := newNode(t, nil)
	sub, pub := n.client(), n.client()
	sub.expect(lines("SUBSCRIBE a b a", "PSUBSCRIBE n*", "SSUBSCRIBE s", "GET x", "PING", "PING z"),
		"*3 $9 subscribe $1 a :1", "*3 $9 subscribe $1 b :2", "*3 $9 subscribe $1 a :2",
		"*3 $10 psubscribe $2 n* :3", "*3 $10 ssubscribe $1 s :1",
		"-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
		"*2 $4 pong $0", "*2 $4 pong $1 z")
	pub.expect(lines("PUBLISH a hi", "PUBLISH news x", "SPUBLISH s y", "PUBLISH off z"), ":1", ":1", ":1", ":0")
	sub.expect(nil, "*3 $7 message $1 a $2 hi", "*4 $8 pmessage $2 n* $4 news $1 x", "*3 $8 smessage $1 s $1 y")
	pub.expect(lines("PUBSUB CHANNELS", "PUBSUB NUMSUB a q", "PUBSUB NUMPAT", "PUBSUB SHARDCHANNELS"),
		"*2 $1 a $1 b", "*4 $1 a :1 $1 q :0", ":1", "*1 $1 s")
	pub.expect(lines("MULTI", "PUBLISH a tx", "EXEC"), "+OK", "+QUEUED", "*1 :1")
	sub.expect(nil, "*3 $7 message $1 a $2 tx")
	sub.expect(lines("UNSUBSCRIBE q", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE", "PING"),
		"*3 $11 unsubscribe $1 q :3", "*3 $11 unsubscribe $1 a :2", "*3 $11 unsubscribe $1 b :1", "*3 $12 punsubscribe $2 n* :0",
		"*3 $12 sunsubscribe $1 s :0", "*3 $11 unsubscribe $-1 :0", "+PONG")

	sub.send("HELLO 3")
	sub.replies(1)
	sub.expect(lines("SUBSCRIBE a", "PUBLISH a self", "GET x", "PING"), ">3 $9 subscribe $1 a :1", ">3 $7 message $1 a $4 self", ":1", "_", "+PONG")
	sub.expect(lines("MULTI", "SUBSCRIBE m", "UNSUBSCRIBE a", "EXEC"), "+OK", "+QUEUED", "+QUEUED", "*2 >3 $9 subscribe $1 m :2 >3 $11 unsubscribe $1 a :1")
	pub.expect(lines("PUBLISH m 1", "PUBLISH a 1"), ":1", ":0")
	sub.expect(nil, ">3 $7 message $1 m $1 1")
	sub.expect(lines("RESET", "GET x"), "+RESET", "$-1")
	pub.expect(lines("PUBLISH m 1"), ":0")
}

func TestSubscribersOfOtherNodesAreCounted(t *testing.T) {
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.Others = session.Subscribers{Channels: map[string]int{"far": 2, "near": 1}, Patterns: map[string]int{"p*": 1}}
	})
	c := n.client()
	c.send("SUBSCRIBE near", "PSUBSCRIBE p*")
	n.client().expect(lines("PUBSUB CHANNELS", "PUBSUB CHANNELS f*", "PUBSUB NUMSUB far near", "PUBSUB NUMPAT"),
		"*2 $3 far $4 near", "*1 $3 far", "*4 $3 far :2 $4 near :2", ":1")
}

func TestAuth(t *testing.T) {
	n := newNode(t, nil)
	old := n.client()
	old.expect(lines("AUTH x"), "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	old.expect(lines("AUTH default x", "AUTH a b c"), "+OK", "-ERR syntax error")
	old.expect(lines("CONFIG SET requirepass secret", "PING"), "+OK", "+PONG")
	c := n.client()
	if c.session.Trusted() {
		t.Error("trusted before AUTH")
	}
	c.expect(lines("GET a", "PING", "NOPE", "AUTH wrong", "AUTH other secret", "HELLO 3"),
		"-NOAUTH Authentication required.", "-NOAUTH Authentication required.", "-ERR unknown command 'NOPE', with args beginning with:",
		"-WRONGPASS invalid username-password pair or user is disabled.", "-WRONGPASS invalid username-password pair or user is disabled.",
		"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	c.expect(lines("AUTH secret", "GET a"), "+OK", "$-1")
	if !c.session.Trusted() {
		t.Error("not trusted after AUTH")
	}
	c.expect(lines("RESET", "GET a"), "+RESET", "-NOAUTH Authentication required.")
	c.send("HELLO 3 AUTH default secret SETNAME me")
	if got := c.replies(1)[0]; !strings.HasPrefix(got, "%7 $6 server $5 redis $7 version $6 7.0.15 $5 proto :3 $2 id") {
		t.Errorf("HELLO: %q", got)
	}
	c.expect(lines("CLIENT GETNAME"), "$2 me")
}

func TestReplyModes(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("CLIENT REPLY OFF", "SET a 1", "GET a", "PING", "CLIENT REPLY ON", "PING"), "+OK", "+PONG")
	c.expect(lines("CLIENT REPLY SKIP", "INCR a", "GET a", "CLIENT REPLY SKIP", "NOPE", "ECHO b"), "$1 2", "$1 b")
	// What concerns subscriptions comes nevertheless.
	c.expect(lines("CLIENT REPLY OFF", "SUBSCRIBE a", "PING", "UNSUBSCRIBE", "PSUBSCRIBE p*", "PUNSUBSCRIBE p*", "CLIENT REPLY ON"),
		"*3 $9 subscribe $1 a :1", "*3 $11 unsubscribe $1 a :0", "*3 $10 psubscribe $2 p* :1", "*3 $12 punsubscribe $2 p* :0", "+OK")
	c.expect(lines("CLIENT REPLY SKIP", "SUBSCRIBE a"), "*3 $9 subscribe $1 a :1")
}

// What has cost a doubt is followed by nothing before the doubt is settled.
func TestDoubtIsSettledFirst(t *testing.T) {
	var mu sync.Mutex
	var failing reply.Error
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.Err = func() reply.Error {
			mu.Lock()
			defer mu.Unlock()
			return failing
		}
	})
	set := func(e reply.Error) {
		mu.Lock()
		defer mu.Unlock()
		failing = e
	}
	c := n.client()
	set(reply.InDoubt("no answer"))
	c.expect(lines("SET a 1"), "-INDOUBT no answer; the write may or may not have been applied")
	set("")
	n.cluster.Pause()
	c.send("GET a") // must not be read here and now
	if got := fmt.Sprint(n.cluster.Waiting()); got != "[1]" {
		t.Errorf("after a doubt the read was not submitted: %s", got)
	}
	n.cluster.Resume()
	c.expect(nil, "$-1")
	n.cluster.Pause()
	c.expect(lines("GET a"), "$-1") // settled: read here
	n.cluster.Resume()

	set(reply.InDoubt("again"))
	c.send("SET a 1")
	c.replies(1)
	set("")
	c.expect(lines("CLIENT SETNAME x", "CLIENT GETNAME"), "+OK", "$1 x") // concerns no data
	set(reply.ErrNoLeader)
	c.expect(lines("GET a"), "-"+string(reply.ErrNoLeader)) // settles nothing
	c.expect(lines("WATCH a"), "-TRYAGAIN a write of this connection is in doubt; the command was not executed")
	set("")
	c.expect(lines("WATCH a", "PUBLISH x y"), "+OK", ":0") // the fence answers nothing
	n.cluster.Pause()
	c.expect(lines("GET a"), "$-1")
	n.cluster.Resume()
}

func TestRedirects(t *testing.T) {
	leader := session.Member{ID: strings.Repeat("b", 40), Host: "10.0.0.2", Port: 7002, PeerAddr: "10.0.0.2:17002", Online: true, Leader: true}
	self := session.Member{ID: strings.Repeat("a", 40), Host: "10.0.0.1", Port: 7001, PeerAddr: "10.0.0.1:17001", Online: true, Self: true}
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.View = func(string) session.Topology {
			return session.Topology{Self: self, Leader: leader, Members: []session.Member{self, leader}, Term: 3}
		}
	})
	moved := "-MOVED 15495 10.0.0.2:7002"
	plain := n.client()
	plain.expect(lines("GET a", "SET a 1", "GET a"), "$-1", "+OK", "$1 1")
	plain.expect(lines("CLUSTER KEYSLOT a", "CLUSTER MYID"), ":15495", "$40 "+self.ID)
	plain.expect(lines("GET a"), "$1 1")

	aware := n.client()
	aware.send("CLUSTER SLOTS")
	if got := aware.replies(1)[0]; got != "*1 *4 :0 :16383 *4 $8 10.0.0.2 :7002 $40 "+leader.ID+" *0 *4 $8 10.0.0.1 :7001 $40 "+self.ID+" *0" {
		t.Errorf("CLUSTER SLOTS: %q", got)
	}
	aware.expect(lines("GET a", "SET {a}b 1", "PING", "DBSIZE"), moved, moved, "+PONG", ":1")
	aware.expect(lines("READONLY", "GET a", "SET a 1", "READWRITE", "GET a"), "+OK", "$1 1", moved, "+OK", moved)
	aware.expect(lines("MULTI", "GET a", "EXEC"), "+OK", moved, "-EXECABORT Transaction discarded because of previous errors.")

	capable := n.client()
	redirect := "-REDIRECT 10.0.0.2:7002"
	capable.expect(lines("CLIENT CAPA redirect", "GET a"), "+OK", redirect)
	capable.expect(lines("READONLY", "GET a", "SET a 1", "READWRITE", "GET a"), "+OK", "$1 1", redirect, "+OK", redirect)

	always := n.clientFrom(session.Peer{Addr: "x:1", Redirect: config.RedirectAlways})
	always.expect(lines("GET a"), moved)
	never := n.clientFrom(session.Peer{Addr: "x:1", Redirect: config.RedirectNever})
	never.expect(lines("ASKING", "GET a"), "+OK", "$1 1")
}

func TestReadBarrier(t *testing.T) {
	asked := make(chan session.Consistency, 10)
	refuse := false
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.Barrier = func(level session.Consistency) error {
			asked <- level
			if refuse {
				return reply.ErrReadNotConfirmed
			}
			return nil
		}
	})
	c := n.client()
	check := func(pipeline []string, want session.Consistency) {
		t.Helper()
		c.send(pipeline...)
		c.replies(len(pipeline))
		if len(asked) != 1 || <-asked != want {
			t.Errorf("%q: not one barrier of level %d", pipeline, want)
		}
	}
	check(lines("GET a", "GET b", "PING", "GET c"), session.Linearizable)
	check(lines("CLIENT CONSISTENCY stale", "GET a"), session.Stale)
	check(lines("RESET", "READONLY", "GET a"), session.Bounded)
	check(lines("RESET", "CONFIG SET read-consistency bounded", "GET a"), session.Bounded)
	refuse = true
	c.expect(lines("GET a", "PING"), "-"+string(reply.ErrReadNotConfirmed), "+PONG")
}

func TestConfig(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("CONFIG SET timeout 7 hash-max-listpack-value 1kb", "CONFIG GET timeout hash-max-listpack-value"),
		"+OK", "*4 $23 hash-max-listpack-value $4 1024 $7 timeout $1 7")
	c.expect(lines("CONFIG SET timeout x", "CONFIG SET foo 1", "CONFIG SET timeout 1 2"),
		"-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer",
		"-ERR Unknown option or number of arguments for CONFIG SET - 'foo'", "-ERR syntax error")
	// The node's half is undone when the cluster refuses the other.
	c.expect(lines("CONFIG SET timeout 8 stream-node-max-bytes -1"),
		"-ERR CONFIG SET failed (possibly related to argument 'stream-node-max-bytes') - argument must be a memory value")
	c.expect(lines("CONFIG GET timeout", "CONFIG REWRITE", "CONFIG RESETSTAT"), "*2 $7 timeout $1 7", "-ERR The server is running without a config file", "+OK")
}

func TestClientList(t *testing.T) {
	n := newNode(t, nil)
	a, b := n.client(), n.clientFrom(session.Peer{Addr: "10.0.0.9:55", Local: "10.0.0.1:6379"})
	a.expect(lines("CLIENT SETNAME ann", "CLIENT SETINFO LIB-NAME go", "CLIENT SETNAME \"a b\"", "SELECT 2"), "+OK", "+OK",
		"-ERR Client names cannot contain spaces, newlines or special characters.", "+OK")
	b.send("SUBSCRIBE x")
	a.send("CLIENT LIST")
	list := a.replies(1)[0]
	for _, want := range []string{"name=ann", "db=2", "lib-name=go", "addr=10.0.0.9:55", "flags=P db=0 sub=1", "cmd=client|list"} {
		if !strings.Contains(list, want) {
			t.Errorf("CLIENT LIST lacks %q: %s", want, list)
		}
	}
	a.expect(lines("CLIENT KILL ID 999", "CLIENT KILL 1.1.1.1:1", "CLIENT KILL TYPE pubsub"), ":0", "-ERR No such client", ":1")
	if !b.out.dead.Load() || a.out.dead.Load() {
		t.Error("the wrong client was killed")
	}
	a.expect(lines("CLIENT KILL ADDR 127.0.0.1:1 SKIPME no"), ":1")
	if a.open {
		t.Error("a client that killed itself is still open")
	}
}

func TestClientKillOfOldClients(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	n := newNodeAt(t, func() time.Time { return now }, nil)
	old, asks := n.client(), n.client()
	now = now.Add(5 * time.Second)
	young := n.client()
	asks.expect(lines("CLIENT KILL MAXAGE x", "CLIENT KILL MAXAGE 0", "CLIENT KILL MAXAGE -1", "CLIENT KILL MAXAGE"),
		"-ERR maxage is not an integer or out of range", "-ERR maxage should be greater than 0", "-ERR maxage should be greater than 0",
		"-ERR No such client")
	asks.expect(lines("CLIENT KILL MAXAGE 6", "CLIENT KILL MAXAGE 9223372036854775807", "CLIENT KILL MAXAGE 5 TYPE pubsub"), ":0", ":0", ":0")
	asks.expect(lines("CLIENT KILL MAXAGE 5"), ":1")
	if !old.out.dead.Load() || young.out.dead.Load() || !asks.open {
		t.Error("the wrong client was killed")
	}
	asks.expect(lines("CLIENT KILL MAXAGE 5 SKIPME no"), ":2") // the old one has not noticed yet
	if asks.open || young.out.dead.Load() {
		t.Error("the wrong client was killed")
	}
}

func TestClientsOfLaterVersions(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	special := " cannot contain spaces, newlines or special characters."
	c.expect(lines("CLIENT SETINFO lib-name jedis", "CLIENT SETINFO LIB-VER 5.1.0", `CLIENT SETINFO LIB-VER "5 1"`, `CLIENT SETINFO LIB-NAME "a b"`,
		"CLIENT SETINFO LIB x", "CLIENT SETINFO LIB-NAME"),
		"+OK", "+OK", "-ERR lib-ver"+special, "-ERR lib-name"+special,
		"-ERR Unrecognized option 'LIB'", "-ERR wrong number of arguments for 'client|setinfo' command")
	c.expect(lines("CLIENT NO-TOUCH on", "CLIENT NO-TOUCH maybe", "CLIENT NO-TOUCH"), "+OK", "-ERR syntax error", "-ERR wrong number of arguments for 'client|no-touch' command")
	c.send("CLIENT INFO")
	if got := c.replies(1)[0]; !strings.Contains(got, "lib-name=jedis lib-ver=5.1.0") || !strings.Contains(got, "flags=T ") {
		t.Errorf("got %s", got)
	}
	c.expect(lines("CLIENT NO-TOUCH OFF", `CLIENT SETINFO LIB-NAME ""`), "+OK", "+OK")
	c.send("CLIENT INFO")
	if got := c.replies(1)[0]; !strings.Contains(got, "lib-name= lib-ver=5.1.0") || !strings.Contains(got, "flags=N ") {
		t.Errorf("got %s", got)
	}
}

func TestWaitaof(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("SET a 1", "WAITAOF 1 0 0", "WAITAOF 0 0 0", "MULTI", "SET a 2", "WAITAOF 1 1 0", "EXEC"),
		"+OK", "*2 :1 :0", "*2 :1 :0", "+OK", "+QUEUED", "+QUEUED", "*2 +OK *2 :1 :0")
	c.expect(lines("WAITAOF x 0 0", "WAITAOF 2 0 0", "WAITAOF -1 0 0", "WAITAOF 1 -1 0", "WAITAOF 1 x 0", "WAITAOF 1 0 x", "WAITAOF 1 0 -1", "WAITAOF 1 0"),
		"-ERR value is not an integer or out of range", "-ERR value is out of range, value must between 0 and 1", "-ERR value is out of range, value must between 0 and 1",
		"-ERR value is out of range, must be positive", "-ERR value is out of range, must be positive", "-ERR timeout is not an integer or out of range",
		"-"+string(reply.ErrNegativeTimeout), "-ERR wrong number of arguments for 'waitaof' command")
	c.expect(lines("CONFIG SET appendonly no", "WAITAOF 1 0 0", "WAITAOF 0 0 0"),
		"+OK", "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.", "*2 :1 :0")
}

func TestQuitAndHostileWords(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("SET a 1", "QUIT", "SET a 2"), "+OK", "+OK")
	if c.open {
		t.Error("open after QUIT")
	}
	c = n.client()
	c.send("POST / HTTP/1.1", "SET a 3")
	if c.open || c.rest() != "" {
		t.Errorf("open %t after POST, replies %q", c.open, c.rest())
	}
	n.client().expect(lines("GET a"), "$1 1")
}

func TestInfo(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("SET a 1 EX 100"), "+OK")
	c.expect(lines("GET a", "NOPE"), "$1 1", "-ERR unknown command 'NOPE', with args beginning with:")
	text := n.server.Info("everything")
	for _, want := range []string{
		"# Server\r\n", "redis_version:7.0.15\r\n", "quorate_version:test\r\n", "connected_clients:1\r\n", "used_memory:",
		"role:master\r\n", "cmdstat_get:calls=1,", "cmdstat_set:calls=1,", "errorstat_ERR:count=1\r\n", "db0:keys=1,expires=1,avg_ttl=",
		"total_error_replies:1\r\n", "number_of_cached_scripts:0\r\n", "latency_percentiles_usec_get:p50=",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	_, keyspace, _ := strings.Cut(text, "avg_ttl=")
	if ttl, _, _ := strings.Cut(keyspace, "\r\n"); len(ttl) < 5 || len(ttl) > 6 { // below 100 s
		t.Errorf("the mean time to live is %s ms", ttl)
	}
	if text := n.server.Info(); strings.Contains(text, "cmdstat_") {
		t.Error("INFO without arguments shows commandstats")
	}
	if text := n.server.Info("cpu"); !strings.HasPrefix(text, "# CPU\r\nused_cpu_sys:") || strings.Contains(text, "# Server") {
		t.Errorf("INFO cpu: %q", text)
	}
	sc := bufio.NewScanner(bytes.NewReader([]byte(text)))
	for sc.Scan() {
		line := sc.Text()
		if line != "" && line[0] != '#' && !strings.Contains(line, ":") {
			t.Errorf("INFO has the line %q", line)
		}
	}
}

func TestMonitor(t *testing.T) {
	n := newNode(t, nil)
	m, c := n.client(), n.client()
	m.expect(lines("MONITOR"), "+OK")
	c.expect(lines("SET a \"x\\x01\"", "AUTH default y", "CONFIG SET maxclients 100", "MULTI", "HELLO 2 AUTH u p SETNAME c"),
		"+OK", "+OK", "+OK", "+OK", "+QUEUED")
	for i, want := range []string{
		`"SET" "a" "x\x01"`, `"AUTH" "(redacted)" "(redacted)"`, `"MULTI"`, `"HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "c"`,
	} {
		if got := m.replies(1)[0]; !strings.HasSuffix(got, "[0 127.0.0.1:1] "+want) {
			t.Errorf("monitor saw at %d: %q", i, got)
		}
	}
}

// What scripts call is shown behind the script, also to a monitor that calls the script.
func TestMonitorSeesScripts(t *testing.T) {
	n := newNode(t, nil)
	m, c := n.client(), n.client()
	m.expect(lines("MONITOR"), "+OK")
	c.expect(lines("SELECT 2", `EVAL "redis.call('set', 'a', ARGV[1]) return redis.call('ping')" 0 v`), "+OK", "+PONG")
	c.expect(lines("GET a"), "$1 v")
	for i, want := range []string{`[0 127.0.0.1:1] "SELECT" "2"`, `[2 127.0.0.1:1] "EVAL"`, `[2 lua] "set" "a" "v"`, `[2 lua] "ping"`, `[2 127.0.0.1:1] "GET" "a"`} {
		if got := m.replies(1)[0]; !strings.Contains(got, want) {
			t.Errorf("monitor saw at %d: %q, not %s", i, got, want)
		}
	}
	m.send(`EVAL "return redis.call('ping')" 0`)
	if got := strings.Join(m.replies(3), "|"); !strings.Contains(got, `lua] "ping"`) || !strings.Contains(got, "+PONG") {
		t.Errorf("a monitor that calls a script saw %q", got)
	}
}

func TestResetEndsMonitor(t *testing.T) {
	n := newNode(t, nil)
	m, other := n.client(), n.client()
	m.expect(lines("MONITOR"), "+OK")
	other.expect(lines("MONITOR"), "+OK")
	m.expect(lines("RESET"), "+RESET")
	if got := other.replies(1)[0]; !strings.HasSuffix(got, `"RESET"`) {
		t.Errorf("another monitor saw %q", got)
	}
}

func TestSlowlogOfTransactions(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET", "MULTI", "ECHO a", "SET k v", "EXEC", "CONFIG SET masterauth secret", "CONFIG SET slowlog-log-slower-than -1"),
		"+OK", "+OK", "+OK", "+QUEUED", "+QUEUED", "*2 $1 a +OK", "+OK", "+OK")
	got := c.call("SLOWLOG GET 4")
	for _, want := range []string{"$4 ECHO", "SET $1 k", "$10 masterauth $10 (redacted)"} {
		if !strings.Contains(got, want) {
			t.Errorf("SLOWLOG: %q lacks %q", got, want)
		}
	}
	if strings.Contains(strings.ToLower(got), "exec") {
		t.Errorf("SLOWLOG has EXEC: %q", got)
	}
}

func TestMemory(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	field := func(name string) (value int) {
		_, rest, _ := strings.Cut(n.server.Info("memory"), "\r\n"+name+":")
		if _, err := fmt.Sscan(rest, &value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return value
	}
	used, dataset := field("used_memory"), field("used_memory_dataset")
	c.expect(lines("SETRANGE big 9999999 x", "SET small y"), ":10000000", "+OK")
	if u, d := field("used_memory"), field("used_memory_dataset"); u < used+10000000 || field("used_memory_peak") < u || d < dataset+10000000 {
		t.Errorf("with ten megabytes more than %d are used %d, %d by data", used, u, d)
	}
	c.expect(lines(`EVAL "for i = 1, 1000 do redis.call('sadd', 'set', i .. 'x') end" 0`, "UNLINK big small set", "DEL none"), "$-1", ":3", ":0")
	if u := field("used_memory"); u > used+5000000 || field("used_memory_peak") < used+10000000 || field("lazyfreed_objects") != 1 {
		t.Errorf("without it %d are used, of %d before; peak %d, freed %d", u, used, field("used_memory_peak"), field("lazyfreed_objects"))
	}
	c.expect(lines("CONFIG RESETSTAT"), "+OK")
	if freed := field("lazyfreed_objects"); freed != 0 {
		t.Errorf("%d values were freed since CONFIG RESETSTAT", freed)
	}
	if got := c.call("MEMORY STATS"); !strings.Contains(got, "total.allocated") || !strings.Contains(got, "fragmentation.bytes") {
		t.Errorf("MEMORY STATS: %q", got)
	}
	if got := c.call("MEMORY MALLOC-STATS"); !strings.Contains(got, "objects") {
		t.Errorf("MEMORY MALLOC-STATS: %q", got)
	}
	c.expect(lines("LATENCY GRAPH x", "LOLWUT VERSION x"), "-ERR No samples available for event 'x'", "-ERR value is not an integer or out of range")
	if got := c.call("LOLWUT VERSION 5 4 2"); !strings.Contains(got, "Redis ver. 7.0.15") {
		t.Errorf("LOLWUT: %q", got)
	}
}

func TestCommandTable(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("COMMAND GETKEYS SET a b", "COMMAND GETKEYS PING x", "COMMAND GETKEYS FOO a", "COMMAND LIST FILTERBY PATTERN xl*", "COMMAND INFO foo"),
		"*1 $1 a", "-ERR The command has no key arguments", "-ERR Invalid command specified", "*1 $4 xlen", "*1 $-1")
	c.send("COMMAND", "COMMAND DOCS get client|list", "COMMAND LIST")
	replies := c.replies(3)
	for _, r := range replies {
		if r[0] != '*' {
			t.Errorf("%.80q", r)
		}
	}
	if !strings.Contains(replies[2], " $11 client|list ") {
		t.Error("COMMAND LIST leaves out subcommands")
	}
}

func TestErrorsAreCounted(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("SET a x", "INCR a", "GET nothing", "LPUSH a y", "INCR a"), "+OK", "-ERR value is not an integer or out of range", "$-1",
		"-WRONGTYPE Operation against a key holding the wrong kind of value", "-ERR value is not an integer or out of range")
	c.expect(lines("GET nothing", "LLEN a", "MULTI", "LLEN a", "EXEC"), "$-1", "-WRONGTYPE Operation against a key holding the wrong kind of value", "+OK", "+QUEUED",
		"*1 -WRONGTYPE Operation against a key holding the wrong kind of value")
	text := n.server.Info("errorstats")
	if !strings.Contains(text, "errorstat_ERR:count=2\r\n") || !strings.Contains(text, "errorstat_WRONGTYPE:count=3\r\n") {
		t.Errorf("%q", text)
	}
}

func TestPause(t *testing.T) {
	n := newNode(t, nil)
	c, admin := n.client(), n.client()
	admin.expect(lines("CLIENT PAUSE x", "CLIENT PAUSE 1 foo", "CLIENT PAUSE 100000 WRITE"), "-ERR timeout is not an integer or out of range",
		"-ERR CLIENT PAUSE mode must be WRITE or ALL", "+OK")
	c.expect(lines("GET a", "PING"), "$-1", "+PONG")
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.send("SET a 1")
	}()
	select {
	case <-done:
		t.Error("a write went on in a pause")
	default:
	}
	for !strings.Contains(n.server.Info("clients"), "blocked_clients:1\r\n") { // it is counted once it waits
		runtime.Gosched()
	}
	admin.expect(lines("GET a", "CLIENT UNPAUSE"), "$-1", "+OK")
	<-done
	c.expect(nil, "+OK")

	// A transaction waits when it writes.
	admin.expect(lines("CLIENT PAUSE 100000 WRITE"), "+OK")
	c.expect(lines("MULTI", "GET a", "EXEC", "MULTI", "SET a 2"), "+OK", "+QUEUED", "*1 $1 1", "+OK", "+QUEUED")
	done = make(chan struct{})
	go func() {
		defer close(done)
		c.send("EXEC")
	}()
	for !strings.Contains(n.server.Info("clients"), "blocked_clients:1\r\n") {
		runtime.Gosched()
	}
	admin.expect(lines("GET a", "CLIENT UNPAUSE"), "$1 1", "+OK")
	<-done
	c.expect(nil, "*1 +OK")
}

// A pause of writes holds up what Redis would replicate, alone and in a transaction;
// what the client sent before is answered at once.
func TestPauseOfWritesHoldsUpMessages(t *testing.T) {
	for _, command := range []string{"PUBLISH ch m", "SPUBLISH ch m", "EVAL return{} 0"} {
		n := newNode(t, nil)
		c, admin := n.client(), n.client()
		admin.expect(lines("CLIENT PAUSE 100000 WRITE"), "+OK")
		for _, pipeline := range [][]string{{"PING", command}, {"MULTI", command, "EXEC"}} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.send(pipeline...)
			}()
			for range pipeline[1:] {
				c.replies(1)
			}
			for !strings.Contains(n.server.Info("clients"), "blocked_clients:1\r\n") {
				runtime.Gosched()
			}
			if rest := c.rest(); rest != "" {
				t.Errorf("%q in a pause: %q", pipeline, rest)
			}
			admin.expect(lines("CLIENT UNPAUSE"), "+OK")
			<-done
			c.replies(1)
			admin.expect(lines("CLIENT PAUSE 100000 WRITE"), "+OK")
		}
	}
}

// A script that says that it does not write is not held up by a pause of writes, in a transaction neither.
func TestPauseOfReadingScripts(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	const script = `"#!lua flags=no-writes\nreturn 12"`
	sha := strings.Fields(c.call("SCRIPT LOAD " + script))[1]
	c.expect(lines("CLIENT PAUSE 100000 WRITE", "EVAL "+script+" 0", "EVALSHA "+sha+" 0", "MULTI", "EVAL "+script+" 0", "EXEC", "CLIENT UNPAUSE"),
		"+OK", ":12", ":12", "+OK", "+QUEUED", "*1 :12", "+OK")
}

// A function that says that it does not write is read from memory, unless something of
// the connection is in flight. One that others have replaced since the command came
// goes through the log.
func TestFunctionsThatReadAreReads(t *testing.T) {
	n := newNode(t, nil)
	c, other := n.client(), n.client()
	load := func(flags, body string) string {
		return `FUNCTION LOAD REPLACE "#!lua name=lib\nredis.register_function{function_name='f', flags={` + flags +
			`}, callback=function() return redis.call(` + body + `) end}"`
	}
	reading, writing := load("'no-writes'", "'GET', 'n'"), load("", "'INCR', 'n'")
	c.expect(lines("SET n 5", reading), "+OK", "$3 lib")
	c.expect(lines("CLIENT GETNAME"), "$-1") // it waits until nothing is in flight: a reply may be there a little before
	n.cluster.Pause()
	c.expect(lines("FCALL f 0", "FCALL_RO f 0", "GET n"), "$1 5", "$1 5", "$1 5")
	if got := fmt.Sprint(n.cluster.Waiting()); got != "[]" {
		t.Errorf("submissions of %s ops", got)
	}
	n.cluster.Resume()
	c.expect(lines(writing, "FCALL f 0", reading, "FCALL f 0"), "$3 lib", ":6", "$3 lib", "$1 6")

	n.cluster.Barrier = func(session.Consistency) error {
		n.cluster.Barrier = nil
		other.expect(lines(writing), "$3 lib")
		return nil
	}
	c.expect(lines("GET n", "FCALL f 0", "GET n"), "$1 6", ":7", "$1 7")
}

// PFCOUNT is called a read, and caches its count in the state: it goes through the
// log, alone and in a transaction, and a pause of writes holds it up.
func TestCountsOfHyperLogLogsAreLogged(t *testing.T) {
	n := newNode(t, nil)
	c, admin := n.client(), n.client()
	c.expect(lines("PFADD h a b", "GETRANGE h 8 15"), ":1", "$8 \x00\x00\x00\x00\x00\x00\x00\x80")
	c.expect(lines("PFCOUNT h", "GETRANGE h 8 15"), ":2", "$8 \x02\x00\x00\x00\x00\x00\x00\x00")
	c.expect(lines("PFADD h c", "MULTI", "PFCOUNT h", "EXEC", "GETRANGE h 8 15"),
		":1", "+OK", "+QUEUED", "*1 :3", "$8 \x03\x00\x00\x00\x00\x00\x00\x00")
	n.cluster.Pause()
	c.send("PFCOUNT h")
	if got := fmt.Sprint(n.cluster.Waiting()); got != "[1]" {
		t.Errorf("submissions of %s ops, want one", got)
	}
	n.cluster.Resume()
	c.expect(nil, ":3")

	admin.expect(lines("CLIENT PAUSE 100000 WRITE"), "+OK")
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.send("PFCOUNT h")
	}()
	for !strings.Contains(n.server.Info("clients"), "blocked_clients:1\r\n") {
		runtime.Gosched()
	}
	admin.expect(lines("CLIENT UNPAUSE"), "+OK")
	<-done
	c.expect(nil, ":3")
}

func TestSelfTestOfHyperLogLogs(t *testing.T) {
	c := newNode(t, nil).client()
	c.expect(lines("PFSELFTEST", "MULTI", "PFSELFTEST", "EXEC"), "+OK", "+OK", "+QUEUED", "*1 +OK")
}

// Slot agrees with CLUSTER KEYSLOT of redis-server.
func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"": 0, "a": 15495, "foo": 12182, "foo{bar}baz": 5061, "bar": 5061, "{}x": 10595, "foo{}": 5542, "{a": 10276, "a}{b}": 3300,
	} {
		if got := session.Slot([]byte(key)); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
		}
	}
}

// How many commands with large replies ride in one submission is learned from
// how large they have been; order and replies do not depend on it.
func TestFlightsOfLargeReplies(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	large := strings.Repeat("x", session.UnreadMax/2)
	c.expect(lines("SET large "+large, "SET small x"), "+OK", "+OK")
	mixed := func(key string, pairs int) (pipeline, want []string) {
		value := map[string]string{"large": "$2097152 " + large, "small": "$1 x"}[key]
		// A session command first: what came before has landed.
		pipeline, want = append(pipeline, "CLIENT GETNAME"), append(want, "$-1")
		for i := range pairs {
			pipeline = append(pipeline, "INCR n", "GET "+key)
			want = append(want, fmt.Sprintf(":%d", i+1), value)
		}
		return append(pipeline, "SET n 0"), append(want, "+OK")
	}
	for _, tc := range []struct {
		key     string
		pairs   int
		flights int // in which the reads before ride
	}{
		{"small", 40, 2}, // of 2 and, once it is known how small they are, of the rest
		{"small", 40, 1},
		{"large", 4, 1},
		{"large", 40, 21}, // of one; the read after it waits and rides in none
		{"small", 40, 2},
	} {
		before := n.cluster.Submitted()
		pipeline, want := mixed(tc.key, tc.pairs)
		c.expect(pipeline, want...)
		if got := n.cluster.Submitted() - before; got != tc.flights {
			t.Errorf("%d pairs with %s replies: %d submissions, want %d", tc.pairs, tc.key, got, tc.flights)
		}
	}
}

// Writes have durations in commandstats and in the slow log, as reads have.
func TestDurationsOfWrites(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("CONFIG SET slowlog-log-slower-than 0", "CONFIG RESETSTAT", "SLOWLOG RESET"), "+OK", "+OK", "+OK")
	c.expect(lines("SET a 1", "GET a", "MULTI", "INCR a", "EXEC"), "+OK", "$1 1", "+OK", "+QUEUED", "*1 :2")
	c.send("SLOWLOG GET 100", "INFO commandstats")
	got := c.replies(2)
	for _, name := range []string{"SET", "GET", "INCR"} {
		if !strings.Contains(got[0], " "+name+" ") {
			t.Errorf("the slow log has no %s: %s", name, got[0])
		}
		if line := "cmdstat_" + strings.ToLower(name) + ":calls=1,usec="; !strings.Contains(got[1], line) {
			t.Errorf("no %s in %s", line, got[1])
		}
	}
}

// TestSaving asks for a snapshot while the node writes one of its own.
func TestSaving(t *testing.T) {
	c := newNode(t, func(c *sessiontest.Cluster) { c.Saves = true }).client()
	c.expect(lines("SAVE", "BGSAVE", "BGSAVE SCHEDULE", "BGREWRITEAOF"),
		"-ERR Background save already in progress", "-ERR Background save already in progress",
		"+Background saving started", "-ERR Background append only file rewriting already in progress")
}

// MONITOR in a transaction would wait, with the output locked, for those who show
// others' commands, and those for the output.
func TestMonitorInTransaction(t *testing.T) {
	c := newNode(t, nil).client()
	c.expect(lines("MULTI", "SET a 1", "MONITOR", "EXEC", "MULTI", "MONITOR", "EXEC"),
		"+OK", "+QUEUED", "+QUEUED", "*2 +OK -ERR MONITOR isn't allowed for DENY BLOCKING client",
		"+OK", "+QUEUED", "*1 -ERR MONITOR isn't allowed for DENY BLOCKING client")
}

// DEBUG in a transaction looks at the database that the transaction has selected,
// and changes nothing.
func TestDebugInTransaction(t *testing.T) {
	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
	c := n.client()
	c.expect(lines("SELECT 3", "SET k v", "SELECT 0", "MULTI", "SELECT 3", "DEBUG OBJECT k", "DEBUG POPULATE 1"),
		"+OK", "+OK", "+OK", "+OK", "+QUEUED", "+QUEUED", "+QUEUED")
	got := c.call("EXEC")
	if !strings.Contains(got, "encoding:embstr") || !strings.Contains(got, "can't be used inside a transaction") {
		t.Errorf("EXEC of DEBUG: %q", got)
	}
	c.expect(lines("DBSIZE", "DEBUG POPULATE 9223372036854775807"), ":1", "-ERR DEBUG POPULATE creates at most 10000000 keys at a time")
}

func TestMonitorHidesPasswordsOfHello(t *testing.T) {
	n := newNode(t, nil)
	m, c := n.client(), n.client()
	m.expect(lines("MONITOR"), "+OK")
	for _, hello := range []string{"HELLO 3 SETNAME auth AUTH default s3cret", "HELLO 3 AUTH u s3cret AUTH u s3cret"} {
		c.call("%s", hello)
		if shown := m.replies(1)[0]; !strings.Contains(shown, "HELLO") || strings.Contains(shown, "s3cret") {
			t.Errorf("%q is shown as %q", hello, shown)
		}
	}
}

// What a Redis Cluster is told by its operator is refused with the reason, or true already.
func TestClusterOfRedisIsNotAdministered(t *testing.T) {
	self := session.Member{ID: strings.Repeat("a", 40), Host: "10.0.0.1", Port: 7001, PeerAddr: "10.0.0.1:17001", Online: true, Leader: true, Self: true}
	away := session.Member{ID: strings.Repeat("b", 40), Host: "10.0.0.2", Port: 7002, PeerAddr: "10.0.0.2:17002"}
	leader := &self
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.View = func(string) session.Topology {
			me := self
			me.Leader = leader.Self
			return session.Topology{Self: me, Leader: *leader, Members: []session.Member{me, away}, Term: 3}
		}
	})
	c := n.client()
	fixed := "-ERR slots have no owners here: the leader writes all of them and every node has all keys"
	epochs := "-ERR epochs are the terms of the nodes' elections, which no client sets"
	c.expect(lines("CLUSTER ADDSLOTS 1", "CLUSTER ADDSLOTSRANGE 1 2", "CLUSTER DELSLOTS 1", "CLUSTER DELSLOTSRANGE 1 2", "CLUSTER FLUSHSLOTS", "CLUSTER SETSLOT 1 STABLE"),
		fixed, fixed, fixed, fixed, fixed, fixed)
	c.expect(lines("CLUSTER BUMPEPOCH", "CLUSTER SET-CONFIG-EPOCH 1", "CLUSTER SAVECONFIG"), epochs, epochs, "+OK")
	c.expect(lines("CLUSTER MEET h 1", "CLUSTER REPLICATE x", "CLUSTER RESET HARD"),
		"-ERR a node joins by its own configuration: start it with --join and addresses of the cluster",
		"-ERR every node follows the leader, which the nodes elect: CLUSTER FAILOVER here makes this one the leader",
		"-ERR a node leaves by CLUSTER FORGET, sent to another one, and starts anew with an empty dir")
	c.expect(lines("CLUSTER COUNT-FAILURE-REPORTS "+self.ID, "CLUSTER COUNT-FAILURE-REPORTS "+away.ID, "CLUSTER COUNT-FAILURE-REPORTS x"),
		":0", ":1", "-ERR Unknown node x")
	c.expect(lines("PUBSUB CHANNELS a b", "PUBSUB SHARDCHANNELS a b"),
		"-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.",
		"-ERR unknown subcommand or wrong number of arguments for 'SHARDCHANNELS'. Try PUBSUB HELP.")
	c.expect(lines("FAILOVER FORCE", "FAILOVER TO 10.0.0.1 7001", "FAILOVER ABORT", "FAILOVER ABORT TO h 1", "FAILOVER TO h 1 TO h 1"),
		"-ERR FAILOVER with force option requires both a timeout and target HOST and IP.", "-ERR FAILOVER target HOST and PORT is not a replica.",
		"-ERR No failover in progress.", "-ERR syntax error", "-ERR syntax error")
	leader = &away
	c.expect(lines("FAILOVER"), "-ERR FAILOVER is not valid when server is a replica.")
}

// A setting of the cluster is shown as it is in force once a read would be answered, and
// without a leader as it is here.
func TestConfigGetWaitsForTheCluster(t *testing.T) {
	asked := 0
	n := newNode(t, func(c *sessiontest.Cluster) {
		c.Barrier = func(session.Consistency) error {
			asked++
			return reply.ErrNoLeader
		}
	})
	c := n.client()
	c.expect(lines("CONFIG GET hash-max-listpack-entries"), "*2 $25 hash-max-listpack-entries $3 512")
	if asked == 0 {
		t.Error("the cluster was not asked")
	}
	before := asked
	c.expect(lines("CONFIG GET port"), "*2 $4 port $4 6379")
	if asked != before {
		t.Error("the cluster was asked for a directive of the node")
	}
}

// INFO has the fields of redis-server 7.0.15, but for those of things that are not here.
func TestInfoHasTheFieldsOfRedis(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.send("INFO everything")
	text := c.replies(1)[0]
	for _, name := range strings.Fields(`redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits monotonic_clock
		multiplexing_api atomicvar_api gcc_version process_id process_supervised run_id tcp_port server_time_usec uptime_in_seconds uptime_in_days
		hz configured_hz lru_clock executable config_file io_threads_active connected_clients cluster_connections maxclients
		client_recent_max_input_buffer client_recent_max_output_buffer blocked_clients tracking_clients clients_in_timeout_table used_memory
		used_memory_human used_memory_rss used_memory_rss_human used_memory_peak used_memory_peak_human used_memory_peak_perc used_memory_overhead
		used_memory_startup used_memory_dataset used_memory_dataset_perc allocator_allocated allocator_active allocator_resident
		total_system_memory total_system_memory_human used_memory_lua used_memory_vm_eval used_memory_lua_human used_memory_scripts_eval
		number_of_cached_scripts number_of_functions number_of_libraries used_memory_vm_functions used_memory_vm_total
		used_memory_vm_total_human used_memory_functions used_memory_scripts used_memory_scripts_human maxmemory maxmemory_human maxmemory_policy
		allocator_frag_ratio allocator_frag_bytes allocator_rss_ratio allocator_rss_bytes rss_overhead_ratio rss_overhead_bytes
		mem_fragmentation_ratio mem_fragmentation_bytes mem_replication_backlog mem_total_replication_buffers mem_clients_slaves
		mem_clients_normal mem_cluster_links mem_aof_buffer mem_allocator active_defrag_running lazyfree_pending_objects lazyfreed_objects
		loading async_loading current_cow_peak current_cow_size current_cow_size_age current_fork_perc current_save_keys_processed
		current_save_keys_total rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status
		rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec rdb_saves rdb_last_cow_size rdb_last_load_keys_expired rdb_last_load_keys_loaded
		aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled aof_last_rewrite_time_sec aof_current_rewrite_time_sec
		aof_last_bgrewrite_status aof_rewrites aof_rewrites_consecutive_failures aof_last_write_status aof_last_cow_size
		module_fork_in_progress module_fork_last_cow_size total_connections_received total_commands_processed instantaneous_ops_per_sec
		total_net_input_bytes total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes instantaneous_input_kbps instantaneous_output_kbps
		instantaneous_input_repl_kbps instantaneous_output_repl_kbps io_threaded_reads_processed io_threaded_writes_processed active_defrag_hits
		active_defrag_misses active_defrag_key_hits active_defrag_key_misses total_active_defrag_time current_active_defrag_time
		rejected_connections sync_full sync_partial_ok sync_partial_err expired_keys expired_time_cap_reached_count evicted_keys evicted_clients
		keyspace_hits keyspace_misses pubsub_channels pubsub_patterns pubsubshard_channels latest_fork_usec total_forks migrate_cached_sockets
		slave_expires_tracked_keys tracking_total_keys tracking_total_items tracking_total_prefixes unexpected_error_replies total_error_replies
		total_reads_processed total_writes_processed role connected_slaves master_failover_state master_replid master_replid2 master_repl_offset
		second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen used_cpu_sys used_cpu_user
		used_cpu_sys_children used_cpu_user_children cluster_enabled`) {
		if !strings.Contains(text, " "+name+":") {
			t.Errorf("there is no %s", name)
		}
	}
}
