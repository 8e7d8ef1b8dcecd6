package script

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// Options tie an Engine to its node. Nothing that they do may change results.
type Options struct {
	// Log takes what redis.log writes; level is from 0, debug, to 3, warning. It may be nil.
	Log func(level int, message string)
	// Permit returns an error if the user on whose behalf c runs may not run the command. It may be
	// nil; it must follow from the state.
	Permit func(c *call.Call, row *call.Row, args [][]byte) reply.Error
	// PermitNamed reports whether the user may run a command of which scripts know the name
	// alone. It may be nil; it must follow from the state.
	PermitNamed func(c *call.Call, name string) bool
}

// Engine holds the scripts of a cluster, its libraries of functions and the interpreters that run them. The engine's
// lock guards it: EVAL, EVALSHA and what changes scripts or libraries need it for writing, the rest for reading.
type Engine struct {
	opts    Options
	cache   *cache
	shelf   *shelf
	passing passing
	// reads tells that there are scripts or functions that say that they do not write. It is looked at without the
	// engine's lock.
	reads atomic.Bool
	// libraries and functions are how many there are, for who does not wait for the engine's lock.
	libraries, functions atomic.Int64

	idle            sync.Pool // of *runner
	functionRunners sync.Pool // of *runner
}

// New returns an Engine without scripts.
func New(opts Options) *Engine {
	e := &Engine{opts: opts, cache: newCache(), shelf: newShelf()}
	e.idle.New = func() any { return newRunner(e) }
	e.functionRunners.New = func() any { return newFunctionRunner(e) }
	return e
}

// Bodies returns the scripts in the order of their arrival, for a snapshot. Nobody changes what it
// returns.
func (e *Engine) Bodies() []Body {
	bodies := make([]Body, len(e.cache.order))
	for i, s := range e.cache.order {
		bodies[i] = s.Body
	}
	return bodies
}

// Len returns the number of scripts that EVALSHA finds.
func (e *Engine) Len() int { return len(e.cache.order) }

// Restore replaces the scripts and the libraries by those of a snapshot. It returns an error, and changes nothing, if
// one does not compile.
func (e *Engine) Restore(bodies []Body, libraries []string) error {
	c := newCache()
	for _, b := range bodies {
		s, err := compile(b.Text, hexSHA(b.Text), b.Loaded, semantic.Max) // what was taken once is taken again
		if err != nil {
			return err
		}
		c.add(s)
	}
	if err := e.RestoreLibraries(libraries); err != nil {
		return err
	}
	e.cache = c
	e.countNoWrites()
	return nil
}

// Count returns how many scripts there are, and how many bytes their text has.
func (e *Engine) Count() (scripts, bytes int) {
	for _, s := range e.cache.order {
		bytes += len(s.Text)
	}
	return len(e.cache.order), bytes
}

const evalFlags = command.NoScript | command.SkipMonitor | command.NoMandatoryKeys | command.Stale

// worstWriteKeys and worstReadKeys are those of commands that run scripts.
func worstWriteKeys() command.KeySpec {
	keys := command.Counted(command.RW|command.Access|command.Update, 2)
	keys.Notes = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
	return keys
}

func worstReadKeys() command.KeySpec {
	keys := command.Counted(command.RO|command.Access, 2)
	keys.Notes = "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
	return keys
}

// Rows returns the commands EVAL, EVALSHA, EVAL_RO, EVALSHA_RO and SCRIPT, and those of functions. Those that
// may write have the flag MayReplicate instead of Write, as in Redis; they go through the log.
func (e *Engine) Rows() []call.Row { return slices.Concat(e.scriptRows(), e.functionRows()) }

func (e *Engine) scriptRows() []call.Row {
	writeKeys, readKeys := worstWriteKeys(), worstReadKeys()
	shaWriteKeys, shaReadKeys := writeKeys, readKeys
	shaWriteKeys.Notes, shaReadKeys.Notes = "", ""
	eval := func(name string, flags command.Flags, keys command.KeySpec, do func(*call.Call)) call.Row {
		return call.Row{Spec: command.Spec{
			Name: name, Arity: -3, Flags: evalFlags | flags, Group: command.Scripting, Keys: []command.KeySpec{keys},
		}, Do: do}
	}
	sub := func(name string, arity int, flags command.Flags, tips []string, do func(*call.Call)) call.Row {
		return call.Row{Spec: command.Spec{
			Name: "script|" + name, Arity: arity, Flags: flags, Group: command.Scripting, Tips: tips,
		}, Do: do}
	}
	const logged, looks = command.NoScript | command.MayReplicate, command.NoScript | command.Looks
	allNodes := []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	return []call.Row{
		eval("eval", command.MayReplicate, writeKeys, func(c *call.Call) { e.eval(c, false) }),
		eval("evalsha", command.MayReplicate, shaWriteKeys, func(c *call.Call) { e.evalSHA(c, false) }),
		eval("eval_ro", command.ReadOnly, readKeys, func(c *call.Call) { e.eval(c, true) }),
		eval("evalsha_ro", command.ReadOnly, shaReadKeys, func(c *call.Call) { e.evalSHA(c, true) }),
		{Spec: command.NewContainer("script", command.Scripting)},
		sub("load", 3, logged|command.Stale, allNodes, e.load),
		sub("exists", -3, looks, []string{"request_policy:all_shards", "response_policy:agg_logical_and"}, e.exists),
		sub("flush", -2, logged, allNodes, e.flush),
		sub("kill", 2, looks|command.AllowBusy, []string{"request_policy:all_shards", "response_policy:one_succeeded"}, kill),
		sub("debug", 3, looks, nil, debug),
		sub("help", 2, command.Loading|command.Stale|command.Looks, nil, help),
	}
}

func (e *Engine) load(c *call.Call) {
	s, err := e.script(c, c.Args[2], true)
	if err != nil {
		c.Fail(err.(reply.Error))
		return
	}
	c.Out.BulkString(s.sha)
}

func (e *Engine) exists(c *call.Call) {
	c.Out.Array(len(c.Args) - 2)
	for _, sha := range c.Args[2:] {
		c.Out.Flag(e.cache.find(sha) != nil)
	}
}

const errFlushOption reply.Error = "ERR SCRIPT FLUSH only support SYNC|ASYNC option"

func (e *Engine) flush(c *call.Call) {
	switch {
	case len(c.Args) == 2:
	case len(c.Args) == 3 && isWord(c.Args[2], "sync"), len(c.Args) == 3 && isWord(c.Args[2], "async"):
	default:
		c.Fail(errFlushOption)
		return
	}
	if e.Len() > 0 {
		c.Keyspace.Chain().Note(noteFlush, 0, nil, nil)
	}
	e.cache = newCache()
	e.countNoWrites()
	c.Out.OK()
}

// kill finds nothing to do at its place: a script is over before the next command begins.
// What ends one is the session's, which does not wait for that.
func kill(c *call.Call) { c.Fail(reply.ErrNotBusy) }

// debug accepts NO alone: a debugger would stop the cluster.
func debug(c *call.Call) {
	switch {
	case isWord(c.Args[2], "no"):
		c.Out.OK()
	case isWord(c.Args[2], "yes"), isWord(c.Args[2], "sync"):
		c.Fail("ERR SCRIPT DEBUG is not supported: a script runs on every node of the cluster")
	default:
		c.Fail("ERR Use SCRIPT DEBUG YES/SYNC/NO")
	}
}

// isWord compares without regard to case; word is in lower case.
func isWord(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, b := range arg {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != word[i] {
			return false
		}
	}
	return true
}

func help(c *call.Call) {
	lines := []string{
		"SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"DEBUG (YES|SYNC|NO)",
		"    Set the debug mode for subsequent scripts executed.",
		"EXISTS <sha1> [<sha1> ...]",
		"    Return information about the existence of the scripts in the script cache.",
		"FLUSH [ASYNC|SYNC]",
		"    Flush the Lua scripts cache. Very dangerous on replicas.",
		"    When called without the optional mode argument, the behavior is determined by the",
		"    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
		"    * ASYNC: Asynchronously flush the scripts cache.",
		"    * SYNC: Synchronously flush the scripts cache.",
		"KILL",
		"    Kill the currently executing Lua script.",
		"LOAD <script>",
		"    Load a script into the scripts cache without executing it.",
		"HELP",
		"    Prints this help.",
	}
	c.Out.Array(len(lines))
	for _, line := range lines {
		c.Out.Status(line)
	}
}
