package script

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/lua"
	"github.com/quorate/quorate/engine/reply"
)

// registration is a function as redis.register_function was told of it.
type registration struct {
	function
	callback lua.Value
}

// loading is what becomes of the functions that the code of a library registers.
type loading struct {
	step loadStep
	// Of a new library: all of them, and their names in lower case.
	registered []registration
	names      map[string]bool
	// Of one that was loaded before: the callbacks in the order of registration.
	callbacks []lua.Value
}

// made is a library whose code has run: its callbacks lead to nothing that calls could change.
type made struct {
	callbacks []lua.Value
	mark      uint32 // see lua.VM.Mark
}

// madeMax bounds how many libraries a runner keeps made.
const madeMax = 32

type loadStep uint8

const (
	notLoading loadStep = iota
	loadingNew
	loadingAgain // FUNCTION LOAD has checked it all
)

// newFunctionRunner returns a runner of functions. Its globals are two empty tables, one while a library is
// loaded and one while a function runs, which find what is there in others: nobody can write to them.
func newFunctionRunner(e *Engine) *runner {
	r := newBareRunner(e)
	vm := r.vm
	full := vm.Globals()
	full.SetText("redis", r.redisTable().Value())
	r.guard(full)

	loader := vm.NewTable(0, 0)
	vm.Register(loader, []string{"register_function", "log"}, map[string]lua.Native{"register_function": r.registerFunction, "log": r.log})
	setLogLevels(loader)
	setVersion(loader)
	r.guard(loader)
	few := vm.NewTable(0, 1)
	few.SetText("redis", loader.Value())
	r.guard(few)

	facade := func(behind *lua.Table) *lua.Table {
		meta := vm.NewTable(0, 1)
		meta.SetText("__index", behind.Value())
		t := vm.NewTable(0, 0)
		t.SetMeta(meta)
		return t
	}
	r.callGlobals, r.loadGlobals = facade(full), facade(few)
	vm.SetGlobals(r.callGlobals)
	vm.Seal(r.loadGlobals)
	return r
}

// register runs the code of a new library and returns the functions that it registers, by name.
func (r *runner) register(lib *library, l lua.Limits) ([]*function, error) {
	r.loading = loading{step: loadingNew, names: make(map[string]bool)}
	defer r.forget()
	if err := r.load(lib, l); err != nil {
		return nil, reply.Error("ERR Error registering functions: " + string(reply.CText([]byte(r.loadMessage(err)))))
	}
	functions := make([]*function, len(r.loading.registered))
	for i := range functions {
		f := r.loading.registered[i].function
		f.library, f.index = lib, i
		functions[i] = &f
	}
	slices.SortFunc(functions, func(a, b *function) int { return strings.Compare(a.name, b.name) })
	return functions, nil
}

func (r *runner) loadMessage(err *lua.Error) string {
	if err.Fatal == lua.ErrSteps {
		return "ERR FUNCTION LOAD timeout" // as redis-server says after half a second
	}
	return r.errorMessage(err)
}

// callback returns the callback of a function, for the run that it begins. It runs the code of the library, unless
// this runner has run it and what came of it is still as it was: nobody can tell the one from the other.
func (r *runner) callback(f *function) lua.Value {
	if m, ok := r.made[f.library]; ok {
		r.vm.BeginAt(m.mark, lua.Limits{})
		return m.callbacks[f.index]
	}
	r.loading.step = loadingAgain
	if err := r.load(f.library, lua.Limits{Steps: loadStepsAgain, Bytes: loadBytesAgain}); err != nil {
		panic("script: library " + f.library.name + " loads no more: " + r.errorMessage(err))
	}
	callbacks := r.loading.callbacks
	r.loading.callbacks = nil
	if r.vm.Constant(callbacks) {
		if r.made == nil || len(r.made) == madeMax {
			r.made = make(map[*library]made)
		}
		r.made[f.library] = made{callbacks, r.vm.Mark()}
	}
	r.vm.End() // of the run so far nothing is left but what the callbacks lead to
	return callbacks[f.index]
}

// load runs the code of a library, so that its functions are there to be called. A run of a function begins with
// it: what the library keeps between calls would be no function of the log.
func (r *runner) load(lib *library, l lua.Limits) *lua.Error {
	r.vm.Begin(l)
	r.vm.SetGlobals(r.loadGlobals)
	_, err := r.vm.Run(lib.chunk)
	r.loading.step = notLoading
	r.vm.SetGlobals(r.callGlobals)
	if err != nil {
		return err.(*lua.Error)
	}
	return nil
}

// registerFunction is redis.register_function: of a name and a callback, or of a table of named arguments.
func (r *runner) registerFunction(_ *lua.VM, args []lua.Value) []lua.Value {
	switch r.loading.step {
	case notLoading:
		r.fail("ERR redis.register_function can only be called on FUNCTION LOAD command")
	case loadingAgain:
		r.vm.Charge(1)
		r.loading.callbacks = append(r.loading.callbacks, callbackOf(args))
		return nil
	}
	f := r.registration(args)
	if !isName(f.name) {
		r.fail(errBadName)
	}
	lower := strings.ToLower(f.name) // calls do not tell cases apart
	switch {
	case r.loading.names[lower]:
		r.fail("ERR Function already exists in the library")
	case len(r.loading.names) == functionsMax:
		r.fail(errManyFunctions)
	}
	r.loading.names[lower] = true
	r.loading.registered = append(r.loading.registered, f)
	return nil
}

// callbackOf returns the callback in arguments that are known to be right.
func callbackOf(args []lua.Value) lua.Value {
	if len(args) == 2 {
		return args[1]
	}
	t := args[0].Table()
	for k, v, _ := t.Next(lua.Value{}); !k.IsNil(); k, v, _ = t.Next(k) {
		if key, _ := k.Coerce(); strings.EqualFold(key, "callback") {
			return v
		}
	}
	return lua.Value{}
}

func (r *runner) registration(args []lua.Value) registration {
	switch len(args) {
	case 1:
		return r.namedArguments(args[0])
	case 2:
		return r.positionalArguments(args[0], args[1])
	}
	r.fail("ERR wrong number of arguments to redis.register_function")
	return registration{}
}

func (r *runner) positionalArguments(name, callback lua.Value) registration {
	var f registration
	var ok bool
	if f.name, ok = name.Coerce(); !ok {
		r.fail("ERR first argument to redis.register_function must be a string")
	}
	if f.callback = callback; callback.Function() == nil {
		r.fail("ERR second argument to redis.register_function must be a function")
	}
	return f
}

func (r *runner) namedArguments(v lua.Value) registration {
	t := v.Table()
	if t == nil {
		r.fail("ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).")
	}
	var f registration
	named := false
	for k, v, _ := t.Next(lua.Value{}); !k.IsNil(); k, v, _ = t.Next(k) {
		key, ok := k.Coerce()
		if !ok {
			r.fail("ERR named argument key given to redis.register_function is not a string")
		}
		switch strings.ToLower(key) {
		case "function_name":
			if f.name, named = v.Coerce(); !named {
				r.fail("ERR function_name argument given to redis.register_function must be a string")
			}
		case "description":
			if f.description, f.described = v.Coerce(); !f.described {
				r.fail("ERR description argument given to redis.register_function must be a string")
			}
		case "callback":
			if f.callback = v; v.Function() == nil {
				r.fail("ERR callback argument given to redis.register_function must be a function")
			}
		case "flags":
			if v.Table() == nil {
				r.fail("ERR flags argument to redis.register_function must be a table representing function flags")
			}
			f.flags = r.functionFlags(v.Table())
		default:
			r.fail("ERR unknown argument given to redis.register_function")
		}
	}
	switch {
	case !named:
		r.fail("ERR redis.register_function must get a function name argument")
	case f.callback.IsNil():
		r.fail("ERR redis.register_function must get a callback argument")
	}
	return f
}

func (r *runner) functionFlags(t *lua.Table) flags {
	var set flags
	for i := 1; !t.GetInt(i).IsNil(); i++ {
		r.vm.Charge(1)
		name, _ := t.GetInt(i).Coerce()
		flag, ok := flagOf(strings.ToLower(name))
		if !ok {
			r.fail("ERR unknown flag given")
		}
		set |= flag
	}
	return set
}
