// Package command describes commands: what they are called, what they take
// and which kind of act they are. It has no behaviour of its own.
package command

import (
	"strings"

	"github.com/quorate/quorate/engine/semantic"
)

// Flags tell what kind of act a command is. They decide its route: Write goes
// through the log, ReadOnly is served from memory behind a read barrier, and a
// command with neither is the session's. Two flags are not shown by COMMAND INFO:
// MayReplicate makes a command go through the log whatever it is called, and
// Looks serves one from memory that Redis does not call a read.
type Flags uint32

// The flags, named as COMMAND INFO shows them.
const (
	Write Flags = 1 << iota
	ReadOnly
	DenyOOM
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	Asking
	Fast
	NoAuth
	MayReplicate
	NoMandatoryKeys
	Protected
	NoAsyncLoading
	NoMulti
	AllowBusy
	MovableKeys
	Looks
)

var flagNames = []string{
	"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
	"skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "may_replicate", "no_mandatory_keys",
	"protected", "no_async_loading", "no_multi", "allow_busy", "movablekeys",
	"looks",
}

// Has reports whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// Any reports whether one of want is set.
func (f Flags) Any(want Flags) bool { return f&want != 0 }

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

// Group is the family of a command in the documentation.
type Group string

// The groups.
const (
	Generic      Group = "generic"
	String       Group = "string"
	Bitmap       Group = "bitmap"
	List         Group = "list"
	Set          Group = "set"
	SortedSet    Group = "sorted-set"
	Hash         Group = "hash"
	Stream       Group = "stream"
	HyperLogLog  Group = "hyperloglog"
	Geo          Group = "geo"
	Scripting    Group = "scripting"
	PubSubGroup  Group = "pubsub"
	Transactions Group = "transactions"
	Connection   Group = "connection"
	Server       Group = "server"
	Cluster      Group = "cluster"
	Sentinel     Group = "sentinel"
)

// Spec describes one command or subcommand.
type Spec struct {
	// Name is in lower case; a subcommand is "config|get".
	Name string
	// Arity counts the arguments with the name (and the subcommand's name);
	// -n means n or more.
	Arity int
	Flags Flags
	Group Group
	// Categories are ACL categories beside those that flags and group imply.
	Categories Category
	// Keys tells where the keys are.
	Keys []KeySpec
	// Tips are the hints that COMMAND INFO gives to clients and proxies.
	Tips []string
	// Semantic is the semantic version that the command came with: before it is in
	// force there is no such command. 0 means the first.
	Semantic semantic.Version
}

// NewContainer describes a command that is nothing without a subcommand.
func NewContainer(name string, group Group) Spec {
	return Spec{Name: name, Arity: -2, Group: group, Categories: NoGroup}
}

// TakesArgs reports whether n arguments, the name included, are as many as
// the command takes.
func (s *Spec) TakesArgs(n int) bool {
	if s.Arity < 0 {
		return n >= -s.Arity
	}
	return n == s.Arity
}

// Reads reports whether the command leaves the state alone, so that memory behind
// a read barrier serves it. PFCOUNT, which is called a read, does not: it caches
// what it has counted in the value.
func (s *Spec) Reads() bool { return s.Flags.Any(ReadOnly|Looks) && !s.Flags.Has(MayReplicate) }

// Container returns "config" for "config|get", and "" for a plain command.
func (s *Spec) Container() string {
	container, _, ok := strings.Cut(s.Name, "|")
	if !ok {
		return ""
	}
	return container
}
