package lua

import "fmt"

// Error is what a script raised.
type Error struct {
	Value Value    // what error was given, or a message
	At    Location // where the script was
	Fatal error    // not nil if no pcall may catch it: ErrSteps, ErrMemory
}

// Location is a place in a script.
type Location struct {
	Chunk string // "" if no Lua code was running
	Line  int
}

// Error returns the message.
func (e *Error) Error() string {
	if e.Fatal != nil {
		return e.Fatal.Error()
	}
	if s, ok := e.Value.Coerce(); ok {
		return s
	}
	return "(error object is a " + e.Value.Kind().String() + " value)"
}

// level returns the frame of a level as luaL_where counts: 0 is the running function, 1 its caller. A tail
// call leaves a level without a frame.
func (vm *VM) level(n int) *frame {
	for fr := vm.cur; fr != nil && fr.fn != nil; fr = fr.prev {
		if n == 0 {
			return fr
		}
		n--
		if n -= fr.tails; n < 0 {
			return nil
		}
	}
	return nil
}

// where returns "chunk:line: " for a level, or nothing if no Lua code runs there.
func (vm *VM) where(n int) string {
	fr := vm.level(n)
	if fr == nil || fr.fn.proto == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", fr.fn.proto.chunk, fr.line)
}

// location is the line being executed, by the running function or, if it is native, by its caller.
func (vm *VM) location() Location {
	fr := vm.cur
	if fr.fn != nil && fr.fn.proto == nil {
		fr = fr.prev
	}
	if fr == nil || fr.fn == nil || fr.fn.proto == nil {
		return Location{}
	}
	return Location{fr.fn.proto.chunk, fr.line}
}

// Raise ends the script, or the pcall around, with a value.
func (vm *VM) Raise(v Value) { panic(&Error{Value: v, At: vm.location()}) }

// Fail raises a message of a native function. It begins with the place of the Lua code that called it.
func (vm *VM) Fail(format string, args ...any) {
	vm.Raise(Text(vm.where(1) + fmt.Sprintf(format, args...)))
}

// fault raises a message of the interpreter itself. It begins with the place of the Lua code that runs, if
// Lua code does: what goes wrong on behalf of a native function has no place.
func (vm *VM) fault(format string, args ...any) {
	vm.Raise(Text(vm.where(0) + fmt.Sprintf(format, args...)))
}

// typeError reports an operation that a value does not allow. name is what the source calls it, such
// as "local 'x'", or empty.
func (vm *VM) typeError(op, name string, v Value) {
	if name == "" {
		vm.fault("attempt to %s a %s value", op, v.Kind())
	}
	vm.fault("attempt to %s %s (a %s value)", op, name, v.Kind())
}

// ArgError reports a bad argument; n counts from 1.
func (vm *VM) ArgError(n int, message string) {
	name := "?"
	if site := vm.cur.site; site != nil && site.name != "" {
		name = site.name
		if site.method {
			if n--; n == 0 {
				vm.Fail("calling '%s' on bad self (%s)", name, message)
			}
		}
	}
	vm.Fail("bad argument #%d to '%s' (%s)", n, name, message)
}

func (vm *VM) argTypeError(args []Value, n int, want string) {
	got := "no value"
	if n <= len(args) {
		got = args[n-1].Kind().String()
	}
	vm.ArgError(n, want+" expected, got "+got)
}

// CheckString returns argument n, counted from 1, as a string; a number is converted.
func (vm *VM) CheckString(args []Value, n int) string {
	if n <= len(args) {
		if s, ok := args[n-1].Coerce(); ok {
			return s
		}
	}
	vm.argTypeError(args, n, "string")
	return ""
}

// CheckNumber returns argument n as a number; a numeric string is converted.
func (vm *VM) CheckNumber(args []Value, n int) float64 {
	if n <= len(args) {
		if f, ok := args[n-1].ToNumber(); ok {
			return f
		}
	}
	vm.argTypeError(args, n, "number")
	return 0
}

// CheckInt returns argument n as an integer, truncated.
func (vm *VM) CheckInt(args []Value, n int) int { return truncate(vm.CheckNumber(args, n)) }

// OptInt is CheckInt with a default for an absent or nil argument.
func (vm *VM) OptInt(args []Value, n, otherwise int) int {
	if n > len(args) || args[n-1].o == nil {
		return otherwise
	}
	return vm.CheckInt(args, n)
}

// checkInt32 is CheckInt for what is an int in the reference implementation: 32 bits are left of it.
func (vm *VM) checkInt32(args []Value, n int) int { return int(int32(vm.CheckInt(args, n))) }

// optInt32 is OptInt, as checkInt32 is CheckInt.
func (vm *VM) optInt32(args []Value, n, otherwise int) int {
	return int(int32(vm.OptInt(args, n, otherwise)))
}

// CheckTable returns argument n, which has to be a table.
func (vm *VM) CheckTable(args []Value, n int) *Table {
	if n <= len(args) {
		if t, ok := args[n-1].o.(*Table); ok {
			return t
		}
	}
	vm.argTypeError(args, n, "table")
	return nil
}

func (vm *VM) checkFunction(args []Value, n int) Value {
	if n <= len(args) {
		if _, ok := args[n-1].o.(*Function); ok {
			return args[n-1]
		}
	}
	vm.argTypeError(args, n, "function")
	return Value{}
}

func (vm *VM) checkAny(args []Value, n int) Value {
	if n > len(args) {
		vm.ArgError(n, "value expected")
	}
	return args[n-1]
}

// truncate converts to an integer as x86 does in C: what does not fit becomes the smallest one.
func truncate(f float64) int {
	if f >= -1<<63 && f < 1<<63 {
		return int(f)
	}
	return -1 << 63
}
