package script

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/command"
	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// Errors of redis.call, as redis-server words them.
const (
	errNoArguments  reply.Error = "ERR Please specify at least one argument for this redis lib call"
	errArgumentType reply.Error = "ERR Lua redis lib command arguments must be strings or integers"
	errNotAllowed   reply.Error = "ERR This Redis command is not allowed from script"
)

const numberBytes = 24 // room for a number as text

const stepsPerCall = 60 // of running a command, beside what its arguments and its reply cost

// redisCall is redis.call: an error of the command ends the script.
func (r *runner) redisCall(vm *lua.VM, args []lua.Value) []lua.Value {
	v, failed := r.command(args)
	if failed {
		vm.Raise(v)
	}
	return vm.Ret(v)
}

// redisPcall is redis.pcall: an error of the command is its value.
func (r *runner) redisPcall(vm *lua.VM, args []lua.Value) []lua.Value {
	v, _ := r.command(args)
	return vm.Ret(v)
}

// command runs a command and returns its reply as Lua sees it.
func (r *runner) command(vals []lua.Value) (v lua.Value, failed bool) {
	if e := r.arguments(vals); e != "" {
		return r.errorTable(string(e)), true
	}
	r.vm.Charge(stepsPerCall + len(r.arena)>>5)
	row, e := r.find()
	if e == "" {
		e = r.permit(row)
	}
	if e != "" {
		r.tally.rejected(nameOf(row, r.args), e)
		return r.errorTable(string(e)), true
	}
	r.out.Reset(r.buffer)
	r.nested.Args, r.nested.Out = r.args, r.out
	r.nested.Begins(row)
	db := r.nested.DB.Index()
	r.nested.Carry(row)
	answer := r.out.Bytes()
	r.buffer = answer
	r.tally.called(row, db, r.args, answer)
	r.vm.Charge(len(answer) >> 5)
	return r.fromReply(answer)
}

// arguments turns the arguments of redis.call into those of a command.
func (r *runner) arguments(vals []lua.Value) reply.Error {
	if len(vals) == 0 {
		return errNoArguments
	}
	n := 0
	for _, v := range vals {
		s, _ := v.Str()
		n += len(s) + numberBytes
	}
	r.vm.ChargeText(n)
	r.arena = slices.Grow(r.arena[:0], n)
	ends := r.ends[:0]
	for _, v := range vals {
		if f, ok := v.Float(); ok {
			r.arena = lua.AppendNumber(r.arena, f, 17)
		} else if s, ok := v.Str(); ok {
			r.arena = append(r.arena, s...)
		} else {
			return errArgumentType
		}
		ends = append(ends, len(r.arena))
	}
	r.ends = ends
	r.args = r.args[:0]
	start := 0
	for _, end := range ends {
		r.args = append(r.args, r.arena[start:end:end])
		start = end
	}
	return ""
}

// find returns the row that r.args call, also beside an error if there is such a
// command.
func (r *runner) find() (*call.Row, reply.Error) {
	row, _, ok := r.call.Lookup(r.args)
	if !ok {
		row, ok = r.sessionRow(r.args)
	}
	if !ok {
		arity, forbidden := forbids(r.args)
		switch {
		case !forbidden:
			return nil, reply.ErrScriptUnknown
		case arity >= 0 && arity != len(r.args), len(r.args) < -arity:
			return nil, reply.ErrScriptArity
		}
		return nil, errNotAllowed
	}
	switch {
	case !row.TakesArgs(len(r.args)):
		return row, reply.ErrScriptArity
	case row.Flags.Has(command.NoScript) && !r.call.Settings.ScriptsMayCallAll,
		row.Group == command.Scripting && r.call.InScript: // one within another is enough: each level has a stack of its own
		return row, errNotAllowed
	case row.Do == nil:
		return nil, reply.ErrScriptUnknown
	}
	return row, ""
}

// nameOf returns the name of the command that args call, or "" if there is none.
func nameOf(row *call.Row, args [][]byte) string {
	if row != nil {
		return row.Name
	}
	if _, known := forbids(args); !known {
		return ""
	}
	name := strings.ToLower(string(args[0]))
	if containers[name] && len(args) > 1 {
		name += "|" + strings.ToLower(string(args[1]))
	}
	return name
}

// permit checks whether the script may run the command.
func (r *runner) permit(row *call.Row) reply.Error {
	if p := r.engine.opts.Permit; p != nil {
		if e := p(r.call, row, r.args); e != "" {
			return e
		}
	}
	if r.call.Refused != "" && row.Flags.Any(command.Write|command.MayReplicate) {
		return r.call.Refused
	}
	if r.readOnly && row.Flags.Any(command.Write|command.MayReplicate) {
		return reply.ErrReadOnlyContext
	}
	if row.Flags.Has(command.DenyOOM) && r.call.Pressed && !r.mayGrow {
		return reply.ErrOOM
	}
	if row.Flags.Has(command.Write) {
		r.mayGrow = true
		r.running.Writes()
	}
	return ""
}

// errorTable returns an error as redis.pcall does: {err = "CODE message"}.
func (r *runner) errorTable(message string) lua.Value {
	t := r.vm.NewTable(0, 0)
	t.Set(errField, r.vm.NewString(message))
	t.Set(countedField, lua.Bool(true))
	return t.Value()
}
