// Package client is a small Redis client that sends each command once and
// hides nothing: no retry, no pool, no redirection of its own.
package client

import (
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// Conn is one connection. It is for one goroutine.
type Conn struct {
	conn net.Conn
	out  []byte
	in   []byte // received; what is before next has been returned
	next int
}

// bufferMax bounds a reply.
const bufferMax = 64 << 20

var errTooLarge = errors.New("client: reply too large")

// Dial connects, and speaks RESP3 if resp is 3.
func Dial(addr string, resp int, timeout time.Duration) (*Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn}
	if resp == 3 {
		if _, err := c.Do(timeout, "HELLO", "3"); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Close closes the connection.
func (c *Conn) Close() { _ = c.conn.Close() }

// Append adds a command to what Flush sends.
func (c *Conn) Append(args ...string) {
	c.out = append(c.out, '*')
	c.out = strconv.AppendInt(c.out, int64(len(args)), 10)
	c.out = append(c.out, "\r\n"...)
	for _, arg := range args {
		c.out = append(c.out, '$')
		c.out = strconv.AppendInt(c.out, int64(len(arg)), 10)
		c.out = append(c.out, "\r\n"...)
		c.out = append(c.out, arg...)
		c.out = append(c.out, "\r\n"...)
	}
}

// Flush sends the commands appended. After an error some may have gone.
func (c *Conn) Flush(timeout time.Duration) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(timeout))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Read returns the next reply. It is valid until the next call.
func (c *Conn) Read(timeout time.Duration) (reply.Value, error) {
	deadline := time.Now().Add(timeout)
	if c.next > 0 && c.next == len(c.in) {
		c.in, c.next = c.in[:0], 0
	}
	for {
		if c.next < len(c.in) {
			v, rest, err := reply.Read(c.in[c.next:])
			if err == nil {
				c.next = len(c.in) - len(rest)
				return v, nil
			}
			if !errors.Is(err, reply.ErrIncomplete) {
				return v, err
			}
		}
		if err := c.fill(deadline); err != nil {
			return reply.Value{}, err
		}
	}
}

// fill receives more.
func (c *Conn) fill(deadline time.Time) error {
	if c.next > 0 {
		c.in = append(c.in[:0], c.in[c.next:]...)
		c.next = 0
	}
	if len(c.in) > bufferMax {
		return errTooLarge
	}
	if cap(c.in)-len(c.in) < 4096 {
		grown := make([]byte, len(c.in), 2*cap(c.in)+16384)
		copy(grown, c.in)
		c.in = grown
	}
	_ = c.conn.SetReadDeadline(deadline)
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// Do sends one command and returns its reply. An error reply comes as error,
// of type reply.Error.
func (c *Conn) Do(timeout time.Duration, args ...string) (reply.Value, error) {
	c.Append(args...)
	if err := c.Flush(timeout); err != nil {
		return reply.Value{}, err
	}
	v, err := c.Read(timeout)
	if err == nil && v.Kind == reply.KindError {
		err = reply.Error(v.Text)
	}
	return v, err
}
