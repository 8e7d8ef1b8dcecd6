//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/words"
)

// Scripts of several clients, in testdata/conversations: who waits, who is served, in
// which order, who hears what. A line is a client's letter and what it does:
//
//	A SET k v              sends a command and takes its reply
//	A! BLPOP k 0           sends a command, and is then seen to wait for it
//	A <                    takes what comes next: a late reply, or a push
//	A/ CLIENT UNBLOCK $A   another connection to A's server does that; $A is A's id
//	A x                    closes its connection
//
// Each script is played against redis-server, against one node, and with every client
// on another node of the cluster than the one before. What clients take must be the
// same, byte for byte.
func TestConversations(t *testing.T) {
	scripts, err := filepath.Glob("testdata/conversations/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	c := startCluster(t, 3)
	redisServer := []string{startRedis(t, "")}
	var nodes []string
	for _, n := range c.nodes {
		nodes = append(nodes, n.addr())
	}
	stages := map[string][]string{
		"one node":            nodes[:1],
		"another node each":   nodes,
		"the other way round": {nodes[2], nodes[1], nodes[0]},
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			want := play(t, string(text), redisServer)
			for name, servers := range stages {
				t.Run(name, func(t *testing.T) {
					got := play(t, string(text), servers)
					for i, line := range got {
						if line != want[i] {
							t.Fatalf("%s\nredis-server: %s", line, want[i])
						}
					}
				})
			}
		})
	}
	c.checkDigests()
}

// play carries out a script, its clients on servers in turn, and returns a line for
// each step, with what the client took.
func play(t *testing.T, script string, servers []string) []string {
	t.Helper()
	clear := talk(t, servers[0])
	clear.send("FLUSHALL")
	clear.take()
	p := &player{t: t, servers: servers, clients: make(map[string]*talker)}
	var told []string
	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p.at = i + 1
		told = append(told, fmt.Sprintf("%d: %s -> %s", p.at, line, p.step(line)))
	}
	for _, c := range p.clients {
		c.conn.Close()
	}
	return told
}

type player struct {
	t       *testing.T
	servers []string
	clients map[string]*talker
	at      int // line of the script
}

func (p *player) step(line string) string {
	who, what, ok := strings.Cut(line, " ")
	if !ok {
		p.t.Fatalf("bad line %q", line)
	}
	name, how := who[:1], who[1:]
	c := p.clients[name]
	if c == nil {
		c = talk(p.t, p.servers[len(p.clients)%len(p.servers)])
		c.send("CLIENT ID")
		c.id = strings.Trim(c.take(), `":\rn`)
		p.clients[name] = c
	}
	c.doing = fmt.Sprintf("%d: %s", p.at, line)
	for other, o := range p.clients {
		what = strings.ReplaceAll(what, "$"+other, o.id)
	}
	switch {
	case how == "/":
		beside := talk(p.t, c.server)
		defer beside.conn.Close()
		beside.send(what)
		return beside.take()
	case how == "!":
		c.send(what)
		c.await("waits", func(listed string) bool {
			_, flags, _ := strings.Cut(listed, " flags=")
			flags, _, _ = strings.Cut(flags, " ")
			return strings.Contains(flags, "b")
		})
		return ""
	case what == "<":
		return c.take()
	case what == "x":
		c.conn.Close()
		c.await("is gone", func(listed string) bool { return !strings.Contains(listed, "id=") })
		// What the server submitted for it is before this.
		beside := talk(p.t, c.server)
		defer beside.conn.Close()
		beside.send("DEL {nothing}")
		return beside.take()
	}
	c.send(what)
	if strings.HasPrefix(what, "HELLO") { // tells the id
		return strings.Replace(c.take(), `:`+c.id+`\r\n`, ":id", 1)
	}
	return c.take()
}

// talker is one connection.
type talker struct {
	t      *testing.T
	server string
	id     string
	doing  string // the step under way
	conn   net.Conn
	got    []byte // and not taken yet
}

func talk(t *testing.T, server string) *talker {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &talker{t: t, server: server, conn: conn}
}

func (c *talker) send(command string) {
	c.t.Helper()
	list, ok := words.Split([]byte(command))
	if !ok {
		c.t.Fatalf("bad command %q", command)
	}
	out := fmt.Appendf(nil, "*%d\r\n", len(list))
	for _, w := range list {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := c.conn.Write(out); err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
}

// take returns the next reply or push as it came.
func (c *talker) take() string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 64<<10)
	for {
		_, rest, err := reply.Read(c.got)
		if err == nil {
			taken := c.got[:len(c.got)-len(rest)]
			c.got = rest
			return fmt.Sprintf("%q", taken)
		}
		if !errors.Is(err, reply.ErrIncomplete) {
			c.t.Fatalf("%q: %v", c.got, err)
		}
		n, err := c.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatalf("%s: client %s takes nothing", c.doing, c.id)
		}
		if err != nil {
			return fmt.Sprintf("%q and then %v", c.got, err)
		}
		c.got = append(c.got, buf[:n]...)
	}
}

// await waits until the server lists the client as it should.
func (c *talker) await(what string, as func(listed string) bool) {
	c.t.Helper()
	beside := talk(c.t, c.server)
	defer beside.conn.Close()
	eventually(c.t, 20*time.Second, "client "+c.id+" "+what, func() error {
		beside.send("CLIENT LIST ID " + c.id)
		if listed := beside.take(); !as(listed) {
			return fmt.Errorf("it is listed as %s", listed)
		}
		return nil
	})
}
