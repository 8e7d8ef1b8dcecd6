package models

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

var hashKind = kind{
	new: func() model { return &hashModel{hashes: make(map[string]map[string]string)} },
	limits: map[string][]string{
		"hash-max-listpack-entries": {"0", "1", "4", "20", "512"},
		"hash-max-listpack-value":   {"0", "3", "64", "100"},
	},
	forms: []string{"listpack", "hashtable"},
}

func TestHashes(t *testing.T) { testKind(t, hashKind) }
func FuzzHashes(f *testing.F) { fuzzKind(f, hashKind) }

// hashModel is all hashes by key; there are no empty ones.
type hashModel struct{ hashes map[string]map[string]string }

var hashKeys = []string{"a", "b", "c"}

// flat returns fields, each before its value.
func flat(h map[string]string) []string {
	all := []string{}
	for _, field := range slices.Sorted(maps.Keys(h)) {
		all = append(all, field, h[field])
	}
	return all
}

// wantPairs is want for a reply of pairs in no order.
func (w *walk) wantPairs(want map[string]string, args ...string) {
	w.Helper()
	got, all := make(map[string]string), texts(w.do(args...))
	for i := 0; i+1 < len(all); i += 2 {
		got[all[i]] = all[i+1]
	}
	if !maps.Equal(got, want) || len(all) != 2*len(want) {
		w.fail("got  %.2000q\nwant %.2000q", all, flat(want))
	}
}

func (m *hashModel) check(w *walk) {
	for _, key := range hashKeys {
		w.wantPairs(m.hashes[key], "HGETALL", key)
		w.want(len(m.hashes[key]), "HLEN", key)
		w.meet(key)
	}
}

func (m *hashModel) step(w *walk) {
	steps := []func(*walk, string){m.set, m.set, m.set, m.setMany, m.setNX, m.get, m.del, m.del, m.incr, m.incrByFloat, m.lists, m.random, m.scan, m.remove}
	pick(&w.dice, steps...)(w, pick(&w.dice, hashKeys...))
}

// field draws one that is there, mostly.
func (m *hashModel) field(w *walk, key string) string {
	if all := slices.Sorted(maps.Keys(m.hashes[key])); len(all) > 0 && w.coin() {
		return all[w.below(len(all))]
	}
	return w.text()
}

func (m *hashModel) put(key, field, value string) (added bool) {
	if m.hashes[key] == nil {
		m.hashes[key] = make(map[string]string)
	}
	_, had := m.hashes[key][field]
	m.hashes[key][field] = value
	return !had
}

func (m *hashModel) set(w *walk, key string) {
	var pairs []string
	n := 0
	for range w.between(1, 5) {
		field, value := m.field(w, key), w.text()
		n += one(m.put(key, field, value))
		pairs = append(pairs, field, value)
	}
	if w.below(4) == 0 {
		w.want(ok, append([]string{"HMSET", key}, pairs...)...)
		return
	}
	w.want(n, append([]string{"HSET", key}, pairs...)...)
}

func (m *hashModel) setMany(w *walk, key string) {
	if w.below(6) > 0 {
		return
	}
	args, n := []string{"HSET", key}, 0
	for i := range w.between(20, 200) {
		field := fmt.Sprint("field", i)
		n += one(m.put(key, field, "v"))
		args = append(args, field, "v")
	}
	w.want(n, args...)
}

func (m *hashModel) setNX(w *walk, key string) {
	field, value := m.field(w, key), w.text()
	_, had := m.hashes[key][field]
	if !had {
		m.put(key, field, value)
	}
	w.want(one(!had), "HSETNX", key, field, value)
}

// value returns what is in a field as a reply.
func (m *hashModel) value(key, field string) any {
	if v, found := m.hashes[key][field]; found {
		return v
	}
	return nil
}

func (m *hashModel) get(w *walk, key string) {
	fields := repeat(&w.dice, 4, func() string { return m.field(w, key) })
	var values []any
	for _, field := range fields {
		values = append(values, m.value(key, field))
	}
	w.want(values, append([]string{"HMGET", key}, fields...)...)
	w.want(values[0], "HGET", key, fields[0])
	w.want(one(values[0] != nil), "HEXISTS", key, fields[0])
	w.want(len(m.hashes[key][fields[0]]), "HSTRLEN", key, fields[0])
}

func (m *hashModel) del(w *walk, key string) {
	fields, n := repeat(&w.dice, 9, func() string { return m.field(w, key) }), 0
	for _, field := range fields {
		_, had := m.hashes[key][field]
		n += one(had)
		delete(m.hashes[key], field)
	}
	if len(m.hashes[key]) == 0 {
		delete(m.hashes, key)
	}
	w.want(n, append([]string{"HDEL", key}, fields...)...)
}

func (m *hashModel) incr(w *walk, key string) {
	field, by := m.field(w, key), pick(&w.dice, int64(1), -7, math.MaxInt64, int64(w.take(8)))
	args := []string{"HINCRBY", key, field, fmt.Sprint(by)}
	old, found := m.hashes[key][field]
	if !found {
		old = "0"
	}
	n, isNumber := number(old)
	sum := new(big.Int).Add(big.NewInt(n), big.NewInt(by))
	if !isNumber || !sum.IsInt64() {
		w.want(fail("ERR"), args...)
		return
	}
	m.put(key, field, sum.String())
	w.want(sum.Int64(), args...)
}

// incrByFloat adds numbers that have few bits, so that nothing is rounded.
func (m *hashModel) incrByFloat(w *walk, key string) {
	a, b := float64(w.between(-200, 200))/8, float64(w.between(-200, 200))/16
	w.want(one(m.put(key, "float", fmt.Sprint(a))), "HSET", key, "float", fmt.Sprint(a))
	sum := strconv.FormatFloat(a+b, 'f', -1, 64)
	m.put(key, "float", sum)
	w.want(sum, "HINCRBYFLOAT", key, "float", fmt.Sprint(b))
}

func (m *hashModel) lists(w *walk, key string) {
	w.wantSorted(slices.Collect(maps.Keys(m.hashes[key])), "HKEYS", key)
	w.wantSorted(slices.Collect(maps.Values(m.hashes[key])), "HVALS", key)
}

func (m *hashModel) random(w *walk, key string) {
	n, h := w.between(-12, 12), m.hashes[key]
	all, seen := texts(w.do("HRANDFIELD", key, fmt.Sprint(n), "WITHVALUES")), make(map[string]bool)
	for i := 0; i+1 < len(all); i += 2 {
		if value, found := h[all[i]]; !found || value != all[i+1] || n > 0 && seen[all[i]] {
			w.fail("%q is not in %q, or comes again", all[i], flat(h))
		}
		seen[all[i]] = true
	}
	want := min(n, len(h))
	if n < 0 {
		want = -n * one(len(h) > 0)
	}
	if len(all) != 2*want {
		w.fail("%d fields, not %d", len(all)/2, want)
	}
	if v := w.do("HRANDFIELD", key); (len(h) > 0) != (v.Kind == reply.KindBulk) {
		w.fail("HRANDFIELD: %s", shown(v))
	}
}

// scan goes through a hash that changes on the way: what stays is seen.
func (m *hashModel) scan(w *walk, key string) {
	stayed, seen := maps.Clone(m.hashes[key]), make(map[string]bool)
	for cursor, rounds := "0", 0; ; rounds++ {
		v := w.do("HSCAN", key, cursor, "COUNT", fmt.Sprint(w.between(1, 9)))
		all := texts(v.Elems[1])
		for i := 0; i+1 < len(all); i += 2 {
			seen[all[i]] = true
			if value, found := m.hashes[key][all[i]]; !found || value != all[i+1] {
				w.fail("HSCAN saw %q, %q", all[i], all[i+1])
			}
		}
		if cursor = string(v.Elems[0].Text); cursor == "0" {
			break
		}
		if rounds < 5 {
			pick(&w.dice, m.set, m.del)(w, key)
		}
		maps.DeleteFunc(stayed, func(field, _ string) bool { return m.value(key, field) == nil })
	}
	for field := range stayed {
		if !seen[field] {
			w.fail("HSCAN did not see %q", field)
		}
	}
}

func (m *hashModel) remove(w *walk, key string) {
	if w.below(4) > 0 {
		return
	}
	n := one(m.hashes[key] != nil)
	delete(m.hashes, key)
	w.want(n, "DEL", key)
}
