package resp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/observe"
	"github.com/quorate/quorate/transport/session"
)

const (
	// tickEvery is how often the server looks after its connections: after each of
	// them if they are fewConns at most, else once a second.
	tickEvery = 100 * time.Millisecond
	fewConns  = 100
	// inputIdle is after what time without a command a connection's buffer for input
	// is taken away.
	inputIdle = 2 * time.Second
)

// Options say what to serve and where.
type Options struct {
	// Sessions carries out what clients send.
	Sessions *session.Server
	// Listeners are where clients connect; config.Listeners gives them.
	Listeners []config.Listener
	// Log may be nil.
	Log *slog.Logger
}

// Server serves clients on its listeners.
type Server struct {
	sessions     *session.Server
	config       *config.Config
	counters     *observe.Counters
	log          *slog.Logger
	replier      *replier
	outputLimits outputLimits
	limits       atomic.Pointer[Limits]
	keepalive    atomic.Int64 // seconds; 0 is off
	idleMax      atomic.Int64 // seconds; 0 is for ever
	maxClients   atomic.Int64
	protected    atomic.Bool
	open         atomic.Int64 // connections
	tls          *tlsFiles

	wg   sync.WaitGroup // accept loops, connections, their drainers, the ticker
	stop chan struct{}

	listeners []listener // set by Listen

	mu     sync.Mutex
	conns  map[*conn]struct{} // guarded by mu
	closed bool               // guarded by mu
}

// Addr is where a listener really listens.
type Addr struct {
	Listener string
	Addr     net.Addr
}

// Listen opens the listeners and serves until Close. An error names the
// address and leaves nothing open.
func Listen(opts Options) (*Server, error) {
	s := &Server{
		sessions: opts.Sessions, config: opts.Sessions.Config(), counters: opts.Sessions.Counters(),
		log: opts.Log, replier: newReplier(), stop: make(chan struct{}), conns: make(map[*conn]struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.outputLimits.input = &s.limits
	s.follow()
	for _, l := range opts.Listeners {
		if err := s.listen(l); err != nil {
			s.closeListeners()
			return nil, err
		}
	}
	s.start()
	return s, nil
}

// listener is an open one, and what it is for.
type listener struct {
	config.Listener
	net net.Listener
}

// follow takes the directives now and when they change.
func (s *Server) follow() {
	on := func(name string, set func()) {
		set()
		s.config.OnSet(name, func(string) error {
			set()
			return nil
		})
	}
	limits := func() {
		s.limits.Store(&Limits{Bulk: s.config.Int("proto-max-bulk-len"), Query: s.config.Int("client-query-buffer-limit")})
	}
	on("proto-max-bulk-len", limits)
	on("client-query-buffer-limit", limits)
	on("client-output-buffer-limit", func() {
		limits := s.config.BufferLimits()
		s.outputLimits.classes.Store(&limits)
	})
	on("tcp-keepalive", func() { s.keepalive.Store(s.config.Int("tcp-keepalive")) })
	on("timeout", func() { s.idleMax.Store(s.config.Int("timeout")) })
	on("maxclients", func() { s.maxClients.Store(s.config.Int("maxclients")) })
	on("protected-mode", func() { s.protected.Store(s.config.Bool("protected-mode")) })
}

func (s *Server) listen(l config.Listener) error {
	if l.TLS && s.tls == nil {
		files, err := loadTLS(s.config)
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		s.tls = files
	}
	for _, addr := range l.Addrs {
		addr, optional := strings.CutPrefix(addr, "-")
		ln, err := s.bind(l, addr)
		switch {
		case err == nil:
			s.listeners = append(s.listeners, listener{l, ln})
		case optional && absent(err):
		default:
			return fmt.Errorf("listener %s on %s: %w", l.Name, addr, err)
		}
	}
	return nil
}

// absent reports whether an address can't be bound because the machine does
// not have it.
func absent(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

func (s *Server) bind(l config.Listener, addr string) (net.Listener, error) {
	if l.Network == "unix" {
		return s.openUnix(addr)
	}
	network := "tcp"
	if host, _, err := net.SplitHostPort(addr); err == nil {
		switch ip := net.ParseIP(host); {
		case ip == nil:
		case ip.To4() != nil:
			network = "tcp4"
		default:
			network = "tcp6" // so that 0.0.0.0 and :: can both be bound
		}
	}
	return net.Listen(network, addr)
}

func (s *Server) openUnix(path string) (net.Listener, error) {
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, errors.New("another server listens there")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if mode, _ := strconv.ParseUint(s.config.String("unixsocketperm"), 8, 32); mode != 0 {
		if err := os.Chmod(path, os.FileMode(mode)); err != nil {
			ln.Close()
			return nil, err
		}
	}
	return ln, nil
}

func (s *Server) start() {
	s.wg.Go(s.replier.run)
	s.wg.Go(s.tick)
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
	}
}

func (s *Server) accept(l listener) {
	for {
		socket, err := l.net.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			s.welcome(l.Listener, socket)
			continue
		}
		// Out of file descriptors, most likely: others may end.
		s.log.Warn("accept failed", "listener", l.Name, "error", err)
		if !s.pause(tickEvery) {
			return
		}
	}
}

// pause waits; false means that the server stops.
func (s *Server) pause(d time.Duration) bool {
	select {
	case <-s.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// Addrs returns where the server listens.
func (s *Server) Addrs() []Addr {
	var addrs []Addr
	for _, l := range s.listeners {
		addrs = append(addrs, Addr{l.Name, l.net.Addr()})
	}
	return addrs
}

// Close stops listening, ends all connections and waits until they are gone.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	s.mu.Unlock()
	s.closeListeners()
	s.mu.Lock()
	for c := range s.conns {
		c.out.Kill()
	}
	s.mu.Unlock()
	s.sessions.Interrupt()
	s.replier.close()
	s.wg.Wait()
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.net.Close() // nothing can be done, and it is going away
	}
}

// tick looks after the connections.
func (s *Server) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.counters.Tick(now)
			if n%10 == 0 || s.open.Load() <= fewConns {
				s.tend(now)
				s.sessions.WeighAll()
			}
		}
	}
}

// tend closes clients that are idle for too long or read too slowly.
func (s *Server) tend(now time.Time) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	idleMax := time.Duration(s.idleMax.Load()) * time.Second
	fits := s.sessions.ReplyBuffers()
	for _, c := range conns {
		c.out.tend(now, fits)
		since, mayClose := c.session.IdleSince()
		c.reader.Tend(now.Sub(since) > inputIdle)
		if idleMax > 0 && mayClose && now.Sub(since) > idleMax {
			c.out.Kill()
		}
	}
}
