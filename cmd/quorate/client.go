package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/quorate/quorate/engine/reply"
)

// conn is a connection to a node, for the subcommands that ask one.
type conn struct {
	net.Conn
	unread []byte
}

// dialNode connects to the client port of a node and authenticates if
// password is not empty.
func dialNode(addr, password string, timeout time.Duration) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	node := &conn{Conn: c}
	if password != "" {
		if _, err := node.do("AUTH", password); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return node, nil
}

// do sends a command and returns its reply. An error reply is an error.
func (c *conn) do(args ...string) (reply.Value, error) {
	request := []byte("*" + strconv.Itoa(len(args)) + "\r\n")
	for _, arg := range args {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := c.Write(request); err != nil {
		return reply.Value{}, err
	}
	for {
		v, rest, err := reply.Read(c.unread)
		if err == nil {
			c.unread = rest
			if v.Kind == reply.KindError {
				return v, reply.Error(v.Text)
			}
			return v, nil
		}
		if !errors.Is(err, reply.ErrIncomplete) {
			return reply.Value{}, err
		}
		chunk := make([]byte, 16<<10)
		n, err := c.Read(chunk)
		if err != nil {
			return reply.Value{}, err
		}
		c.unread = append(c.unread, chunk[:n]...)
	}
}

// target holds the flags by which a subcommand is told which node to ask.
type target struct {
	host, password string
	port           int
	timeout        time.Duration
}

func (t *target) addr() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }
