package resp

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
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
	tls          tlsFiles

	wg   sync.WaitGroup // accept loops, connections, their drainers, the ticker
	stop chan struct{}

	listening sync.Mutex
	listeners []listener // guarded by listening; the open ones

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
	if err := s.Relisten(opts.Listeners); err != nil {
		return nil, err
	}
	s.wg.Go(s.replier.run)
	s.wg.Go(s.tick)
	return s, nil
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
	on("client-pipeline-max", func() { s.outputLimits.pipeline.Store(s.config.Int("client-pipeline-max")) })
	on("tcp-keepalive", func() { s.keepalive.Store(s.config.Int("tcp-keepalive")) })
	on("timeout", func() { s.idleMax.Store(s.config.Int("timeout")) })
	on("maxclients", func() { s.maxClients.Store(s.config.Int("maxclients")) })
	on("protected-mode", func() { s.protected.Store(s.config.Bool("protected-mode")) })
	s.followTLS()
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
	s.listening.Lock()
	defer s.listening.Unlock()
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

// tick looks after the connections.
func (s *Server) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case <-s.sessions.Crowded():
			s.sessions.EvictClients()
			n-- // it was no tick
		case now := <-ticker.C:
			s.counters.Tick(now, s.sessions.SentToFollowers())
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
		if c.out.worked.After(since) {
			since = c.out.worked
		}
		c.reader.Tend(now.Sub(since) > inputIdle)
		if idleMax > 0 && mayClose && now.Sub(since) > idleMax {
			c.out.Kill()
		}
	}
}
