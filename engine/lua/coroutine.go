package lua

// coroutine is a Lua thread. It runs on a goroutine of its own, because the interpreter uses Go's
// stack, but never at the same time as another: whoever resumes waits on the channel.
type coroutine struct {
	fn      Value
	state   coState
	stack   thread // while it does not run, its own; while it runs, that of who resumed it
	resumer *coroutine
	in      chan []Value // arguments of resume; closed to end the goroutine
	out     chan message
	id      uint32
}

type coState uint8

const (
	suspended coState = iota
	running
	normal // it has resumed another
	dead
)

var coStates = [...]string{"suspended", "running", "normal", "dead"}

// message is what comes back to resume.
type message struct {
	vals   []Value
	done   bool
	raised *Error
	bug    any // a panic that is not the script's
}

// killed unwinds the goroutine of a coroutine that nobody will resume again.
type killed struct{}

const coroutineBytes = 16 << 10 // charged for a coroutine: its goroutine and its stack

func openCoroutine(vm *VM) {
	t := vm.NewTable(0, 8)
	vm.globals.SetText("coroutine", Value{o: t})
	vm.Register(t, []string{"create", "resume", "running", "status", "wrap", "yield"}, map[string]Native{
		"create": coCreate, "resume": coResume, "running": coRunning, "status": coStatus, "wrap": coWrap, "yield": coYield,
	})
}

func (vm *VM) newCoroutine(args []Value) *coroutine {
	if f := first(args).Function(); f == nil || f.proto == nil {
		vm.ArgError(1, "Lua function expected")
	}
	vm.chargeBytes(coroutineBytes)
	vm.Charge(200)
	return &coroutine{fn: args[0]}
}

func coCreate(vm *VM, args []Value) []Value { return vm.Ret(Value{o: vm.newCoroutine(args)}) }

func checkCoroutine(vm *VM, args []Value) *coroutine {
	co, ok := first(args).o.(*coroutine)
	if !ok {
		vm.ArgError(1, "coroutine expected")
	}
	return co
}

func coResume(vm *VM, args []Value) []Value {
	co := checkCoroutine(vm, args)
	vals, raised := vm.resume(co, args[1:])
	if raised != nil {
		return vm.ret2(Bool(false), raised.Value)
	}
	vm.ret = append(append(vm.ret[:0], Bool(true)), vals...)
	return vm.ret
}

func coWrap(vm *VM, args []Value) []Value {
	co := vm.newCoroutine(args)
	return vm.Ret(vm.NewFunction(func(vm *VM, args []Value) []Value {
		vals, raised := vm.resume(co, args)
		if raised != nil {
			v := raised.Value
			if s, ok := v.Coerce(); ok {
				where := vm.where(1)
				vm.ChargeText(len(where) + len(s))
				v = Text(where + s)
			}
			vm.Raise(v)
		}
		return vals
	}))
}

func coRunning(vm *VM, _ []Value) []Value {
	if vm.running == nil {
		return vm.Ret(Value{})
	}
	return vm.Ret(Value{o: vm.running})
}

func coStatus(vm *VM, args []Value) []Value {
	return vm.Ret(Text(coStates[checkCoroutine(vm, args).state]))
}

func coYield(vm *VM, args []Value) []Value {
	co := vm.running
	if co == nil || vm.native > co.stack.native+1 {
		vm.fault("attempt to yield across metamethod/C-call boundary")
	}
	vm.swap(co)
	vm.running = co.resumer
	co.state = suspended
	co.out <- message{vals: append([]Value(nil), args...)}
	vals, ok := <-co.in
	if !ok {
		panic(killed{})
	}
	return vals
}

// swap exchanges the running stack with the one that the coroutine holds.
func (vm *VM) swap(co *coroutine) { vm.thread, co.stack = co.stack, vm.thread }

// resume runs the coroutine until it yields, returns or fails.
func (vm *VM) resume(co *coroutine, args []Value) ([]Value, *Error) {
	if co.state != suspended {
		return nil, &Error{Value: Text("cannot resume " + coStates[co.state] + " coroutine")}
	}
	if vm.native >= maxNative {
		return nil, &Error{Value: Text("C stack overflow")}
	}
	vm.Charge(100)
	vm.dear(dearSwitch)
	vals := append([]Value(nil), args...)
	if vm.running != nil {
		vm.running.state = normal
	}
	co.resumer, vm.running, co.state = vm.running, co, running
	level := vm.native + 1
	if co.in == nil {
		co.in, co.out = make(chan []Value), make(chan message)
		co.stack = thread{stack: make([]Value, 64), cur: &frame{vm: vm}, peak: freeHeight}
		vm.threads = append(vm.threads, co)
		go co.main(vm, vals)
		vm.swap(co)
		vm.native = level
		co.in <- nil
	} else {
		vm.swap(co)
		vm.native = level
		co.in <- vals
	}
	m := <-co.out
	if m.done {
		vm.swap(co)
		vm.running = co.resumer
		co.finish(vm)
	}
	if vm.running != nil {
		vm.running.state = running
	}
	switch {
	case m.bug != nil:
		panic(m.bug)
	case m.raised != nil && m.raised.Fatal != nil:
		panic(m.raised)
	}
	return m.vals, m.raised
}

// main is the coroutine's goroutine. It starts when resume has handed the VM over.
func (co *coroutine) main(vm *VM, args []Value) {
	defer func() {
		m := message{done: true}
		switch r := recover().(type) {
		case killed:
			co.out <- m
			return
		case *Error:
			m.raised = r
		case nil:
			m.vals = append([]Value(nil), vm.ret...)
		default:
			m.bug = r
		}
		co.out <- m
	}()
	<-co.in
	base := vm.top
	held := vm.alloc(len(args))
	copy(held, args)
	vm.ret = vm.invoke(co.fn.Function(), held, base, nil)
}

// finish takes the coroutine off the list of those whose goroutines live.
func (co *coroutine) finish(vm *VM) {
	co.state = dead
	co.stack = thread{}
	for i, other := range vm.threads {
		if other == co {
			vm.threads = append(vm.threads[:i], vm.threads[i+1:]...)
			return
		}
	}
}

// endCoroutines ends the goroutines of all coroutines that wait to be resumed.
func (vm *VM) endCoroutines() {
	for _, co := range vm.threads {
		close(co.in)
		<-co.out
	}
	vm.threads, vm.running = nil, nil
}
