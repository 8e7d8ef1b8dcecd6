package lua

import "strings"

func openTable(vm *VM) {
	t := vm.NewTable(0, 16)
	vm.globals.SetText("table", Value{o: t})
	vm.Register(t, []string{"concat", "foreach", "foreachi", "getn", "insert", "maxn", "remove", "setn", "sort"}, map[string]Native{
		"concat": tabConcat, "foreach": tabForeach, "foreachi": tabForeachi, "getn": tabGetn, "insert": tabInsert,
		"maxn": tabMaxn, "remove": tabRemove, "setn": tabSetn, "sort": tabSort,
	})
}

func tabGetn(vm *VM, args []Value) []Value {
	return vm.Ret(Num(float64(vm.CheckTable(args, 1).Len())))
}

func tabSetn(vm *VM, args []Value) []Value {
	vm.CheckTable(args, 1)
	vm.Fail("'setn' is obsolete")
	return nil
}

func tabMaxn(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	highest := 0.0
	for i, v := range t.array {
		if v.o != nil {
			highest = float64(i + 1)
		}
	}
	for i := range t.nodes {
		if f, ok := t.nodes[i].key.Float(); ok && t.nodes[i].val.o != nil {
			highest = max(highest, f)
		}
	}
	vm.Charge(len(t.array) + len(t.nodes))
	return vm.Ret(Num(highest))
}

func tabForeach(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	f := vm.checkFunction(args, 2)
	k, v, ok := t.Next(Value{})
	for ; ok && k.o != nil; k, v, ok = t.Next(k) {
		if r := first(vm.Call(f, k, v)); r.o != nil {
			return vm.Ret(r)
		}
	}
	if !ok {
		vm.fault("invalid key to 'next'")
	}
	return nil
}

func tabForeachi(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	f := vm.checkFunction(args, 2)
	for i, n := 1, t.Len(); i <= n; i++ {
		if r := first(vm.Call(f, Num(float64(i)), t.GetInt(i))); r.o != nil {
			return vm.Ret(r)
		}
	}
	return nil
}

// setRaw stores without metatables, but not in a protected table.
func (vm *VM) setRaw(t *Table, i int, v Value) {
	if t.readonly {
		vm.fault("Attempt to modify a readonly table")
	}
	t.SetInt(i, v)
}

func tabInsert(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	end := t.Len() + 1
	switch len(args) {
	case 2:
		vm.setRaw(t, end, args[1])
		return nil
	case 3:
	default:
		vm.Fail("wrong number of arguments to 'insert'")
	}
	pos := vm.checkInt32(args, 2)
	end = max(end, pos)
	for i := end; i > pos; i-- {
		vm.Charge(1)
		vm.setRaw(t, i, t.GetInt(i-1))
	}
	vm.setRaw(t, pos, args[2])
	return nil
}

func tabRemove(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	end := t.Len()
	pos := vm.optInt32(args, 2, end)
	if pos < 1 || pos > end {
		return nil
	}
	vm.Charge(end - pos)
	v := t.GetInt(pos)
	for ; pos < end; pos++ {
		vm.setRaw(t, pos, t.GetInt(pos+1))
	}
	vm.setRaw(t, end, Value{})
	return vm.Ret(v)
}

func tabConcat(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	sep := ""
	if len(args) > 1 && args[1].o != nil {
		sep = vm.CheckString(args, 2)
	}
	i := vm.optInt32(args, 3, 1)
	end := 0
	if len(args) < 4 || args[3].o == nil {
		end = t.Len()
	} else {
		end = vm.checkInt32(args, 4)
	}
	n := 0
	for k := i; k <= end; k++ { // size first, so that nothing is built that the budget forbids
		v := t.GetInt(k)
		s, ok := v.Coerce()
		if !ok {
			vm.Fail("invalid value (%s) at index %d in table for 'concat'", v.Kind(), k)
		}
		n += len(s) + len(sep)
		vm.Charge(1)
		if n < 0 || int64(n) > vm.bytes {
			vm.chargeBytes(n)
		}
	}
	vm.ChargeText(n)
	var b strings.Builder
	b.Grow(n)
	for k := i; k <= end; k++ {
		s, _ := t.GetInt(k).Coerce()
		b.WriteString(s)
		if k < end {
			b.WriteString(sep)
		}
	}
	return vm.Ret(Text(b.String()))
}

// sorter is the reference implementation's quicksort, step by step: with a comparison that calls some
// elements equal, or contradicts itself, its choices show in the result.
type sorter struct {
	vm   *VM
	t    *Table
	less Value // nil for the operator <
}

func (s *sorter) before(a, b Value) bool {
	if s.less.o == nil {
		s.vm.Charge(4)
		return s.vm.less(a, b)
	}
	return first(s.vm.Call(s.less, a, b)).Truth()
}

func (s *sorter) at(i int) Value { return s.t.GetInt(i) }

func (s *sorter) swap(i, j int) {
	a, b := s.at(i), s.at(j)
	s.vm.setRaw(s.t, i, b)
	s.vm.setRaw(s.t, j, a)
}

func (s *sorter) sort(low, high int) {
	for low < high {
		if s.before(s.at(high), s.at(low)) {
			s.swap(low, high)
		}
		if high-low == 1 {
			return
		}
		mid := (low + high) / 2
		if s.before(s.at(mid), s.at(low)) {
			s.swap(mid, low)
		} else if s.before(s.at(high), s.at(mid)) {
			s.swap(mid, high)
		}
		if high-low == 2 {
			return
		}
		pivot := s.at(mid)
		s.swap(mid, high-1)
		i := s.partition(low, high, pivot)
		s.swap(high-1, i)
		if i-low < high-i { // the smaller part by recursion: its depth is logarithmic
			s.sort(low, i-1)
			low = i + 1
		} else {
			s.sort(i+1, high)
			high = i - 1
		}
	}
}

// partition moves what is before the pivot to the left, and returns where the right begins.
func (s *sorter) partition(low, high int, pivot Value) int {
	i, j := low, high-1
	for {
		for i++; s.before(s.at(i), pivot); i++ {
			if i > high {
				s.vm.Fail("invalid order function for sorting")
			}
		}
		for j--; s.before(pivot, s.at(j)); j-- {
			if j < low {
				s.vm.Fail("invalid order function for sorting")
			}
		}
		if j < i {
			return i
		}
		s.swap(i, j)
	}
}

func tabSort(vm *VM, args []Value) []Value {
	t := vm.CheckTable(args, 1)
	s := &sorter{vm: vm, t: t}
	n := t.Len()
	if len(args) > 1 && args[1].o != nil {
		s.less = vm.checkFunction(args, 2)
	}
	s.sort(1, n)
	return nil
}
