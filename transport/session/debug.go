package session

import (
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
)

// debugCommand carries out the DEBUG subcommands that concern the node or the
// connection; others are the engine's.
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
		debugProtocol(r)
	case sub == "error" && len(r.args) == 3:
		r.fail(reply.Error(r.args[2]))
	case sub == "log" && len(r.args) == 3:
		s.srv.log.Warn("DEBUG LOG", "text", string(r.args[2]))
		r.out.OK()
	case sub == "reload" || sub == "loadaof" && len(r.args) == 2:
		debugReload(s, r)
	case debugAccepted[sub]:
		r.out.OK()
	case sub == "help" && len(r.args) == 2:
		help("debug")(s, r)
	case s.srv.engineDebugs:
		// The reply comes with the apply.
		s.op(fsm.Op{Kind: fsm.OpWrite, DB: s.db, Args: r.args})
		s.submit()
		s.waitIdle()
	default:
		r.fail(reply.Error("ERR unknown subcommand or wrong number of arguments for '" + string(r.args[1]) + "'. Try DEBUG HELP."))
	}
}

// debugAccepted are subcommands that tune what is not there to be tuned.
var debugAccepted = map[string]bool{
	"set-active-expire": true, "jmap": true, "change-repl-id": true, "replybuffer": true,
	"set-disable-deny-scripts": true, "stringmatch-len": true, "replicate": true, "pause-cron": true,
	"quicklist-packed-threshold": true,
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

// debugProtocol replies with a value of each type of the protocol.
func debugProtocol(r *request) {
	out := r.out
	switch name := strings.ToLower(string(r.args[2])); name {
	case "string":
		out.BulkString("Hello World")
	case "integer":
		out.Int(12345)
	case "double":
		out.Double(3.141)
	case "null":
		out.Null()
	case "array":
		out.Array(3)
		for i := range int64(3) {
			out.Int(i)
		}
	case "set":
		out.Set(3)
		for i := range int64(3) {
			out.Int(i)
		}
	case "map":
		out.Map(3)
		for i := range int64(3) {
			out.Int(i)
			out.Bool(i == 1)
		}
	case "push":
		if out.Proto() == reply.RESP2 {
			r.fail("ERR RESP2 is not supported by this command")
			return
		}
		out.Push(2)
		out.BulkString("server-cpu-usage")
		out.Int(42)
		out.BulkString("Some real reply following the push reply")
	case "attrib":
		if out.Proto() != reply.RESP2 {
			out.Raw([]byte("|1\r\n"))
			out.BulkString("key-popularity")
			out.Array(2)
			out.BulkString("key:123")
			out.Int(90)
		}
		out.BulkString("Some real reply following the attribute")
	case "bignum":
		out.BigNumber("1234567999999999999999999999999999999")
	case "true":
		out.Bool(true)
	case "false":
		out.Bool(false)
	case "verbatim":
		out.Verbatim("txt", "This is a verbatim\nstring")
	default:
		r.fail("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	}
}
