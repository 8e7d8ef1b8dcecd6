// Package admin serves a node's state over HTTP, for probes and monitoring.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Options say where the listener is and what it tells.
type Options struct {
	Addr string // host:port
	// Ready returns nil when the node serves linearizable reads.
	Ready func(context.Context) error
	// Status returns the cluster as this node sees it, as JSON.
	Status func() []byte
	// Info returns INFO's text, from which the metrics are made.
	Info func() string
	// Profiles says who may take profiles: the port asks for no password.
	Profiles Profiles
	Log      *slog.Logger
}

// Profiles says who may take profiles of the process.
type Profiles uint8

// The values of Profiles.
const (
	ProfilesLocal Profiles = iota // clients over the loopback interface
	ProfilesAll
	ProfilesNone
)

// allows reports whether a client at addr, host:port, may take profiles.
func (p Profiles) allows(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return p == ProfilesAll || p == ProfilesLocal && ip != nil && ip.IsLoopback()
}

// Server is the listener.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Listen opens the listener and serves it.
func Listen(o Options) (*Server, error) {
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	const timeout = time.Minute // a profile takes 30 seconds
	s := &Server{
		http: &http.Server{Handler: handler(o), ReadHeaderTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("admin listener ended", "error", err)
		}
	}()
	return s, nil
}

// Close ends the listener and its connections. A nil Server has none.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	err := s.http.Close()
	<-s.done
	return err
}

func handler(o Options) http.Handler {
	mux := http.NewServeMux()
	// The process answers: alive.
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := o.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(o.Status())
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		writeMetrics(w, o.Info())
	})
	for path, profile := range map[string]http.HandlerFunc{"": pprof.Index, "profile": pprof.Profile, "trace": pprof.Trace} {
		mux.HandleFunc("GET /debug/pprof/"+path, func(w http.ResponseWriter, r *http.Request) {
			if !o.Profiles.allows(r.RemoteAddr) {
				http.Error(w, "profiles are not for this address: see admin-profiles", http.StatusForbidden)
				return
			}
			profile(w, r)
		})
	}
	return mux
}

// writeMetrics writes the numbers in INFO's text in Prometheus' format: field
// f becomes redis_f, as redis_exporter names most of them.
func writeMetrics(w io.Writer, info string) {
	for line := range strings.Lines(info) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok || strings.HasPrefix(name, "#") || !isNumber(value) {
			continue
		}
		fmt.Fprintf(w, "redis_%s %s\n", name, value)
	}
}

func isNumber(s string) bool {
	dots := 0
	for i, c := range s {
		switch {
		case c == '.':
			dots++
		case c == '-' && i == 0:
		case c < '0' || c > '9':
			return false
		}
	}
	return s != "" && s != "-" && dots <= 1
}
