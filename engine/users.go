package engine

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
)

// Users returns the cluster's users. It waits for nobody.
func (e *Engine) Users() *acl.Users { return e.users.Load() }

// OnUsers makes f the one that is told when users have changed: after Apply or Restore,
// without the lock. It must not block.
func (e *Engine) OnUsers(f func()) { e.onUsers.Store(&f) }

func (e *Engine) tellUsers() {
	if f := e.onUsers.Load(); f != nil {
		(*f)()
	}
}

// SetUsers implements call.Effects.
func (f effects) SetUsers(us *acl.Users) {
	f.e.settings.Users, f.e.usersSet = us, true
	f.e.users.Store(us)
	f.e.compiled.Clear()
	f.e.dropDeleted()
}

// dropDeleted ends the wait of users that are gone: nothing is given to them any more.
// Their clients' nodes cut them.
func (e *Engine) dropDeleted() {
	if e.waiting.Len() == 0 {
		return
	}
	for _, w := range e.waiting.All() {
		if w.User != "" && !e.lives(w.User, w.Born) {
			e.waiting.Remove(w, e.env.Keyspace.Chain())
		}
	}
	e.listen()
}

// lives reports whether the user of that name is still the one of that birth.
func (e *Engine) lives(name string, born uint64) bool {
	u := e.settings.Users.Get(name)
	return u != nil && u.Born == born
}

// LoadUsers is the name of a setting whose value ([UsersValue]) puts other users in the
// place of all.
const LoadUsers = "users"

// The ways of LoadUsers.
const (
	// LoadFile: the lines of an aclfile, of ACL LOAD.
	LoadFile = "file"
	// FirstFile and FirstConf: the lines of an aclfile, or of a configuration file, for
	// a cluster that has no users of its own yet; else they change nothing.
	FirstFile = "first-file"
	FirstConf = "first-conf"
)

// UsersValue returns the value of LoadUsers for lines without passwords.
func UsersValue(way string, lines []string) string {
	return way + "\n" + strings.Join(lines, "\n")
}

// loadUsers carries LoadUsers out. Names of commands were checked by the node that has
// logged it: another release may know others.
func loadUsers(s *call.Settings, value string) error {
	way, text, _ := strings.Cut(value, "\n")
	switch way {
	case LoadFile:
	case FirstFile, FirstConf:
		if s.Users.Changes() > 0 {
			return nil
		}
	default:
		return fmt.Errorf("users are not loaded in the way of %.64q", way)
	}
	next, err := s.Users.Load(acl.Source{File: "file", Conf: way == FirstConf}, strings.Split(text, "\n"), call.ACLDefaults(s), nil)
	if err != nil {
		return err
	}
	s.Users = next
	return nil
}

// errScriptDenied are the errors of scripts whose user may not do something.
var errScriptDenied = map[acl.Reason]reply.Error{
	acl.DeniedCommand: "ERR The user executing the script can't run this command or subcommand",
	acl.DeniedKey:     "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
	acl.DeniedChannel: "ERR The user executing the script can't publish to the channel mentioned in the command",
}

// callable returns the commands that scripts may call.
func (e *Engine) callable() []*command.Spec {
	specs := e.scripts.SessionSpecs()
	for _, name := range e.table.Names() {
		specs = append(specs, e.table.Spec(name))
	}
	return specs
}

// permit returns why the user on whose behalf c runs may not call a command from a
// script, or "". A user who has been deleted meanwhile may do nothing.
func (e *Engine) permit(c *call.Call, row *call.Row, args [][]byte) reply.Error {
	if c.As.User == "" {
		return ""
	}
	why, object := acl.DeniedCommand, row.Name
	access := e.access(c.As.User)
	id, known := e.catalog.ID(row.Name)
	if access != nil && known {
		arg := 0
		why, arg = access.Check(id, args)
		switch {
		case why == acl.Allowed:
			return SortDenied(access, id, row.Name, args)
		case why != acl.DeniedCommand:
			object = string(args[arg])
		}
	}
	if c.As.Denied != nil {
		c.As.Denied(call.Denial{Reason: why, Object: object})
	}
	return errScriptDenied[why]
}

// permitNamed is permit for a command that the engine does not have.
func (e *Engine) permitNamed(c *call.Call, name string) bool {
	if c.As.User == "" {
		return true
	}
	u := e.settings.Users.Get(c.As.User)
	return u != nil && u.AllowsName(name)
}

// SortDenied returns why a user who may call a command may not call it with an option of
// SORT that reads any key, or "".
func SortDenied(a *acl.Access, id acl.ID, name string, args [][]byte) reply.Error {
	if name != "sort" && name != "sort_ro" || a.Unlimited {
		return ""
	}
	if option := acl.SortOption(args); option != "" && !a.ReadsAll(id, args) {
		return reply.SortDenied(option)
	}
	return ""
}

// access returns what the user of that name may do, or nil if there is none.
func (e *Engine) access(name string) *acl.Access {
	u := e.settings.Users.Get(name)
	if u == nil {
		return nil
	}
	if known, ok := e.compiled.Load(u.Name); ok && known.(*acl.Access).User == u {
		return known.(*acl.Access)
	}
	a := e.catalog.Compile(u)
	e.compiled.Store(u.Name, a)
	return a
}
