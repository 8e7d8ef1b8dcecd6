package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// tracker returns a client that speaks RESP3 and has called CLIENT TRACKING with those options.
func (n *node) tracker(options string) *client {
	n.t.Helper()
	c := n.client()
	c.send("HELLO 3")
	c.replies(1)
	c.expect(lines("CLIENT TRACKING "+options), "+OK")
	return c
}

// told takes the next messages.
func (c *client) told(want ...string) {
	c.t.Helper()
	c.expect(nil, want...)
}

func invalidate(keys ...string) string {
	m := fmt.Sprintf(">2 $10 invalidate *%d", len(keys))
	for _, key := range keys {
		m += fmt.Sprintf(" $%d %s", len(key), key)
	}
	return m
}

const invalidateAll = ">2 $10 invalidate _"

// Who has read a key hears once of its next change, whoever makes it and in
// whatever way.
func TestTracking(t *testing.T) {
	n := newNode(t, nil)
	c, other := n.tracker("ON"), n.client()
	for _, change := range []string{
		"SET k 2", "APPEND k x", "DEL k", "EXPIRE k 100", "RENAME k k2", "MOVE k 1", "COPY o k REPLACE", "EVAL \"redis.call('set','k','9')\" 0",
	} {
		other.send("MSET k 1 o 1", "DEL k2")
		other.replies(2)
		c.expect(lines("GET k"), "$1 1")
		other.send(change, "SET k 1")
		other.replies(2)
		c.told(invalidate("k"))
		other.send("SELECT 1", "DEL k", "SELECT 0")
		other.replies(3)
	}
	c.expect(lines("GET k"), "$1 1")
	other.expect(lines("FLUSHALL"), "+OK")
	c.told(invalidateAll)
	other.expect(lines("SWAPDB 1 2"), "+OK")
	c.told(invalidateAll)
}

// Messages of a client's own changes stand right behind the reply, of a
// transaction behind all of it.
func TestTrackingOfOwnChanges(t *testing.T) {
	n := newNode(t, nil)
	c := n.tracker("ON")
	c.expect(lines("SET k 1", "GET k", "SET k 2", "GET k"), "+OK", "$1 1", "+OK", invalidate("k"), "$1 2")
	c.expect(lines("MULTI", "SET k 3", "GET k", "EXEC"), "+OK", "+QUEUED", "+QUEUED", "*2 +OK $1 3", invalidate("k"))
	c.expect(lines("FLUSHALL"), "+OK", invalidateAll)
	c.expect(lines("EVAL \"redis.call('get',KEYS[1]) return redis.call('set',KEYS[1],'9')\" 1 k"), "+OK", invalidate("k"))

	quiet := n.tracker("ON NOLOOP")
	quiet.expect(lines("GET k", "SET k 4"), "$1 9", "+OK")
	c.expect(lines("SET k 5"), "+OK")
	quiet.told(invalidate("k")) // it kept what it wrote
}

func TestTrackingOfPrefixes(t *testing.T) {
	n := newNode(t, nil)
	c, own, other := n.tracker("ON BCAST PREFIX a: PREFIX b:"), n.tracker("ON BCAST NOLOOP"), n.client()
	other.expect(lines("MULTI", "SET b:2 1", "SET a:2 1", "SET a:1 1", "SET c 1", "EXEC"), "+OK", "+QUEUED", "+QUEUED", "+QUEUED", "+QUEUED", "*4 +OK +OK +OK +OK")
	c.told(invalidate("a:1", "a:2"), invalidate("b:2"))
	own.told(invalidate("a:1", "a:2", "b:2", "c"))
	own.expect(lines("SET a:1 2"), "+OK")
	c.told(invalidate("a:1"))
	if got := info(n, "tracking_"); got != "tracking_clients:2 tracking_total_keys:0 tracking_total_items:0 tracking_total_prefixes:3" {
		t.Errorf("INFO tells %s", got)
	}
	c.expect(lines("CLIENT TRACKING OFF", "SET a:1 2"), "+OK", "+OK")
	own.told(invalidate("a:1"))
}

// info returns the fields of INFO that begin so.
func info(n *node, prefix string) string {
	c := n.client()
	c.send("INFO everything")
	var found []string
	for _, word := range strings.Fields(c.replies(1)[0]) {
		if strings.HasPrefix(word, prefix) {
			found = append(found, word)
		}
	}
	return strings.Join(found, " ")
}

func TestTrackingOptInAndOut(t *testing.T) {
	n := newNode(t, nil)
	in, out, other := n.tracker("ON OPTIN"), n.tracker("ON OPTOUT"), n.client()
	in.expect(lines("GET a", "CLIENT CACHING YES", "GET b", "GET c"), "_", "+OK", "_", "_")
	in.expect(lines("CLIENT CACHING YES", "MULTI", "GET d", "EXEC", "GET e"), "+OK", "+OK", "+QUEUED", "*1 _", "_")
	out.expect(lines("GET a", "CLIENT CACHING NO", "GET b", "GET c"), "_", "+OK", "_", "_")
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		other.expect(lines("SET "+key+" 1"), "+OK")
	}
	in.told(invalidate("b"), invalidate("d"))
	out.told(invalidate("a"), invalidate("c"))
}

// Messages of a client of the old protocol go to a subscriber; when that is gone, a
// client of the new one is told so.
func TestTrackingRedirected(t *testing.T) {
	n := newNode(t, nil)
	sub, c, resp3 := n.client(), n.client(), n.tracker("ON")
	sub.send("CLIENT ID", "SUBSCRIBE __redis__:invalidate")
	id := strings.TrimPrefix(sub.replies(2)[0], ":")
	c.expect(lines("CLIENT TRACKING ON REDIRECT "+id, "GET k", "CLIENT GETREDIR"), "+OK", "$-1", ":"+id)
	resp3.expect(lines("CLIENT TRACKING ON REDIRECT "+id, "GET k"), "+OK", "_")
	c.expect(lines("SET k 1"), "+OK")
	message := "*3 $7 message $20 __redis__:invalidate *1 $1 k"
	sub.told(message, message)
	c.expect(lines("FLUSHALL"), "+OK")
	sub.told("*3 $7 message $20 __redis__:invalidate $-1") // one is enough for two
	resp3.expect(lines("GET k"), "_")
	sub.send("QUIT")
	c.expect(lines("SET k 2"), "+OK")
	resp3.told(">2 $21 tracking-redir-broken :" + id)
	resp3.expect(lines("CLIENT TRACKINGINFO"), "%3 $5 flags ~2 $2 on $15 broken_redirect $8 redirect :"+id+" $8 prefixes *0")
}

func TestTrackingTableIsBounded(t *testing.T) {
	n := newNode(t, nil)
	n.client().expect(lines("CONFIG SET tracking-table-max-keys 2"), "+OK")
	c := n.tracker("ON")
	c.expect(lines("GET a", "GET b"), "_", "_")
	c.send("GET c")
	if got := c.replies(2); got[0] != "_" || !strings.HasPrefix(got[1], ">2 $10 invalidate *1") {
		t.Errorf("a third key got %q", got)
	}
	n.client().expect(lines("CONFIG SET tracking-table-max-keys 1"), "+OK")
	c.replies(1)
	if got := info(n, "tracking_total"); got != "tracking_total_keys:1 tracking_total_items:1 tracking_total_prefixes:0" {
		t.Errorf("INFO tells %s", got)
	}
	c.session.Close()
	if got := info(n, "tracking_"); got != "tracking_clients:0 tracking_total_keys:0 tracking_total_items:0 tracking_total_prefixes:0" {
		t.Errorf("afterwards INFO tells %s", got)
	}
}

// Another state in the place of this one makes all copies worthless.
func TestTrackingOverRestore(t *testing.T) {
	n := newNode(t, nil)
	c := n.tracker("ON")
	c.expect(lines("GET k"), "_")
	var file strings.Builder
	snapshot, err := n.cluster.Engine.Freeze(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if err := snapshot.WriteRDB(&file); err != nil {
		t.Fatal(err)
	}
	if err := n.cluster.Engine.Restore(strings.NewReader(file.String()), func(map[string][]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	c.told(invalidateAll)
	c.expect(lines("GET k", "SET k 1"), "_", "+OK", invalidate("k"))
}

// A change between a read and the writing of its reply is told behind that reply.
func TestInvalidationsBehindTheReply(t *testing.T) {
	for _, options := range []string{"ON", "ON BCAST"} {
		n := newNode(t, nil)
		c, other := n.tracker(options), n.client()
		c.send("SUBSCRIBE news") // from now on replies are made elsewhere first
		c.replies(1)
		for _, read := range [][]string{lines("GET k"), lines("MULTI", "GET k", "EXEC")} {
			last := len(read) - 1
			c.send(read[:last]...)
			c.replies(last)
			c.out.before = func() {
				other.expect(lines("SET k 1"), "+OK")
				other.expect(lines("DEL k"), ":1") // the one before has been told, if it may be
			}
			c.send(read[last])
			if got := c.replies(2); strings.HasPrefix(got[0], ">") || !strings.HasPrefix(got[1], ">2 $10 invalidate") {
				t.Errorf("%s: %s got %q", options, read, got)
			}
			other.expect(lines("SET other 1"), "+OK")
			c.expectLast("PING end", "$3 end")
			c.taken = len(c.out.w.Bytes())
		}
	}
}

// What a client keeps until it is told otherwise is what the data holds: no
// message is lost, nor does it come before the reply that it is about. Clients
// read in place and, as subscribers, by way of a buffer; alone and in
// transactions; behind writes of their own and without.
func TestCopiesAreNeverStale(t *testing.T) {
	const keys, rounds = 4, 300
	n := newNode(t, nil)
	var readers []*client
	for _, options := range []string{"ON", "ON BCAST", "ON", "ON BCAST"} {
		c := n.tracker(options)
		if len(readers) > 1 {
			c.send("SUBSCRIBE news")
			c.replies(1)
		}
		readers = append(readers, c)
	}
	var wg sync.WaitGroup
	for i, c := range readers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for j := range rounds {
				key := fmt.Sprintf("k%d", r.IntN(keys))
				switch r.IntN(4) {
				case 0:
					c.send("MULTI", "GET "+key, "EXEC")
				case 1:
					c.send(fmt.Sprintf("SET %s %s=own-%d-%d", key, key, i, j), "GET "+key)
				default:
					c.send("GET " + key)
				}
			}
		})
	}
	wg.Go(func() {
		w := n.client()
		for j := range rounds * 4 {
			w.send(fmt.Sprintf("SET k%d k%d=%d", j%keys, j%keys, j))
			w.replies(1)
		}
	})
	wg.Wait()
	n.client().expect(lines("SET other 1"), "+OK") // what came before has been told
	for i, c := range readers {
		c.expectLast("PING end", "$3 end")
		for key, copied := range c.copies() {
			w := n.client()
			w.send("GET " + key)
			if got := w.replies(1)[0]; !strings.HasSuffix(got, " "+copied) {
				t.Errorf("client %d keeps %s, and it is %q", i, copied, got)
			}
		}
	}
}

// expectLast sends a command and waits for its reply, which is the last thing written.
func (c *client) expectLast(command, want string) {
	c.t.Helper()
	c.send(command)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	want = strings.ReplaceAll(want, " ", "\r\n") + "\r\n"
	for !strings.HasSuffix(string(c.out.w.Bytes()), want) {
		c.out.cond.Wait()
	}
}

// copies replays what a client was sent, whose values begin with their key, and
// returns what it keeps.
func (c *client) copies() map[string]string {
	c.t.Helper()
	kept := make(map[string]string)
	reads, told := 0, 0
	for rest := []byte(c.rest()); len(rest) > 0; {
		var v reply.Value
		var err error
		if v, rest, err = reply.Read(rest); err != nil {
			c.t.Fatal(err)
		}
		switch {
		case v.Kind == reply.KindPush && len(v.Elems) == 2:
			told++
			for _, key := range v.Elems[1].Elems {
				delete(kept, string(key.Text))
			}
		case v.Kind == reply.KindArray && len(v.Elems) == 1:
			v = v.Elems[0]
			fallthrough
		default:
			if key, _, is := strings.Cut(string(v.Text), "="); is {
				kept[key] = string(v.Text)
				reads++
			}
		}
	}
	if reads == 0 || told == 0 {
		c.t.Errorf("%d reads and %d messages", reads, told)
	}
	return kept
}

// late is a watcher whose messages are not written while the gate is closed.
type late struct {
	*session.Server
	gate <-chan struct{}
}

func (l late) Applied() {
	<-l.gate
	l.Server.Applied()
}

// Between a change and the writing of its messages the state can be read. Who does so
// is told first: his copy must not outlive what he knows.
func TestToldBeforeWhatIsNewer(t *testing.T) {
	for _, c := range []struct {
		name, tracking, read string
		want                 []string // "" is the message
	}{
		{"a read", "ON", "GET other", []string{"", "$1 2"}},
		{"a read in BCAST mode", "ON BCAST", "GET other", []string{"", "$1 2"}},
		{"an error", "ON", "LLEN other", []string{"", "-" + string(reply.ErrWrongType)}},
		{"a transaction of reads", "ON", "MULTI|GET other|EXEC", []string{"+OK", "+QUEUED", "", "*1 $1 2"}},
		{"a transaction of reads in BCAST mode", "ON BCAST", "MULTI|GET other|EXEC", []string{"+OK", "+QUEUED", "", "*1 $1 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var meanwhile func() // what happens while the node asks whether it is fresh
			n := newNode(t, func(cluster *sessiontest.Cluster) {
				cluster.Barrier = func(session.Consistency) error {
					if f := meanwhile; f != nil {
						meanwhile = nil
						f()
					}
					return nil
				}
			})
			changed := invalidate("k")
			reader, writer := n.tracker(c.tracking), n.client()
			writer.expect(lines("MSET k 1 other 1"), "+OK")
			if c.tracking == "ON BCAST" {
				changed = invalidate("k", "other")
				reader.told(changed)
			}
			reader.expect(lines("GET k"), "$1 1")
			gate := make(chan struct{})
			n.cluster.Engine.WatchWith(late{n.server, gate})
			defer close(gate)
			meanwhile = func() { writer.expect(lines("MSET k 2 other 2"), "+OK") }
			var want []string
			for _, w := range c.want {
				if w == "" {
					w = changed
				}
				want = append(want, w)
			}
			reader.expect(strings.Split(c.read, "|"), want...)
		})
	}
}

// Messages that go to another connection are there before the next reply of that one.
func TestToldElsewhereBeforeWhatIsNewer(t *testing.T) {
	for _, options := range []string{"", " BCAST"} {
		t.Run("redirected"+options, func(t *testing.T) {
			n := newNode(t, nil)
			other, writer := n.client(), n.client()
			other.send("HELLO 3")
			other.replies(1)
			reader := n.tracker(fmt.Sprintf("ON REDIRECT %d%s", other.session.ID(), options))
			writer.expect(lines("SET k 1"), "+OK")
			if options != "" {
				other.told(invalidate("k"))
			}
			reader.expect(lines("GET k"), "$1 1")
			gate := make(chan struct{})
			n.cluster.Engine.WatchWith(late{n.server, gate})
			defer close(gate)
			writer.expect(lines("SET k 2"), "+OK")
			reader.expect(lines("STRLEN k"), ":1")
			other.expect(lines("PING"), invalidate("k"), "+PONG")
		})
	}
}
