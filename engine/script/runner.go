package script

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// runner is an interpreter with Redis' library, and the script that it runs. A runner is used by one call
// at a time and remembers nothing of the one before.
type runner struct {
	engine *Engine
	vm     *lua.VM

	call     *call.Call
	readOnly bool
	nested   call.Call // the command that the script runs
	args     [][]byte
	arena    []byte     // what args point into
	ends     []int      // of the args in the arena
	session  []call.Row // see sessionRows
	out      *reply.Writer
	buffer   []byte // of out
	resp3    bool   // redis.setresp(3)
	tally    tally
}

// Bounds of what a runner keeps for the next script.
const keptBytes = 64 << 10

func newRunner(e *Engine) *runner {
	r := &runner{engine: e, vm: lua.New()}
	r.session = r.sessionRows()
	r.openRedis()
	r.vm.Seal()
	r.out = reply.NewWriter(reply.RESP2, nil)
	return r
}

func (r *runner) run(c *call.Call, s *script, keys int, readOnly bool) {
	vm := r.vm
	vm.Begin(lua.Limits{Steps: int64(c.Settings.LuaInstructionsMax), Bytes: int64(c.Settings.LuaBytesMax)})
	if c.Rand != nil {
		vm.Seed(int32(c.Rand.Uint64()))
	}
	r.call, r.readOnly = c, readOnly
	r.nested = *c
	r.nested.InScript = true
	r.nested.MayWrite = c.MayWrite && !readOnly
	r.out.SetProto(reply.RESP2)
	r.resp3 = false
	defer r.forget()
	mark := c.Out.Mark()
	r.tally.begin(c)
	if err := r.execute(c, s, keys); err != nil {
		c.Out.Truncate(mark)
		c.Fail(r.describe(s, err))
	}
	r.tally.end(c.Out.Bytes()[mark:])
}

// forget drops what the runner holds of the call.
func (r *runner) forget() {
	r.vm.Globals().Set(keysName, lua.Value{})
	r.vm.Globals().Set(argvName, lua.Value{})
	r.vm.End()
	r.call, r.nested = nil, call.Call{}
	clear(r.args)
	if cap(r.arena) > keptBytes {
		r.arena = nil
	}
	if cap(r.buffer) > keptBytes {
		r.buffer = nil
	}
	r.out.Reset(r.buffer)
}

// execute runs the script and writes its reply.
func (r *runner) execute(c *call.Call, s *script, keys int) (err error) {
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
	r.vm.Globals().Set(keysName, r.list(rest[:keys]))
	r.vm.Globals().Set(argvName, r.list(rest[keys:]))
	vals, err := r.vm.Run(s.chunk)
	if err != nil {
		return err
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

// describe returns the reply to a script that failed.
func (r *runner) describe(s *script, err error) reply.Error {
	var e *lua.Error
	if !errors.As(err, &e) {
		return reply.Error("ERR " + err.Error())
	}
	message := string(reply.CText([]byte(r.errorMessage(e))))
	if e.At.Chunk == "" {
		return reply.Error(fmt.Sprintf("%s script: %s", message, s.sha))
	}
	return reply.Error(fmt.Sprintf("%s script: %s, on @%s:%d.", message, s.sha, e.At.Chunk, e.At.Line))
}

func (r *runner) errorMessage(e *lua.Error) string {
	if e.Fatal != nil {
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
