package session

import (
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

var trackingRows = []row{
	clientRow("caching", 3, noScript, clientCaching),
	clientRow("getredir", 2, noScript, clientGetRedir),
	clientRow("tracking", -3, noScript, clientTracking),
	clientRow("trackinginfo", 2, noScript, clientTrackingInfo),
}

const (
	errSwitchBcast  reply.Error = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	errSwitchOpting reply.Error = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
)

// clientTracking: CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP].
func clientTracking(s *Session, r *request) {
	o, err := s.trackingOptions(r.args[3:])
	if err == "" {
		switch strings.ToLower(string(r.args[2])) {
		case "on":
			if err = s.trackable(&o); err == "" {
				s.trackedBefore = true
				s.hold() // until this very reply is written
				s.track(o)
			}
		case "off":
			s.untrack()
		default:
			err = reply.ErrSyntax
		}
	}
	if err != "" {
		r.fail(err)
		return
	}
	r.out.OK()
}

func (s *Session) trackingOptions(args [][]byte) (o tracker, err reply.Error) {
	for ; len(args) > 0; args = args[1:] {
		switch option := strings.ToLower(string(args[0])); {
		case option == "redirect" && len(args) > 1:
			args = args[1:]
			if o.redirect != 0 {
				return o, "ERR A client can only redirect to a single other client"
			}
			id, ok := call.ParseInt(args[0])
			if !ok {
				return o, reply.ErrNotInteger
			}
			if s.srv.open(id) == nil {
				return o, "ERR The client ID you want redirect to does not exist"
			}
			o.redirect = id
		case option == "prefix" && len(args) > 1:
			args = args[1:]
			o.prefixes = append(o.prefixes, string(args[0]))
		case option == "bcast":
			o.bcast = true
		case option == "optin":
			o.optin = true
		case option == "optout":
			o.optout = true
		case option == "noloop":
			o.noloop = true
		default:
			return o, reply.ErrSyntax
		}
	}
	return o, ""
}

// trackable returns why tracking can't begin or change so, or "".
func (s *Session) trackable(o *tracker) reply.Error {
	k := &s.tracker
	switch {
	case !o.bcast && len(o.prefixes) > 0:
		return "ERR PREFIX option requires BCAST mode to be enabled"
	case k.on && k.bcast != o.bcast:
		return errSwitchBcast
	case o.bcast && (o.optin || o.optout):
		return "ERR OPTIN and OPTOUT are not compatible with BCAST"
	case o.optin && o.optout:
		return "ERR You can't specify both OPTIN mode and OPTOUT mode"
	case o.optin && k.optout, o.optout && k.optin:
		return errSwitchOpting
	}
	for i, name := range o.prefixes {
		for _, other := range k.prefixes {
			if overlap(name, other) {
				return reply.Error("ERR Prefix '" + name + "' overlaps with an existing prefix '" + other + "'. Prefixes for a single client must not overlap.")
			}
		}
		for _, other := range o.prefixes[i+1:] {
			if overlap(name, other) {
				return reply.Error("ERR Prefix '" + name + "' overlaps with another provided prefix '" + other + "'. Prefixes for a single client must not overlap.")
			}
		}
	}
	return ""
}

func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// clientCaching: CLIENT CACHING YES|NO.
func clientCaching(s *Session, r *request) {
	k := &s.tracker
	var err reply.Error
	switch word := strings.ToLower(string(r.args[2])); {
	case !k.on:
		err = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
	case word != "yes" && word != "no":
		err = reply.ErrSyntax
	case word == "yes" && !k.optin:
		err = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
	case word == "no" && !k.optout:
		err = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
	}
	if err != "" {
		r.fail(err)
		return
	}
	s.setCaching(true)
	r.out.OK()
}

func clientGetRedir(s *Session, r *request) {
	k := s.tracks()
	r.out.Int(k.redirection())
}

func clientTrackingInfo(s *Session, r *request) {
	k := s.tracks()
	flags := []string{"off"}
	if k.on {
		flags[0] = "on"
	}
	for _, f := range []struct {
		name string
		is   bool
	}{
		{"bcast", k.bcast},
		{"optin", k.optin},
		{"caching-yes", k.optin && k.caching},
		{"optout", k.optout},
		{"caching-no", k.optout && k.caching},
		{"noloop", k.noloop},
		{"broken_redirect", k.broken},
	} {
		if f.is {
			flags = append(flags, f.name)
		}
	}
	r.out.Map(3)
	r.out.BulkString("flags")
	r.out.Set(len(flags))
	for _, name := range flags {
		r.out.BulkString(name)
	}
	r.out.BulkString("redirect")
	r.out.Int(k.redirection())
	r.out.BulkString("prefixes")
	r.out.Array(len(k.prefixes))
	for _, name := range k.prefixes {
		r.out.BulkString(name)
	}
}
