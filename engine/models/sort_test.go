package models

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var sortKind = kind{
	new: func() model {
		return &sortModel{list: []string{}, set: make(map[string]bool), zset: make(map[string]float64), weights: make(map[string]string)}
	},
	limits: map[string][]string{
		"list-max-listpack-size": {"1", "4", "-2"}, "set-max-intset-entries": {"0", "10", "512"},
		"zset-max-listpack-entries": {"0", "10", "128"}, "hash-max-listpack-entries": {"0", "10", "512"},
	},
	forms: []string{"quicklist", "intset", "hashtable", "listpack", "skiplist"},
}

func TestSort(t *testing.T) { testKind(t, sortKind) }
func FuzzSort(f *testing.F) { fuzzKind(f, sortKind) }

// sortModel is a key of each type that can be sorted, and what to sort it by.
type sortModel struct {
	list    []string
	set     map[string]bool
	zset    map[string]float64
	weights map[string]string // of elements: in strings, and in a field of hashes
}

func (m *sortModel) check(w *walk) {
	w.want(m.list, "LRANGE", "list", "0", "-1")
	w.wantSorted(slices.Collect(maps.Keys(m.set)), "SMEMBERS", "set")
	w.wantSorted(slices.Collect(maps.Keys(m.zset)), "ZRANGE", "zset", "0", "-1")
	for _, key := range []string{"list", "set", "zset"} {
		w.meet(key)
	}
}

func (m *sortModel) step(w *walk) {
	pick(&w.dice, m.change, m.change, m.weigh, m.weigh, m.sort, m.sort, m.sort, m.asIs)(w)
}

func (m *sortModel) element(w *walk) string {
	if w.below(60) == 0 {
		return "word"
	}
	return fmt.Sprint(w.between(-5, 30))
}

func (m *sortModel) change(w *walk) {
	e := m.element(w)
	switch w.below(7) {
	case 0:
		m.list = append(m.list, e)
		w.want(len(m.list), "RPUSH", "list", e)
	case 1:
		if n := min(len(m.list), 5); len(m.list) > 25 {
			m.list = m.list[n:]
			w.want(ok, "LTRIM", "list", fmt.Sprint(n), "-1")
		}
	case 2, 3:
		w.want(one(!m.set[e]), "SADD", "set", e)
		m.set[e] = true
	case 4:
		w.want(one(m.set[e]), "SREM", "set", e)
		delete(m.set, e)
	case 5:
		_, had := m.zset[e]
		m.zset[e] = float64(w.below(9))
		w.want(one(!had), "ZADD", "zset", fmt.Sprint(m.zset[e]), e)
	case 6:
		_, had := m.zset[e]
		delete(m.zset, e)
		w.want(one(had), "ZREM", "zset", e)
	}
}

func (m *sortModel) weigh(w *walk) {
	e := m.element(w)
	if w.below(4) == 0 {
		_, had := m.weights[e]
		delete(m.weights, e)
		w.want(2*one(had), "DEL", "w_"+e, "h_"+e)
		return
	}
	_, had := m.weights[e]
	m.weights[e] = fmt.Sprint(float64(w.between(-20, 20)) / 4)
	w.want(ok, "SET", "w_"+e, m.weights[e])
	w.want(one(!had), "HSET", "h_"+e, "f", m.weights[e])
}

// source draws a key, with its elements.
func (m *sortModel) source(w *walk) (key string, elements []string) {
	switch w.below(3) {
	case 0:
		return "list", slices.Clone(m.list)
	case 1:
		return "set", slices.Sorted(maps.Keys(m.set))
	}
	return "zset", m.byScore()
}

func (m *sortModel) byScore() []string {
	return slices.SortedFunc(maps.Keys(m.zset), func(a, b string) int {
		return cmp.Or(cmp.Compare(m.zset[a], m.zset[b]), cmp.Compare(a, b))
	})
}

func (m *sortModel) sort(w *walk) {
	key, elements := m.source(w)
	args, order := []string{key}, strings.Compare
	by, alpha := w.below(3), w.coin()
	weight := func(e string) string { return e }
	if by > 0 {
		args = append(args, "BY", []string{"w_*", "h_*->f"}[by-1])
		weight = func(e string) string { return m.weights[e] }
	}
	switch {
	case alpha && by == 0:
		args = append(args, "ALPHA")
	case alpha: // equal texts have no order: only what all of them are is told
		w.wantSorted(elements, append(append([]string{"SORT"}, args...), "ALPHA")...)
		return
	case by == 0 && slices.Contains(elements, "word"):
		w.want(fail("ERR One or more scores can't be converted into double"), append([]string{"SORT"}, args...)...)
		return
	default:
		number := func(e string) float64 { f, _ := strconv.ParseFloat(weight(e), 64); return f }
		order = func(a, b string) int { return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b)) }
	}
	slices.SortFunc(elements, order)
	if w.coin() {
		slices.Reverse(elements)
		args = append(args, "DESC")
	}
	m.give(w, args, elements)
}

// asIs sorts by nothing: a list and a sorted set keep their order.
func (m *sortModel) asIs(w *walk) {
	key, elements := m.source(w)
	if key == "set" {
		w.wantSorted(elements, "SORT", key, "BY", "nosort")
		return
	}
	m.give(w, []string{key, "BY", "nosort"}, elements)
}

// give draws what is wanted of the sorted elements, and where.
func (m *sortModel) give(w *walk, args, elements []string) {
	if w.coin() {
		offset, count := w.between(-2, 10), w.between(-2, 10)
		args = append(args, "LIMIT", fmt.Sprint(offset), fmt.Sprint(count))
		elements = elements[min(max(0, offset), len(elements)):]
		if count >= 0 {
			elements = elements[:min(count, len(elements))]
		}
	}
	gets := [][]string{nil, {"#"}, {"w_*"}, {"#", "h_*->f"}, {"no", "w_*"}}[w.below(5)]
	for _, get := range gets {
		args = append(args, "GET", get)
	}
	found := []any{}
	for _, e := range elements {
		if len(gets) == 0 {
			found = append(found, e)
		}
		for _, get := range gets {
			value, known := m.weights[e]
			switch {
			case get == "#":
				found = append(found, e)
			case get == "no" || !known:
				found = append(found, nil)
			default:
				found = append(found, value)
			}
		}
	}
	if w.below(3) > 0 {
		w.want(found, append([]string{pick(&w.dice, "SORT", "SORT_RO")}, args...)...)
		return
	}
	w.want(len(found), append(append([]string{"SORT"}, args...), "STORE", "stored")...)
	for i := range found {
		if found[i] == nil { // what is not there is stored as nothing
			found[i] = ""
		}
	}
	w.want(found, "LRANGE", "stored", "0", "-1")
}
