package resp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/quorate/quorate/transport/config"
)

// ErrTLS says that a listener can't be opened because of the tls-* directives.
var ErrTLS = errors.New("TLS is not set up")

// place is an address of a listener.
type place struct {
	config.Listener
	addr     string
	optional bool // it need not exist
}

// listener is an open place.
type listener struct {
	place
	net net.Listener
}

// same reports whether what is open at a place serves another one as well.
func (p place) same(other place) bool {
	return p.addr == other.addr && p.Network == other.Network && p.Name == other.Name && p.TLS == other.TLS
}

func places(listeners []config.Listener) []place {
	var all []place
	for _, l := range listeners {
		for _, addr := range l.Addrs {
			addr, optional := strings.CutPrefix(addr, "-")
			all = append(all, place{l, addr, optional})
		}
	}
	return all
}

// Relisten makes these listeners the ones where clients connect. Connections stay,
// also those of listeners that go. After an error, which names the address, the
// listeners are those that were there before.
func (s *Server) Relisten(listeners []config.Listener) error {
	s.listening.Lock()
	defer s.listening.Unlock()
	select {
	case <-s.stop:
		return net.ErrClosed
	default:
	}
	wanted := places(listeners)
	var kept, gone []listener
	for _, l := range s.listeners {
		if slices.ContainsFunc(wanted, l.same) {
			kept = append(kept, l)
		} else {
			gone = append(gone, l)
		}
	}
	wanted = slices.DeleteFunc(wanted, func(p place) bool {
		return slices.ContainsFunc(kept, func(l listener) bool { return l.same(p) })
	})
	files, err := s.readTLSFor(wanted)
	if err != nil {
		return err
	}
	opened, closed, err := s.openAllLocked(wanted, gone)
	if err != nil {
		closeAll(opened)
		s.listeners = slices.Concat(kept, gone[closed:], s.reopenLocked(gone[:closed]))
		return err
	}
	closeAll(gone[closed:])
	if files != nil {
		s.tls.current.Store(files)
	}
	s.listeners = append(kept, opened...)
	s.acceptAll(opened)
	return nil
}

// readTLSFor reads the tls-* directives if one of the places needs them, else it returns nil.
// They are put in force when all places are open.
func (s *Server) readTLSFor(wanted []place) (*tls.Config, error) {
	if !slices.ContainsFunc(wanted, func(p place) bool { return p.TLS }) {
		return nil, nil
	}
	files, err := readTLS(s.config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	return files, nil
}

// openAllLocked opens the places wanted. One address of a port and all addresses of it
// exclude each other: then those that go are closed first, and it returns how many were.
func (s *Server) openAllLocked(wanted []place, gone []listener) (opened []listener, closed int, err error) {
	for _, p := range wanted {
		ln, err := s.bind(p)
		if errors.Is(err, syscall.EADDRINUSE) && closed < len(gone) && sharesPort(gone, p) {
			closeAll(gone)
			closed = len(gone)
			ln, err = s.bind(p)
		}
		switch {
		case err == nil:
			opened = append(opened, listener{p, ln})
		case p.optional && absent(err):
		default:
			return opened, closed, fmt.Errorf("listener %s on %s: %w", p.Name, p.addr, err)
		}
	}
	return opened, closed, nil
}

// reopenLocked opens again what had to make room, and returns what it could.
func (s *Server) reopenLocked(gone []listener) []listener {
	var opened []listener
	for _, l := range gone {
		ln, err := s.bind(l.place)
		if err != nil {
			s.log.Error("a listener that was closed can't be opened again", "listener", l.Name, "addr", l.addr, "error", err)
			continue
		}
		opened = append(opened, listener{l.place, ln})
	}
	s.acceptAll(opened)
	return opened
}

func (s *Server) acceptAll(listeners []listener) {
	for _, l := range listeners {
		s.wg.Go(func() { s.accept(l) })
	}
}

func closeAll(listeners []listener) {
	for _, l := range listeners {
		_ = l.net.Close() // nothing can be done, and it is going away
	}
}

func (s *Server) closeListeners() {
	s.listening.Lock()
	defer s.listening.Unlock()
	closeAll(s.listeners)
}

// listensTLS reports whether a listener needs the tls-* directives.
func (s *Server) listensTLS() bool {
	s.listening.Lock()
	defer s.listening.Unlock()
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.TLS })
}

// sharesPort reports whether one of the listeners has the port of the place.
func sharesPort(listeners []listener, p place) bool {
	_, port, _ := net.SplitHostPort(p.addr)
	return slices.ContainsFunc(listeners, func(l listener) bool {
		_, other, _ := net.SplitHostPort(l.addr)
		return l.Network == p.Network && other == port
	})
}

// absent reports whether an address can't be bound because the machine does
// not have it.
func absent(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

func (s *Server) bind(p place) (net.Listener, error) {
	if p.Network == "unix" {
		return s.openUnix(p.addr)
	}
	network := "tcp"
	if host, _, err := net.SplitHostPort(p.addr); err == nil {
		switch ip := net.ParseIP(host); {
		case ip == nil:
		case ip.To4() != nil:
			network = "tcp4"
		default:
			network = "tcp6" // so that 0.0.0.0 and :: can both be bound
		}
	}
	return net.Listen(network, p.addr)
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
