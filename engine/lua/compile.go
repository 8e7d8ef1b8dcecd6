package lua

import "fmt"

// Chunk is a compiled script. It never changes; any number of VMs may run it at once.
type Chunk struct {
	main *proto
	// Size estimates the memory that the chunk holds, in bytes.
	Size int
}

// MaxSource is how long a script may be, in bytes.
const MaxSource = 4 << 20

const chunkBytesPerByte = 48 // of compiled code, for a byte of source

// Compile compiles source text. name stands before the line in messages. An error is worded as the
// reference implementation does.
func Compile(name, source string) (*Chunk, error) { return compile(name, name, source) }

// bytecodeMark is what compiled code begins with elsewhere. Here it has no other form than the source.
const bytecodeMark = "\x1bLua"

// compile is Compile with a name for syntax errors and one for those at run time.
func compile(syntaxName, name, source string) (c *Chunk, err error) {
	if len(source) > MaxSource {
		return nil, fmt.Errorf("%s: script is longer than %d bytes", syntaxName, MaxSource)
	}
	if len(source) > 0 && source[0] == bytecodeMark[0] {
		return nil, fmt.Errorf("%s: bad header in precompiled chunk", syntaxName)
	}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*syntaxError)
			if !ok {
				panic(r)
			}
			c, err = nil, e
		}
	}()
	main := (&compiler{chunk: name}).function(parse(syntaxName, source))
	return &Chunk{main: main, Size: len(source) * chunkBytesPerByte}, nil
}

// ctl says how a statement ended.
type ctl int

const (
	ctlNext ctl = iota
	ctlBreak
	ctlReturn // the values are in frame.ret
	ctlTail   // return f(): the call is in vm.tail
)

type (
	evalFunc func(fr *frame) Value
	multFunc func(fr *frame) []Value // valid until the next call
	execFunc func(fr *frame) ctl
	testFunc func(fr *frame) bool
)

// compiler turns the tree of a function into closures. Two figures are kept on the way: weight, the
// nodes since the block began, is what the block costs in steps; height is how deep closures nest.
type compiler struct {
	chunk  string
	weight int64
	depth  int
	height int

	assigns bool // see proto.assigns
}

// node counts a node; the function it returns ends it.
func (c *compiler) node() {
	c.weight++
	c.depth++
	c.height = max(c.height, c.depth)
}

func (c *compiler) done() { c.depth-- }

func (c *compiler) function(fn *function) *proto {
	inner := &compiler{chunk: c.chunk}
	p := &proto{
		chunk: c.chunk, params: len(fn.params), vararg: fn.vararg,
		slots: fn.slots, captures: fn.captures,
	}
	if fn.needsArg {
		p.arg = fn.arg.slot + 1
	}
	for _, v := range fn.params {
		if v.captured {
			p.boxed = append(p.boxed, v.slot)
		}
	}
	if fn.arg != nil && fn.arg.captured {
		p.boxed = append(p.boxed, fn.arg.slot)
	}
	p.body = inner.block(fn.body)
	p.height = inner.height + 2
	p.assigns = inner.assigns
	c.assigns = c.assigns || inner.assigns
	return p
}

// block compiles statements; the closure pays for them.
func (c *compiler) block(body block) execFunc {
	outer := c.weight
	c.weight = 1
	c.depth++
	stmts := make([]execFunc, len(body.stmts))
	for i, s := range body.stmts {
		c.node()
		stmts[i] = c.statement(s)
		c.done()
	}
	c.depth--
	weight, line := c.weight, body.line
	c.weight = outer
	if len(stmts) == 1 {
		only := stmts[0]
		return func(fr *frame) ctl {
			if fr.vm.steps -= weight; fr.vm.steps < 0 {
				fr.line = line
				fr.vm.exhausted()
			}
			return only(fr)
		}
	}
	return func(fr *frame) ctl {
		if fr.vm.steps -= weight; fr.vm.steps < 0 {
			fr.line = line
			fr.vm.exhausted()
		}
		for _, s := range stmts {
			if end := s(fr); end != ctlNext {
				return end
			}
		}
		return ctlNext
	}
}

func (c *compiler) statement(s stmt) execFunc {
	switch s := s.(type) {
	case *localStmt:
		return c.local(s)
	case *assignStmt:
		return c.assign(s)
	case *callStmt:
		call := c.call(s.call)
		return func(fr *frame) ctl { call(fr); return ctlNext }
	case *doStmt:
		return c.block(s.body)
	case *whileStmt:
		return c.while(s)
	case *repeatStmt:
		return c.repeat(s)
	case *ifStmt:
		return c.ifElse(s)
	case *numericFor:
		return c.numericFor(s)
	case *genericFor:
		return c.genericFor(s)
	case *localFunction:
		return c.localFunction(s)
	case *returnStmt:
		return c.returns(s)
	case *breakStmt:
		return func(*frame) ctl { return ctlBreak }
	}
	panic(fmt.Sprintf("lua: statement %T", s))
}

// bind returns what gives a local variable its first value.
func bind(v *local) func(fr *frame, val Value) {
	slot := v.slot
	if v.captured {
		return func(fr *frame, val Value) {
			fr.vm.chargeBytes(valueBytes)
			fr.s[slot] = Value{o: &cell{val}}
		}
	}
	return func(fr *frame, val Value) { fr.s[slot] = val }
}

func (c *compiler) local(s *localStmt) execFunc {
	if len(s.vars) == 1 && len(s.vals) == 1 {
		val := c.eval(s.vals[0])
		if slot := s.vars[0].slot; !s.vars[0].captured {
			return func(fr *frame) ctl { fr.s[slot] = val(fr); return ctlNext }
		}
		set := bind(s.vars[0])
		return func(fr *frame) ctl { set(fr, val(fr)); return ctlNext }
	}
	list := c.list(s.vals)
	sets := make([]func(*frame, Value), len(s.vars))
	for i, v := range s.vars {
		sets[i] = bind(v)
	}
	return func(fr *frame) ctl {
		base := fr.vm.top
		vals := list(fr)
		for i, set := range sets {
			if i < len(vals) {
				set(fr, vals[i])
			} else {
				set(fr, Value{})
			}
		}
		fr.vm.top = base
		return ctlNext
	}
}

func (c *compiler) localFunction(s *localFunction) execFunc {
	set := bind(s.v)
	closure := c.closure(s.fn.fn)
	slot, captured := s.v.slot, s.v.captured
	return func(fr *frame) ctl {
		set(fr, Value{}) // so that the function can capture itself
		f := closure(fr)
		if captured {
			fr.s[slot].o.(*cell).v = f
		} else {
			fr.s[slot] = f
		}
		return ctlNext
	}
}

// store returns what assigns to a target whose object and key are evaluated beforehand.
type target struct {
	obj, key evalFunc // nil for a variable
	store    func(fr *frame, obj, key, val Value)
}

func (c *compiler) target(e expr, line int) target {
	switch e := e.(type) {
	case *localExpr:
		slot := e.v.slot
		if e.v.captured {
			return target{store: func(fr *frame, _, _, val Value) { fr.s[slot].o.(*cell).v = val }}
		}
		return target{store: func(fr *frame, _, _, val Value) { fr.s[slot] = val }}
	case *upvalExpr:
		c.assigns = true
		i := e.index
		return target{store: func(fr *frame, _, _, val Value) { fr.fn.up[i].v = val }}
	case *globalExpr:
		key := Value{o: constant(e.name)}
		return target{store: func(fr *frame, _, _, val Value) {
			fr.line = line
			fr.vm.setIndex(Value{o: fr.vm.globals}, key, val, "")
		}}
	case *indexExpr:
		name := describe(e.obj)
		return target{
			obj: c.eval(e.obj), key: c.eval(e.key),
			store: func(fr *frame, obj, key, val Value) {
				fr.line = line
				if t, ok := obj.o.(*Table); ok && t.meta == nil && !t.readonly && key.o != nil && key.n == key.n {
					t.Set(key, val)
					return
				}
				fr.vm.setIndex(obj, key, val, name)
			},
		}
	}
	panic(fmt.Sprintf("lua: target %T", e))
}

func (c *compiler) assign(s *assignStmt) execFunc {
	targets := make([]target, len(s.targets))
	for i, e := range s.targets {
		targets[i] = c.target(e, s.line)
	}
	if len(targets) == 1 && len(s.vals) == 1 {
		return c.assignOne(targets[0], s.vals[0])
	}
	list := c.list(s.vals)
	return func(fr *frame) ctl {
		vm := fr.vm
		base := vm.top
		places := vm.alloc(2 * len(targets))
		for i := range targets {
			if t := &targets[i]; t.obj != nil {
				places[2*i] = t.obj(fr)
				places[2*i+1] = t.key(fr)
			}
		}
		vals := list(fr)
		for i := len(targets) - 1; i >= 0; i-- { // from the right, as the reference does
			var v Value
			if i < len(vals) {
				v = vals[i]
			}
			targets[i].store(fr, places[2*i], places[2*i+1], v)
		}
		vm.top = base
		return ctlNext
	}
}

func (c *compiler) assignOne(t target, e expr) execFunc {
	val := c.eval(e)
	if t.obj == nil {
		return func(fr *frame) ctl {
			t.store(fr, Value{}, Value{}, val(fr))
			return ctlNext
		}
	}
	return func(fr *frame) ctl {
		obj := t.obj(fr)
		key := t.key(fr)
		t.store(fr, obj, key, val(fr))
		return ctlNext
	}
}

func (c *compiler) while(s *whileStmt) execFunc {
	outer := c.weight
	c.weight = 0
	test := c.test(s.cond)
	weight := c.weight + 1
	c.weight = outer
	body := c.block(s.body)
	return func(fr *frame) ctl {
		for test(fr) {
			fr.vm.steps -= weight
			if end := body(fr); end != ctlNext {
				return leaveLoop(end)
			}
		}
		return ctlNext
	}
}

// leaveLoop is how a loop ends whose body ended so.
func leaveLoop(end ctl) ctl {
	if end == ctlBreak {
		return ctlNext
	}
	return end
}

func (c *compiler) repeat(s *repeatStmt) execFunc {
	body := c.block(s.body)
	outer := c.weight
	c.weight = 0
	test := c.test(s.cond)
	weight := c.weight + 1
	c.weight = outer
	return func(fr *frame) ctl {
		for {
			if end := body(fr); end != ctlNext {
				return leaveLoop(end)
			}
			fr.vm.steps -= weight
			if test(fr) {
				return ctlNext
			}
		}
	}
}

func (c *compiler) ifElse(s *ifStmt) execFunc {
	type branch struct {
		test testFunc
		body execFunc
	}
	branches := make([]branch, len(s.clauses))
	for i, cl := range s.clauses {
		branches[i] = branch{c.test(cl.cond), c.block(cl.body)}
	}
	otherwise := c.block(s.otherwise)
	if len(branches) == 1 {
		test, body := branches[0].test, branches[0].body
		if len(s.otherwise.stmts) == 0 {
			return func(fr *frame) ctl {
				if test(fr) {
					return body(fr)
				}
				return ctlNext
			}
		}
		return func(fr *frame) ctl {
			if test(fr) {
				return body(fr)
			}
			return otherwise(fr)
		}
	}
	return func(fr *frame) ctl {
		for i := range branches {
			if branches[i].test(fr) {
				return branches[i].body(fr)
			}
		}
		return otherwise(fr)
	}
}

func (c *compiler) numericFor(s *numericFor) execFunc {
	start, limit := c.eval(s.start), c.eval(s.limit)
	step := func(*frame) Value { return Num(1) }
	if s.step != nil {
		step = c.eval(s.step)
	}
	set := bind(s.v)
	slot, captured := s.v.slot, s.v.captured
	body := c.block(s.body)
	line := s.line
	return func(fr *frame) ctl {
		from, to, by := start(fr), limit(fr), step(fr)
		fr.line = line
		i := fr.vm.loopNumber(from, "'for' initial value must be a number")
		end := fr.vm.loopNumber(to, "'for' limit must be a number")
		inc := fr.vm.loopNumber(by, "'for' step must be a number")
		for ; inc > 0 && i <= end || inc <= 0 && i >= end; i += inc {
			if captured {
				set(fr, Num(i))
			} else {
				fr.s[slot] = Num(i)
			}
			if done := body(fr); done != ctlNext {
				return leaveLoop(done)
			}
		}
		return ctlNext
	}
}

func (vm *VM) loopNumber(v Value, message string) float64 {
	f, ok := v.ToNumber()
	if !ok {
		vm.fault("%s", message)
	}
	return f
}

func (c *compiler) genericFor(s *genericFor) execFunc {
	list := c.list(s.vals)
	sets := make([]func(*frame, Value), len(s.vars))
	for i, v := range s.vars {
		sets[i] = bind(v)
	}
	body := c.block(s.body)
	line := s.line
	site := &callSite{line: line}
	return func(fr *frame) ctl {
		vm := fr.vm
		base := vm.top
		var state [3]Value // iterator, what it iterates over, control variable
		copy(state[:], list(fr))
		vm.top = base
		next, _ := state[0].o.(*Function)
		for {
			var vals []Value
			if next != nil && next.proto == nil {
				vals = vm.iterate(next, state[1], state[2], site, fr, line)
			} else {
				fr.line = line
				vals = vm.callSited(state[0], site, state[1], state[2])
			}
			if len(vals) == 0 || vals[0].o == nil {
				return ctlNext
			}
			state[2] = vals[0]
			for i, set := range sets {
				if i < len(vals) {
					set(fr, vals[i])
				} else {
					set(fr, Value{})
				}
			}
			if end := body(fr); end != ctlNext {
				return leaveLoop(end)
			}
		}
	}
}

// iterate calls a native iterator.
func (vm *VM) iterate(fn *Function, state, control Value, site *callSite, fr *frame, line int) []Value {
	base := vm.top
	args := vm.alloc(2)
	args[0], args[1] = state, control
	fr.line = line
	return vm.invoke(fn, args, base, site)
}

// callSited calls a value from Lua code.
func (vm *VM) callSited(f Value, site *callSite, args ...Value) []Value {
	base := vm.top
	held := vm.alloc(len(args))
	copy(held, args)
	fn, ok := f.o.(*Function)
	if !ok {
		fn, held = vm.callable(f, held, "", site)
	}
	return vm.invoke(fn, held, base, site)
}

func (c *compiler) returns(s *returnStmt) execFunc {
	switch {
	case len(s.vals) == 0:
		return func(fr *frame) ctl { fr.ret = nil; return ctlReturn }
	case len(s.vals) == 1:
		if call, ok := s.vals[0].(*callExpr); ok {
			return c.tailCall(call)
		}
		if _, ok := s.vals[0].(*dotsExpr); ok {
			break
		}
		val := c.eval(s.vals[0])
		return func(fr *frame) ctl {
			v := val(fr)
			vm := fr.vm
			vm.ret = append(vm.ret[:0], v)
			fr.ret = vm.ret
			return ctlReturn
		}
	}
	list := c.list(s.vals)
	return func(fr *frame) ctl {
		vm := fr.vm
		base := vm.top
		vm.ret = append(vm.ret[:0], list(fr)...)
		vm.top = base
		fr.ret = vm.ret
		return ctlReturn
	}
}
