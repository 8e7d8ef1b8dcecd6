package models

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

var setKind = kind{
	new:    func() model { return &setModel{sets: make(map[string]set)} },
	limits: map[string][]string{"set-max-intset-entries": {"0", "1", "5", "30", "512"}},
	forms:  []string{"intset", "hashtable"},
}

func TestSets(t *testing.T) { testKind(t, setKind) }
func FuzzSets(f *testing.F) { fuzzKind(f, setKind) }

type set map[string]bool

func (s set) members() []string { return slices.Sorted(maps.Keys(s)) }

// setModel is all sets by key; there are no empty ones.
type setModel struct{ sets map[string]set }

var setKeys = []string{"a", "b", "c", "d"}

func (m *setModel) put(key string, s set) {
	if m.sets[key] = s; len(s) == 0 {
		delete(m.sets, key)
	}
}

// member draws a number for some keys, so that they stay intsets for a while.
func (m *setModel) member(w *walk, key string) string {
	if key < "c" && w.below(30) > 0 {
		return fmt.Sprint(pick(&w.dice, w.between(-20, 40), w.between(-20, 40), int(int32(w.take(4))), int(w.take(8))))
	}
	return w.text()
}

func (m *setModel) check(w *walk) {
	for _, key := range setKeys {
		w.wantSorted(m.sets[key].members(), "SMEMBERS", key)
		w.want(len(m.sets[key]), "SCARD", key)
		w.meet(key)
	}
}

func (m *setModel) step(w *walk) {
	steps := []func(*walk, string){m.add, m.add, m.add, m.addMany, m.rem, m.rem, m.has, m.move, m.move, m.combine, m.combine, m.store, m.store, m.pop, m.random, m.scan, m.remove}
	pick(&w.dice, steps...)(w, pick(&w.dice, setKeys...))
}

func (m *setModel) add(w *walk, key string) {
	m.addAll(w, key, repeat(&w.dice, 5, func() string { return m.member(w, key) }))
}

func (m *setModel) addMany(w *walk, key string) {
	if w.below(4) > 0 {
		return
	}
	var members []string
	for i := range w.between(20, 200) {
		members = append(members, pick(&w.dice, "", "", "m")+fmt.Sprint(i))
	}
	m.addAll(w, key, members)
}

func (m *setModel) addAll(w *walk, key string, members []string) {
	s := maps.Clone(m.sets[key])
	if s == nil {
		s = make(set)
	}
	before := len(s)
	for _, member := range members {
		s[member] = true
	}
	m.put(key, s)
	w.want(len(s)-before, append([]string{"SADD", key}, members...)...)
}

// some draws members that are there, mostly.
func (m *setModel) some(w *walk, key string) string {
	if all := m.sets[key].members(); len(all) > 0 && w.below(3) > 0 {
		return all[w.below(len(all))]
	}
	return m.member(w, key)
}

func (m *setModel) rem(w *walk, key string) {
	members, n := repeat(&w.dice, 12, func() string { return m.some(w, key) }), 0
	for _, member := range members {
		n += one(m.sets[key][member])
		delete(m.sets[key], member)
	}
	m.put(key, m.sets[key])
	w.want(n, append([]string{"SREM", key}, members...)...)
}

func (m *setModel) has(w *walk, key string) {
	members := repeat(&w.dice, 4, func() string { return m.some(w, key) })
	var found []any
	for _, member := range members {
		found = append(found, one(m.sets[key][member]))
	}
	w.want(found, append([]string{"SMISMEMBER", key}, members...)...)
	w.want(found[0], "SISMEMBER", key, members[0])
}

func (m *setModel) move(w *walk, key string) {
	other, member := pick(&w.dice, setKeys...), m.some(w, key)
	moved := m.sets[key][member]
	if moved {
		delete(m.sets[key], member)
		m.put(key, m.sets[key])
		if m.sets[other] == nil {
			m.sets[other] = make(set)
		}
		m.sets[other][member] = true
	}
	w.want(one(moved), "SMOVE", key, other, member)
}

// result draws keys and tells what a command makes of them.
func (m *setModel) result(w *walk, name string) (keys []string, all set) {
	keys = repeat(&w.dice, 3, func() string { return pick(&w.dice, "a", "b", "c", "d", "none") })
	all = maps.Clone(m.sets[keys[0]])
	if all == nil {
		all = make(set)
	}
	for _, key := range keys[1:] {
		if name == "SUNION" {
			maps.Copy(all, m.sets[key])
			continue
		}
		maps.DeleteFunc(all, func(member string, _ bool) bool { return m.sets[key][member] == (name == "SDIFF") })
	}
	return keys, all
}

func (m *setModel) combine(w *walk, _ string) {
	name := pick(&w.dice, "SINTER", "SUNION", "SDIFF")
	keys, all := m.result(w, name)
	w.wantSorted(all.members(), append([]string{name}, keys...)...)
	if name == "SINTER" {
		most := w.below(6)
		n := len(all)
		if most > 0 {
			n = min(n, most)
		}
		w.want(n, append(append([]string{"SINTERCARD", fmt.Sprint(len(keys))}, keys...), "LIMIT", fmt.Sprint(most))...)
	}
}

func (m *setModel) store(w *walk, key string) {
	name := pick(&w.dice, "SINTER", "SUNION", "SDIFF")
	keys, all := m.result(w, name)
	m.put(key, all)
	w.want(len(all), append([]string{name + "STORE", key}, keys...)...)
}

// chosen checks what was taken out of a set by chance.
func (m *setModel) chosen(w *walk, key string, members []string, want int, distinct bool) {
	seen := make(set)
	for _, member := range members {
		if !m.sets[key][member] || distinct && seen[member] {
			w.fail("%q is not a member, or comes again: %q of %q", member, members, m.sets[key].members())
		}
		seen[member] = true
	}
	if len(members) != want {
		w.fail("%d members, not %d", len(members), want)
	}
}

func (m *setModel) pop(w *walk, key string) {
	n, size := w.below(12), len(m.sets[key])
	var members []string
	if w.coin() {
		members = texts(w.do("SPOP", key, fmt.Sprint(n)))
	} else if v := w.do("SPOP", key); v.Kind == reply.KindBulk {
		n, members = 1, []string{string(v.Text)}
	} else {
		n = 0
	}
	m.chosen(w, key, members, min(n, size), true)
	for _, member := range members {
		delete(m.sets[key], member)
	}
	m.put(key, m.sets[key])
}

func (m *setModel) random(w *walk, key string) {
	n, size := w.between(-12, 12), len(m.sets[key])
	members := texts(w.do("SRANDMEMBER", key, fmt.Sprint(n)))
	if n >= 0 {
		m.chosen(w, key, members, min(n, size), true)
	} else if size > 0 {
		m.chosen(w, key, members, -n, false)
	}
	if v := w.do("SRANDMEMBER", key); size > 0 != (v.Kind == reply.KindBulk) || size > 0 && !m.sets[key][string(v.Text)] {
		w.fail("SRANDMEMBER %s: %s", key, shown(v))
	}
}

// scan goes through a set that changes on the way: what stays is seen.
func (m *setModel) scan(w *walk, key string) {
	stayed, seen := maps.Clone(m.sets[key]), make(set)
	for cursor, rounds := "0", 0; ; rounds++ {
		v := w.do("SSCAN", key, cursor, "COUNT", fmt.Sprint(w.between(1, 9)))
		for _, member := range texts(v.Elems[1]) {
			seen[member] = true
		}
		if cursor = string(v.Elems[0].Text); cursor == "0" {
			break
		}
		if rounds < 5 {
			pick(&w.dice, m.add, m.rem)(w, key)
		}
		maps.DeleteFunc(stayed, func(member string, _ bool) bool { return !m.sets[key][member] })
	}
	for member := range stayed {
		if !seen[member] {
			w.fail("SSCAN did not see %q", member)
		}
	}
}

func (m *setModel) remove(w *walk, key string) {
	if w.below(4) > 0 {
		return
	}
	n := one(m.sets[key] != nil)
	delete(m.sets, key)
	w.want(n, pick(&w.dice, "DEL", "UNLINK"), key)
}
