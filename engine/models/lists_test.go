package models

import (
	"fmt"
	"slices"
	"testing"
)

var listKind = kind{
	new:    func() model { return &listModel{lists: make(map[string][]string)} },
	limits: map[string][]string{"list-max-listpack-size": {"-5", "-2", "-1", "0", "1", "3", "20"}},
	forms:  []string{"quicklist"},
}

func TestLists(t *testing.T) { testKind(t, listKind) }
func FuzzLists(f *testing.F) { fuzzKind(f, listKind) }

// listModel is all lists by key; there are no empty ones.
type listModel struct{ lists map[string][]string }

var listKeys = []string{"a", "b", "c"}

func (m *listModel) put(key string, l []string) {
	if m.lists[key] = l; len(l) == 0 {
		delete(m.lists, key)
	}
}

// filled returns an empty slice in the place of nil, for replies.
func filled(l []string) []string { return append([]string{}, l...) }

func (m *listModel) check(w *walk) {
	for _, key := range listKeys {
		w.want(filled(m.lists[key]), "LRANGE", key, "0", "-1")
		w.meet(key)
	}
}

func (m *listModel) step(w *walk) {
	steps := []func(*walk, string){
		m.push, m.push, m.push, m.pushMany, m.pushX, m.pop, m.pop, m.move, m.move, m.mpop, m.insert, m.set, m.set, m.rem, m.trim, m.ranges, m.index, m.pos, m.remove,
	}
	pick(&w.dice, steps...)(w, pick(&w.dice, listKeys...))
}

// end is LEFT or RIGHT.
func (m *listModel) end(w *walk) string { return pick(&w.dice, "LEFT", "RIGHT") }

func (m *listModel) add(key, end string, values ...string) {
	for _, v := range values {
		if end == "LEFT" {
			m.lists[key] = slices.Insert(m.lists[key], 0, v)
		} else {
			m.lists[key] = append(m.lists[key], v)
		}
	}
}

// take removes up to n elements from an end, and returns them in their order.
func (m *listModel) take(key, end string, n int) []string {
	l := slices.Clone(m.lists[key])
	n = min(n, len(l))
	if end == "LEFT" {
		m.put(key, l[n:])
		return l[:n]
	}
	m.put(key, l[:len(l)-n])
	taken := slices.Clone(l[len(l)-n:])
	slices.Reverse(taken)
	return taken
}

func (m *listModel) push(w *walk, key string) {
	end, values := m.end(w), repeat(&w.dice, 6, w.text)
	m.add(key, end, values...)
	w.want(len(m.lists[key]), append([]string{map[string]string{"LEFT": "LPUSH", "RIGHT": "RPUSH"}[end], key}, values...)...)
}

func (m *listModel) pushMany(w *walk, key string) {
	if w.below(4) > 0 {
		return
	}
	var values []string
	for i := range w.between(20, 300) {
		values = append(values, fmt.Sprint("element", i%60))
	}
	m.add(key, "RIGHT", values...)
	w.want(len(m.lists[key]), append([]string{"RPUSH", key}, values...)...)
}

func (m *listModel) pushX(w *walk, key string) {
	end, value := m.end(w), w.text()
	if m.lists[key] != nil {
		m.add(key, end, value)
	}
	w.want(len(m.lists[key]), map[string]string{"LEFT": "LPUSHX", "RIGHT": "RPUSHX"}[end], key, value)
}

func (m *listModel) pop(w *walk, key string) {
	end, existed := m.end(w), m.lists[key] != nil
	name := map[string]string{"LEFT": "LPOP", "RIGHT": "RPOP"}[end]
	if w.coin() {
		n := w.below(40)
		taken := m.take(key, end, n)
		if !existed {
			w.want(nil, name, key, fmt.Sprint(n))
			return
		}
		w.want(taken, name, key, fmt.Sprint(n))
		return
	}
	w.want(first(m.take(key, end, 1)), name, key)
}

// first returns the only element, nil if there is none.
func first(l []string) any {
	if len(l) == 0 {
		return nil
	}
	return l[0]
}

func (m *listModel) move(w *walk, key string) {
	other, from, to := pick(&w.dice, listKeys...), m.end(w), m.end(w)
	args := []string{"LMOVE", key, other, from, to}
	if w.below(3) == 0 {
		from, to, args = "RIGHT", "LEFT", []string{"RPOPLPUSH", key, other}
	}
	moved := m.take(key, from, 1)
	m.add(other, to, moved...)
	w.want(first(moved), args...)
}

func (m *listModel) mpop(w *walk, key string) {
	other, end, n := pick(&w.dice, listKeys...), m.end(w), w.between(1, 30)
	args := []string{"LMPOP", "2", key, other, end, "COUNT", fmt.Sprint(n)}
	for _, k := range []string{key, other} {
		if m.lists[k] != nil {
			w.want([]any{k, m.take(k, end, n)}, args...)
			return
		}
	}
	w.want(nil, args...)
}

// element draws one that is there, mostly.
func (m *listModel) element(w *walk, key string) string {
	if l := m.lists[key]; len(l) > 0 && w.below(4) > 0 {
		return l[w.below(len(l))]
	}
	return w.text()
}

func (m *listModel) insert(w *walk, key string) {
	pivot, value, where := m.element(w, key), w.text(), pick(&w.dice, "BEFORE", "AFTER")
	at := slices.Index(m.lists[key], pivot)
	args := []string{"LINSERT", key, where, pivot, value}
	switch {
	case m.lists[key] == nil:
		w.want(0, args...)
		return
	case at < 0:
		w.want(-1, args...)
		return
	case where == "AFTER":
		at++
	}
	m.lists[key] = slices.Insert(m.lists[key], at, value)
	w.want(len(m.lists[key]), args...)
}

func (m *listModel) set(w *walk, key string) {
	l, value := m.lists[key], w.text()
	at := w.between(-len(l)-1, len(l))
	args := []string{"LSET", key, fmt.Sprint(at), value}
	if l == nil {
		w.want(fail("ERR no such key"), args...)
		return
	}
	if at < 0 {
		at += len(l)
	}
	if at < 0 || at >= len(l) {
		w.want(fail("ERR index out of range"), args...)
		return
	}
	l[at] = value
	w.want(ok, args...)
}

func (m *listModel) rem(w *walk, key string) {
	value, count := m.element(w, key), w.between(-3, 3)
	l, n := slices.Clone(m.lists[key]), 0
	if count < 0 {
		slices.Reverse(l)
	}
	l = slices.DeleteFunc(l, func(s string) bool {
		if s != value || count != 0 && n == max(count, -count) {
			return false
		}
		n++
		return true
	})
	if count < 0 {
		slices.Reverse(l)
	}
	m.put(key, l)
	w.want(n, "LREM", key, fmt.Sprint(count), value)
}

func (m *listModel) trim(w *walk, key string) {
	l := m.lists[key]
	from, to := w.between(-5, 5), w.between(len(l)-10, len(l)+3)
	if w.coin() {
		to = w.between(-5, -1)
	}
	first, limit := part(from, to, len(l))
	m.put(key, slices.Clone(l[first:limit]))
	w.want(ok, "LTRIM", key, fmt.Sprint(from), fmt.Sprint(to))
}

func (m *listModel) ranges(w *walk, key string) {
	l := m.lists[key]
	from, to := w.between(-40, 40), w.between(-40, 40)
	first, limit := part(from, to, len(l))
	w.want(filled(l[first:limit]), "LRANGE", key, fmt.Sprint(from), fmt.Sprint(to))
}

func (m *listModel) index(w *walk, key string) {
	l := m.lists[key]
	at := w.between(-len(l)-1, len(l))
	i := at
	if i < 0 {
		i += len(l)
	}
	if i < 0 || i >= len(l) {
		w.want(nil, "LINDEX", key, fmt.Sprint(at))
	} else {
		w.want(l[i], "LINDEX", key, fmt.Sprint(at))
	}
	w.want(len(l), "LLEN", key)
}

func (m *listModel) pos(w *walk, key string) {
	l, value := m.lists[key], m.element(w, key)
	rank, count, most := pick(&w.dice, 1, 2, 3, -1, -2), w.below(4), pick(&w.dice, 0, 0, 5, 30)
	var found []any
	skip := max(rank, -rank) - 1
	for i := range l {
		at := i
		if rank < 0 {
			at = len(l) - 1 - i
		}
		if most > 0 && i >= most || count > 0 && len(found) == count {
			break
		}
		if l[at] == value {
			if skip--; skip < 0 {
				found = append(found, at)
			}
		}
	}
	args := []string{"LPOS", key, value, "RANK", fmt.Sprint(rank), "MAXLEN", fmt.Sprint(most)}
	if w.coin() {
		w.want(append([]any{}, found...), append(args, "COUNT", fmt.Sprint(count))...)
		return
	}
	if len(found) == 0 {
		w.want(nil, args...)
		return
	}
	w.want(found[0], args...)
}

func (m *listModel) remove(w *walk, key string) {
	if w.below(4) > 0 {
		return
	}
	n := one(m.lists[key] != nil)
	delete(m.lists, key)
	w.want(n, "DEL", key)
}
