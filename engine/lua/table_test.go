package lua

import (
	"math/rand/v2"
	"testing"
)

// TestTableWalk compares a table with a map over random changes.
func TestTableWalk(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		vm := New()
		vm.Begin(Limits{Steps: 1 << 40, Bytes: 1 << 40})
		tab, model := vm.NewTable(int(seed%5), int(seed%7)), map[Value]float64{}
		keys := walkKeys(vm)
		for step := range 3000 {
			k := keys[r.IntN(len(keys)/(1+int(seed%4)))]
			if r.IntN(3) == 0 {
				tab.Set(k, Value{})
				delete(model, k)
			} else {
				tab.Set(k, Num(float64(step)))
				model[k] = float64(step)
			}
			if got, want := tab.Get(k), model[k]; got.n != want || (got.o == nil) == has(model, k) {
				t.Fatalf("seed %d, step %d: got %v of key %v, want %v", seed, step, got, k, want)
			}
		}
		checkTable(t, tab, model)
	}
}

func has(model map[Value]float64, k Value) bool {
	_, ok := model[k]
	return ok
}

// walkKeys returns keys of all kinds; equal ones are identical, so that a map may hold them.
func walkKeys(vm *VM) []Value {
	keys := []Value{Bool(true), Bool(false), Null, vm.NewTable(0, 0).Value(), vm.NewFunction(nil)}
	for i := range 60 {
		keys = append(keys, Num(float64(i)), Num(float64(i)/4+0.1), Num(-float64(i)-1), Text(string(rune('a'+i%26))+FormatNumber(float64(i))))
	}
	return keys
}

func checkTable(t *testing.T, tab *Table, model map[Value]float64) {
	t.Helper()
	seen := map[Value]bool{}
	k, v, ok := tab.Next(Value{})
	for ; ok && !k.IsNil(); k, v, ok = tab.Next(k) {
		if seen[k] || !has(model, k) || model[k] != v.n {
			t.Fatalf("Next gives %v = %v; seen before: %v", k, v, seen[k])
		}
		seen[k] = true
	}
	if !ok || len(seen) != len(model) {
		t.Fatalf("Next gave %d of %d elements, ok %v", len(seen), len(model), ok)
	}
	if n := tab.Len(); n > 0 && tab.GetInt(n).IsNil() || !tab.GetInt(n+1).IsNil() {
		t.Fatalf("%d is no border", n)
	}
}

// TestEmptyWhileTraversed deletes each element when it is visited.
func TestEmptyWhileTraversed(t *testing.T) {
	vm := New()
	tab, n := vm.NewTable(0, 0), 0
	for _, k := range walkKeys(vm) {
		tab.Set(k, Bool(true))
		n++
	}
	for k, _, ok := tab.Next(Value{}); !k.IsNil(); k, _, ok = tab.Next(k) {
		if !ok {
			t.Fatal("a deleted key stops the traversal")
		}
		tab.Set(k, Value{})
		n--
	}
	if n != 0 {
		t.Fatalf("%d elements were not visited", n)
	}
}

func TestFormatNumber(t *testing.T) {
	for _, tc := range []struct {
		f    float64
		want string
	}{
		{0, "0"},
		{1, "1"},
		{-1, "-1"},
		{0.1, "0.1"},
		{1e14, "1e+14"},
		{99999999999999, "99999999999999"},
		{1e15, "1e+15"},
		{1 << 53, "9.007199254741e+15"},
		{1.0 / 3, "0.33333333333333"},
		{0.1 + 0.2, "0.3"},
		{1e-5, "1e-05"},
		{0.0001, "0.0001"},
		{123456789.123, "123456789.123"},
		{1e100, "1e+100"},
		{5e-324, "4.9406564584125e-324"},
	} {
		if got := FormatNumber(tc.f); got != tc.want {
			t.Errorf("%v: got %s, want %s", tc.f, got, tc.want)
		}
	}
}
