//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/engine/reply"
)

// TestTracking keeps copies at each node, while another one writes: a copy goes when
// its key changes, and what is read after that is not older than the message.
func TestTracking(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	for i, n := range c.nodes {
		writer := c.nodes[(i+1)%len(c.nodes)].client()
		conn, err := net.Dial("tcp", n.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		in := bufio.NewReader(conn)
		take := func(lines int) string {
			var all []string
			for range lines {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatalf("node %d: %v", n.number, err)
				}
				all = append(all, strings.TrimSpace(line))
			}
			return strings.Join(all, " ")
		}
		must[string](t, "SET")(writer.Set(ctx, "copied", "0", 0).Result())
		fmt.Fprint(conn, "GET copied\r\nCLIENT CONSISTENCY stale\r\n") // from now on reads ask nobody
		take(3)
		fmt.Fprint(conn, "HELLO 3\r\nCLIENT TRACKING ON\r\n")
		for take(1) != "+OK" {
		}
		for round := 1; round <= 100; round++ {
			fmt.Fprint(conn, "GET copied\r\n")
			take(2)
			must[string](t, "SET")(writer.Set(ctx, "copied", fmt.Sprint(round), 0).Result())
			if got := take(5); got != ">2 $10 invalidate *1 $6" {
				t.Fatalf("node %d, round %d: %s", n.number, round, got)
			}
			take(1)
			fmt.Fprint(conn, "GET copied\r\n")
			if take(1); take(1) != fmt.Sprint(round) {
				t.Fatalf("node %d, round %d: what follows the message is older", n.number, round)
			}
		}
	}
}

// listener is a client that is told of changes.
type listener struct {
	t     *testing.T
	conn  *client.Conn
	heard map[string]int // by key: how often
}

func listen(t *testing.T, n *testNode) *listener {
	t.Helper()
	conn, err := client.Dial(n.addr(), 3, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &listener{t: t, conn: conn, heard: make(map[string]int)}
}

// do sends a command and returns its reply, with what comes before it heeded.
func (l *listener) do(args ...string) reply.Value {
	l.t.Helper()
	l.conn.Append(args...)
	if err := l.conn.Flush(10 * time.Second); err != nil {
		l.t.Fatal(err)
	}
	for {
		v, err := l.conn.Read(20 * time.Second)
		switch {
		case err != nil || v.Kind == reply.KindError:
			l.t.Fatalf("%v: %s, %v", args, v.Text, err)
		case v.Kind != reply.KindPush:
			return v
		case len(v.Elems) != 2 || string(v.Elems[0].Text) != "invalidate" || v.Elems[1].Kind == reply.KindNull:
			l.t.Fatalf("told %v", v)
		}
		for _, key := range v.Elems[1].Elems {
			l.heard[string(key.Text)]++
		}
	}
}

// TestTrackingOverALeaderKill: a client of a follower hears of every change once, on the
// connection that it wants, though the leader is killed between them. From a read of the
// last change on there is nothing left to hear.
func TestTrackingOverALeaderKill(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	const keys = 200
	for _, manner := range []string{"default", "redirected", "broadcast", "broadcast, redirected"} {
		leader := c.leader()
		others := c.others(leader)
		name := func(i int) string { return fmt.Sprintf("%s:%d", strings.ReplaceAll(manner, ", ", "-"), i) }
		writer, neighbour := others[0].client(), others[1].client()
		for i := range keys {
			must[string](t, "SET")(writer.Set(ctx, name(i), "old", 0).Result())
		}
		reader := listen(t, others[1])
		ear := reader
		tracking := []string{"CLIENT", "TRACKING", "ON"}
		if strings.HasSuffix(manner, "redirected") {
			ear = listen(t, others[1])
			tracking = append(tracking, "REDIRECT", fmt.Sprint(ear.do("CLIENT", "ID").Int))
		}
		if strings.HasPrefix(manner, "broadcast") {
			tracking = append(tracking, "BCAST", "PREFIX", name(1)[:len(name(1))-1], "PREFIX", "nobody:")
		}
		reader.do("GET", name(keys-1)) // its node has come so far
		reader.do(tracking...)
		for i := range keys {
			reader.do("GET", name(i))
		}
		for i := range keys {
			if i == keys/4 {
				leader.kill()
			}
			if i%3 == 0 { // by the reader's own node
				must[string](t, "SET")(neighbour.Set(ctx, name(i), "new", 0).Result())
			} else {
				must[string](t, "SET")(writer.Set(ctx, name(i), "new", 0).Result())
			}
			must[string](t, "SET")(writer.Set(ctx, fmt.Sprintf("unread:%d", i), "new", 0).Result())
		}
		if got := string(reader.do("GET", name(keys-1)).Text); got != "new" {
			t.Errorf("%s: read %q", manner, got)
		}
		if ear != reader {
			if ear.do("PING"); len(reader.heard) > 0 {
				t.Errorf("%s: told where it does not listen: %v", manner, reader.heard)
			}
		}
		for i := range keys {
			if n := ear.heard[name(i)]; n != 1 {
				t.Errorf("%s: told of %s %d times", manner, name(i), n)
			}
		}
		if len(ear.heard) > keys {
			t.Errorf("%s: told of %d keys, of which %d were read", manner, len(ear.heard), keys)
		}
		leader.start()
		leader.waitReady()
	}
	c.checkDigests()
}
