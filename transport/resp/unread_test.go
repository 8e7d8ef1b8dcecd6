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
			const commands = 20000
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
	const commands = 1000
	go func() {
		_, _ = io.WriteString(c, strings.Repeat("ECHO "+value+"\r\n", commands))
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	onlyConn(t, s).waits(t)
	exchange(t, c, "", strings.Repeat("$60000\r\n"+value+"\r\n", commands), true)
}
