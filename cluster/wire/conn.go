package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hashicorp/raft"
)

// maxIdle is how many idle connections to one node are kept: a heartbeat, a
// replication and a vote can be under way at a time.
const maxIdle = 3

// errNotSent marks messages of which no byte left this node.
var errNotSent = errors.New("wire: not sent")

// rpcConn is the asking end of a connection.
type rpcConn struct {
	net.Conn
	id   raft.ServerID
	addr string // as dialled
	enc  encoder
	dec  decoder
}

// dial connects to a server and makes sure that it is the one: behind an address
// that changed hands, another node would answer, and its vote or its
// acknowledgement would be counted for the wrong one.
func (t *Transport) dial(id raft.ServerID, target raft.ServerAddress) (*rpcConn, error) {
	addr := t.address(id, target)
	ctx, cancel := context.WithTimeout(t.ctx, t.opts.DialTimeout)
	defer cancel()
	c, proved, err := t.opts.Streams.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if proved != string(id) {
		c.Close()
		t.stats.impostors.Add(1)
		return nil, fmt.Errorf("%w: at %s answers node %s instead of %s", errNotSent, addr, proved, id)
	}
	if !t.keep(c) {
		return nil, fmt.Errorf("%w: %w", errNotSent, ErrClosed)
	}
	return &rpcConn{
		Conn: c, id: id, addr: addr,
		enc: encoder{w: bufio.NewWriterSize(c, 64<<10)},
		dec: decoder{r: bufio.NewReaderSize(c, 4<<10)},
	}, nil
}

// keep notes an open connection, so that Close can close it.
func (t *Transport) keep(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.Close()
		return false
	}
	t.conns[c] = struct{}{}
	return true
}

func (t *Transport) drop(c *rpcConn) { t.dropConn(c.Conn) }

func (t *Transport) dropConn(c net.Conn) {
	c.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// takeIdle returns an idle connection to the server's current address, or nil.
func (t *Transport) takeIdle(id raft.ServerID, target raft.ServerAddress) *rpcConn {
	addr := t.address(id, target)
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := len(t.idle[id]); n > 0; n = len(t.idle[id]) {
		c := t.idle[id][n-1]
		t.idle[id] = t.idle[id][:n-1]
		if c.addr == addr {
			return c
		}
		c.Close()
		delete(t.conns, c.Conn)
	}
	return nil
}

// putIdle gives a connection back whose last answer was read in full.
func (t *Transport) putIdle(c *rpcConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.id]) < maxIdle && !t.closed {
		t.idle[c.id] = append(t.idle[c.id], c)
		return
	}
	c.Close()
	delete(t.conns, c.Conn)
}

// dropIdle closes the idle connections to a server: one was found dead.
func (t *Transport) dropIdle(id raft.ServerID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.idle[id] {
		c.Close()
		delete(t.conns, c.Conn)
	}
	delete(t.idle, id)
}

// exchange sends one message and reads its answer. On a kept connection that
// turns out to be dead, the message is sent once more on a new one: all messages
// that pass here may arrive twice.
func (t *Transport) exchange(id raft.ServerID, target raft.ServerAddress, timeout time.Duration, send func(*encoder), receive func(*decoder)) error {
	if c := t.takeIdle(id, target); c != nil {
		err := t.talk(c, timeout, send, receive)
		var answered *remoteError
		if err == nil || errors.As(err, &answered) || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		t.dropIdle(id)
	}
	return t.exchangeOnce(id, target, timeout, send, receive)
}

// exchangeOnce sends one message on a new connection, never twice.
func (t *Transport) exchangeOnce(id raft.ServerID, target raft.ServerAddress, timeout time.Duration, send func(*encoder), receive func(*decoder)) error {
	c, err := t.dial(id, target)
	if err != nil {
		return err
	}
	return t.talk(c, timeout, send, receive)
}

// talk sends a message on c and reads its answer. c is kept for the next one if
// it is still in step, else closed.
func (t *Transport) talk(c *rpcConn, timeout time.Duration, send func(*encoder), receive func(*decoder)) error {
	c.SetDeadline(t.deadline(timeout))
	send(&c.enc)
	if err := c.enc.w.Flush(); err != nil {
		t.drop(c)
		return fmt.Errorf("wire: send to %s: %w", c.id, err)
	}
	if err := c.dec.status(); err != nil {
		var answered *remoteError
		if errors.As(err, &answered) {
			t.putIdle(c)
			return err
		}
		t.drop(c)
		return fmt.Errorf("wire: answer of %s: %w", c.id, err)
	}
	receive(&c.dec)
	if c.dec.err != nil {
		t.drop(c)
		return fmt.Errorf("wire: answer of %s: %w", c.id, c.dec.err)
	}
	t.putIdle(c)
	return nil
}
