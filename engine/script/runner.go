package script

import (
	"errors"
	"fmt"
	"math"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/semantic"
)

// program is what a runner runs: a script, or a function of a library.
type program interface {
	// run carries it out between r.begin, which it calls, and the reply.
	run(r *runner, keys, args [][]byte) ([]lua.Value, error)
	// calledName is what errors call it.
	calledName() string
	// declares reports whether it says that of itself.
	declares(flags) bool
}

// runner is an interpreter with Redis' library, and the program that it runs. A runner is used by one call
// at a time and remembers nothing of the one before. Those of scripts and those of functions have other globals.
type runner struct {
	engine *Engine
	vm     *lua.VM

	call     *call.Call
	readOnly bool
	mayGrow  bool      // whatever memory is short of: it says so of itself, or has begun to write
	nested   call.Call // the command that the script runs
	running  call.Run  // what the node's observer sees
	args     [][]byte
	arena    []byte     // what args point into
	ends     []int      // of the args in the arena
	session  []call.Row // see sessionRows
	out      *reply.Writer
	buffer   []byte // of out
	resp3    bool   // redis.setresp(3)
	result   int    // bytes that the reply may still take
	tally    tally

	// Of a runner of functions.
	loadGlobals, callGlobals *lua.Table
	loading                  loading
	made                     map[*library]made
}

const errKilled = "ERR Script killed by user with SCRIPT KILL..."

// Bounds of what a runner keeps for the next script.
const keptBytes = 64 << 10

// newRunner returns a runner of scripts.
func newRunner(e *Engine) *runner {
	r := newBareRunner(e)
	r.openRedis()
	r.vm.Seal()
	return r
}

// newBareRunner returns a runner without Redis' library.
func newBareRunner(e *Engine) *runner {
	r := &runner{engine: e, vm: lua.New()}
	r.session = r.sessionRows()
	r.vm.Globals().SetText("pcall", r.vm.NewFunction(pcall))
	r.out = reply.NewWriter(reply.RESP2, nil)
	return r
}

// run runs a program for a command whose arguments from the fourth on are its keys and arguments.
func (r *runner) run(c *call.Call, p program, keys int, readOnly bool) {
	r.call, r.readOnly, r.mayGrow = c, readOnly, p.declares(allowOOM)
	r.nested = *c
	r.nested.InScript = true
	r.nested.MayWrite = c.MayWrite && !readOnly
	r.out.SetProto(reply.RESP2)
	r.resp3 = false
	defer r.forget()
	mark := c.Out.Mark()
	r.tally.begin(c)
	err := r.observed(c, p, keys)
	if fatal(err) != nil && c.Lookups != nil {
		c.Lookups.Lagging = false // who ended it does not want it to run again
	}
	if err != nil {
		c.Out.Truncate(mark)
		c.Fail(r.describe(p.calledName(), err))
	}
	r.tally.end(c.Out.Bytes()[mark:])
}

// observed is execute, of which the node's observer is told.
func (r *runner) observed(c *call.Call, p program, keys int) error {
	name := ""
	f, isFunction := p.(*function)
	if isFunction {
		name = f.name
	}
	r.running.Begin(isFunction, name, c.Args, c.MayWrite)
	if c.Observer == nil {
		return r.execute(c, p, keys)
	}
	cut := true // also if it panics
	c.Observer.Begins(&r.running)
	defer func() { c.Observer.Ends(&r.running, cut) }()
	err := r.execute(c, p, keys)
	cut = fatal(err) != nil
	return err
}

// fatal returns what ended a program in a way that it could not catch, or nil.
func fatal(err error) error {
	var e *lua.Error
	if errors.As(err, &e) {
		return e.Fatal
	}
	return nil
}

// begin gives the program that is about to run its budget and its chance.
func (r *runner) begin() {
	settings := r.call.Settings
	r.vm.Limit(lua.Limits{Steps: int64(settings.LuaInstructionsMax), Bytes: int64(settings.LuaBytesMax), Dear: r.call.Semantic >= semantic.Conversation})
	if !r.running.Logged {
		r.vm.Heed(r.running.Killed())
	}
	if r.call.Rand != nil {
		r.vm.Seed(int32(r.call.Rand.Uint64()))
	}
}

// forget drops what the runner holds of the call.
func (r *runner) forget() {
	if r.callGlobals == nil {
		r.vm.Globals().Set(keysName, lua.Value{})
		r.vm.Globals().Set(argvName, lua.Value{})
	}
	r.loading = loading{}
	r.vm.End()
	r.call, r.nested = nil, call.Call{}
	r.running.Begin(false, "", nil, true)
	clear(r.args)
	if cap(r.arena) > keptBytes {
		r.arena = nil
	}
	if cap(r.buffer) > keptBytes {
		r.buffer = nil
	}
	r.out.Reset(r.buffer)
}

// execute runs the program and writes its reply.
func (r *runner) execute(c *call.Call, p program, keys int) (err error) {
	defer func() { // the tables of arguments and the reply may exceed the budget as well
		switch e := recover().(type) {
		case nil:
		case *lua.Error:
			err = e
		default:
			panic(e)
		}
	}()
	rest := c.Args[3:]
	vals, err := p.run(r, rest[:keys], rest[keys:])
	if err != nil {
		return err
	}
	r.result = math.MaxInt
	if c.Semantic >= semantic.Conversation {
		r.result = c.Settings.LuaResultMax
	}
	if len(vals) == 0 {
		r.reply(lua.Value{}, 0)
		return nil
	}
	r.reply(vals[0], 0)
	return nil
}

func (r *runner) list(args [][]byte) lua.Value {
	t := r.vm.NewTable(0, 0)
	for i, arg := range args {
		t.SetInt(i+1, r.vm.NewString(string(arg)))
	}
	return t.Value()
}

// describe returns the reply to a program that failed; name is its own.
func (r *runner) describe(name string, err error) reply.Error {
	var e *lua.Error
	if !errors.As(err, &e) {
		return reply.Error("ERR " + err.Error())
	}
	message := string(reply.CText([]byte(r.errorMessage(e))))
	if e.At.Chunk == "" {
		return reply.Error(message) // no Lua code was running
	}
	return reply.Error(fmt.Sprintf("%s script: %s, on @%s:%d.", message, name, e.At.Chunk, e.At.Line))
}

func (r *runner) errorMessage(e *lua.Error) string {
	if e.Fatal != nil {
		// Of a logged run the others do not know that it was to be killed. Its reply is
		// this node's alone.
		if e.Fatal == lua.ErrStopped || r.running.Killed().Load() && !r.running.Wrote() {
			return errKilled
		}
		return "ERR " + e.Fatal.Error()
	}
	if t := e.Value.Table(); t != nil {
		if text, ok := t.Get(errField).Coerce(); ok {
			return text
		}
		return "ERR unknown error"
	}
	return "ERR " + r.vm.ToString(e.Value)
}
