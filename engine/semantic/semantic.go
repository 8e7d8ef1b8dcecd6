// Package semantic numbers the rules by which the log becomes state.
//
// All nodes must follow the same rules, also while a cluster is upgraded and its
// members run two releases. So what a later release does differently has the
// number of the version that it came with, and is not done while an earlier one is
// in force: that is part of the state, and rises by an entry of the log once every
// member knows the next.
//
// A new command names its version in its row (command.Spec.Semantic). A new option,
// or another result of an old command, asks in the command's function (call.TooNew,
// call.Call.Semantic), and a new cluster-wide setting in its row (engine/settings.go).
// What is in force by a version never changes again: engine/testdata/semantic.txt
// is the list of commands and options, and a test holds them to it.
package semantic

// Version is the number of a set of rules. Each contains those before.
type Version = uint16

// The versions, and what came with them.
const (
	// First is what there was before rules had versions.
	First Version = 1
	// Chain compares the nodes' chains of changes, and has them recount their keys.
	Chain Version = 2
	// Geo brings the commands of geo and HyperLogLog, RESTORE-ASKING, and options of
	// Redis 7.2 and 7.4: ZRANK WITHSCORE, HSCAN NOVALUES, XREAD of "+".
	Geo Version = 3
	// Fields lets fields of hashes expire: HEXPIRE and its kin, and payloads of
	// RESTORE that hold such fields.
	Fields Version = 4
	// Conversation brings what a client's conversation leaves in the state: commands
	// that wait, functions, users, victims of eviction.
	Conversation Version = 5

	// Max is the newest version that this release knows.
	Max = Conversation
)
