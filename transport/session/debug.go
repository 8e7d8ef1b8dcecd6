package session

import (
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
)

// debugCommand carries out the DEBUG subcommands that concern the node or the
// connection, or show a key.
func debugCommand(s *Session, r *request) {
	sub := strings.ToLower(string(r.args[1]))
	switch {
	case sub == "sleep" && len(r.args) == 3:
		debugSleep(s, r)
	case sub == "digest" && len(r.args) == 2:
		digest, _ := s.srv.opts.Cluster.Digest()
		r.out.Status(digest)
	case sub == "object" && (len(r.args) == 3 || len(r.args) == 4 && strings.EqualFold(string(r.args[3]), "fast")):
		debugObject(s, r)
	case sub == "digest-value":
		debugDigestValue(s, r)
	case sub == "protocol" && len(r.args) == 3:
		if !r.out.Sample(strings.ToLower(string(r.args[2]))) {
			r.fail(errProtocolType)
		}
	case sub == "error" && len(r.args) == 3:
		r.fail(reply.Error(r.args[2]))
	case sub == "set-disable-deny-scripts" && len(r.args) == 3:
		debugDenyScripts(s, r)
	case sub == "log" && len(r.args) == 3:
		s.srv.log.Warn("DEBUG LOG", "text", string(r.args[2]))
		r.out.OK()
	case sub == "reload" || sub == "loadaof" && len(r.args) == 2:
		debugReload(s, r)
	case debugAccepted[sub]:
		r.out.OK()
	case sub == "help" && len(r.args) == 2:
		help("debug")(s, r)
	default:
		r.fail(reply.Error("ERR unknown subcommand or wrong number of arguments for '" + string(r.args[1]) + "'. Try DEBUG HELP."))
	}
}

// debugAccepted are subcommands that tune what is not there to be tuned.
var debugAccepted = map[string]bool{
	"set-active-expire": true, "jmap": true, "change-repl-id": true, "replybuffer": true,
	"stringmatch-len": true, "replicate": true, "pause-cron": true, "quicklist-packed-threshold": true,
}

// debugObject: DEBUG OBJECT key [FAST].
func debugObject(s *Session, r *request) {
	if refused := s.barrier(); refused != "" {
		r.fail(refused)
		return
	}
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		if text, ok := v.DebugObject(s.db, r.args[2]); ok {
			r.out.Status(text)
			return
		}
		r.fail(reply.ErrNoSuchKey)
	})
}

// debugDigestValue: DEBUG DIGEST-VALUE [key ...].
func debugDigestValue(s *Session, r *request) {
	if refused := s.barrier(); refused != "" {
		r.fail(refused)
		return
	}
	keys := r.args[2:]
	s.srv.opts.Engine.View(s.srv.now().UnixMilli(), 0, func(v *engine.View) {
		r.out.Array(len(keys))
		for _, key := range keys {
			r.out.Status(v.DigestValue(s.db, key))
		}
	})
}

// debugDenyScripts: DEBUG SET-DISABLE-DENY-SCRIPTS 0|1 lets scripts, on all
// nodes, call commands that are kept from them.
func debugDenyScripts(s *Session, r *request) {
	value := "yes"
	if string(r.args[2]) == "0" {
		value = "no"
	}
	if refused := s.srv.setWide([]config.Pair{{Name: "debug-disable-deny-scripts", Value: value}}); refused != "" {
		r.fail(refused)
		return
	}
	r.out.OK()
}

// debugSleep: DEBUG SLEEP seconds stops this connection.
func debugSleep(s *Session, r *request) {
	seconds, err := strconv.ParseFloat(string(r.args[2]), 64)
	if err != nil || !(seconds >= 0 && seconds <= 3600) {
		r.fail(reply.ErrNotFloat)
		return
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-s.srv.ctx.Done():
	}
	r.out.OK()
}

// debugReload writes a snapshot and looks whether it is good; the state is
// the cluster's and is not read back.
func debugReload(s *Session, r *request) {
	if began, err := s.srv.takeSnapshot(); began && err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	r.out.OK()
}
