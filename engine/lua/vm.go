package lua

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Limits bound one run of a script.
type Limits struct {
	Steps int64 // nodes of the syntax tree executed, and their equivalents in libraries
	Bytes int64 // allocated in sum
	// Dear has some libraries cost about what they take; else they cost too little to end
	// an endless loop of them as soon as one of plain code.
	Dear bool
}

// What ends a script that used up its budget, or is stopped. No pcall catches them.
var (
	ErrSteps   = errors.New("script exceeded its instruction budget")
	ErrMemory  = errors.New("script exceeded its memory budget")
	ErrStopped = errors.New("script was stopped")
)

const (
	maxCalls  = 16384   // nested calls of Lua functions
	maxNative = 199     // nested calls from native code back into Lua
	maxHeight = 400_000 // nested closures of all running functions: at most about 100 MB of Go stack
	maxSlots  = 1 << 20 // values on the stack

	heightBytes = 256 // of Go stack and frames, for a unit of height
	freeHeight  = 64  // that costs nothing
	firstSlots  = 256 // of a stack that has not grown

	maxUnpacked = 8000 // values that one call may return or take
)

// Native is a function written in Go. args is valid during the call; what it returns is copied at once.
type Native func(vm *VM, args []Value) []Value

// Function is a Lua closure or a native function.
type Function struct {
	proto  *proto // nil for a native function
	up     []*cell
	native Native
	id     uint32
}

// cell holds a captured local variable.
type cell struct{ v Value }

func (*cell) kind() Kind { return Nil } // never seen as a value

// proto is the compiled form of a function. It never changes.
type proto struct {
	body     func(fr *frame) ctl
	chunk    string
	params   int
	vararg   bool
	arg      int   // slot of the table arg plus one, or 0
	boxed    []int // slots of captured parameters
	slots    int
	captures []capture
	height   int  // closures nested in it at most
	assigns  bool // it, or a function in it, stores to a variable of a function around
}

// callSite is what a call looks like in the source, for messages.
type callSite struct {
	line   int
	name   string
	method bool
}

// frame is a running function.
type frame struct {
	vm    *VM
	fn    *Function
	s     []Value   // slots of local variables
	va    []Value   // arguments beyond the parameters
	ret   []Value   // set by a return statement
	site  *callSite // where it was called from, nil if not from Lua code
	line  int       // being executed
	tails int       // functions that it replaced by tail calls

	prev, next *frame
}

// thread is what a coroutine has of its own.
type thread struct {
	cur    *frame
	stack  []Value
	top    int
	calls  int
	native int
	height int
	peak   int // the greatest height so far, which is paid for
}

// VM runs chunks, one at a time. It is not safe for concurrent use.
type VM struct {
	steps int64 // with spare, what is left of the budget
	bytes int64
	thread

	globals    *Table
	stringMeta *Table
	ret        []Value  // results of the last call
	tail       struct { // what a return statement asked to be called
		fn   *Function
		args []Value // a copy, as the stack of the caller is given up
		site *callSite
	}

	limits  Limits
	spare   int64        // steps held back so that stop is looked at
	portion int64        // in which they are dealt out; 0: stopSteps
	stop    *atomic.Bool // nil: nothing stops the run
	lastID  uint32       // of an object whose address was asked for
	running *coroutine
	threads []*coroutine // not finished
	matcher matcher

	libraryIDs uint32 // lastID when the libraries were complete
	random     random
	json       jsonConfig

	// Host is for the functions of the program around the VM.
	Host any
}

// New returns a VM with the pure libraries: base, string, table, math, coroutine, bit, struct, cjson and
// cmsgpack.
func New() *VM {
	vm := &VM{steps: 1 << 40, bytes: 1 << 40}
	vm.stack, vm.peak = make([]Value, firstSlots), freeHeight
	vm.ret = make([]Value, 0, 16)
	vm.cur = &frame{vm: vm}
	vm.globals = vm.NewTable(0, 64)
	openBase(vm)
	openString(vm)
	openTable(vm)
	openMath(vm)
	openCoroutine(vm)
	openBit(vm)
	openStruct(vm)
	openJSON(vm)
	openMsgpack(vm)
	return vm
}

// Globals returns the table of globals.
func (vm *VM) Globals() *Table { return vm.globals }

// SetGlobals makes t the table of globals, of what is compiled already as well.
func (vm *VM) SetGlobals(t *Table) { vm.globals = t }

// Seal ends the set-up: all that the globals and the other tables lead to becomes read-only, and the objects
// that exist now keep their identities over all runs.
func (vm *VM) Seal(others ...*Table) {
	seen := map[*Table]bool{}
	vm.protect(vm.globals, seen)
	for _, t := range others {
		vm.protect(t, seen)
	}
	vm.protect(vm.stringMeta, seen)
	vm.libraryIDs = vm.lastID
}

func (vm *VM) protect(t *Table, seen map[*Table]bool) {
	if t == nil || seen[t] {
		return
	}
	seen[t] = true
	vm.identity(&t.id)
	t.readonly = true
	vm.protect(t.meta, seen)
	for k, v, _ := t.Next(Value{}); k.o != nil; k, v, _ = t.Next(k) {
		switch o := v.o.(type) {
		case *Table:
			vm.protect(o, seen)
		case *Function:
			vm.identity(&o.id)
		}
	}
}

// Begin makes the VM forget the run before and sets the budget of the next.
func (vm *VM) Begin(l Limits) {
	vm.Limit(l)
	vm.lastID = vm.libraryIDs
	vm.random.seed(0)
	vm.json = defaultJSON
}

// Limit sets the budget of what follows in a run: nothing of it is used.
func (vm *VM) Limit(l Limits) {
	vm.limits = l
	vm.steps, vm.bytes = l.Steps, l.Bytes
	vm.spare, vm.stop = 0, nil
}

// stopSteps are taken between two looks at what may stop a run: some milliseconds at most.
const stopSteps = 1 << 16

// Heed has the run under way end by ErrStopped soon after stop is set. The budget is dealt
// out in portions for that, and is the same in sum.
func (vm *VM) Heed(stop *atomic.Bool) {
	vm.stop = stop
	vm.spare, vm.steps = vm.steps, 0
	if vm.portion == 0 {
		vm.portion = stopSteps
	}
	vm.deal()
}

// deal adds a portion of what is held back to the steps.
func (vm *VM) deal() {
	n := min(vm.spare, vm.portion)
	vm.spare -= n
	vm.steps += n
}

// End drops what the run left on the stack and ends its coroutines.
func (vm *VM) End() {
	vm.stop = nil
	vm.endCoroutines()
	for vm.cur.prev != nil {
		vm.cur = vm.cur.prev
	}
	for fr := vm.cur.next; fr != nil && fr.fn != nil; fr = fr.next {
		fr.fn, fr.s, fr.va, fr.ret, fr.site = nil, nil, nil, nil, nil
	}
	if len(vm.stack) > firstSlots { // a run pays for what it grows, so each begins alike
		vm.stack = make([]Value, firstSlots)
	} else {
		clear(vm.stack)
	}
	if cap(vm.ret) > 256 {
		vm.ret = make([]Value, 0, 16)
	}
	clear(vm.ret[:cap(vm.ret)])
	vm.top, vm.calls, vm.native, vm.height, vm.peak = 0, 0, 0, 0, freeHeight
	clear(vm.tail.args[:cap(vm.tail.args)])
	vm.tail.fn, vm.tail.site = nil, nil
	vm.matcher = matcher{}
}

// Used returns how much of its budget the run has used.
func (vm *VM) Used() Limits {
	return Limits{Steps: vm.limits.Steps - vm.steps - vm.spare, Bytes: vm.limits.Bytes - vm.bytes}
}

// Charge takes n steps off the budget. It ends the script when none are left.
func (vm *VM) Charge(n int) {
	vm.steps -= int64(n)
	if vm.steps < 0 {
		vm.exhausted()
	}
}

// dear is Charge for what a library takes beside that, where limits want it.
func (vm *VM) dear(n int) {
	if vm.limits.Dear {
		vm.Charge(n)
	}
}

// What is dear, in steps.
const (
	dearError  = 40  // an error that is caught
	dearNumber = 14  // a value as text
	dearFormat = 6   // a directive of string.format
	dearJSON   = 9   // a value of cjson
	dearPacked = 3   // a value of cmsgpack or struct
	dearSwitch = 300 // to another coroutine
)

// exhausted ends the script, unless there are steps that were held back.
func (vm *VM) exhausted() {
	for vm.steps < 0 && vm.spare > 0 {
		if vm.stop.Load() {
			panic(&Error{Fatal: ErrStopped, At: vm.location()})
		}
		vm.deal()
	}
	if vm.steps < 0 {
		panic(&Error{Fatal: ErrSteps, At: vm.location()})
	}
}

// ChargeBytes pays for n bytes that native code is about to allocate on behalf of the script.
func (vm *VM) ChargeBytes(n int) { vm.chargeBytes(n) }

// ToString returns what Lua's tostring does, without asking a metatable.
func (vm *VM) ToString(v Value) string {
	switch o := v.o.(type) {
	case nil:
		return "nil"
	case *Str:
		return o.s
	case *boolTag:
		if v.n != 0 {
			return "true"
		}
		return "false"
	case *numberTag:
		return FormatNumber(v.n)
	case *Token:
		return o.text
	}
	return vm.address(v)
}

// chargeBytes takes n bytes off the budget; n bytes are about to be allocated.
func (vm *VM) chargeBytes(n int) {
	vm.bytes -= int64(n)
	if vm.bytes < 0 || n < 0 {
		panic(&Error{Fatal: ErrMemory, At: vm.location()})
	}
}

const stringBytes = 48 // of a string, beside its text

// ChargeText pays for a string of n bytes that is about to be built: its memory and the copying.
func (vm *VM) ChargeText(n int) {
	vm.chargeBytes(n + stringBytes)
	vm.Charge(n >> 6)
}

// NewString returns s as a value and pays for it.
func (vm *VM) NewString(s string) Value {
	vm.ChargeText(len(s))
	return Text(s)
}

// NewFunction returns a native function.
func (vm *VM) NewFunction(f Native) Value { return Value{o: &Function{native: f}} }

// Register stores native functions in a table, in the order given.
func (vm *VM) Register(t *Table, names []string, fns map[string]Native) {
	for _, name := range names {
		fn, ok := fns[name]
		if !ok {
			panic(fmt.Sprintf("lua: no function %s", name))
		}
		t.Set(Value{o: constant(name)}, vm.NewFunction(fn))
	}
}

// Ret returns values from a native function without allocating.
func (vm *VM) Ret(v Value) []Value {
	vm.ret = append(vm.ret[:0], v)
	return vm.ret
}

func (vm *VM) ret2(a, b Value) []Value {
	vm.ret = append(vm.ret[:0], a, b)
	return vm.ret
}

// alloc takes n nil values off the stack. They are given back by resetting vm.top.
func (vm *VM) alloc(n int) []Value {
	top := vm.top + n
	if top > len(vm.stack) {
		vm.grow(top)
	}
	s := vm.stack[vm.top:top:top]
	vm.top = top
	clear(s)
	return s
}

// grow replaces the stack. Frames keep the old one for the slots that they have.
func (vm *VM) grow(top int) {
	if top > maxSlots {
		vm.fault("stack overflow")
	}
	n := max(2*len(vm.stack), top)
	vm.chargeBytes(n * valueBytes)
	vm.stack = make([]Value, n)
}

// push makes a frame for fn the current one.
func (vm *VM) push(fn *Function, site *callSite) *frame {
	fr := vm.cur.next
	if fr == nil {
		fr = &frame{vm: vm, prev: vm.cur}
		vm.cur.next = fr
	}
	fr.fn, fr.site, fr.tails = fn, site, 0
	vm.cur = fr
	return fr
}

// enter runs a Lua function whose parameters are in s, and frees the stack down to base. The results
// are valid until the next call.
func (vm *VM) enter(fn *Function, s, va []Value, base int, site *callSite) []Value {
	p := fn.proto
	if vm.calls >= maxCalls || vm.height+p.height > maxHeight {
		vm.fault("stack overflow")
	}
	caller, height := vm.cur, vm.height
	vm.calls++
	vm.climb(height + p.height)
	fr := vm.push(fn, site)
	fr.s, fr.va = s, va
	if p.boxed != nil || p.arg != 0 {
		vm.prologue(fr, p)
	}
	end := p.body(fr)
	if end == ctlTail {
		vm.tailCalls(fr, base, height)
	} else if end != ctlReturn {
		fr.ret = nil
	}
	vm.cur = caller
	vm.calls--
	vm.height = height
	vm.top = base
	return fr.ret
}

// climb sets the height. Reaching a new peak costs the stack that it takes: what was allocated by runs before
// must not show in the budget, so this is counted and not what is really allocated.
func (vm *VM) climb(height int) {
	vm.height = height
	if height > vm.peak {
		vm.chargeBytes((height - vm.peak) * heightBytes)
		vm.peak = height
	}
}

// prologue boxes captured parameters and makes the table arg.
func (vm *VM) prologue(fr *frame, p *proto) {
	if p.arg != 0 {
		t := vm.NewTable(len(fr.va), 1)
		for i, v := range fr.va {
			t.SetInt(i+1, v)
		}
		t.SetText("n", Num(float64(len(fr.va))))
		fr.s[p.arg-1] = Value{o: t}
	}
	for _, i := range p.boxed {
		vm.chargeBytes(valueBytes)
		fr.s[i] = Value{o: &cell{fr.s[i]}}
	}
}

// tailCalls runs the function that a return statement named, and those it names in turn, in the frame
// of the one that returned.
func (vm *VM) tailCalls(fr *frame, base, height int) {
	for {
		fn := vm.tail.fn
		if fn.proto == nil {
			args := vm.alloc(len(vm.tail.args))
			copy(args, vm.tail.args)
			fr.ret = vm.invoke(fn, args, base, vm.tail.site)
			return
		}
		p := fn.proto
		if height+p.height > maxHeight {
			vm.fault("stack overflow")
		}
		vm.climb(height + p.height)
		vm.top = base
		fr.s, fr.va = vm.arrange(p, vm.tail.args)
		fr.fn, fr.site = fn, nil
		fr.tails++
		if p.boxed != nil || p.arg != 0 {
			vm.prologue(fr, p)
		}
		vm.Charge(1)
		switch p.body(fr) {
		case ctlTail:
		case ctlReturn:
			return
		default:
			fr.ret = nil
			return
		}
	}
}

// arrange copies arguments to the slots of a function about to run.
func (vm *VM) arrange(p *proto, args []Value) (s, va []Value) {
	if p.vararg && len(args) > p.params {
		va = vm.alloc(len(args) - p.params)
		copy(va, args[p.params:])
	}
	s = vm.alloc(p.slots)
	copy(s[:p.params], args)
	return s, va
}

// invoke calls a function with arguments that lie above base.
func (vm *VM) invoke(fn *Function, args []Value, base int, site *callSite) []Value {
	if fn.proto != nil {
		s, va := vm.arrange(fn.proto, args)
		return vm.enter(fn, s, va, base, site)
	}
	caller := vm.cur
	vm.push(fn, site)
	ret := fn.native(vm, args)
	vm.ret = append(vm.ret[:0], ret...)
	vm.cur = caller
	vm.top = base
	return vm.ret
}

// Call calls a value from native code. The results are valid until the next call.
func (vm *VM) Call(f Value, args ...Value) []Value {
	base := vm.top
	held := vm.alloc(len(args))
	copy(held, args)
	fn, ok := f.o.(*Function)
	if !ok {
		fn, held = vm.callable(f, held, "", nil)
	}
	vm.Charge(1)
	if vm.native >= maxNative {
		vm.fault("C stack overflow")
	}
	vm.native++
	ret := vm.invoke(fn, held, base, nil)
	vm.native--
	return ret
}

// callable finds the function that stands for a value that is none, and puts the value before the
// arguments. name is what the source calls it.
func (vm *VM) callable(f Value, args []Value, name string, site *callSite) (*Function, []Value) {
	if h := vm.metamethod(f, eventCall); h.o != nil {
		if fn, ok := h.o.(*Function); ok {
			with := vm.alloc(len(args) + 1)
			with[0] = f
			copy(with[1:], args)
			return fn, with
		}
	}
	if site != nil {
		vm.cur.line = site.line
	}
	vm.typeError("call", name, f)
	return nil, nil
}

// PCall calls a value and returns what it raised, if it did.
func (vm *VM) PCall(f Value, args ...Value) (ret []Value, raised *Error) {
	saved := vm.thread
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		e, ok := r.(*Error)
		if !ok || e.Fatal != nil {
			panic(r)
		}
		vm.dear(dearError)
		stack, peak := vm.stack, vm.peak
		vm.thread = saved
		vm.stack, vm.peak = stack, peak
		raised = e
	}()
	return vm.Call(f, args...), nil
}

// Run runs a chunk and returns its values, which are valid until the next call.
func (vm *VM) Run(c *Chunk, args ...Value) (ret []Value, err error) {
	return vm.RunFunction(Value{o: &Function{proto: c.main}}, args...)
}

// RunFunction calls a value as Run runs a chunk.
func (vm *VM) RunFunction(f Value, args ...Value) (ret []Value, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	return vm.Call(f, args...), nil
}
