package session_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// clock is one that a test moves.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ms.Store(1_800_000_000_000)
	return c
}

func (c *clock) now() time.Time      { return time.UnixMilli(c.ms.Load()) }
func (c *clock) add(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// What DEBUG SET-ACTIVE-EXPIRE 0 keeps goes when it is read, as in redis-server.
func TestWhatIsKeptGoesWhenItIsRead(t *testing.T) {
	for _, tc := range []struct {
		name string
		read []string
		want []string
		left string // keys
	}{
		{"not looked at", lines("PING"), lines("+PONG"), ":3"},
		{"MGET", lines("MGET a b nosuch"), lines("*3 $-1 $-1 $-1"), ":1"},
		{"a transaction", lines("MULTI", "GET a", "EXEC"), lines("+OK", "+QUEUED", "*1 $-1"), ":2"},
		{"SCAN", lines("SCAN 0 MATCH x"), lines("*2 $1 0 *0"), ":0"},
		{"a script that does not write", lines("EVAL_RO return{} 1 a"), lines("*0"), ":2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newClock()
			n := newNodeAt(t, clock.now, func(c *sessiontest.Cluster) { c.Now = clock.now })
			n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
			c, other := n.client(), n.client()
			c.expect(lines("DEBUG SET-ACTIVE-EXPIRE 0"), "+OK")
			c.expect(lines("SET a 1 PX 1", "SET b 1 PX 1", "SET c 1 PX 1"), "+OK", "+OK", "+OK")
			clock.add(5 * time.Millisecond)
			other.expect(lines("DEL nosuch", "DBSIZE"), ":0", ":3") // takes the log's clock on
			c.expect(tc.read, tc.want...)
			c.expect(lines("DBSIZE"), tc.left)
		})
	}
}

// A key that is due is gone for who reads it, also before the log's clock says so, unless
// the reader asks for less than the newest.
func TestDueKeysAreGoneForReaders(t *testing.T) {
	for _, tc := range []struct {
		name       string
		read, want []string
	}{
		{"GET", lines("GET a"), lines("$-1")},
		{"several at once", lines("PING", "GET c", "MGET a b c", "TTL b"), lines("+PONG", "$1 3", "*3 $-1 $-1 $1 3", ":-2")},
		{"a look that is no use", lines("EXISTS a b", "TYPE a", "OBJECT ENCODING b"), lines(":0", "+none", "$-1")},
		{"a transaction", lines("MULTI", "PING", "GET a", "EXEC"), lines("+OK", "+QUEUED", "+QUEUED", "*2 +PONG $-1")},
		{"a script", lines("EVAL_RO 'return redis.call(\"exists\", KEYS[1], KEYS[2])' 2 a b"), lines(":0")},
		{"a stale read", lines("CLIENT CONSISTENCY STALE", "GET a", "PTTL a"), lines("+OK", "$1 1", ":0")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newClock()
			n := newNodeAt(t, clock.now, func(c *sessiontest.Cluster) { c.Late, c.Now = true, clock.now })
			c := n.client()
			c.expect(lines("SET a 1 PX 1", "SET b 2 PX 1", "SET c 3"), "+OK", "+OK", "+OK")
			clock.add(5 * time.Millisecond)
			c.expect(tc.read, tc.want...)
		})
	}
}

// What a read that is made again has looked up counts once.
func TestReadsMadeAgainCountOnce(t *testing.T) {
	clock := newClock()
	n := newNodeAt(t, clock.now, func(c *sessiontest.Cluster) { c.Late, c.Now = true, clock.now })
	c := n.client()
	c.expect(lines("SET a 1 PX 1"), "+OK")
	clock.add(5 * time.Millisecond)
	c.expect(lines("GET a"), "$-1")
	c.send("INFO stats")
	stats := c.replies(1)[0]
	for _, want := range []string{"keyspace_hits:0", "keyspace_misses:1"} {
		if !strings.Contains(stats, want) {
			t.Errorf("no %s in %s", want, stats)
		}
	}
}

// While the node's clock is ahead of the log's by more than an op mends, reads do not try
// that again and again.
func TestReadsDoNotChaseAClockThatIsAhead(t *testing.T) {
	for _, read := range []struct{ lines, want []string }{
		{lines("GET a"), lines("$1 1")},
		{lines("MULTI", "GET a", "EXEC"), lines("+OK", "+QUEUED", "*1 $1 1")},
	} {
		t.Run(read.lines[0], func(t *testing.T) {
			here, log := newClock(), newClock()
			n := newNodeAt(t, here.now, func(c *sessiontest.Cluster) { c.Late, c.Now = true, log.now })
			c, other := n.client(), n.client()
			c.expect(lines("SET a 1 PX 5000", "SET b 1 PX 10010"), "+OK", "+OK")
			here.add(10 * time.Second)
			submitted := n.cluster.Submitted()
			submits := func(want int) {
				t.Helper()
				if got := n.cluster.Submitted() - submitted; got != want {
					t.Errorf("%d ops submitted, want %d", got, want)
				}
			}
			for range 50 {
				c.expect(read.lines, read.want...)
				other.expect(read.lines, read.want...)
			}
			submits(1)
			here.add(100 * time.Millisecond)
			for range 50 {
				c.expect(read.lines, read.want...)
			}
			submits(2)

			log.add(here.now().Sub(log.now())) // from here on an op mends it
			here.add(100 * time.Millisecond)
			log.add(100 * time.Millisecond)
			c.expect(lines("MGET a b"), "*2 $-1 $-1")
			submits(3)
		})
	}
}

// A clock that is a little ahead keeps reads from trying no longer than that.
func TestAClockThatIsALittleAhead(t *testing.T) {
	here, log := newClock(), newClock()
	n := newNodeAt(t, here.now, func(c *sessiontest.Cluster) { c.Late, c.Now = true, log.now })
	c := n.client()
	c.expect(lines("SET a 1 PX 1"), "+OK")
	here.add(2 * time.Millisecond)
	c.expect(lines("GET a", "GET a"), "$1 1", "$1 1")
	here.add(2 * time.Millisecond)
	log.add(2 * time.Millisecond)
	c.expect(lines("GET a"), "$-1")
}

// What takes the log's clock on is no write of the client's: it may end as it will.
func TestReadsMadeAgainLeaveNoDoubt(t *testing.T) {
	for _, read := range []struct{ lines, want []string }{
		{lines("GET a"), lines("$1 1")},
		{lines("MULTI", "GET a", "EXEC"), lines("+OK", "+QUEUED", "*1 $1 1")},
		{lines("WATCH a"), lines("+OK")},
	} {
		t.Run(read.lines[0], func(t *testing.T) {
			var failing atomic.Bool
			clock := newClock()
			n := newNodeAt(t, clock.now, func(c *sessiontest.Cluster) {
				c.Late, c.Now = true, clock.now
				c.Err = func() reply.Error {
					if failing.Load() {
						return reply.InDoubt("no answer")
					}
					return ""
				}
			})
			c := n.client()
			c.expect(lines("SET a 1 PX 1"), "+OK")
			clock.add(5 * time.Millisecond)
			failing.Store(true)
			c.expect(read.lines, read.want...)
			failing.Store(false)
			submitted := n.cluster.Submitted()
			c.expect(lines("GET nosuch"), "$-1")
			if n.cluster.Submitted() != submitted {
				t.Error("the next read was submitted")
			}
		})
	}
}

// A script that was cut short does not run again, whatever keys it has met.
func TestCutScriptsRunOnce(t *testing.T) {
	clock := newClock()
	n := newNodeAt(t, clock.now, func(c *sessiontest.Cluster) { c.Late, c.Now = true, clock.now })
	c := n.client()
	c.expect(lines("CONFIG SET lua-instructions-max 100000", "SET a 1 PX 1"), "+OK", "+OK")
	clock.add(5 * time.Millisecond)
	submitted := n.cluster.Submitted()
	c.send(`EVAL_RO "redis.call('get', KEYS[1]) while true do end" 1 a`)
	if got := c.replies(1)[0]; !strings.HasPrefix(got, "-ERR ") {
		t.Errorf("a script without end: %q", got)
	}
	if got := n.cluster.Submitted() - submitted; got != 0 {
		t.Errorf("%d ops submitted for a script that was cut", got)
	}
}
