package session

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/fsm"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/pubsub"
)

// users is what this node makes of the cluster's users: the state, but that
//
//   - while no command has given the default user a password, or told it to need none,
//     that is requirepass, each node's own;
//   - while this node's configuration names users and the cluster has none of its own,
//     nobody can be anybody: they are on their way into the log.
type users struct {
	engine  *engine.Engine
	catalog *acl.Catalog
	first   bool        // the configuration names users
	unsure  atomic.Bool // see Options.Unsure; it ends with the first barrier

	now      atomic.Pointer[userView] // nil: to be made anew
	requires atomic.Pointer[string]   // the hash of requirepass; nil: there is none

	mu       sync.Mutex
	enforced *acl.Users // guarded by mu; whose connections have been looked at
}

// userView is the users at a moment. It does not change.
type userView struct {
	of      *acl.Users // the cluster's
	list    *acl.Users // as this node sees them
	open    bool       // new connections are the default user's without a password
	pending bool       // the users of the configuration are not in force yet
	catalog *acl.Catalog
	access  sync.Map // *acl.User -> *acl.Access; at most one for each user
}

// view returns the users of now.
func (u *users) view() *userView {
	of := u.engine.Users()
	if v := u.now.Load(); v != nil && v.of == of {
		return v
	}
	return u.renew(of)
}

// renew makes a view. Two at once may do so: either is good.
func (u *users) renew(of *acl.Users) *userView {
	v := &userView{of: of, list: of, catalog: u.catalog}
	own := of.Get(acl.Default)
	switch hash := u.requires.Load(); {
	case u.first && of.Changes() == 0:
		v.pending = true
		v.list = of.With(own.Disabled())
	case hash != nil && !of.Settled():
		v.list = of.With(own.WithPassword(*hash))
	}
	v.open = v.list.Get(acl.Default).Open()
	u.now.Store(v)
	return v
}

// require sets requirepass.
func (u *users) require(password string) {
	u.requires.Store(nil)
	if password != "" {
		hash := acl.Hash([]byte(password))
		u.requires.Store(&hash)
	}
	u.now.Store(nil)
}

// accessOf returns what a user of the view may do.
func (v *userView) accessOf(u *acl.User) *acl.Access {
	if known, ok := v.access.Load(u); ok {
		return known.(*acl.Access)
	}
	a := v.catalog.Compile(u)
	v.access.Store(u, a)
	return a
}

// DefaultNeedsNoPassword reports whether any password makes one the default user: what
// protected mode asks.
func (s *Server) DefaultNeedsNoPassword() bool {
	return s.users.view().list.Get(acl.Default).Flags&acl.NoPass != 0
}

// begin makes the session the default user's.
func (s *Session) begin() {
	v := s.srv.users.view()
	s.authed = v.open
	s.unproven.Store(v.open && s.srv.users.unsure.Load())
	s.become(v, v.list.Get(acl.Default))
}

// confirm proves, before a command that touches data or the node, that a client who gave
// no password needs none. A node that has just started asks the cluster first. Without a
// majority it serves what does not need one: an operator must reach it.
func (s *Session) confirm(e *entry) reply.Error {
	if s.srv.users.unsure.Load() {
		if e.row != nil && !e.Flags.Any(command.Admin|command.Write|command.MayReplicate|command.PubSub) {
			return ""
		}
		if err := s.barrierOf(Linearizable); err != "" {
			if e.Flags.Has(command.Admin) {
				return ""
			}
			return err
		}
	}
	s.begin()
	return ""
}

// sure tells that the node's users are the cluster's. Clients who were let in without a
// password, and should not have been, are cut.
func (s *Server) sure() {
	if !s.users.unsure.CompareAndSwap(true, false) || s.users.view().open {
		return
	}
	for _, c := range s.all() {
		if c.unproven.Load() {
			c.doom()
		}
	}
}

// become makes the session a user's.
func (s *Session) become(v *userView, u *acl.User) {
	s.view, s.user, s.access = v, u, v.accessOf(u)
	s.show(func(shown *shown) { shown.user, shown.born = u.Name, u.Born })
}

// current has the session follow the users of now. It returns false if its own user is
// gone: then the connection ends.
func (s *Session) current() bool {
	v := s.srv.users.view()
	if v == s.view {
		return true
	}
	u := v.list.Get(s.user.Name)
	if u == nil || u.Born != s.user.Born {
		return false
	}
	s.become(v, u)
	return true
}

// login makes the session the user of that name, if the password is right.
func (s *Session) login(r *request, name, password []byte) reply.Error {
	if !r.inTx && s.srv.busy() == "" {
		// Who was made on another node can come here; without a majority, or while a script
		// holds all up that could be killed, who is known.
		_ = s.barrier()
	}
	v := s.srv.users.view()
	u := v.list.Get(string(name))
	switch {
	case v.pending:
		return errUsersPending
	case u == nil || !u.Accepts(password):
		s.srv.opts.Counters.AuthFailures.Add(1)
		s.srv.denied(s, denial{reason: acl.DeniedAuth, context: s.place(r.inTx), object: string(r.args[0]), user: string(name)})
		return reply.ErrWrongPass
	}
	s.authed = true
	s.unproven.Store(false)
	s.become(v, u)
	return ""
}

func (s *Session) place(inTx bool) string {
	if inTx || s.tx != nil {
		return "multi"
	}
	return "toplevel"
}

// denial returns why the session's user may not call a command with these arguments, or
// "".
func (s *Session) denial(e *entry, args [][]byte) reply.Error {
	if s.access.Unlimited {
		return ""
	}
	why := s.check(e, args, s.place(false))
	switch why {
	case acl.Allowed:
		return engine.SortDenied(s.access, e.id, e.Name, args)
	case acl.DeniedCommand:
		return reply.Error("NOPERM this user has no permissions to run the '" + e.Name + "' command")
	case acl.DeniedKey:
		return "NOPERM this user has no permissions to access one of the keys used as arguments"
	}
	return "NOPERM this user has no permissions to access one of the channels used as arguments"
}

// check is whether the user may call a command. Before it is denied the node asks the
// cluster: it may have been allowed a moment ago, on another node. A denial is noted in the
// log.
func (s *Session) check(e *entry, args [][]byte, context string) acl.Reason {
	why, arg := s.access.Check(e.id, args)
	if before := s.view; why != acl.Allowed && s.barrier() == "" && s.current() && s.view != before {
		why, arg = s.access.Check(e.id, args)
	}
	if why == acl.Allowed {
		return why
	}
	object := e.Name
	if why != acl.DeniedCommand {
		object = string(args[arg])
	}
	s.srv.denied(s, denial{reason: why, context: context, object: object, user: s.user.Name})
	return why
}

// recheck looks at reads once more, of which the barrier has brought other users: what was
// taken from a user on another node, and acknowledged, is gone here.
func (s *Session) recheck(steps []step) {
	if s.srv.users.view() == s.view {
		return
	}
	gone := !s.current()
	s.closing = s.closing || gone
	for i := range steps {
		t := &steps[i]
		if t.answer != nil || t.entry == nil {
			continue
		}
		err := reply.ErrNoAuth
		if !gone {
			err = s.denial(t.entry, t.args)
		}
		if err != "" {
			t.entry.stats.Rejected()
			t.entry, t.answer = nil, func(out *reply.Writer) { out.Error(err) }
		}
	}
}

// denialInExec returns why a queued command may not be called any more, or "".
func (s *Session) denialInExec(e *entry, args [][]byte) reply.Error {
	if s.access.Unlimited {
		return ""
	}
	reason := "no permission"
	switch s.check(e, args, "multi") {
	case acl.Allowed:
		return engine.SortDenied(s.access, e.id, e.Name, args)
	case acl.DeniedCommand:
		reason = "no permission to execute the command or subcommand"
	case acl.DeniedKey:
		reason = "no permission to touch the specified keys"
	case acl.DeniedChannel:
		reason = "no permission to access one of the channels used as arguments"
	}
	return reply.Error("NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: " + reason)
}

// as returns for whom the engine executes a command: it checks what scripts call.
func (s *Session) as(e *entry) call.As {
	if s.access.Unlimited || e.Group != command.Scripting {
		return call.As{NoTouch: s.shown.noTouch}
	}
	user := s.user.Name
	return call.As{User: user, NoTouch: s.shown.noTouch, Denied: func(d call.Denial) {
		s.srv.denied(s, denial{reason: d.Reason, context: "lua", object: d.Object, user: user})
	}}
}

// setUser writes a command that changes users, and waits for it: it may end this very
// connection, which is told of it first.
func (s *Session) setUser(e *entry, args [][]byte) {
	s.settle()
	sealed, err := e.seal(s, args, false)
	if err != "" {
		s.steps = append(s.steps, step{entry: e, args: args, answer: func(out *reply.Writer) { out.Error(err) }})
		return
	}
	s.altering(func() {
		s.op(fsm.Op{Kind: fsm.OpWrite, DB: s.db, Args: sealed, Took: e.took})
		s.submit()
		s.waitIdle()
	})
}

// altering calls f, which may change users. If they have no place for this connection
// any more, it ends after what f has written.
func (s *Session) altering(f func()) {
	before := s.srv.users.view().of
	s.spared.Store(math.MaxUint64)
	f()
	s.srv.enforceUsers() // so that those who are cut are gone before the next command
	after := s.srv.users.view().of
	s.spared.Store(after.Changes())
	if !s.current() || s.lost(before, after) {
		s.closing = true
	}
}

// lost reports whether the connection is to end because users have changed: its own is
// gone, or may not listen any more to what it listens to.
func (s *Session) lost(before, after *acl.Users) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := after.Get(s.shown.user)
	if u == nil || u.Born != s.shown.born {
		return true
	}
	old := before.Get(u.Name)
	if old == nil || old == u || s.subs.len() == 0 || !u.LostChannels(old) {
		return false
	}
	for kind, names := range s.subs.names {
		for name := range names {
			if !u.MayHear(name, pubsub.Kind(kind) == pubsub.Pattern) {
				return true
			}
		}
	}
	return false
}

// enforceUsers ends the connections that have no place among the users any more. It is
// called when they have changed, by the node's apply, and waits for nobody.
func (s *Server) enforceUsers() {
	u := &s.users
	u.mu.Lock()
	defer u.mu.Unlock()
	before, after := u.enforced, u.engine.Users()
	if before == after {
		return
	}
	u.enforced = after
	for _, c := range s.all() {
		if after.Changes() > c.spared.Load() && c.lost(before, after) {
			c.doom()
		}
	}
}

// doom cuts the connection.
func (s *Session) doom() {
	s.doomed.Store(true)
	s.out.Kill()
}

// offerEvery is how long the users of the configuration wait before they are offered
// again, where the cluster can't take them yet.
const offerEvery = 100 * time.Millisecond

// offerUsers makes the users of the configuration those of a cluster that has none.
func (s *Server) offerUsers() {
	value := engine.UsersValue(s.opts.FirstWay, s.opts.FirstUsers)
	said := false
	tick := time.NewTicker(offerEvery)
	defer tick.Stop()
	for s.users.view().pending {
		if refused := s.setWide([]config.Pair{{Name: engine.LoadUsers, Value: value}}); refused != "" && !said {
			s.log.Warn("the users of this node's configuration are not in force yet; until then nobody is served", "reason", string(refused))
			said = true
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
	}
}
