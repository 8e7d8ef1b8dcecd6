// Package script runs EVAL and its kin: Lua scripts that call commands, on every node alike.
//
// A script runs whole, inside one command of the log; what it reads and writes it does through the same
// rows as a client ([call.Row]). The interpreter is package lua, which has no clock, no chance and
// a budget (lua-instructions-max, lua-bytes-max). A script that fails keeps what it had written, as in
// Redis.
//
// Scripts that were loaded are state: they are replicated through the log, and a snapshot holds them
// ([Engine.Bodies], [Engine.Restore]).
//
// What Redis shows a script and this does not: the node's own commands (INFO, CLIENT, ...), except
// PING, ECHO, SELECT and TIME; os.clock, which 7.0 does not have either.
package script
