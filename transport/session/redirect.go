package session

import (
	"net"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
)

// redirected returns the redirection that a keyed command gets, or "". A node
// that is not the leader redirects clients that follow: as the listener says,
// or those that showed that they do.
func (s *Session) redirected(e *entry, args [][]byte) reply.Error {
	switch {
	case len(e.Keys) == 0 || s.peer.Redirect == config.RedirectNever:
		return ""
	case s.peer.Redirect == config.RedirectAuto && !s.aware && !s.capable:
		return ""
	case s.readonly && s.reads(e, args):
		return ""
	}
	t := s.srv.opts.Cluster.Topology(s.peer.Listener)
	if t.Self.Leader || t.Leader.ID == "" {
		return "" // with no leader known the command waits for one
	}
	keys, err := e.AppendKeys(s.keys[:0], args)
	s.keys = keys
	if err != nil || len(keys) == 0 {
		return ""
	}
	s.srv.opts.Counters.Redirects.Add(1)
	addr := net.JoinHostPort(t.Leader.Host, strconv.Itoa(t.Leader.Port))
	if strings.Contains(t.Leader.Host, ":") {
		addr = t.Leader.Host + ":" + strconv.Itoa(t.Leader.Port) // Redis writes IPv6 addresses bare
	}
	if s.capable && !s.aware && s.peer.Redirect == config.RedirectAuto {
		return reply.Redirect(addr)
	}
	return reply.Moved(Slot(args[keys[0].Index]), addr)
}

// levelChoice is the consistency that a connection asked for.
type levelChoice struct {
	level  Consistency
	chosen bool
}

// consistency returns what the connection's reads demand.
func (s *Session) consistency() Consistency {
	switch {
	case s.level.chosen:
		return s.level.level
	case s.readonly:
		return Bounded
	}
	return Consistency(s.srv.settings.consistency.Load())
}

func parseConsistency(word string) (Consistency, bool) {
	switch strings.ToLower(word) {
	case "linearizable":
		return Linearizable, true
	case "bounded":
		return Bounded, true
	case "stale":
		return Stale, true
	}
	return Linearizable, false
}
