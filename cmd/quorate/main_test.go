package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cluster"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/session"
)

// testPatience is how long a test waits for a node before it fails.
const testPatience = time.Minute

func TestDispatch(t *testing.T) {
	for _, c := range []struct{ name, line, out, err string }{
		{"help", "help", "health", ""},
		{"help flag", "--help", "cluster status", ""},
		{"version", "version", "redis 7.0.15", ""},
		{"version flag", "-v", "redis 7.0.15", ""},
		{"unknown", "serve", "", `"serve" is no subcommand; see quorate help`},
		{"directive", "server --prot 1", "", `unknown directive "prot"; did you mean "port"?`},
		{"value", "server --port x", "", `port "x": argument couldn't be parsed into an integer`},
		{"file", "server /no/such.conf", "", "no such file"},
		{"log file", "server --logfile /no/such/log", "", "logfile: open /no/such/log"},
		{"cluster alone", "cluster", "", "quorate cluster status"},
		{"stray word", "health now", "", `health: unexpected argument "now"`},
		{"too many nodes", "demo --nodes 10", "", "it is 1 to 9"},
		{"ports run out", "demo --port 55534", "", "must stay below 65536"},
	} {
		var out bytes.Buffer
		err := dispatch(strings.Fields(c.line), &out)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got error %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || !strings.Contains(out.String(), c.out) {
			t.Errorf("%s: got %q, %v", c.name, out.String(), err)
		}
	}
}

func TestBareCallFails(t *testing.T) {
	var code exitCode
	if err := dispatch(nil, &bytes.Buffer{}); !errors.As(err, &code) || code != 1 {
		t.Errorf("got %v", err)
	}
}

func TestClientAddr(t *testing.T) {
	for _, c := range []struct{ listener, peer, want string }{
		{"node1:6379", "10.0.0.1:16379", "node1:6379"},
		{":6379", "10.0.0.1:16379", "10.0.0.1:6379"},
		{":6379", "[::1]:16379", "[::1]:6379"},
		{"", "10.0.0.1:16379", ""},
	} {
		if got := clientAddr(c.listener, c.peer); got != c.want {
			t.Errorf("%q of %s: got %q, want %q", c.listener, c.peer, got, c.want)
		}
	}
}

func TestSessionMember(t *testing.T) {
	m := cluster.Member{
		ID: "a", Addr: "10.0.0.1:16379", Client: "10.0.0.1:6379", Voter: true, Online: true,
		Listeners: map[string]string{"default": "10.0.0.1:6379", "host": "127.0.0.1:80"},
	}
	for listener, want := range map[string]session.Member{
		"default": {ID: "a", Host: "10.0.0.1", Port: 6379, PeerAddr: "10.0.0.1:16379", Voter: true, Online: true},
		"host":    {ID: "a", Host: "127.0.0.1", Port: 80, PeerAddr: "10.0.0.1:16379", Voter: true, Online: true},
		"unix":    {ID: "a", Host: "10.0.0.1", Port: 6379, PeerAddr: "10.0.0.1:16379", Voter: true, Online: true},
	} {
		if got := sessionMember(m, listener); got != want {
			t.Errorf("%s: got %+v, want %+v", listener, got, want)
		}
	}
	silent := cluster.Member{ID: "b", Addr: "10.0.0.2:16379"}
	if got := sessionMember(silent, "default"); got.Host != "10.0.0.2" || got.Port != 0 {
		t.Errorf("one that is not heard of: got %+v; its host must not be empty", got)
	}
}

func TestPrintReport(t *testing.T) {
	var out bytes.Buffer
	err := printReport(&out, &cluster.Report{
		ClusterID: "abc", Self: "0123456789", Term: 4, Commit: 9,
		Members: []cluster.Member{
			{ID: "0123456789", Addr: "10.0.0.1:16379", Client: "10.0.0.1:6379", Role: "leader", Online: true, Applied: 9, Version: "1"},
			{ID: "9", Addr: "10.0.0.2:16379", Role: "learner", Applied: 2, Lag: 7},
		},
	})
	const want = `cluster abc, term 4, commit index 9

node        clients        peers           role     online  applied  lag  version
01234567 *  10.0.0.1:6379  10.0.0.1:16379  leader   yes     9        0    1
9           -              10.0.0.2:16379  learner  no      2        ?    -
`
	if err != nil || out.String() != want {
		t.Errorf("%v, got\n%s", err, out.String())
	}
	out.Reset()
	err = printReport(&out, &cluster.Report{Semantic: 2, Members: []cluster.Member{{ID: "1", Role: "leader", InService: true}, {ID: "2", Role: "follower"}}})
	if err != nil || !strings.Contains(out.String(), "follower, out of service") || strings.Contains(out.String(), "leader, out") {
		t.Errorf("%v, got\n%s", err, out.String())
	}
}

// answering accepts one connection and sends replies, one write each, whatever
// is asked.
func answering(t *testing.T, replies ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for _, r := range replies {
			if _, err := c.Write([]byte(r)); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, c) // until the client has had enough
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestConnReadsReplies(t *testing.T) {
	c, err := dialNode(answering(t, "$5\r\nhe", "llo\r\n:7\r\n", "-ERR no\r\n"), "", testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if v, err := c.do("GET", "k"); err != nil || string(v.Text) != "hello" {
		t.Errorf("a reply in two pieces: %q, %v", v.Text, err)
	}
	if v, err := c.do("DBSIZE"); err != nil || v.Int != 7 {
		t.Errorf("a reply that came with another: %d, %v", v.Int, err)
	}
	if _, err := c.do("NO"); !errors.Is(err, reply.Error("ERR no")) {
		t.Errorf("an error reply: %v", err)
	}
}

func TestDialNodeAuthenticates(t *testing.T) {
	_, err := dialNode(answering(t, "-WRONGPASS invalid\r\n"), "secret", testPatience)
	if !errors.Is(err, reply.Error("WRONGPASS invalid")) {
		t.Errorf("got %v", err)
	}
}
