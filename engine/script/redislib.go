package script

import (
	"strings"

	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// The version of Redis whose library this is.
const (
	redisVersion    = "7.0.15"
	redisVersionNum = 0x0007000f
)

// openRedis adds the table redis, and what Redis changes about Lua's globals.
func (r *runner) openRedis() {
	vm := r.vm
	t := vm.NewTable(0, 0)
	vm.Register(t, []string{
		"call", "pcall", "log", "setresp", "sha1hex", "error_reply", "status_reply", "replicate_commands", "set_repl",
		"breakpoint", "debug", "acl_check_cmd",
	}, map[string]lua.Native{
		"call": r.redisCall, "pcall": r.redisPcall, "log": r.log, "setresp": r.setresp, "sha1hex": r.sha1hex,
		"error_reply": r.errorReply, "status_reply": r.statusReply, "set_repl": r.setRepl, "acl_check_cmd": r.aclCheck,
		"replicate_commands": func(vm *lua.VM, _ []lua.Value) []lua.Value { return vm.Ret(lua.Bool(true)) },
		"breakpoint":         func(vm *lua.VM, _ []lua.Value) []lua.Value { return vm.Ret(lua.Bool(false)) },
		"debug":              func(*lua.VM, []lua.Value) []lua.Value { return nil },
	})
	setLogLevels(t)
	setReplFlags(t)
	setVersion(t)
	g := vm.Globals()
	g.SetText("redis", t.Value())
	g.Set(keysName, lua.Bool(false)) // each run sets them
	g.Set(argvName, lua.Bool(false))
	r.guard(g)
}

// redisTable returns the table redis as functions have it.
func (r *runner) redisTable() *lua.Table {
	t := r.vm.NewTable(0, 0)
	r.vm.Register(t, []string{"call", "pcall", "log"}, map[string]lua.Native{"call": r.redisCall, "pcall": r.redisPcall, "log": r.log})
	setLogLevels(t)
	setVersion(t)
	r.vm.Register(t, []string{"setresp", "sha1hex", "error_reply", "status_reply", "set_repl"}, map[string]lua.Native{
		"setresp": r.setresp, "sha1hex": r.sha1hex, "error_reply": r.errorReply, "status_reply": r.statusReply, "set_repl": r.setRepl,
	})
	setReplFlags(t)
	r.vm.Register(t, []string{"acl_check_cmd"}, map[string]lua.Native{"acl_check_cmd": r.aclCheck})
	return t
}

func setLogLevels(t *lua.Table) {
	for level, name := range []string{"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"} {
		t.SetText(name, lua.Num(float64(level)))
	}
}

func setReplFlags(t *lua.Table) {
	t.SetText("REPL_NONE", lua.Num(0))
	t.SetText("REPL_AOF", lua.Num(1))
	t.SetText("REPL_SLAVE", lua.Num(2))
	t.SetText("REPL_REPLICA", lua.Num(2))
	t.SetText("REPL_ALL", lua.Num(3))
}

func setVersion(t *lua.Table) {
	t.SetText("REDIS_VERSION_NUM", lua.Num(redisVersionNum))
	t.SetText("REDIS_VERSION", lua.Text(redisVersion))
}

// guard makes what reads a field that is not there fail.
func (r *runner) guard(t *lua.Table) {
	meta := r.vm.NewTable(0, 1)
	meta.SetText("__index", r.vm.NewFunction(missingGlobal))
	t.SetMeta(meta)
}

// pcall is Lua's, but an error table becomes its message: before Redis 7 errors of redis.call were
// strings.
func pcall(vm *lua.VM, args []lua.Value) []lua.Value {
	if len(args) == 0 {
		vm.ArgError(1, "value expected")
	}
	ret, raised := vm.PCall(args[0], args[1:]...)
	if raised == nil {
		return append([]lua.Value{lua.Bool(true)}, ret...)
	}
	v := raised.Value
	if t := v.Table(); t != nil {
		if message := t.Get(errField); message.Kind() == lua.String || message.Kind() == lua.Number {
			v = message
		}
	}
	return []lua.Value{lua.Bool(false), v}
}

func missingGlobal(vm *lua.VM, args []lua.Value) []lua.Value {
	var name string
	ok := false
	if len(args) > 1 {
		name, ok = args[1].Coerce()
	}
	if !ok {
		vm.Fail("Second argument to luaProtectedTableError must be a string or number")
	}
	vm.Fail("Script attempted to access nonexistent global variable '%s'", name)
	return nil
}

// fail raises an error table, which carries no place in its message.
func (r *runner) fail(message reply.Error) { r.vm.Raise(r.errorTable(string(message))) }

func (r *runner) sha1hex(vm *lua.VM, args []lua.Value) []lua.Value {
	if len(args) != 1 {
		r.fail("ERR wrong number of arguments")
	}
	s, _ := args[0].Coerce()
	vm.Charge(20 + len(s)>>3)
	return vm.Ret(vm.NewString(hexSHA(s)))
}

// single returns the one string argument of a function, or the error table that is its result.
func (r *runner) single(args []lua.Value) (string, lua.Value, bool) {
	if len(args) == 1 {
		if s, ok := args[0].Str(); ok {
			return s, lua.Value{}, true
		}
	}
	return "", r.errorTable("ERR wrong number or type of arguments"), false
}

func (r *runner) statusReply(vm *lua.VM, args []lua.Value) []lua.Value {
	s, bad, ok := r.single(args)
	if !ok {
		return vm.Ret(bad)
	}
	return vm.Ret(r.field(okField, vm.NewString(s)))
}

// errorReply gives a message that is a single word the code ERR.
func (r *runner) errorReply(vm *lua.VM, args []lua.Value) []lua.Value {
	s, bad, ok := r.single(args)
	if !ok {
		return vm.Ret(bad)
	}
	s = strings.TrimPrefix(s, "-")
	code, message, found := strings.Cut(s, " ")
	if !found {
		code, message = "ERR", s
	}
	return vm.Ret(r.errorTable(code + " " + strings.Trim(message, "\r\n")))
}

func (r *runner) log(_ *lua.VM, args []lua.Value) []lua.Value {
	if len(args) < 2 {
		r.fail("ERR redis.log() requires two arguments or more.")
	}
	f, ok := args[0].Float()
	if !ok {
		r.fail("ERR First argument must be a number (log level).")
	}
	level := int(truncate(f))
	if level < 0 || level > 3 {
		r.fail("ERR Invalid debug level.")
	}
	if r.engine.opts.Log == nil || r.loading.step == loadingAgain {
		return nil // a library logs when FUNCTION LOAD loads it, not at each call
	}
	var parts []string
	for _, v := range args[1:] {
		if s, ok := v.Coerce(); ok {
			parts = append(parts, s)
		}
	}
	r.engine.opts.Log(level, strings.Join(parts, " "))
	return nil
}

func (r *runner) setresp(_ *lua.VM, args []lua.Value) []lua.Value {
	if len(args) != 1 {
		r.fail("ERR redis.setresp() requires one argument.")
	}
	f, _ := args[0].ToNumber()
	switch truncate(f) {
	case 2:
		r.resp3 = false
		r.out.SetProto(reply.RESP2)
	case 3:
		r.resp3 = true
		r.out.SetProto(reply.RESP3)
	default:
		r.fail("ERR RESP version must be 2 or 3.")
	}
	return nil
}

// setRepl checks its argument and does nothing: what a script writes is replicated by running it.
func (r *runner) setRepl(_ *lua.VM, args []lua.Value) []lua.Value {
	if len(args) != 1 {
		r.fail("ERR redis.set_repl() requires two arguments.")
	}
	f, _ := args[0].ToNumber()
	if flags := truncate(f); flags&^3 != 0 {
		r.fail("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	return nil
}

func (r *runner) aclCheck(vm *lua.VM, args []lua.Value) []lua.Value {
	if e := r.arguments(args); e != "" {
		r.fail(e)
	}
	row, _, ok := r.call.Lookup(r.args)
	if !ok {
		row, ok = r.sessionRow(r.args)
	}
	if !ok {
		if _, forbidden := forbids(r.args); !forbidden {
			r.fail("ERR Invalid command passed to redis.acl_check_cmd()")
		}
		named := r.engine.opts.PermitNamed
		return vm.Ret(lua.Bool(named == nil || named(r.call, nameOf(nil, r.args))))
	}
	quiet := *r.call
	quiet.As.Denied = nil // to ask is no attempt
	p := r.engine.opts.Permit
	return vm.Ret(lua.Bool(p == nil || p(&quiet, row, r.args) == ""))
}
