// Package lua runs Lua 5.1 scripts as a replicated state machine must: the same script with the same
// inputs does the same on every machine, and none can hold a machine up.
//
// It is an interpreter of its own because a library could not give three things. With gopher-lua 1.1.2
// one statement, t[30000000]=1, took 2.4 GB and six seconds; a loop inside a coroutine ran outside the
// instruction budget; and numbers, octal-looking strings and error texts came out unlike Redis'.
//
// # Determinism
//
// No clock, no address and no random source is visible. Tables follow the sizing and hashing of the
// reference implementation, so pairs, next and # give the order and the borders that redis-server gives
// (tables, functions and threads as keys hash by order of first use instead of by address). Not
// promised between processor architectures: the last bit of math.exp, sin, pow and their kin.
//
// # Bounds
//
// A [VM] has a budget of steps and of bytes, see [Limits]. A step is about one node of the syntax tree;
// library functions charge in proportion to what they touch (bytes copied, characters compared, pattern
// positions tried, hash collisions walked). Bytes are charged as they are allocated and never given
// back, so the budget bounds what can be live. When either ends the script ends, pcall or not, with
// [ErrSteps] or [ErrMemory]. Depth of calls, of nesting and of patterns has fixed limits, which are
// ordinary Lua errors.
//
// # Structure
//
// lexer.go and parser.go make a tree (ast.go) in which every name is resolved; compile_*.go turn it into Go
// closures, which hold no state: a [Chunk] is immutable and any number of VMs may run it at once.
// vm.go calls functions, meta.go does what metatables ask, the *lib.go files are the libraries.
package lua
