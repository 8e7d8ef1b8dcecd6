package transcript

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// server is a redis-server of our own, on a unix socket.
type server struct {
	socket string
	before map[string]string // parameters that were changed, and what they were
}

// startServer starts the oracle; it ends with the test.
func startServer(t *testing.T) *server {
	dir, err := os.MkdirTemp("", "oracle") // t.TempDir may be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	s := &server{socket: filepath.Join(dir, "redis.sock"), before: make(map[string]string)}
	var output bytes.Buffer
	path := cmp.Or(os.Getenv("QUORATE_ORACLE"), "redis-server")
	proc := exec.Command(path, "--port", "0", "--unixsocket", s.socket, "--dir", dir, "--save", "",
		"--appendonly", "no", "--enable-debug-command", "yes")
	proc.Stdout, proc.Stderr = &output, &output
	if err := proc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proc.Process.Kill()
		_ = proc.Wait()
		_ = os.RemoveAll(dir)
	})
	for range 500 {
		nc, err := net.Dial("unix", s.socket)
		if err == nil {
			_ = nc.Close()
			return s
		}
		time.Sleep(10 * time.Millisecond) // another process: nothing to wait on
	}
	t.Fatalf("redis-server does not answer: %s", output.Bytes())
	return nil
}

// Server starts a redis-server that ends with the test, and returns it as a
// target.
func Server(t *testing.T, proto reply.Proto) Target { return startServer(t).open(t, proto) }

// Ask returns the RESP3 reply of a redis-server that has just been started.
func Ask(t *testing.T, args ...string) reply.Value {
	return startServer(t).open(t, reply.RESP3).must(args...)
}

// open brings the server back to its beginning and returns it as a target.
func (s *server) open(t *testing.T, proto reply.Proto) *client {
	c := &client{t: t, server: s, commands: s.dial(t), events: s.dial(t)}
	c.must("HELLO", strconv.Itoa(int(proto)))
	c.must("FLUSHALL")
	c.must("FUNCTION", "FLUSH")
	for name, value := range s.before {
		c.must("CONFIG", "SET", name, value)
	}
	if _, err := c.events.do(words("PSUBSCRIBE", "__key*__:*")); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) dial(t *testing.T) *conn {
	nc, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &conn{nc: nc}
}

// client is redis-server as a Target.
type client struct {
	t        *testing.T
	server   *server
	commands *conn
	events   *conn // subscribed to keyspace events, in RESP2
}

func (c *client) Do(args [][]byte) ([]byte, []Message) {
	raw, err := c.commands.do(args)
	if err != nil {
		c.t.Fatalf("redis-server: %q: %v", args, err)
	}
	return raw, c.drain()
}

// drain returns the events that came before the answer to a PING.
func (c *client) drain() []Message {
	var messages []Message
	raw, err := c.events.do(words("PING"))
	for ; err == nil; raw, err = c.events.read() {
		v, _, err := reply.Read(raw)
		if err != nil || len(v.Elems) != 4 {
			return messages
		}
		messages = append(messages, Message{string(v.Elems[2].Text), string(v.Elems[3].Text)})
	}
	c.t.Fatalf("redis-server: events: %v", err)
	return nil
}

func (c *client) Config(name, value string) error {
	v := c.must("CONFIG", "GET", name)
	if len(v.Elems) != 2 {
		return fmt.Errorf("redis-server has no parameter %s", name)
	}
	if _, known := c.server.before[name]; !known {
		c.server.before[name] = string(v.Elems[1].Text)
	}
	c.must("CONFIG", "SET", name, value)
	return nil
}

func (c *client) Advance(d time.Duration) { time.Sleep(d + time.Millisecond) }

func (c *client) must(args ...string) reply.Value {
	raw, err := c.commands.do(words(args...))
	if err != nil {
		c.t.Fatalf("redis-server: %q: %v", args, err)
	}
	v, _, err := reply.Read(raw)
	if err != nil || v.Kind == reply.KindError {
		c.t.Fatalf("redis-server: %q: %q, %v", args, raw, err)
	}
	return v
}

func words(s ...string) [][]byte {
	b := make([][]byte, len(s))
	for i := range s {
		b[i] = []byte(s[i])
	}
	return b
}

// conn is a connection to the server.
type conn struct {
	nc  net.Conn
	buf []byte // received and not yet read
}

// do sends a command and returns the next reply.
func (c *conn) do(args [][]byte) ([]byte, error) {
	out := reply.NewWriter(reply.RESP2, nil)
	out.Array(len(args))
	for _, arg := range args {
		out.Bulk(arg)
	}
	if _, err := c.nc.Write(out.Bytes()); err != nil {
		return nil, err
	}
	return c.read()
}

// replyPatience bounds the wait for a reply: redis-server takes seconds for some scripts,
// and many of them on a machine that has other things to do.
const replyPatience = time.Minute

// read returns the next reply.
func (c *conn) read() ([]byte, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(replyPatience)); err != nil {
		return nil, err
	}
	for {
		_, rest, err := reply.Read(c.buf)
		if err == nil {
			raw := c.buf[:len(c.buf)-len(rest)]
			c.buf = rest
			return raw, nil
		}
		if !errors.Is(err, reply.ErrIncomplete) {
			return nil, err
		}
		chunk := make([]byte, 64<<10)
		n, err := c.nc.Read(chunk)
		if err != nil {
			return nil, err
		}
		c.buf = append(c.buf[:len(c.buf):len(c.buf)], chunk[:n]...)
	}
}
