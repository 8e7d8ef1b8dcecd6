package resp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session"
)

const (
	// lastWords bounds how long a client that is closed may take to read what
	// was written to it.
	lastWords = 5 * time.Second
	// lingerTime and lingerMax bound what is still read from a client that is
	// closed: unread bytes would make the system drop our last words.
	lingerTime = 200 * time.Millisecond
	lingerMax  = 1 << 20
	// untrustedOutputMax bounds in bytes what an unauthenticated client may
	// leave unread.
	untrustedOutputMax = 64 << 10
	// handshakeTime bounds a TLS handshake.
	handshakeTime = 10 * time.Second
)

// errProtectedMode is for clients of other machines while there is no
// password.
const errProtectedMode reply.Error = "DENIED this node runs in protected mode: no password is set, and only clients of this machine are served. " +
	"Set a password (requirepass), or switch protected mode off (protected-mode no) if the network is trusted."

// conn is one connection.
type conn struct {
	server  *Server
	conn    net.Conn // TLS when the listener has it
	socket  net.Conn
	out     *output
	session *session.Session
	reader  *Reader
}

// welcome takes a new connection, or says why not.
func (s *Server) welcome(l config.Listener, socket net.Conn) {
	s.counters.Connections.Add(1)
	if s.open.Add(1) > s.maxClients.Load() {
		s.open.Add(-1)
		s.turnAway(l, socket, reply.ErrMaxClients)
		return
	}
	if s.protected.Load() && !local(socket) && s.sessions.DefaultNeedsNoPassword() {
		s.open.Add(-1)
		s.turnAway(l, socket, errProtectedMode)
		return
	}
	s.wg.Go(func() {
		defer s.open.Add(-1)
		s.serve(l, socket)
	})
}

// turnAway refuses a connection. A TLS client sees it closed.
func (s *Server) turnAway(l config.Listener, socket net.Conn, why reply.Error) {
	s.counters.RejectedConnections.Add(1)
	if !l.TLS {
		_ = socket.SetWriteDeadline(time.Now().Add(tickEvery))
		_, _ = io.WriteString(socket, "-"+string(why)+"\r\n") // a courtesy
	}
	_ = socket.Close()
}

// serve is the life of a connection.
func (s *Server) serve(l config.Listener, socket net.Conn) {
	defer socket.Close()
	s.keepAlive(socket)
	nc := socket
	if l.TLS {
		secure := tls.Server(socket, s.tls.config())
		_ = secure.SetDeadline(time.Now().Add(handshakeTime))
		if err := secure.Handshake(); err != nil {
			return
		}
		_ = secure.SetDeadline(time.Time{})
		nc = secure
	}
	c := &conn{server: s, conn: nc, socket: socket}
	c.out = newOutput(nc, socket, s)
	c.out.input = &ahead{src: c.source()}
	c.reader = NewReader(c.out.input, func() Limits { return *s.limits.Load() })
	c.out.reader = c.reader
	c.session = s.sessions.Open(peer(l, socket), c.out)
	c.out.tells(c.session.Grown, c.session.Cut)
	c.reader.grown = c.session.Weigh
	if !s.add(c) {
		c.session.Close()
		return
	}
	defer s.remove(c)
	defer func() {
		if reason := recover(); reason != nil {
			s.counters.Panics.Add(1)
			s.log.Error("serving a connection panicked; it is closed", "addr", socket.RemoteAddr(), "reason", reason, "stack", string(debug.Stack()))
		}
		c.session.Close()
		c.out.finish(0)
		c.reader.Close()
	}()
	if c.converse() {
		c.out.finish(lastWords)
		c.linger()
	}
}

// converse serves the client until one of both ends it. It returns whether
// there may be something left to say.
func (c *conn) converse() bool {
	for {
		commands, err := c.reader.Next(c.session.Trusted())
		if err != nil {
			return c.failed(err)
		}
		if !c.session.Run(commands) {
			return true
		}
		if !c.session.Trusted() && c.out.Pending() > untrustedOutputMax {
			c.server.counters.OutputBufferCuts.Add(1)
			return false
		}
	}
}

func (c *conn) failed(err error) bool {
	var violation ProtocolError
	switch {
	case errors.As(err, &violation):
		c.session.ProtocolError(violation)
		return true
	case errors.Is(err, ErrQueryTooLarge):
		c.server.counters.QueryBufferCuts.Add(1)
		c.server.log.Warn("a client exceeded client-query-buffer-limit and is closed", "addr", c.socket.RemoteAddr())
	}
	return false
}

// linger reads what the client has already sent, so that closing the socket
// does not throw away what was sent to it.
func (c *conn) linger() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.socket.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.socket, lingerMax)
}

func (c *conn) source() Source {
	if sc, ok := c.conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return newRawSource(raw, c.server.counters)
		}
	}
	return &connSource{conn: c.conn, counters: c.server.counters}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) keepAlive(socket net.Conn) {
	t, ok := socket.(*net.TCPConn)
	if !ok {
		return
	}
	idle := time.Duration(s.keepalive.Load()) * time.Second
	_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: idle > 0, Idle: idle, Interval: max(idle/3, time.Second), Count: 3})
}

// local reports whether the other end is on this machine.
func local(socket net.Conn) bool {
	switch a := socket.RemoteAddr().(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

func peer(l config.Listener, socket net.Conn) session.Peer {
	p := session.Peer{
		Addr: socket.RemoteAddr().String(), Local: socket.LocalAddr().String(), Loopback: local(socket),
		TLS: l.TLS, Listener: l.Name, Redirect: l.Redirect,
	}
	if l.Network == "unix" {
		p.Unix = true
		p.Local = l.Addrs[0] + ":0"
		p.Addr = p.Local
	}
	if sc, ok := socket.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { p.FD = int(fd) })
		}
	}
	return p
}
