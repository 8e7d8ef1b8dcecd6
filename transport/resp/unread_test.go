package resp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session"
)

// onlyConn returns the one connection of a server, once it is there.
func onlyConn(t *testing.T, s *Server) *conn {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		for c := range s.conns {
			s.mu.Unlock()
			return c
		}
		s.mu.Unlock()
	}
	t.Fatal("no connection")
	return nil
}

// waits polls until the connection executes nothing for lack of room, and
// returns how many bytes its client has not taken then.
func (c *conn) waits(t *testing.T) int {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c.out.mu.Lock()
		waiting, unread := c.out.waiting, c.out.w.Len()+c.out.unsent
		c.out.mu.Unlock()
		if waiting {
			return unread
		}
	}
	t.Fatal("the connection goes on executing")
	return 0
}

const bigValue = 2 << 20

// A client that does not read makes its own commands wait, and costs a
// bounded amount of memory; when it reads it gets everything.
func TestUnreadRepliesMakeCommandsWait(t *testing.T) {
	const reads = 24
	get := strings.Repeat("GET big\r\n", reads)
	for _, tc := range []struct {
		name, send string
		before     string // the replies before those of the reads
		most       int    // bytes unread
	}{
		{"reads", get, "", session.UnreadMax + bigValue + 1024},
		{"reads behind a write", "SET k v\r\n" + get, "+OK\r\n", session.UnreadMax + 3*bigValue},
		{"writes that reply with data", strings.ReplaceAll(get, "GET", "GETEX"), "", session.UnreadMax + 3*bigValue},
		{"behind a large reply that waits", "GET big\r\nGET big\r\nGET big\r\nSET k v\r\n" + get, bulks(3) + "+OK\r\n", 2*session.UnreadMax + 4*bigValue},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, nil)
			c := dial(t, s)
			exchange(t, c, fmt.Sprintf("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n", bigValue, bytes.Repeat([]byte("x"), bigValue)), "+OK\r\n", false)
			if _, err := io.WriteString(c, tc.send); err != nil {
				t.Fatal(err)
			}
			if unread := onlyConn(t, s).waits(t); unread > tc.most {
				t.Errorf("%d bytes wait for the client, want at most %d", unread, tc.most)
			}
			exchange(t, c, "", tc.before+bulks(reads), false)
			exchange(t, c, ping, "+PONG\r\n", false)
		})
	}
}

func bulks(n int) string {
	return strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", bigValue, bytes.Repeat([]byte("x"), bigValue)), n)
}

// A client that sends all of a long pipeline before it reads a reply is not
// waited for for ever: what it sends is taken while its replies wait.
func TestPipelineSentBeforeItsRepliesAreRead(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	s := serve(t, []config.Pair{{Name: "tls-cert-file", Value: cert}, {Name: "tls-key-file", Value: key}, {Name: "tls-auth-clients", Value: "no"}},
		config.Listener{Name: "tls", Network: "tcp", Addrs: []string{"127.0.0.1:0"}, TLS: true})
	secure, err := tls.Dial("tcp", s.Addrs()[1].Addr.String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	for name, c := range map[string]net.Conn{"plain": dial(t, s), "TLS": secure} {
		t.Run(name, func(t *testing.T) {
			const commands = 10000
			value := strings.Repeat("v", 2000)
			send := strings.Repeat("ECHO "+value+"\r\n", commands)
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(c, send); err != nil {
				t.Fatalf("sending: %v", err)
			}
			exchange(t, c, "", strings.Repeat("$2000\r\n"+value+"\r\n", commands), false)
		})
	}
}

// What a client sends while it does not read is bounded by
// client-query-buffer-limit.
func TestInputBehindUnreadRepliesIsBounded(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "client-query-buffer-limit", Value: "1mb"}})
	c := dial(t, s)
	_ = c.SetDeadline(time.Now().Add(patience))
	line := []byte("ECHO " + strings.Repeat("v", 60000) + "\r\n")
	for {
		if _, err := c.Write(line); err != nil {
			break
		}
	}
	if cuts := s.counters.QueryBufferCuts.Load(); cuts != 1 {
		t.Errorf("%d clients cut for their input, want 1", cuts)
	}
}

// A client that has said all it had to say still gets all replies.
func TestHalfClosedClientGetsItsReplies(t *testing.T) {
	s := serve(t, nil)
	c := dial(t, s)
	value := strings.Repeat("v", 60000)
	const commands = 400
	go func() {
		_, _ = io.WriteString(c, strings.Repeat("ECHO "+value+"\r\n", commands))
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	onlyConn(t, s).waits(t)
	exchange(t, c, "", strings.Repeat("$60000\r\n"+value+"\r\n", commands), true)
}

// keeps polls until so many bytes, or a buffer more, of a client are taken in and wait.
func (c *conn) keeps(t *testing.T, bytes int64) {
	t.Helper()
	if kept := c.takesIn(t, bytes); kept > bytes+bufferLen {
		t.Errorf("%d bytes are taken in, want %d at most", kept, bytes)
	}
}

// takesIn polls until so many bytes of a client, or more, are taken in and wait.
func (c *conn) takesIn(t *testing.T, bytes int64) (kept int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if kept = c.out.input.kept.Load(); kept >= bytes {
			return kept
		}
	}
	t.Fatalf("%d bytes are taken in, want %d", kept, bytes)
	return 0
}

// What a client sends while its commands wait is taken in up to client-pipeline-max. The
// rest waits in the network, until the client reads: then it gets everything.
func TestPipelineIsTakenInUpToItsLimit(t *testing.T) {
	const limit = 1 << 20
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	path := dir + "/socket"
	s := serve(t, []config.Pair{
		{Name: "tls-cert-file", Value: cert},
		{Name: "tls-key-file", Value: key},
		{Name: "tls-auth-clients", Value: "no"},
		{Name: "client-pipeline-max", Value: fmt.Sprint(limit)},
	},
		config.Listener{Name: "tls", Network: "tcp", Addrs: []string{"127.0.0.1:0"}, TLS: true},
		config.Listener{Name: "unix", Network: "unix", Addrs: []string{path}})
	for name, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", s.Addrs()[0].Addr.String()) },
		"TLS": func() (net.Conn, error) {
			return tls.Dial("tcp", s.Addrs()[1].Addr.String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
		},
		"unix": func() (net.Conn, error) { return net.Dial("unix", path) },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer s.awaitNobody(t)
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			const commands = 10000
			line := "ECHO " + strings.Repeat("v", 5000) + "\r\n"
			go func() { _, _ = io.WriteString(c, strings.Repeat(line, commands)) }()
			onlyConn(t, s).keeps(t, limit)
			exchange(t, c, "", strings.Repeat("$5000\r\n"+strings.Repeat("v", 5000)+"\r\n", commands), false)
		})
	}
}

// A client that has sent client-pipeline-max while its commands wait is missed when it
// goes, and may be killed. What is pushed for one that has gone is not lost to it, though
// its end comes behind all that it has sent.
func TestClientAtItsPipelineLimitEnds(t *testing.T) {
	const limit = 1 << 20
	s := serve(t, []config.Pair{{Name: "client-pipeline-max", Value: fmt.Sprint(limit)}})
	for first, ends := range map[string]map[string]func(net.Conn){
		"ECHO hello\r\n": {"is killed": nil, "goes": func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }},
		"BLPOP nothing 0\r\n": {
			"is killed": nil,
			"goes":      func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
			"says bye":  func(c net.Conn) { c.Close() },
		},
	} {
		for name, end := range ends {
			t.Run(first[:5]+" "+name, func(t *testing.T) {
				c := dial(t, s)
				go func() {
					_, _ = io.WriteString(c, first+strings.Repeat("ECHO "+strings.Repeat("v", 5000)+"\r\n", 10000))
				}()
				server := onlyConn(t, s)
				server.takesIn(t, limit)
				if end != nil {
					end(c)
				} else {
					killer := dial(t, s)
					exchange(t, killer, "CLIENT KILL "+c.LocalAddr().String()+"\r\n", "+OK\r\n", false)
					killer.Close()
				}
				s.awaitNobody(t)
				pusher := dial(t, s)
				exchange(t, pusher, "RPUSH nothing a\r\nLPOP nothing\r\n", ":1\r\n$1\r\na\r\n", false)
				pusher.Close()
				s.awaitNobody(t)
			})
		}
	}
}

// A command that waits goes on when its answer comes, whatever the client has sent
// meanwhile.
func TestPipelineBehindACommandThatWaits(t *testing.T) {
	const limit, commands = 1 << 20, 10000
	s := serve(t, []config.Pair{{Name: "client-pipeline-max", Value: fmt.Sprint(limit)}})
	c := dial(t, s)
	go func() {
		_, _ = io.WriteString(c, "BLPOP list 0\r\n"+strings.Repeat("ECHO "+strings.Repeat("v", 5000)+"\r\n", commands))
	}()
	onlyConn(t, s).takesIn(t, limit)
	exchange(t, dial(t, s), "RPUSH list a\r\n", ":1\r\n", false)
	exchange(t, c, "", "*2\r\n$4\r\nlist\r\n$1\r\na\r\n"+strings.Repeat("$5000\r\n"+strings.Repeat("v", 5000)+"\r\n", commands), false)
}

// awaitNobody waits until a server has no connection.
func (s *Server) awaitNobody(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if s.open.Load() == 0 {
			return
		}
	}
	t.Fatal("a connection stays")
}
