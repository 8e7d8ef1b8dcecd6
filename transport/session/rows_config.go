package session

import (
	"errors"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/config"
)

var configRows = []row{
	containerRow("config", command.Server),
	{Spec: command.Spec{Name: "config|get", Arity: -3, Flags: adminOnly, Group: command.Server}, do: configGet, looks: true},
	{Spec: command.Spec{Name: "config|help", Arity: 2, Flags: anytime, Group: command.Server}, do: help("config")},
	{Spec: command.Spec{Name: "config|resetstat", Arity: 2, Flags: adminOnly, Group: command.Server}, do: configResetStat},
	{Spec: command.Spec{Name: "config|rewrite", Arity: 2, Flags: adminOnly, Group: command.Server}, do: configRewrite},
	{Spec: command.Spec{Name: "config|set", Arity: -4, Flags: adminOnly, Group: command.Server, Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"}}, do: configSet, redact: redactConfig},
}

// configGet: CONFIG GET pattern ... Cluster-wide settings come from the
// engine, where they are in force; what was set through another node before is waited
// for, as a read does, unless that can't be known: then it shows what is in force here.
func configGet(s *Session, r *request) {
	patterns := make([]string, 0, len(r.args)-2)
	for _, arg := range r.args[2:] {
		patterns = append(patterns, string(arg))
	}
	found := s.srv.opts.Config.Get(patterns...)
	if !r.inTx && slices.ContainsFunc(found, isWide) {
		_ = s.barrier() // it shows what there is, without a leader too
	}
	r.out.Map(len(found))
	for _, p := range found {
		value := p.Value
		if isWide(p) {
			spec, _ := config.Lookup(p.Name)
			if now, ok := s.srv.opts.Engine.Setting(spec.Name); ok {
				value = now
			}
		}
		r.out.BulkString(p.Name)
		r.out.BulkString(value)
	}
}

// isWide reports whether a directive is one of the cluster's.
func isWide(p config.Pair) bool {
	spec, ok := config.Lookup(p.Name)
	return ok && spec.Has(config.Cluster)
}

// redactConfig hides the values of directives that are secrets.
func redactConfig(args [][]byte) [][]byte {
	shown := args
	for i := 2; i+1 < len(args); i += 2 {
		if secretDirectives[strings.ToLower(string(args[i]))] {
			shown = redacted(shown, i+1, i+2)
		}
	}
	return shown
}

var secretDirectives = map[string]bool{
	"requirepass": true, "masterauth": true, "masteruser": true, "tls-key-file-pass": true, "tls-client-key-file-pass": true,
}

// configSet: CONFIG SET name value ... The node's own directives are set
// first and set back if the cluster refuses the others.
func configSet(s *Session, r *request) {
	args := r.args[2:]
	if len(args)%2 != 0 {
		r.fail(reply.ErrSyntax)
		return
	}
	var pairs []config.Pair
	for i := 0; i < len(args); i += 2 {
		pairs = append(pairs, config.Pair{Name: string(args[i]), Value: string(args[i+1])})
	}
	conf := s.srv.opts.Config
	change, err := conf.Prepare(pairs, s.peer.Loopback)
	if err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	wide := change.Cluster()
	password, secret := change.Value("requirepass")
	secret = secret && s.srv.opts.Cluster.Semantic() >= semantic.Conversation
	if (len(wide) > 0 || secret) && r.inTx {
		r.fail(errNoClusterBlock)
		return
	}
	if r.inTx && change.Sets("bind", "port", "tls-port") {
		r.fail(errNoListenersInTx)
		return
	}
	if err := conf.Commit(change); err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		return
	}
	var refused reply.Error
	if len(wide) > 0 {
		refused = s.srv.setWide(wide)
	}
	if secret && refused == "" {
		refused = s.srv.setDefaultPassword(password)
	}
	if refused != "" {
		conf.Rollback(change)
		r.fail(refused)
		return
	}
	conf.Adopt(wide)
	r.out.OK()
}

// setDefaultPassword gives the default user of the cluster one password, or none.
func (s *Server) setDefaultPassword(password string) reply.Error {
	head := [][]byte{[]byte("ACL"), []byte("SETUSER"), []byte(acl.Default)}
	rules := []string{"resetpass", "nopass"}
	if password != "" {
		rules[1] = ">" + password
	}
	return s.submit(fsm.Op{Kind: fsm.OpWrite, Args: s.setUserArgs(head, rules)})
}

// setWide sets cluster-wide settings through the log and waits for it. It
// returns the error, or "".
func (s *Server) setWide(pairs []config.Pair) reply.Error {
	var args [][]byte
	limits := false
	inForce := s.opts.Cluster.Semantic()
	for _, p := range pairs {
		if came := engine.SettingCame(p.Name); came > inForce {
			return reply.TooNew("the setting "+p.Name, came, inForce)
		}
		args = append(args, []byte(p.Name), []byte(p.Value))
		limits = limits || strings.HasPrefix(p.Name, "maxmemory")
	}
	refused := s.submit(fsm.Op{Kind: fsm.OpSettings, Args: args})
	if limits && refused == "" {
		// The next entry begins with what follows from the limit: keys that go, or that
		// commands are refused. When the client goes on that is so; if this one is refused
		// it will be so soon, and the limit is in force all the same.
		_ = s.submit(fsm.Op{Kind: fsm.OpSettings})
	}
	return refused
}

// setting returns a cluster-wide setting in force.
func (s *Server) setting(name string) string {
	value, _ := s.opts.Engine.Setting(name)
	return value
}

// submit has an op of the node's own executed, and waits for it. It returns the error, or
// "".
func (s *Server) submit(op fsm.Op) reply.Error {
	replies, refused := s.execute([]fsm.Op{op})
	switch {
	case refused != "":
		return refused
	case replies[0].Kind == reply.KindError:
		return reply.Error(replies[0].Text)
	}
	return ""
}

// userLines returns the lines of users for the configuration file: all that the cluster
// has, or none where there is an aclfile for them. Nil leaves what is there: the cluster
// knows no users yet. The default user is left out as long as his password is the node's
// own, which requirepass gives.
func (s *Server) userLines() []string {
	if s.opts.Cluster.Semantic() < semantic.Conversation || s.users.view().pending {
		return nil
	}
	lines := []string{}
	if ACLFile(s.opts.Config) != "" {
		return lines
	}
	list := s.users.view().list
	for _, line := range s.users.catalog.Lines(list) {
		if !strings.HasPrefix(line, "user "+acl.Default+" ") || s.opts.Engine.Users().Settled() {
			lines = append(lines, line)
		}
	}
	return lines
}

func configRewrite(s *Session, r *request) {
	if err := s.srv.opts.Config.Rewrite(s.srv.userLines()); err != nil {
		r.fail(reply.Error("ERR " + err.Error()))
		if !errors.Is(err, config.ErrNoFile) {
			s.srv.log.Error("CONFIG REWRITE failed", "error", err)
		}
		return
	}
	r.out.OK()
}

func configResetStat(s *Session, r *request) {
	s.srv.opts.Counters.Reset()
	s.srv.opts.Engine.ResetLookups()
	data := s.srv.opts.Engine.Stats()
	s.srv.expiredBefore.Store(data.Expired)
	s.srv.fieldsBefore.Store(data.Fields)
	s.srv.evictedBefore.Store(data.Evicted)
	s.srv.lazyBefore.Store(data.Lazy)
	for _, e := range s.srv.table.all {
		e.stats.Reset()
	}
	r.out.OK()
}
