package lua

// isMulti reports whether an expression has as many values as it likes.
func isMulti(e expr) bool {
	switch e.(type) {
	case *callExpr, *dotsExpr:
		return true
	}
	return false
}

func (c *compiler) multi(e expr) multFunc {
	c.node()
	defer c.done()
	if call, ok := e.(*callExpr); ok {
		return c.call(call)
	}
	return func(fr *frame) []Value {
		fr.vm.steps -= int64(len(fr.va))
		return fr.va
	}
}

// list compiles expressions, the last of which may have any number of values. The values lie on the
// stack, which the caller resets.
func (c *compiler) list(es []expr) multFunc {
	n := len(es)
	if n == 0 {
		return func(*frame) []Value { return nil }
	}
	var rest multFunc
	if isMulti(es[n-1]) {
		rest = c.multi(es[n-1])
		n--
	}
	vals := make([]evalFunc, n)
	for i := range vals {
		vals[i] = c.eval(es[i])
	}
	return func(fr *frame) []Value {
		vm := fr.vm
		s := vm.alloc(n)
		for i, val := range vals {
			s[i] = val(fr)
		}
		if rest == nil {
			return s
		}
		more := rest(fr)
		all := vm.alloc(n + len(more))
		copy(all, s)
		copy(all[n:], more)
		return all
	}
}

// callName returns how messages about arguments name what an expression calls.
func callName(e expr) string {
	switch e := e.(type) {
	case *localExpr:
		return e.v.name
	case *upvalExpr:
		return e.name
	case *globalExpr:
		return e.name
	case *indexExpr:
		if k, ok := e.key.(*stringExpr); ok {
			return k.s
		}
	case *parenExpr:
		return callName(e.e)
	}
	return ""
}

// callee evaluates what is called: the function and, for a method, the object.
type callee struct {
	plain evalFunc // nil for a method
	obj   evalFunc
	key   Value
	name  string // what messages call the function
	owner string // and the object
	site  *callSite
}

func (c *compiler) callee(e *callExpr) *callee {
	if e.name == "" {
		return &callee{
			plain: c.eval(e.fn), name: describe(e.fn),
			site: &callSite{line: e.line, name: callName(e.fn)},
		}
	}
	return &callee{
		obj: c.eval(e.fn), key: Value{o: constant(e.name)},
		name: "method '" + e.name + "'", owner: describe(e.fn),
		site: &callSite{line: e.line, name: e.name, method: true},
	}
}

// method returns the method and its object.
func (ce *callee) method(fr *frame) (f, self Value) {
	o := ce.obj(fr)
	fr.line = ce.site.line
	return fr.vm.index(o, ce.key, ce.owner), o
}

// call compiles a function call.
func (c *compiler) call(e *callExpr) multFunc {
	c.node()
	defer c.done()
	ce := c.callee(e)
	if n := len(e.args); n > 0 && isMulti(e.args[n-1]) {
		list := c.list(e.args)
		return func(fr *frame) []Value {
			base := fr.vm.top
			fn, args := ce.eval(fr, list)
			return fr.vm.invoke(fn, args, base, ce.site)
		}
	}
	vals := make([]evalFunc, len(e.args))
	for i, a := range e.args {
		vals[i] = c.eval(a)
	}
	if ce.plain == nil {
		return ce.callMethod(vals)
	}
	return ce.callPlain(vals)
}

func (ce *callee) callPlain(vals []evalFunc) multFunc {
	plain, site := ce.plain, ce.site
	return func(fr *frame) []Value {
		vm := fr.vm
		f := plain(fr)
		base := vm.top
		fn, ok := f.o.(*Function)
		if ok && fn.proto != nil && !fn.proto.vararg {
			// The arguments go straight to the slots of the function.
			p := fn.proto
			s := vm.alloc(p.slots)
			for i, val := range vals {
				if v := val(fr); i < p.params {
					s[i] = v
				}
			}
			fr.line = site.line
			return vm.enter(fn, s, nil, base, site)
		}
		args := vm.alloc(len(vals))
		for i, val := range vals {
			args[i] = val(fr)
		}
		fr.line = site.line
		if !ok {
			fn, args = vm.callable(f, args, ce.name, site)
		}
		return vm.invoke(fn, args, base, site)
	}
}

func (ce *callee) callMethod(vals []evalFunc) multFunc {
	site := ce.site
	return func(fr *frame) []Value {
		vm := fr.vm
		base := vm.top
		f, self := ce.method(fr)
		args := vm.alloc(len(vals) + 1)
		args[0] = self
		for i, val := range vals {
			args[i+1] = val(fr)
		}
		fr.line = site.line
		fn, ok := f.o.(*Function)
		if !ok {
			fn, args = vm.callable(f, args, ce.name, site)
		}
		return vm.invoke(fn, args, base, site)
	}
}

// eval evaluates the function and its arguments onto the stack.
func (ce *callee) eval(fr *frame, list multFunc) (*Function, []Value) {
	vm := fr.vm
	var f, self Value
	if ce.plain != nil {
		f = ce.plain(fr)
	} else {
		f, self = ce.method(fr)
	}
	args := list(fr)
	if ce.plain == nil {
		with := vm.alloc(len(args) + 1)
		with[0] = self
		copy(with[1:], args)
		args = with
	}
	fr.line = ce.site.line
	fn, ok := f.o.(*Function)
	if !ok {
		return vm.callable(f, args, ce.name, ce.site)
	}
	return fn, args
}

// tailCall compiles return f(...), which gives up the frame before it calls.
func (c *compiler) tailCall(e *callExpr) execFunc {
	ce := c.callee(e)
	list := c.list(e.args)
	return func(fr *frame) ctl {
		vm := fr.vm
		base := vm.top
		fn, args := ce.eval(fr, list)
		vm.tail.fn, vm.tail.site = fn, ce.site
		vm.tail.args = append(vm.tail.args[:0], args...)
		vm.top = base
		return ctlTail
	}
}
