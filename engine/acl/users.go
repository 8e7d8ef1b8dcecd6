// Package acl holds who may do what: users, the rules that they were given, and
// the checks.
//
// Users are the cluster's state. A [User] keeps the rules on commands as they
// were given, by name, so that applying them needs no table of commands: what
// "+@read" comprises is looked up when a release compiles a user into an
// [Access], with the commands that it knows ([Catalog]). So nodes of two
// releases hold the same state, and a category takes in the commands of a later
// release.
//
// Users, User and Access never change once they are made: a change makes new
// ones. Whoever holds one may read it without a lock.
package acl

import (
	"slices"
	"strings"
)

// Default is the name of the user that connections begin with.
const Default = "default"

// Flags are what a user is beside its rules.
type Flags uint8

// The flags, in the order in which they are shown.
const (
	On Flags = 1 << iota
	Off
	NoPass
	SkipSanitize
	Sanitize
)

var flagNames = []string{"on", "off", "nopass", "skip-sanitize-payload", "sanitize-payload"}

// Names returns the names of the set flags in Redis' order.
func (f Flags) Names() []string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// User is a user and what it may do.
type User struct {
	Name string
	// Born tells users of one name apart: one that was deleted and made again is
	// another, to whom no connection of the first belongs.
	Born  uint64
	Flags Flags
	// Passwords are SHA-256 in hexadecimal digits. A password itself never is
	// state.
	Passwords []string
	// Selectors grant rights, each by itself. The first is the user's own rules.
	Selectors []Selector
}

// Permission is what a pattern allows to do with a key.
type Permission uint8

// The permissions.
const (
	Read Permission = 1 << iota
	Write
)

// KeyPattern is a pattern of keys.
type KeyPattern struct {
	Allows  Permission
	Pattern string
}

// Selector is a set of rights: a command is allowed by one selector as a whole.
type Selector struct {
	AllKeys     bool
	AllChannels bool
	// AllCommands: the rules on commands begin from all, those of later releases
	// included; else from none.
	AllCommands bool
	Keys        []KeyPattern // none if AllKeys
	Channels    []string     // none if AllChannels
	// Commands are the rules after that: "+get", "-@read", "+config|get". Of two
	// with one target only the later is kept.
	Commands []string
}

// Enabled reports whether one can authenticate as the user.
func (u *User) Enabled() bool { return u.Flags&On != 0 }

// Open reports whether nobody needs a password to be the user.
func (u *User) Open() bool { return u.Flags&NoPass != 0 && u.Enabled() }

// Accepts reports whether a password, or any, makes one the user.
func (u *User) Accepts(password []byte) bool {
	switch {
	case !u.Enabled():
		return false
	case u.Flags&NoPass != 0:
		return true
	}
	hash, ok := Hash(password), false
	for _, known := range u.Passwords {
		if equal(hash, known) {
			ok = true // and on: the time tells nothing
		}
	}
	return ok
}

// clone returns a copy that may be changed.
func (u *User) clone() *User {
	c := *u
	c.Passwords = slices.Clone(u.Passwords)
	c.Selectors = slices.Clone(u.Selectors)
	for i := range c.Selectors {
		c.Selectors[i] = c.Selectors[i].clone()
	}
	return &c
}

func (s *Selector) clone() Selector {
	c := *s
	c.Keys, c.Channels, c.Commands = slices.Clone(s.Keys), slices.Clone(s.Channels), slices.Clone(s.Commands)
	return c
}

// size returns about how many bytes the user takes.
func (u *User) size() int {
	n := 64 + len(u.Name) + 80*len(u.Passwords)
	for i := range u.Selectors {
		s := &u.Selectors[i]
		n += 64
		for _, k := range s.Keys {
			n += 24 + len(k.Pattern)
		}
		for _, text := range s.Channels {
			n += 16 + len(text)
		}
		for _, text := range s.Commands {
			n += 16 + len(text)
		}
	}
	return n
}

// Users are all users of a cluster. There is always one named [Default].
type Users struct {
	list []*User // sorted by name
	// changes counts what was changed since the cluster began, and gives users
	// their Born.
	changes uint64
	// settled: the default user was given a password, or to need none, by a
	// command. Before that a node asks for the one in its own configuration.
	settled bool
}

// Initial returns the users of a new cluster: the default one, who may do all.
func Initial() *Users { return initial }

var initial = &Users{list: []*User{almighty()}}

func almighty() *User {
	return &User{Name: Default, Flags: On | NoPass, Selectors: []Selector{{AllKeys: true, AllChannels: true, AllCommands: true}}}
}

// BytesMax bounds all users of a cluster together, in bytes.
const BytesMax = 16 << 20

// Get returns the user of that name, or nil.
func (us *Users) Get(name string) *User {
	i, ok := us.find(name)
	if !ok {
		return nil
	}
	return us.list[i]
}

func (us *Users) find(name string) (int, bool) {
	return slices.BinarySearchFunc(us.list, name, func(u *User, name string) int { return strings.Compare(u.Name, name) })
}

// All returns the users in the order of their names. Nobody changes what it returns.
func (us *Users) All() []*User { return us.list }

// Changes returns how often users were changed since the cluster began.
func (us *Users) Changes() uint64 { return us.changes }

// Settled reports whether the default user was given a password, or to need none.
func (us *Users) Settled() bool { return us.settled }

// Defaults are what a cluster's settings say of new users.
type Defaults struct {
	AllChannels bool // acl-pubsub-default allchannels
}

// Set returns the users after rules were applied to the user of that name, who is
// made if there is none. Rules are merged ([Merge]). If one is not valid, nothing
// changes. Names of commands are checked if catalog is not nil.
func (us *Users) Set(name string, rules []string, d Defaults, catalog *Catalog) (*Users, error) {
	i, old := us.find(name)
	var u *User
	if old {
		u = us.list[i].clone()
	} else {
		u = newUser(name, us.changes+1, d)
	}
	e := editor{user: u, defaults: d, catalog: catalog}
	for _, rule := range rules {
		if err := e.rule(rule); err != nil {
			return nil, &RuleError{Rule: rule, Err: err}
		}
	}
	next := us.changed()
	if old {
		next.list[i] = u
	} else {
		next.list = slices.Insert(next.list, i, u)
	}
	next.settled = us.settled || name == Default && e.passwords
	if next.tooLarge() {
		return nil, ErrTooMany
	}
	return next, nil
}

func newUser(name string, born uint64, d Defaults) *User {
	return &User{Name: name, Born: born, Flags: Off, Selectors: []Selector{{AllChannels: d.AllChannels}}}
}

func (us *Users) changed() *Users {
	return &Users{list: slices.Clone(us.list), changes: us.changes + 1, settled: us.settled}
}

func (us *Users) tooLarge() bool {
	n := 0
	for _, u := range us.list {
		n += u.size()
	}
	return n > BytesMax
}

// Delete returns the users without those of the given names, and how many there
// were. The default user can't be deleted: the caller sees to it.
func (us *Users) Delete(names []string) (*Users, int) {
	next, deleted := us.changed(), 0
	for _, name := range names {
		if i, ok := next.find(name); ok && name != Default {
			next.list = slices.Delete(next.list, i, i+1)
			deleted++
		}
	}
	if deleted == 0 {
		return us, 0
	}
	return next, deleted
}

// With returns the users with one in the place of that of its name, for a node that
// sees a user differently. It is no change of the state.
func (us *Users) With(u *User) *Users {
	next := &Users{list: slices.Clone(us.list), changes: us.changes, settled: us.settled}
	i, ok := next.find(u.Name)
	if ok {
		next.list[i] = u
	} else {
		next.list = slices.Insert(next.list, i, u)
	}
	return next
}

// WithPassword returns the user as one that needs a password of the given hash.
func (u *User) WithPassword(hash string) *User {
	c := u.clone()
	c.Flags &^= NoPass
	c.Passwords = []string{hash}
	return c
}

// Disabled returns the user as one that nobody can be.
func (u *User) Disabled() *User {
	c := u.clone()
	c.Flags = c.Flags&^(On|NoPass) | Off
	c.Passwords = nil
	return c
}
