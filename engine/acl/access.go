package acl

import (
	"bytes"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/glob"
)

// Reason is why something is denied. A greater one tells more.
type Reason uint8

// The reasons.
const (
	Allowed Reason = iota
	DeniedCommand
	DeniedKey
	DeniedAuth // of AUTH and HELLO, in the log of denials alone
	DeniedChannel
)

// String returns the reason as ACL LOG shows it.
func (r Reason) String() string {
	return [...]string{"", "command", "key", "auth", "channel"}[r]
}

// Access is what a user may do, compiled for the commands of a release.
type Access struct {
	User *User
	// Unlimited: the user may do all. Whoever asks often looks here first.
	Unlimited bool
	catalog   *Catalog
	grants    []grant // of the user's selectors
}

// Compile returns what a user may do.
func (c *Catalog) Compile(u *User) *Access {
	a := &Access{User: u, catalog: c}
	for i := range u.Selectors {
		s, g := &u.Selectors[i], c.compile(&u.Selectors[i])
		a.grants = append(a.grants, g)
		a.Unlimited = a.Unlimited || g.all && s.AllKeys && s.AllChannels
	}
	return a
}

// Check reports whether the user may call a command with these arguments: the reason
// why not and, for a key or a channel, which argument it is. id is the command's in the
// catalog with which the user was compiled.
func (a *Access) Check(id ID, args [][]byte) (why Reason, arg int) {
	if a.Unlimited {
		return Allowed, 0
	}
	spec := a.catalog.specs[id]
	// Arguments that do not tell where the keys are tell of some perhaps: these are
	// looked at; the command will fail by itself.
	keys, _ := spec.AppendKeys(nil, args)
	why = DeniedCommand
	for i := range a.grants {
		reason, at := a.checkSelector(i, id, args, keys)
		switch {
		case reason == Allowed:
			return Allowed, 0
		case reason > why || reason == why && at > arg:
			why, arg = reason, at
		}
	}
	return why, arg
}

func (a *Access) checkSelector(i int, id ID, args [][]byte, keys []command.KeyPos) (Reason, int) {
	spec, s := a.catalog.specs[id], &a.User.Selectors[i]
	if !spec.Flags.Has(command.NoAuth) && !a.grants[i].allows(id, spec, args) {
		return DeniedCommand, 0
	}
	for _, key := range keys {
		if !s.allowsKey(args[key.Index], key.Flags) {
			return DeniedKey, key.Index
		}
	}
	if s.AllChannels {
		return Allowed, 0
	}
	for at, limit := channels(spec.Name, len(args)); at < limit; at++ {
		if !s.allowsChannel(args[at], spec.Name == "psubscribe") {
			return DeniedChannel, at
		}
	}
	return Allowed, 0
}

func (g *grant) allows(id ID, spec *command.Spec, args [][]byte) bool {
	if g.all || g.bits[id] {
		return true
	}
	at := 1
	if spec.Container() != "" {
		at = 2
	}
	return len(args) > at && slices.ContainsFunc(g.first[id], func(first string) bool { return strings.EqualFold(first, string(args[at])) })
}

// needs returns the permissions that what a command does to a key asks for. Of some keys
// it only looks whether they are there, which any permission allows.
func needs(flags command.KeyFlags) (p Permission) {
	if flags&command.Access != 0 {
		p |= Read
	}
	if flags&(command.Insert|command.Delete|command.Update) != 0 {
		p |= Write
	}
	return p
}

func (s *Selector) allowsKey(key []byte, flags command.KeyFlags) bool {
	if s.AllKeys {
		return true
	}
	need := needs(flags)
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Allows&need == need && glob.Match(k.Pattern, key) {
			return true
		}
	}
	return false
}

// allowsChannel reports whether a channel may be published or listened to. A pattern of
// channels may if it is named word for word.
func (s *Selector) allowsChannel(channel []byte, isPattern bool) bool {
	if s.AllChannels {
		return true
	}
	for _, pattern := range s.Channels {
		if isPattern && pattern == string(channel) || !isPattern && glob.Match(pattern, channel) {
			return true
		}
	}
	return false
}

// channels returns which arguments of a command are channels that it publishes or
// listens to. Whoever may no longer listen may still say so.
func channels(name string, args int) (first, limit int) {
	switch name {
	case "subscribe", "psubscribe", "ssubscribe":
		return 1, args
	case "publish", "spublish":
		return 1, min(2, args)
	}
	return 0, 0
}

// ReadsAll reports whether the user may call a command with these arguments, and read
// any key besides.
func (a *Access) ReadsAll(id ID, args [][]byte) bool {
	if a.Unlimited {
		return true
	}
	keys, _ := a.catalog.specs[id].AppendKeys(nil, args)
	for i := range a.grants {
		s := &a.User.Selectors[i]
		all := s.AllKeys || slices.ContainsFunc(s.Keys, func(k KeyPattern) bool { return k.Allows&Read != 0 && k.Pattern == "*" })
		if reason, _ := a.checkSelector(i, id, args, keys); reason == Allowed && all {
			return true
		}
	}
	return false
}

// SortOption returns the option of a SORT that reads keys which its arguments do not
// name, "BY" or "GET", or "".
func SortOption(args [][]byte) string {
	for i := 2; i < len(args); i++ {
		left := len(args) - i - 1
		switch {
		case isWord(args[i], "asc"), isWord(args[i], "desc"), isWord(args[i], "alpha"):
		case isWord(args[i], "limit") && left >= 2:
			i += 2
		case isWord(args[i], "store") && left >= 1:
			i++
		case isWord(args[i], "by") && left >= 1:
			if bytes.IndexByte(args[i+1], '*') >= 0 {
				return "BY"
			}
			i++
		case isWord(args[i], "get") && left >= 1:
			return "GET"
		default:
			return "" // a syntax error: the command says so
		}
	}
	return ""
}

func isWord(arg []byte, word string) bool { return strings.EqualFold(string(arg), word) }

// MayHear reports whether the user may listen to a channel or a pattern of them.
func (u *User) MayHear(name string, isPattern bool) bool {
	return slices.ContainsFunc(u.Selectors, func(s Selector) bool { return s.allowsChannel([]byte(name), isPattern) })
}

// LostChannels reports whether the user may listen to less than it could as old.
func (u *User) LostChannels(old *User) bool {
	var now []string
	for i := range u.Selectors {
		if u.Selectors[i].AllChannels {
			return false
		}
		now = append(now, u.Selectors[i].Channels...)
	}
	return slices.ContainsFunc(old.Selectors, func(s Selector) bool {
		return s.AllChannels || slices.ContainsFunc(s.Channels, func(c string) bool { return !slices.Contains(now, c) })
	})
}

// AllowsName reports whether rules that name a command, or all, allow it. Where no catalog
// tells of which categories it is, one that is taken away may be its.
func (u *User) AllowsName(name string) bool {
	return slices.ContainsFunc(u.Selectors, func(s Selector) bool {
		container, _, _ := strings.Cut(name, "|")
		allows := s.AllCommands
		for _, rule := range s.Commands {
			switch target := rule[1:]; {
			case target == name, target == container:
				allows = rule[0] == '+'
			case target[0] == '@' && rule[0] == '-':
				allows = false
			}
		}
		return allows
	})
}
