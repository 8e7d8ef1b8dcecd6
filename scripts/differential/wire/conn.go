// Package wire sends pipelines of commands and cuts the replies apart.
package wire

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// patience bounds the wait for a reply.
const patience = 30 * time.Second

// Conn is a connection to a server. It belongs to one goroutine.
type Conn struct {
	Addr string
	nc   net.Conn
	out  []byte
	in   []byte // received since the last Flush; replies that were returned alias it
	past []byte // received before that
	read int    // of in, so much has been returned
}

// Dial connects to a server.
func Dial(addr string) (*Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	return &Conn{Addr: addr, nc: nc}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// Put adds a command to the pipeline.
func (c *Conn) Put(args ...[]byte) {
	c.header('*', len(args))
	for _, arg := range args {
		c.header('$', len(arg))
		c.out = append(append(c.out, arg...), '\r', '\n')
	}
}

func (c *Conn) header(sign byte, n int) {
	c.out = append(strconv.AppendInt(append(c.out, sign), int64(n), 10), '\r', '\n')
}

// Flush sends the pipeline. All replies of the one before must have been read.
func (c *Conn) Flush() error {
	c.in, c.past, c.read = c.past[:0], c.in, 0
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("wire: %s: %w", c.Addr, err)
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		return fmt.Errorf("wire: %s: %w", c.Addr, err)
	}
	return nil
}

// Next returns the next reply, as sent. It is good until the Flush after the next.
func (c *Conn) Next() ([]byte, error) {
	for {
		n, err := size(c.in[c.read:])
		if err == nil {
			raw := c.in[c.read : c.read+n : c.read+n]
			c.read += n
			return raw, nil
		}
		if !errors.Is(err, reply.ErrIncomplete) {
			return nil, fmt.Errorf("wire: %s: %w", c.Addr, err)
		}
		if err := c.fill(); err != nil {
			return nil, fmt.Errorf("wire: %s: %w", c.Addr, err)
		}
	}
}

// fill receives more. What was returned already stays where it is when the
// buffer grows.
func (c *Conn) fill() error {
	const chunk = 32 << 10
	if cap(c.in)-len(c.in) < chunk {
		grown := make([]byte, len(c.in), 2*cap(c.in)+2*chunk)
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.nc.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	return err
}

// Do sends one command and returns its reply as sent.
func (c *Conn) Do(args ...[]byte) ([]byte, error) {
	c.Put(args...)
	if err := c.Flush(); err != nil {
		return nil, err
	}
	return c.Next()
}

// Ask sends one command of words and returns its reply taken apart; an error
// reply is an error.
func (c *Conn) Ask(words ...string) (reply.Value, error) {
	raw, err := c.Do(Words(words...)...)
	if err != nil {
		return reply.Value{}, err
	}
	v, _, err := reply.Read(raw)
	if err == nil && v.Kind == reply.KindError {
		err = errors.New(string(v.Text))
	}
	if err != nil {
		return reply.Value{}, fmt.Errorf("wire: %s: %q: %w", c.Addr, words, err)
	}
	return v, nil
}

// Words makes arguments of words.
func Words(words ...string) [][]byte {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return args
}

// size returns the length of the first reply of b, which it only skips: most
// replies are compared as bytes, and need not be taken apart.
func size(b []byte) (int, error) {
	at := 0
	for left := 1; left > 0; left-- {
		n, elems, err := head(b[at:])
		if err != nil {
			return 0, err
		}
		at += n
		left += elems
	}
	return at, nil
}

// head returns the length of the first value of b without its elements, and
// the number of these.
func head(b []byte) (n, elems int, err error) {
	for n < len(b) && b[n] != '\n' {
		n++
	}
	if n == len(b) {
		return 0, 0, reply.ErrIncomplete
	}
	n++
	kind := reply.Kind(b[0])
	switch kind {
	case reply.KindBulk, reply.KindVerbatim, reply.KindBlobError, reply.KindArray, reply.KindMap, reply.KindSet, reply.KindPush:
	default:
		return n, 0, nil
	}
	if n < 4 {
		return 0, 0, fmt.Errorf("no length: %q", b[:n])
	}
	count, err := strconv.Atoi(string(b[1 : n-2]))
	if err != nil {
		return 0, 0, err
	}
	switch count = max(count, -1); kind {
	case reply.KindBulk, reply.KindVerbatim, reply.KindBlobError:
		if count >= 0 {
			n += count + 2
		}
		if n > len(b) {
			return 0, 0, reply.ErrIncomplete
		}
		return n, 0, nil
	case reply.KindMap:
		return n, max(2*count, 0), nil
	default:
		return n, max(count, 0), nil
	}
}
