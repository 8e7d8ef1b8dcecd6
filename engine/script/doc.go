// Package script runs EVAL, FCALL and their kin: Lua scripts and functions that call commands, on every node
// alike.
//
// A script runs whole, inside one command of the log; what it reads and writes it does through the same
// rows as a client ([call.Row]). The interpreter is package lua, which has no clock, no chance and
// a budget (lua-instructions-max, lua-bytes-max, lua-result-max). A script that fails keeps what it had written, as in
// Redis.
//
// Scripts that were loaded are state: they are replicated through the log, and a snapshot holds them
// ([Engine.Bodies], [Engine.Restore]).
//
// So are libraries of functions. A library keeps nothing between calls: FCALL runs its code, which registers the
// functions, and then the one called, in a machine that remembers nothing. What a library kept in its local
// variables would not follow from the log: a node that was restored from a snapshot has never seen the calls before.
//
// What Redis shows a script and this does not: the node's own commands (INFO, CLIENT, ...), except
// PING, ECHO, SELECT and TIME; os.clock, which 7.0 does not have either.
package script
