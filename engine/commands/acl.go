package commands

import (
	"github.com/quorate/quorate/engine/acl"
	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// aclRows are the commands that change the cluster's users. Sessions check the names of
// commands in rules beforehand, and put hashes in the place of passwords: what is in the
// log needs neither.
var aclRows = []call.Row{
	{Spec: command.Spec{Name: "acl|setuser", Arity: -3, Flags: aclFlags, Group: command.Server, Semantic: semantic.Conversation}, Do: aclSetUser},
	{Spec: command.Spec{Name: "acl|deluser", Arity: -3, Flags: aclFlags, Group: command.Server, Semantic: semantic.Conversation}, Do: aclDelUser},
}

const aclFlags = command.Admin | command.NoScript | command.Loading | command.Stale

// What the chain of changes is told of users. The numbers never change.
const (
	noteUserSet     = 'u' // rules were applied to a user: his name, and each rule
	noteUserDeleted = 'x'
)

// aclSetUser: ACL SETUSER name rule ...
func aclSetUser(c *call.Call) {
	if !c.MayWrite {
		c.Fail(reply.ErrReadOnlyContext)
		return
	}
	name := string(c.Args[2])
	if !acl.ValidName(name) {
		c.Fail(reply.ErrUserName)
		return
	}
	rules, err := acl.Merge(texts(c.Args[3:]))
	var next *acl.Users
	if err == nil {
		next, err = c.Settings.Users.Set(name, rules, call.ACLDefaults(c.Settings), nil)
	}
	if err != nil {
		c.Fail(reply.Error("ERR " + err.Error()))
		return
	}
	chain := c.Keyspace.Chain()
	chain.Note(noteUserSet, uint64(len(rules)), c.Args[2], nil)
	for _, rule := range rules {
		chain.Note(noteUserSet, 0, []byte(rule), nil)
	}
	c.Effects.SetUsers(next)
	c.Out.OK()
}

// aclDelUser: ACL DELUSER name ...
func aclDelUser(c *call.Call) {
	if !c.MayWrite {
		c.Fail(reply.ErrReadOnlyContext)
		return
	}
	names := texts(c.Args[2:])
	for _, name := range names {
		if name == acl.Default {
			c.Fail("ERR The 'default' user cannot be removed")
			return
		}
	}
	next, n := c.Settings.Users.Delete(names)
	if n > 0 {
		for _, name := range c.Args[2:] {
			c.Keyspace.Chain().Note(noteUserDeleted, 0, name, nil)
		}
		c.Effects.SetUsers(next)
	}
	c.Out.Int(int64(n))
}

func texts(args [][]byte) []string {
	all := make([]string, len(args))
	for i, arg := range args {
		all[i] = string(arg)
	}
	return all
}
