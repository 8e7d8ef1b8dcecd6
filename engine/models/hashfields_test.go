package models

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/quorate/quorate/engine"
)

// Fields of hashes that expire. What other commands make of hashes is not here.
var fieldKind = kind{
	new:    func() model { return &fieldModel{make(map[string]map[string]field)} },
	limits: map[string][]string{"hash-max-listpack-entries": {"0", "4", "512"}, "hash-max-listpack-value": {"8", "64"}},
	forms:  []string{"listpack", "listpackex", "hashtable"},
}

func TestHashFields(t *testing.T) { testKind(t, fieldKind) }
func FuzzHashFields(f *testing.F) { fuzzKind(f, fieldKind) }

// field is a field of a hash.
type field struct {
	value string
	at    int64 // when it is gone, Unix milliseconds; 0 is never
}

// fieldModel is the hashes of one database. None is empty.
type fieldModel struct{ hashes map[string]map[string]field }

func (m *fieldModel) key(w *walk) string { return fmt.Sprint("h", w.below(4)) }

func (m *fieldModel) field(w *walk) string { return fmt.Sprint("f", w.below(8)) }

// get returns a hash without what is due, or nil.
func (m *fieldModel) get(w *walk, key string) map[string]field {
	h := m.hashes[key]
	maps.DeleteFunc(h, func(_ string, f field) bool { return f.at != 0 && f.at <= w.now })
	if len(h) == 0 {
		delete(m.hashes, key)
		return nil
	}
	return h
}

func (m *fieldModel) check(w *walk) {
	var keys []string
	for key := range m.hashes {
		if m.get(w, key) != nil {
			keys = append(keys, key)
		}
	}
	w.wantSorted(keys, "KEYS", "*")
	for _, key := range keys {
		m.look(w, key)
		w.meet(key)
	}
}

// look compares all that a hash holds.
func (m *fieldModel) look(w *walk, key string) {
	h := m.get(w, key)
	var all, names, values []string
	for name, f := range h {
		all, names, values = append(all, name, f.value), append(names, name), append(values, f.value)
	}
	w.wantSorted(all, "HGETALL", key)
	w.wantSorted(names, "HKEYS", key)
	w.wantSorted(values, "HVALS", key)
	w.want(len(h), "HLEN", key)
	w.wantSorted(names, "HRANDFIELD", key, "100")
	if scanned := w.do("HSCAN", key, "0", "COUNT", "1000"); len(scanned.Elems[1].Elems) != 2*len(h) {
		w.fail("HSCAN gives %s, want %q", shown(scanned), names)
	}
	for name := range h {
		m.lookAt(w, key, name)
	}
}

// lookAt asks for one field in several ways.
func (m *fieldModel) lookAt(w *walk, key, name string) {
	f, found := m.get(w, key)[name]
	ask := func(want any, command ...string) { w.want([]any{want}, append(command, "FIELDS", "1", name)...) }
	if !found {
		w.want(nil, "HGET", key, name)
		w.want(0, "HEXISTS", key, name)
		w.want(0, "HSTRLEN", key, name)
		ask(-2, "HPTTL", key)
		ask(-2, "HEXPIRETIME", key)
		return
	}
	w.want(f.value, "HGET", key, name)
	w.want(1, "HEXISTS", key, name)
	if f.at == 0 {
		ask(-1, "HTTL", key)
		ask(-1, "HPEXPIRETIME", key)
		return
	}
	ask(f.at-w.now, "HPTTL", key)
	ask((f.at-w.now+999)/1000, "HTTL", key)
	ask(f.at, "HPEXPIRETIME", key)
	ask((f.at+999)/1000, "HEXPIRETIME", key)
}

func (m *fieldModel) step(w *walk) {
	steps := []func(*walk, string){
		m.set, m.set, m.set, m.setNew, m.add, m.remove, m.expire, m.expire, m.expire, m.expire, m.persist, m.copy, m.rename, m.chance, m.sweep, m.peek,
	}
	steps[w.below(len(steps))](w, m.key(w))
}

func (m *fieldModel) put(w *walk, key, name string, f field) (added bool) {
	h := m.get(w, key)
	if h == nil {
		h = make(map[string]field)
		m.hashes[key] = h
	}
	_, had := h[name]
	h[name] = f
	return !had
}

func (m *fieldModel) set(w *walk, key string) {
	args, added := []string{"HSET", key}, 0
	for range w.between(1, 3) {
		name, value := m.field(w), w.text()
		args = append(args, name, value)
		if m.put(w, key, name, field{value: value}) {
			added++
		}
	}
	w.want(added, args...)
}

func (m *fieldModel) setNew(w *walk, key string) {
	name := m.field(w)
	if _, had := m.get(w, key)[name]; had {
		w.want(0, "HSETNX", key, name, "new")
		return
	}
	m.put(w, key, name, field{value: "new"})
	w.want(1, "HSETNX", key, name, "new")
}

// add changes a number, which keeps its time.
func (m *fieldModel) add(w *walk, key string) {
	name := m.field(w)
	f := m.get(w, key)[name]
	n, err := strconv.ParseInt(f.value, 10, 32)
	if f.value != "" && (err != nil || strconv.FormatInt(n, 10) != f.value) {
		return
	}
	if _, had := m.get(w, key)[name]; had && f.value == "" {
		return
	}
	f.value = strconv.FormatInt(n+1, 10)
	m.put(w, key, name, f)
	if w.coin() {
		w.want(n+1, "HINCRBY", key, name, "1")
	} else {
		w.want(f.value, "HINCRBYFLOAT", key, name, "1")
	}
}

func (m *fieldModel) remove(w *walk, key string) {
	names := repeat(&w.dice, 3, func() string { return m.field(w) })
	h, removed := m.get(w, key), 0
	for _, name := range names {
		if _, had := h[name]; had {
			delete(h, name)
			removed++
		}
	}
	w.want(removed, append([]string{"HDEL", key}, names...)...)
}

// expire sets the times of some fields, or deletes them.
func (m *fieldModel) expire(w *walk, key string) {
	ms := int64(pick(&w.dice, 0, 1, 5, 10, 999, 1000, 1500, 60_000, 1_000_000))
	at, args := w.now+ms, []string{"HPEXPIRE", key, fmt.Sprint(ms)}
	switch w.below(4) {
	case 0:
		at = w.now + ms/1000*1000
		args = []string{"HEXPIRE", key, fmt.Sprint(ms / 1000)}
	case 1:
		args = []string{"HPEXPIREAT", key, fmt.Sprint(at)}
	case 2:
		at = (w.now + ms) / 1000 * 1000
		args = []string{"HEXPIREAT", key, fmt.Sprint(at / 1000)}
	}
	condition := pick(&w.dice, "", "", "NX", "XX", "GT", "LT")
	if condition != "" {
		args = append(args, condition)
	}
	names := repeat(&w.dice, 4, func() string { return m.field(w) })
	args = append(append(args, "FIELDS", fmt.Sprint(len(names))), names...)
	var want []any
	for _, name := range names {
		want = append(want, m.expireOne(w, key, name, at, condition))
	}
	w.want(want, args...)
}

func (m *fieldModel) expireOne(w *walk, key, name string, at int64, condition string) int {
	h := m.get(w, key)
	f, had := h[name]
	if !had {
		return -2
	}
	met := map[string]bool{
		"": true, "NX": f.at == 0, "XX": f.at != 0, "GT": f.at != 0 && at > f.at, "LT": f.at == 0 || at < f.at,
	}
	switch {
	case !met[condition]:
		return 0
	case at <= w.now:
		delete(h, name)
		return 2
	}
	h[name] = field{f.value, at}
	return 1
}

func (m *fieldModel) persist(w *walk, key string) {
	names := repeat(&w.dice, 4, func() string { return m.field(w) })
	h := m.get(w, key)
	var want []any
	for _, name := range names {
		f, had := h[name]
		switch {
		case !had:
			want = append(want, -2)
		case f.at == 0:
			want = append(want, -1)
		default:
			h[name] = field{value: f.value}
			want = append(want, 1)
		}
	}
	w.want(want, append([]string{"HPERSIST", key, "FIELDS", fmt.Sprint(len(names))}, names...)...)
}

func (m *fieldModel) copy(w *walk, key string) {
	to := m.key(w)
	if to == key {
		return
	}
	h, done := m.get(w, key), 0
	if h != nil {
		m.hashes[to], done = maps.Clone(h), 1
	}
	w.want(done, "COPY", key, to, "REPLACE")
}

func (m *fieldModel) rename(w *walk, key string) {
	to := m.key(w)
	h := m.get(w, key)
	if h == nil {
		w.want(fail("ERR no such key"), "RENAME", key, to)
		return
	}
	delete(m.hashes, key)
	m.hashes[to] = h
	w.want(ok, "RENAME", key, to)
}

// chance asks for fields by chance: they are some that are there.
func (m *fieldModel) chance(w *walk, key string) {
	h := m.get(w, key)
	for _, count := range []string{"2", "-5"} {
		got := texts(w.do("HRANDFIELD", key, count))
		missing := slices.ContainsFunc(got, func(name string) bool { _, had := h[name]; return !had })
		if missing || len(got) == 0 && len(h) > 0 {
			w.fail("HRANDFIELD %s %s gives %q of %v", key, count, got, h)
		}
	}
}

// sweep takes some of what is due out, which nobody notices.
func (m *fieldModel) sweep(w *walk, _ string) {
	n := w.below(4)
	w.note("expire %d", n)
	w.apply(func(s *engine.Step) { s.ExpireDue(n) })
}

func (m *fieldModel) peek(w *walk, key string) {
	m.get(w, key)
	m.lookAt(w, key, m.field(w))
}
