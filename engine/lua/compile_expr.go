package lua

import "fmt"

// describe returns what messages call the value of an expression, or nothing.
func describe(e expr) string {
	switch e := e.(type) {
	case *localExpr:
		return "local '" + e.v.name + "'"
	case *upvalExpr:
		return "upvalue '" + e.name + "'"
	case *globalExpr:
		return "global '" + e.name + "'"
	case *indexExpr:
		if k, ok := e.key.(*stringExpr); ok {
			return "field '" + k.s + "'"
		}
		return "field '?'"
	case *parenExpr:
		return describe(e.e)
	}
	return ""
}

// eval compiles an expression of which one value is wanted.
func (c *compiler) eval(e expr) evalFunc {
	c.node()
	defer c.done()
	switch e := e.(type) {
	case *nilExpr:
		return func(*frame) Value { return Value{} }
	case *boolExpr:
		return fixed(Bool(e.b))
	case *numberExpr:
		return fixed(Num(e.f))
	case *stringExpr:
		return fixed(Value{o: constant(e.s)})
	case *dotsExpr:
		return func(fr *frame) Value { return first(fr.va) }
	case *localExpr:
		slot := e.v.slot
		if e.v.captured {
			return func(fr *frame) Value { return fr.s[slot].o.(*cell).v }
		}
		return func(fr *frame) Value { return fr.s[slot] }
	case *upvalExpr:
		i := e.index
		return func(fr *frame) Value { return fr.fn.up[i].v }
	case *globalExpr:
		return c.global(e)
	case *indexExpr:
		return c.index(e)
	case *callExpr:
		call := c.call(e)
		return func(fr *frame) Value { return first(call(fr)) }
	case *functionExpr:
		return c.closure(e.fn)
	case *tableExpr:
		return c.table(e)
	case *concatExpr:
		return c.concat(e)
	case *unaryExpr:
		return c.unary(e)
	case *binaryExpr:
		return c.binary(e)
	case *parenExpr:
		return c.eval(e.e)
	}
	panic(fmt.Sprintf("lua: expression %T", e))
}

func fixed(v Value) evalFunc { return func(*frame) Value { return v } }

func (c *compiler) global(e *globalExpr) evalFunc {
	key, line := constant(e.name), e.line
	return func(fr *frame) Value {
		if v := fr.vm.globals.getStr(key); v.o != nil {
			return v
		}
		fr.line = line
		return fr.vm.index(Value{o: fr.vm.globals}, Value{o: key}, "")
	}
}

func (c *compiler) index(e *indexExpr) evalFunc {
	obj, name, line := c.eval(e.obj), describe(e.obj), e.line
	if k, ok := e.key.(*stringExpr); ok {
		c.weight++
		key := constant(k.s)
		return func(fr *frame) Value {
			o := obj(fr)
			if t, ok := o.o.(*Table); ok {
				if v := t.getStr(key); v.o != nil || t.meta == nil {
					return v
				}
			}
			fr.line = line
			return fr.vm.index(o, Value{o: key}, name)
		}
	}
	key := c.eval(e.key)
	return func(fr *frame) Value {
		o := obj(fr)
		k := key(fr)
		if t, ok := o.o.(*Table); ok {
			if v := t.Get(k); v.o != nil || t.meta == nil {
				return v
			}
		}
		fr.line = line
		return fr.vm.index(o, k, name)
	}
}

func (c *compiler) closure(fn *function) evalFunc {
	p := c.function(fn)
	bytes := 64 + 16*len(p.captures)
	return func(fr *frame) Value {
		fr.vm.chargeBytes(bytes)
		f := &Function{proto: p}
		if len(p.captures) > 0 {
			f.up = make([]*cell, len(p.captures))
			for i, cp := range p.captures {
				if cp.from != nil {
					f.up[i] = fr.s[cp.from.slot].o.(*cell)
				} else {
					f.up[i] = fr.fn.up[cp.index]
				}
			}
		}
		return Value{o: f}
	}
}

// tableField is a field of a constructor; without a key it goes to the next index.
type tableField struct{ key, val evalFunc }

const fieldsPerFlush = 50 // positional fields that a constructor keeps back before it stores them

// table compiles a constructor. The sizes, and when positional fields are stored, are those of the
// reference implementation, since they decide about order.
func (c *compiler) table(e *tableExpr) evalFunc {
	var fields []tableField
	var rest multFunc
	positional, keyed := 0, 0
	for i, it := range e.items {
		switch {
		case it.key != nil:
			keyed++
			fields = append(fields, tableField{c.eval(it.key), c.eval(it.val)})
		case i == len(e.items)-1 && isMulti(it.val):
			rest = c.multi(it.val)
		default:
			positional++
			fields = append(fields, tableField{val: c.eval(it.val)})
		}
	}
	arraySize, hashSize := roundSize(positional), roundSize(keyed)
	line := e.line
	return func(fr *frame) Value {
		vm := fr.vm
		t := vm.NewTable(arraySize, hashSize)
		base := vm.top
		held := vm.alloc(min(positional, fieldsPerFlush))
		n, stored := 0, 0
		for i := range fields {
			if n == fieldsPerFlush {
				t.store(stored, held, nil)
				stored, n = stored+n, 0
			}
			f := &fields[i]
			if f.key == nil {
				held[n] = f.val(fr)
				n++
				continue
			}
			k := f.key(fr)
			v := f.val(fr)
			fr.line = line
			vm.checkStore(t, k)
			t.Set(k, v)
		}
		var more []Value
		if rest != nil {
			more = rest(fr)
		}
		t.store(stored, held[:n], more)
		vm.top = base
		return Value{o: t}
	}
}

// store puts values behind the first n elements.
func (t *Table) store(n int, vals, more []Value) {
	last := n + len(vals) + len(more)
	if last == n {
		return
	}
	if last > len(t.array) {
		t.resize(last, len(t.nodes))
	}
	copy(t.array[n:], vals)
	copy(t.array[n+len(vals):], more)
}

// roundSize rounds up to what a byte holds as three bits of mantissa and five of exponent.
func roundSize(n int) int {
	shift := 0
	for n >= 16 {
		n = (n + 1) >> 1
		shift++
	}
	return n << shift
}

func (c *compiler) concat(e *concatExpr) evalFunc {
	parts := make([]evalFunc, len(e.parts))
	names := make([]string, len(e.parts))
	for i, p := range e.parts {
		parts[i] = c.eval(p)
		names[i] = describe(p)
	}
	line := e.line
	return func(fr *frame) Value {
		vm := fr.vm
		base := vm.top
		vals := vm.alloc(len(parts))
		for i, p := range parts {
			vals[i] = p(fr)
		}
		fr.line = line
		v := vm.concat(vals, names)
		vm.top = base
		return v
	}
}

func (c *compiler) unary(e *unaryExpr) evalFunc {
	if e.op == tokNot {
		test := c.test(e.e)
		return func(fr *frame) Value { return Bool(!test(fr)) }
	}
	val, name, line := c.eval(e.e), describe(e.e), e.line
	if e.op == '#' {
		return func(fr *frame) Value {
			v := val(fr)
			if t, ok := v.o.(*Table); ok {
				return Num(float64(t.Len()))
			}
			fr.line = line
			return fr.vm.length(v, name)
		}
	}
	return func(fr *frame) Value {
		v := val(fr)
		if _, ok := v.o.(*numberTag); ok {
			return Num(-v.n)
		}
		fr.line = line
		return fr.vm.negate(v, name)
	}
}

func (c *compiler) binary(e *binaryExpr) evalFunc {
	switch e.op {
	case tokAnd:
		l, r := c.eval(e.l), c.eval(e.r)
		return func(fr *frame) Value {
			if v := l(fr); !v.Truth() {
				return v
			}
			return r(fr)
		}
	case tokOr:
		l, r := c.eval(e.l), c.eval(e.r)
		return func(fr *frame) Value {
			if v := l(fr); v.Truth() {
				return v
			}
			return r(fr)
		}
	case '+', '-', '*', '/', '%', '^':
		return c.arith(e)
	}
	test := c.compare(e)
	return func(fr *frame) Value { return Bool(test(fr)) }
}

// bothNumbers reports whether an operation can be done on the spot.
func bothNumbers(a, b Value) bool {
	if _, ok := a.o.(*numberTag); !ok {
		return false
	}
	_, ok := b.o.(*numberTag)
	return ok
}

func (c *compiler) arith(e *binaryExpr) evalFunc {
	l, r := c.eval(e.l), c.eval(e.r)
	op := operators[e.op]
	nameL, nameR, line := describe(e.l), describe(e.r), e.line
	slow := func(fr *frame, a, b Value) Value {
		fr.line = line
		return fr.vm.arith(&op, a, b, nameL, nameR)
	}
	switch e.op { // the common operators without a call; one that yields NaN goes the slow way
	case '+':
		return func(fr *frame) Value {
			a, b := l(fr), r(fr)
			if bothNumbers(a, b) {
				if s := a.n + b.n; s == s {
					return Num(s)
				}
			}
			return slow(fr, a, b)
		}
	case '-':
		return func(fr *frame) Value {
			a, b := l(fr), r(fr)
			if bothNumbers(a, b) {
				if s := a.n - b.n; s == s {
					return Num(s)
				}
			}
			return slow(fr, a, b)
		}
	case '*':
		return func(fr *frame) Value {
			a, b := l(fr), r(fr)
			if bothNumbers(a, b) {
				if s := a.n * b.n; s == s {
					return Num(s)
				}
			}
			return slow(fr, a, b)
		}
	}
	return func(fr *frame) Value {
		a, b := l(fr), r(fr)
		if bothNumbers(a, b) {
			return Num(op.do(a.n, b.n))
		}
		return slow(fr, a, b)
	}
}

// test compiles an expression of which only the truth matters.
func (c *compiler) test(e expr) testFunc {
	switch e := e.(type) {
	case *unaryExpr:
		if e.op == tokNot {
			c.node()
			defer c.done()
			t := c.test(e.e)
			return func(fr *frame) bool { return !t(fr) }
		}
	case *binaryExpr:
		c.node()
		defer c.done()
		switch e.op {
		case tokAnd:
			l, r := c.test(e.l), c.test(e.r)
			return func(fr *frame) bool { return l(fr) && r(fr) }
		case tokOr:
			l, r := c.test(e.l), c.test(e.r)
			return func(fr *frame) bool { return l(fr) || r(fr) }
		case tokEq, tokNe, '<', '>', tokLe, tokGe:
			return c.compare(e)
		}
	}
	val := c.eval(e)
	return func(fr *frame) bool { return val(fr).Truth() }
}

func (c *compiler) compare(e *binaryExpr) testFunc {
	l, r, line := c.eval(e.l), c.eval(e.r), e.line
	switch e.op {
	case tokEq:
		return func(fr *frame) bool {
			a, b := l(fr), r(fr)
			if bothNumbers(a, b) {
				return a.n == b.n
			}
			fr.line = line
			return fr.vm.equal(a, b)
		}
	case tokNe:
		return func(fr *frame) bool {
			a, b := l(fr), r(fr)
			if bothNumbers(a, b) {
				return a.n != b.n
			}
			fr.line = line
			return !fr.vm.equal(a, b)
		}
	case '<', '>':
		swap := e.op == '>'
		return func(fr *frame) bool {
			a, b := l(fr), r(fr)
			if swap {
				a, b = b, a
			}
			if bothNumbers(a, b) {
				return a.n < b.n
			}
			fr.line = line
			return fr.vm.less(a, b)
		}
	case tokLe, tokGe:
		swap := e.op == tokGe
		return func(fr *frame) bool {
			a, b := l(fr), r(fr)
			if swap {
				a, b = b, a
			}
			if bothNumbers(a, b) {
				return a.n <= b.n
			}
			fr.line = line
			return fr.vm.lessEqual(a, b)
		}
	}
	panic(fmt.Sprintf("lua: operator %v", e.op))
}
