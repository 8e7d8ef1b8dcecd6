package lua

// Constant reports whether functions that a run has made lead to nothing that calling them could change: then they
// serve another run as well as new ones would. That is so if no function on the way stores to a variable of a function
// around it, and none of these variables holds a table, but for those that are read-only since Seal.
//
// It gives the functions on the way their identities in an order of its own, so that a run that makes them and one
// that finds them made go on alike; see Mark.
func (vm *VM) Constant(functions []Value) bool {
	w := walk{vm: vm, seen: make(map[any]bool), constant: true}
	w.todo = append(w.todo, functions...)
	for len(w.todo) > 0 {
		v := w.todo[0]
		w.todo = w.todo[1:]
		w.visit(v)
	}
	return w.constant
}

type walk struct {
	vm       *VM
	seen     map[any]bool // *Function, *cell
	todo     []Value
	constant bool
}

func (w *walk) visit(v Value) {
	switch o := v.o.(type) {
	case *Table:
		w.constant = w.constant && w.sealed(o.id) && o.readonly
	case *Function:
		if w.seen[o] || w.sealed(o.id) {
			return
		}
		w.seen[o] = true
		w.vm.identity(&o.id)
		w.constant = w.constant && o.proto != nil && !o.proto.assigns // a native one may have a state of its own
		for _, c := range o.up {
			if !w.seen[c] {
				w.seen[c] = true
				w.todo = append(w.todo, c.v)
			}
		}
	case *coroutine:
		w.constant = false
	}
}

// sealed reports whether an identity is of what there was at Seal.
func (w *walk) sealed(id uint32) bool { return id != 0 && id <= w.vm.libraryIDs }

// Mark tells how many identities the run has given so far. BeginAt begins a run that goes on from there.
func (vm *VM) Mark() uint32 { return vm.lastID }

// BeginAt is Begin for a run that finds what another had made when Mark returned mark.
func (vm *VM) BeginAt(mark uint32, l Limits) {
	vm.Begin(l)
	vm.lastID = mark
}
