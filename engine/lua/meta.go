package lua

import (
	"math"
	"strings"
)

// The keys of metatables.
var (
	eventIndex     = constant("__index")
	eventNewIndex  = constant("__newindex")
	eventCall      = constant("__call")
	eventConcat    = constant("__concat")
	eventEq        = constant("__eq")
	eventLt        = constant("__lt")
	eventLe        = constant("__le")
	eventUnm       = constant("__unm")
	eventToString  = constant("__tostring")
	eventMetatable = constant("__metatable")
)

const maxMetaLoop = 100 // tables that one access may pass through by __index or __newindex

func (vm *VM) metatable(v Value) *Table {
	switch o := v.o.(type) {
	case *Table:
		return o.meta
	case *Str:
		return vm.stringMeta
	}
	return nil
}

func (vm *VM) metamethod(v Value, event *Str) Value {
	if mt := vm.metatable(v); mt != nil {
		return mt.getStr(event)
	}
	return Value{}
}

// Index returns obj[key], metatables included.
func (vm *VM) Index(obj, key Value) Value { return vm.index(obj, key, "") }

// index is Index; name is what the source calls obj.
func (vm *VM) index(obj, key Value, name string) Value {
	for range maxMetaLoop {
		var h Value
		if t, ok := obj.o.(*Table); ok {
			if v := t.Get(key); v.o != nil || t.meta == nil {
				return v
			}
			if h = t.meta.getStr(eventIndex); h.o == nil {
				return Value{}
			}
		} else if h = vm.metamethod(obj, eventIndex); h.o == nil {
			vm.typeError("index", name, obj)
		}
		if _, ok := h.o.(*Function); ok {
			return first(vm.Call(h, obj, key))
		}
		obj, name = h, ""
	}
	vm.fault("loop in gettable")
	return Value{}
}

// setIndex does obj[key] = val, metatables included; name is what the source calls obj.
func (vm *VM) setIndex(obj, key, val Value, name string) {
	for range maxMetaLoop {
		var h Value
		if t, ok := obj.o.(*Table); ok {
			vm.checkStore(t, key)
			if t.meta == nil || t.Get(key).o != nil {
				t.Set(key, val)
				return
			}
			if h = t.meta.getStr(eventNewIndex); h.o == nil {
				t.Set(key, val)
				return
			}
		} else if h = vm.metamethod(obj, eventNewIndex); h.o == nil {
			vm.typeError("index", name, obj)
		}
		if _, ok := h.o.(*Function); ok {
			vm.Call(h, obj, key, val)
			return
		}
		obj, name = h, ""
	}
	vm.fault("loop in settable")
}

// checkStore fails if the key cannot be stored in the table.
func (vm *VM) checkStore(t *Table, key Value) {
	switch {
	case t.readonly:
		vm.fault("Attempt to modify a readonly table")
	case key.o == nil:
		vm.fault("table index is nil")
	case key.n != key.n:
		vm.fault("table index is NaN")
	}
}

func first(vals []Value) Value {
	if len(vals) == 0 {
		return Value{}
	}
	return vals[0]
}

// operator is an arithmetic operator.
type operator struct {
	event *Str
	do    func(a, b float64) float64
}

var operators = map[token]operator{
	'+': {constant("__add"), func(a, b float64) float64 { return settle(a+b, a, b) }},
	'-': {constant("__sub"), func(a, b float64) float64 { return settle(a-b, a, b) }},
	'*': {constant("__mul"), func(a, b float64) float64 { return settle(a*b, a, b) }},
	'/': {constant("__div"), func(a, b float64) float64 { return settle(a/b, a, b) }},
	'%': {constant("__mod"), modulo},
	'^': {constant("__pow"), power},
}

// modulo rounds the product before it subtracts, so that no processor fuses the two.
func modulo(a, b float64) float64 {
	product := math.Floor(a/b) * b
	return settle(a-float64(product), a, b)
}

func power(a, b float64) float64 { return settle(math.Pow(a, b), a, b) }

// arith is the slow path of arithmetic: strings and metatables.
func (vm *VM) arith(op *operator, a, b Value, nameA, nameB string) Value {
	if x, ok := a.ToNumber(); ok {
		if y, ok := b.ToNumber(); ok {
			return Num(op.do(x, y))
		}
	}
	h := vm.metamethod(a, op.event)
	if h.o == nil {
		h = vm.metamethod(b, op.event)
	}
	if h.o == nil {
		if _, ok := a.ToNumber(); ok {
			a, nameA = b, nameB
		}
		vm.typeError("perform arithmetic on", nameA, a)
	}
	return first(vm.Call(h, a, b))
}

// negate is the slow path of unary minus.
func (vm *VM) negate(v Value, name string) Value {
	if f, ok := v.ToNumber(); ok {
		return Num(-f)
	}
	h := vm.metamethod(v, eventUnm)
	if h.o == nil {
		vm.typeError("perform arithmetic on", name, v)
	}
	return first(vm.Call(h, v, v))
}

// length is the operator #. Tables do not ask their metatable in Lua 5.1.
func (vm *VM) length(v Value, name string) Value {
	switch o := v.o.(type) {
	case *Str:
		return Num(float64(len(o.s)))
	case *Table:
		return Num(float64(o.Len()))
	}
	vm.typeError("get length of", name, v)
	return Value{}
}

// concat joins vals from the right, as many at once as are strings or numbers. names are what the
// source calls them. It overwrites vals.
func (vm *VM) concat(vals []Value, names []string) Value {
	for len(vals) > 1 {
		last := len(vals) - 1
		a, b := vals[last-1], vals[last]
		if !joinable(a) || !joinable(b) {
			h := vm.metamethod(a, eventConcat)
			if h.o == nil {
				h = vm.metamethod(b, eventConcat)
			}
			if h.o == nil {
				if joinable(a) {
					vm.typeError("concatenate", names[last], b)
				}
				vm.typeError("concatenate", names[last-1], a)
			}
			vals[last-1] = first(vm.Call(h, a, b))
			vals = vals[:last]
			continue
		}
		from := last - 1
		for from > 0 && joinable(vals[from-1]) {
			from--
		}
		vals[from] = vm.join(vals[from:])
		vals = vals[:from+1]
	}
	return vals[0]
}

func joinable(v Value) bool {
	switch v.o.(type) {
	case *Str, *numberTag:
		return true
	}
	return false
}

func (vm *VM) join(vals []Value) Value {
	var few [8]string
	parts := few[:0]
	n := 0
	for _, v := range vals {
		s, _ := v.Coerce()
		parts = append(parts, s)
		n += len(s)
	}
	vm.ChargeText(n)
	if len(parts) == 2 {
		return Text(parts[0] + parts[1])
	}
	return Text(strings.Join(parts, ""))
}

// equal is the operator ==.
func (vm *VM) equal(a, b Value) bool {
	switch x := a.o.(type) {
	case *Str:
		y, ok := b.o.(*Str)
		if !ok || len(x.s) != len(y.s) {
			return false
		}
		vm.steps -= int64(len(x.s) >> 8)
		return x == y || x.s == y.s
	case *Table:
		y, ok := b.o.(*Table)
		if !ok || x == y {
			return ok
		}
		if x.meta == nil || y.meta == nil {
			return false
		}
		h := x.meta.getStr(eventEq)
		if h.o == nil || !rawEqual(h, y.meta.getStr(eventEq)) {
			return false
		}
		return first(vm.Call(h, a, b)).Truth()
	}
	return rawEqual(a, b)
}

// less is the operator <.
func (vm *VM) less(a, b Value) bool {
	if x, ok := a.o.(*Str); ok {
		if y, ok := b.o.(*Str); ok {
			vm.steps -= int64(min(len(x.s), len(y.s)) >> 8)
			return x.s < y.s
		}
	}
	if _, ok := a.o.(*numberTag); ok {
		if _, ok := b.o.(*numberTag); ok {
			return a.n < b.n
		}
	}
	res, ok := vm.order(eventLt, a, b)
	if !ok {
		vm.orderError(a, b)
	}
	return res
}

// lessEqual is the operator <=.
func (vm *VM) lessEqual(a, b Value) bool {
	if x, ok := a.o.(*Str); ok {
		if y, ok := b.o.(*Str); ok {
			vm.steps -= int64(min(len(x.s), len(y.s)) >> 8)
			return x.s <= y.s
		}
	}
	if _, ok := a.o.(*numberTag); ok {
		if _, ok := b.o.(*numberTag); ok {
			return a.n <= b.n
		}
	}
	if res, ok := vm.order(eventLe, a, b); ok {
		return res
	}
	res, ok := vm.order(eventLt, b, a)
	if !ok {
		vm.orderError(a, b)
	}
	return !res
}

// order asks the metamethod that both operands share.
func (vm *VM) order(event *Str, a, b Value) (res, ok bool) {
	if a.Kind() != b.Kind() {
		return false, false
	}
	h := vm.metamethod(a, event)
	if h.o == nil || !rawEqual(h, vm.metamethod(b, event)) {
		return false, false
	}
	return first(vm.Call(h, a, b)).Truth(), true
}

func (vm *VM) orderError(a, b Value) {
	if a.Kind() == b.Kind() {
		vm.fault("attempt to compare two %s values", a.Kind())
	}
	vm.fault("attempt to compare %s with %s", a.Kind(), b.Kind())
}
