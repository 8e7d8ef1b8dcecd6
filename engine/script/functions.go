package script

import (
	"errors"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/glob"
	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/rdb"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// What the chain of changes is told of the libraries, beside what it is told of the cache.
const (
	noteLibrary = 'L' // a library that is new, or replaces the one of its name
	noteDelete  = 'D' // a library is gone
	noteEmpty   = 'E' // all are gone
)

// functionRows returns the commands FCALL, FCALL_RO and FUNCTION.
func (e *Engine) functionRows() []call.Row {
	fcall := func(name string, flags command.Flags, keys command.KeySpec, do func(*call.Call)) call.Row {
		return call.Row{Spec: command.Spec{
			Name: name, Arity: -3, Flags: evalFlags | flags, Group: command.Scripting, Keys: []command.KeySpec{keys}, Semantic: semantic.Conversation,
		}, Do: do}
	}
	sub := func(name string, arity int, flags command.Flags, tips []string, do func(*call.Call)) call.Row {
		return call.Row{Spec: command.Spec{
			Name: "function|" + name, Arity: arity, Flags: flags, Group: command.Scripting, Tips: tips, Semantic: semantic.Conversation,
		}, Do: do}
	}
	container := command.NewContainer("function", command.Scripting)
	container.Semantic = semantic.Conversation
	const writes, looks = command.NoScript | command.Write, command.NoScript | command.Looks
	allNodes := []string{"request_policy:all_shards", "response_policy:all_succeeded"}
	return []call.Row{
		fcall("fcall", command.MayReplicate, worstWriteKeys(), func(c *call.Call) { e.fcall(c, false) }),
		fcall("fcall_ro", command.ReadOnly, worstReadKeys(), func(c *call.Call) { e.fcall(c, true) }),
		{Spec: container},
		sub("load", -3, writes|command.DenyOOM, allNodes, e.functionLoad),
		sub("restore", -3, writes|command.DenyOOM, allNodes, e.functionRestore),
		sub("delete", 3, writes, allNodes, e.functionDelete),
		sub("flush", -2, writes, allNodes, e.functionFlush),
		sub("list", -2, looks, []string{"nondeterministic_output_order"}, e.functionList),
		sub("dump", 2, looks, nil, e.functionDump),
		sub("stats", 2, looks|command.AllowBusy, []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}, e.functionStats),
		sub("kill", 2, looks|command.AllowBusy, []string{"request_policy:all_shards", "response_policy:one_succeeded"}, kill),
		sub("help", 2, command.Loading|command.Stale|command.Looks, nil, functionHelp),
	}
}

func (e *Engine) fcall(c *call.Call, readOnly bool) {
	f := e.shelf.find(c.Args[1])
	if f == nil {
		c.Fail("ERR Function not found")
		return
	}
	keys, ok := keyCount(c, "ERR Bad number of keys provided")
	switch {
	case !ok:
	case readOnly && !f.flags.has(noWrites):
		c.Fail(errWriteFlag)
	default:
		c.Become() // nothing: its commands do
		r := e.functionRunners.Get().(*runner)
		r.run(c, f, keys, f.flags.has(noWrites))
		e.functionRunners.Put(r) // not after a panic: then the interpreter is in no known state
	}
}

func (f *function) run(r *runner, keys, args [][]byte) ([]lua.Value, error) {
	callback := r.callback(f)
	r.begin()
	return r.vm.RunFunction(callback, r.list(keys), r.list(args))
}

func (f *function) declares(flag flags) bool { return f.flags.has(flag) }

func (f *function) calledName() string { return f.name }

// functionLoad: FUNCTION LOAD [REPLACE] code.
func (e *Engine) functionLoad(c *call.Call) {
	last := len(c.Args) - 1
	for _, option := range c.Args[2:last] {
		if !isWord(option, "replace") {
			c.Fail(reply.Error("ERR Unknown option given: " + string(reply.CText(option))))
			return
		}
	}
	s := e.shelf.clone()
	lib, err := e.loadInto(s, string(c.Args[last]), last > 2, lua.Limits{Steps: loadSteps, Bytes: loadBytes})
	if err != nil {
		c.Fail(err.(reply.Error))
		return
	}
	c.Keyspace.Chain().Note(noteLibrary, 0, c.Args[last], nil)
	e.replaceShelf(s)
	c.BecomeItself()
	c.Out.BulkString(lib.name)
}

func (e *Engine) functionDelete(c *call.Call) {
	lib := e.shelf.libraries[string(c.Args[2])]
	if lib == nil {
		c.Fail("ERR Library not found")
		return
	}
	c.Keyspace.Chain().Note(noteDelete, 0, c.Args[2], nil)
	s := e.shelf.clone()
	s.remove(lib)
	e.replaceShelf(s)
	c.BecomeItself()
	c.Out.OK()
}

// functionFlush: FUNCTION FLUSH [ASYNC|SYNC].
func (e *Engine) functionFlush(c *call.Call) {
	switch {
	case len(c.Args) > 3:
		failFunction(c)
	case len(c.Args) == 3 && !isWord(c.Args[2], "sync") && !isWord(c.Args[2], "async"):
		c.Fail("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
	default:
		c.Keyspace.Chain().Note(noteEmpty, 0, nil, nil)
		e.replaceShelf(newShelf())
		c.BecomeItself()
		c.Out.OK()
	}
}

// failFunction tells that a subcommand of FUNCTION has too many arguments.
func failFunction(c *call.Call) {
	c.Fail(reply.SubcommandSyntax("FUNCTION", c.Args[1]))
}

// functionList: FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE].
func (e *Engine) functionList(c *call.Call) {
	withCode, chosen := false, false
	var pattern []byte
	for i := 2; i < len(c.Args); i++ {
		switch {
		case !withCode && c.Is(i, "WITHCODE"):
			withCode = true
		case !chosen && c.Is(i, "LIBRARYNAME"):
			if i++; i == len(c.Args) {
				c.Fail("ERR library name argument was not given")
				return
			}
			pattern, chosen = c.Args[i], true
		default:
			c.Fail(reply.Error("ERR Unknown argument " + string(reply.CText(c.Args[i]))))
			return
		}
	}
	libraries := e.shelf.sorted()
	if chosen {
		var matching []*library
		for _, lib := range libraries {
			if glob.MatchFold(pattern, []byte(lib.name)) {
				matching = append(matching, lib)
			}
		}
		libraries = matching
	}
	c.Out.Array(len(libraries))
	for _, lib := range libraries {
		lib.write(c.Out, withCode)
	}
}

func (l *library) write(out *reply.Writer, withCode bool) {
	fields := 3
	if withCode {
		fields++
	}
	out.Map(fields)
	out.BulkString("library_name")
	out.BulkString(l.name)
	out.BulkString("engine")
	out.BulkString("LUA")
	out.BulkString("functions")
	out.Array(len(l.functions))
	for _, f := range l.functions {
		out.Map(3)
		out.BulkString("name")
		out.BulkString(f.name)
		out.BulkString("description")
		if f.described {
			out.BulkString(f.description)
		} else {
			out.Null()
		}
		out.BulkString("flags")
		names := f.flags.names()
		out.Set(len(names))
		for _, name := range names {
			out.Status(name)
		}
	}
	if withCode {
		out.BulkString("library_code")
		out.BulkString(l.code)
	}
}

func (e *Engine) functionDump(c *call.Call) { c.Out.Bulk(rdb.AppendLibraries(nil, e.shelf.codes())) }

// functionRestore: FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE].
func (e *Engine) functionRestore(c *call.Call) {
	if len(c.Args) > 4 {
		failFunction(c)
		return
	}
	s, replace, flush := e.shelf.clone(), false, false
	if len(c.Args) == 4 {
		switch {
		case c.Is(3, "APPEND"):
		case c.Is(3, "REPLACE"):
			replace = true
		case c.Is(3, "FLUSH"):
			s, flush = newShelf(), true
		default:
			c.Fail("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
			return
		}
	}
	codes, err := rdb.Libraries(c.Args[2])
	if err == nil {
		err = e.join(s, codes, replace)
	}
	if err != nil {
		c.Fail(restoreError(err))
		return
	}
	if flush {
		c.Keyspace.Chain().Note(noteEmpty, 0, nil, nil)
	}
	for _, code := range codes {
		c.Keyspace.Chain().Note(noteLibrary, 0, []byte(code), nil)
	}
	e.replaceShelf(s)
	if c.Followed() { // with a payload of a version that redis-server 7.0 takes
		c.Become("FUNCTION", "RESTORE", rdb.AppendLibraries(nil, codes), restorePolicy(replace, flush))
	}
	c.Out.OK()
}

func restorePolicy(replace, flush bool) string {
	switch {
	case replace:
		return "REPLACE"
	case flush:
		return "FLUSH"
	}
	return "APPEND"
}

func restoreError(err error) reply.Error {
	var refused reply.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, rdb.ErrPayload):
		return "ERR DUMP payload version or checksum are wrong"
	case errors.Is(err, rdb.ErrNoLibrary):
		return "ERR given type is not a function"
	}
	return "ERR Failed loading library payload"
}

// join puts the libraries of a payload on the shelf. After an error the shelf is not to be used.
func (e *Engine) join(s *shelf, codes []string, replace bool) error {
	brought := newShelf()
	for _, code := range codes {
		if _, err := e.loadInto(brought, code, false, lua.Limits{Steps: loadSteps, Bytes: loadBytes}); err != nil {
			return err
		}
	}
	libraries := brought.sorted()
	for _, lib := range libraries {
		switch old := s.libraries[lib.name]; {
		case old == nil:
		case replace:
			s.remove(old)
		default:
			return reply.Error("ERR Library " + lib.name + " already exists")
		}
	}
	for _, lib := range libraries {
		if err := s.add(lib); err != nil {
			return err
		}
	}
	return nil
}

// replaceShelf makes s the libraries.
func (e *Engine) replaceShelf(s *shelf) {
	e.shelf = s
	e.libraries.Store(int64(len(s.libraries)))
	e.functions.Store(int64(len(s.functions)))
	e.countNoWrites()
}

// functionStats: FUNCTION STATS. At its place nothing is running: a function is over before the next command begins.
func (e *Engine) functionStats(c *call.Call) { e.Stats(c.Out, (*reply.Writer).Null) }

// Stats writes the reply to FUNCTION STATS; running writes what runs. It takes no lock.
func (e *Engine) Stats(out *reply.Writer, running func(*reply.Writer)) {
	out.Map(2)
	out.BulkString("running_script")
	running(out)
	out.BulkString("engines")
	out.Map(1)
	out.BulkString("LUA")
	out.Map(2)
	out.BulkString("libraries_count")
	out.Int(e.libraries.Load())
	out.BulkString("functions_count")
	out.Int(e.functions.Load())
}

// Libraries returns the code of the libraries by their names, for a snapshot.
func (e *Engine) Libraries() []string { return e.shelf.codes() }

// RestoreLibraries replaces the libraries by those of a snapshot or of a file of redis-server. It returns an error,
// and changes nothing, if one can't be loaded.
func (e *Engine) RestoreLibraries(codes []string) error {
	s := newShelf()
	for _, code := range codes {
		if _, err := e.loadInto(s, code, false, lua.Limits{Steps: loadStepsAgain, Bytes: loadBytesAgain}); err != nil {
			return err
		}
	}
	e.replaceShelf(s)
	return nil
}

// CountFunctions returns how many libraries and functions there are, and how many bytes the libraries' code has.
func (e *Engine) CountFunctions() (libraries, functions, bytes int) {
	return len(e.shelf.libraries), len(e.shelf.functions), e.shelf.bytes
}

func functionHelp(c *call.Call) {
	const text = `FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
LOAD [REPLACE] <code>
    Load a library, or let it take the place of the one that has its name.
DELETE <library>
    Delete a library.
LIST [LIBRARYNAME <pattern>] [WITHCODE]
    Show the libraries, or those whose name matches, and their functions;
    with WITHCODE their code as well.
STATS
    Count the libraries and their functions, and show the function that has been
    running on this node for longer than busy-reply-threshold.
KILL
    End such a function if it only reads. One that all nodes carry out ends with
    its budget (lua-instructions-max, lua-bytes-max): KILL waits for that.
FLUSH [ASYNC|SYNC]
    Delete all libraries.
DUMP
    Return all libraries as a payload for RESTORE.
RESTORE <payload> [FLUSH|APPEND|REPLACE]
    Load the libraries of a payload. FLUSH deletes all others before, APPEND fails
    if there is one of the same name, REPLACE replaces it.
HELP
    Print this help.`
	lines := strings.Split(text, "\n")
	c.Out.Array(len(lines))
	for _, line := range lines {
		c.Out.Status(line)
	}
}
