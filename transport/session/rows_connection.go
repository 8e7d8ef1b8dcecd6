package session

import (
	"strings"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/transport/config"
)

// RedisVersion is the version of Redis whose behaviour clients may count on.
const RedisVersion = "7.0.15"

// Sets of flags that many rows share.
const (
	anytime   = command.Loading | command.Stale
	noScript  = command.NoScript | anytime
	adminOnly = command.Admin | noScript
	greeting  = noScript | command.Fast | command.NoAuth | command.AllowBusy
)

var connectionRows = []row{
	{Spec: command.Spec{Name: "auth", Arity: -2, Flags: greeting, Group: command.Connection}, do: auth, redact: func(args [][]byte) [][]byte { return redacted(args, 1, len(args)) }},
	{Spec: command.Spec{Name: "hello", Arity: -1, Flags: greeting, Group: command.Connection}, do: hello, redact: redactHello},
	{Spec: command.Spec{Name: "quit", Arity: -1, Flags: greeting, Group: command.Connection}, do: quit, prompt: true},
	{Spec: command.Spec{Name: "reset", Arity: 1, Flags: greeting, Group: command.Connection}, do: reset, prompt: true},
	{Spec: command.Spec{Name: "ping", Arity: -1, Flags: command.Fast, Group: command.Connection, Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"}}, do: ping, rides: true},
	{Spec: command.Spec{Name: "echo", Arity: 2, Flags: anytime | command.Fast, Group: command.Connection}, do: echo, rides: true},
	{Spec: command.Spec{Name: "select", Arity: 2, Flags: anytime | command.Fast, Group: command.Connection}, do: selectDB},
	{Spec: command.Spec{Name: "readonly", Arity: 1, Flags: anytime | command.Fast, Group: command.Cluster, Categories: command.CatConnection}, do: readOnly},
	{Spec: command.Spec{Name: "readwrite", Arity: 1, Flags: anytime | command.Fast, Group: command.Cluster, Categories: command.CatConnection}, do: readWrite},
	{Spec: command.Spec{Name: "asking", Arity: 1, Flags: command.Fast, Group: command.Cluster, Categories: command.CatConnection}, do: asking},
}

func auth(s *Session, r *request) {
	if len(r.args) > 3 {
		r.fail(reply.ErrSyntax)
		return
	}
	user, password := []byte(acl.Default), r.args[len(r.args)-1]
	if len(r.args) == 3 {
		user = r.args[1]
	} else if s.srv.DefaultNeedsNoPassword() {
		r.fail(errNoPassword)
		return
	}
	if err := s.login(r, user, password); err != "" {
		r.fail(err)
		return
	}
	r.out.OK()
}

// redactHello hides the users and passwords that follow AUTH, and what may be some:
// AUTH may also be a name.
func redactHello(args [][]byte) [][]byte {
	shown := args
	for i, arg := range args {
		if i > 1 && strings.EqualFold(string(arg), "auth") {
			shown = redacted(shown, i+1, i+3)
		}
	}
	return shown
}

// hello: HELLO [proto [AUTH user password] [SETNAME name]].
func hello(s *Session, r *request) {
	proto := s.proto
	args := r.args[1:]
	if len(args) > 0 {
		n, ok := call.ParseInt(args[0])
		switch {
		case !ok:
			r.fail(errProtoNoInteger)
			return
		case n != 2 && n != 3:
			r.fail(reply.ErrNoProto)
			return
		}
		proto = reply.Proto(n)
		args = args[1:]
	}
	var name []byte
	named := false
	for len(args) > 0 {
		switch option := strings.ToLower(string(args[0])); {
		case option == "auth" && len(args) >= 3:
			if err := s.login(r, args[1], args[2]); err != "" {
				r.fail(err)
				return
			}
			args = args[3:]
		case option == "setname" && len(args) >= 2:
			if !validName(args[1]) {
				r.fail(errClientName)
				return
			}
			name, named = args[1], true
			args = args[2:]
		default:
			r.fail(reply.Error("ERR Syntax error in HELLO option '" + string(reply.CText(args[0])) + "'"))
			return
		}
	}
	if !s.authed && !s.srv.users.view().open {
		r.fail(errHelloNoAuth)
		return
	}
	if named {
		s.setName(string(name))
	}
	s.setProto(proto, r.out)
	s.writeHello(r.out)
}

func (s *Session) writeHello(out *reply.Writer) {
	out.Map(7)
	out.BulkString("server")
	out.BulkString("redis")
	out.BulkString("version")
	out.BulkString(RedisVersion)
	out.BulkString("proto")
	out.Int(int64(s.proto))
	out.BulkString("id")
	out.Int(s.id)
	out.BulkString("mode")
	out.BulkString(s.mode())
	out.BulkString("role")
	out.BulkString("master") // every node takes writes
	out.BulkString("modules")
	out.Array(0)
}

// mode is what clients branch on to find out whether to follow redirections.
func (s *Session) mode() string {
	switch {
	case s.asSentinel():
		return "sentinel"
	case s.peer.Redirect == config.RedirectAlways:
		return "cluster"
	}
	return "standalone"
}

// setProto changes the protocol, beginning with the reply under way.
func (s *Session) setProto(p reply.Proto, out *reply.Writer) {
	s.proto = p
	if !out.Discards() {
		out.SetProto(p)
	}
	s.show(func(v *shown) { v.proto = p })
}

func quit(s *Session, r *request) {
	s.closing = true
	s.leaving.Store(true)
	if s.trackedBefore {
		s.untrack()
	}
	r.out.OK()
}

// reset makes the connection as good as new.
func reset(s *Session, r *request) {
	if s.tx != nil {
		s.endTransaction()
	}
	s.unwatch()
	s.dropSubscriptions()
	s.srv.monitors.remove(s)
	if s.trackedBefore {
		s.untrack()
	}
	s.setProto(reply.RESP2, r.out)
	s.db, s.readonly, s.aware, s.capable = 0, false, false, false
	s.level = levelChoice{}
	s.silence = speaking
	s.out.SetClass(ClassNormal)
	s.show(func(v *shown) {
		*v = shown{proto: reply.RESP2, multi: -1, libName: v.libName, libVersion: v.libVersion}
	})
	s.begin()
	r.out.Status("RESET")
}

func ping(s *Session, r *request) {
	switch {
	case len(r.args) > 2:
		r.fail(reply.WrongArgs("ping"))
	case s.proto == reply.RESP2 && s.subs.len() > 0:
		r.out.Array(2)
		r.out.BulkString("pong")
		if len(r.args) == 2 {
			r.out.Bulk(r.args[1])
		} else {
			r.out.BulkString("")
		}
	case len(r.args) == 2:
		r.out.Bulk(r.args[1])
	default:
		r.out.Status("PONG")
	}
}

func echo(_ *Session, r *request) { r.out.Bulk(r.args[1]) }

func selectDB(s *Session, r *request) {
	db, err := parseDB(r.args[1])
	if err != "" {
		r.fail(err)
		return
	}
	s.db = db
	s.show(func(v *shown) { v.db = db })
	r.out.OK()
}

// readOnly: the client is content with reads of bounded staleness.
func readOnly(s *Session, r *request) {
	s.setReadonly(true)
	r.out.OK()
}

func readWrite(s *Session, r *request) {
	s.setReadonly(false)
	r.out.OK()
}

func (s *Session) setReadonly(yes bool) {
	// Clients that follow REDIRECT ask replicas by it too, and know no MOVED.
	s.aware = s.aware || !s.capable
	s.readonly = yes
	s.show(func(v *shown) { v.readonly = yes })
}

// asking announces that the next command follows an ASK redirection. None is
// ever given; the client shows that it follows MOVED.
func asking(s *Session, r *request) {
	s.aware = true
	r.out.OK()
}
