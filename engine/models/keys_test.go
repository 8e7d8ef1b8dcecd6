package models

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

var keyKind = kind{
	new: func() model {
		m := &keyModel{}
		for i := range m.dbs {
			m.dbs[i] = make(map[string]held)
		}
		return m
	},
	limits: map[string][]string{
		"hash-max-listpack-entries": {"0", "512"}, "set-max-intset-entries": {"0", "512"}, "list-max-listpack-size": {"1", "-2"},
		"zset-max-listpack-entries": {"0", "128"}, "stream-node-max-entries": {"1", "100"},
	},
	forms: []string{"int", "embstr", "raw", "listpack", "quicklist", "intset", "hashtable", "skiplist", "stream"},
}

func TestKeys(t *testing.T) { testKind(t, keyKind) }
func FuzzKeys(f *testing.F) { fuzzKind(f, keyKind) }

// held is what a key holds: a value that its number tells apart from all others.
type held struct {
	typ    string
	number int
	at     int64 // when it is gone, Unix milliseconds; 0 is never
}

// keyModel is all keys of all databases.
type keyModel struct {
	dbs    [databases]map[string]held
	values int // made so far
}

func (m *keyModel) key(w *walk) string { return fmt.Sprint("k", w.below(6)) }

func (m *keyModel) get(w *walk, db int, key string) (held, bool) {
	h, found := m.dbs[db][key]
	if found && h.at != 0 && h.at <= w.now {
		delete(m.dbs[db], key)
		return held{}, false
	}
	return h, found
}

// live returns the keys of a database, in order.
func (m *keyModel) live(w *walk, db int) []string {
	var all []string
	for key := range m.dbs[db] {
		if _, found := m.get(w, db, key); found {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}

func (m *keyModel) check(w *walk) {
	db := w.db
	for w.db = range databases {
		w.wantSorted(m.live(w, w.db), "KEYS", "*")
		for _, key := range m.live(w, w.db) {
			m.look(w, key)
			w.meet(key)
		}
	}
	w.db = db
}

// look compares all that a key holds.
func (m *keyModel) look(w *walk, key string) {
	h, found := m.get(w, w.db, key)
	if !found {
		w.want(-2, "PTTL", key)
		return
	}
	w.want(status(h.typ), "TYPE", key)
	if h.at == 0 {
		w.want(-1, "PTTL", key)
	} else {
		w.want(h.at, "PEXPIRETIME", key)
	}
	number := strconv.Itoa(h.number)
	switch h.typ {
	case "string":
		w.want(textValue(h.number), "GET", key)
	case "list":
		w.want([]string{number, "x", number}, "LRANGE", key, "0", "-1")
	case "set":
		w.wantSorted([]string{number, "1"}, "SMEMBERS", key)
	case "hash":
		w.wantSorted([]string{"f", number, "g", "x"}, "HGETALL", key)
	case "zset":
		w.want([]string{"a", number, "b", number}, "ZRANGE", key, "0", "-1", "WITHSCORES")
	case "stream":
		w.want([]any{[]any{number + "-1", []string{"f", "v"}}, []any{number + "-2", []string{"f", "v"}}}, "XRANGE", key, "-", "+")
	}
}

// textValue is a string of one of the encodings.
func textValue(number int) string {
	return strings.Repeat(strconv.Itoa(number), []int{1, 9, 40}[number%3]) + []string{"", "x"}[number/3%2]
}

func (m *keyModel) step(w *walk) {
	steps := []func(*walk, string){
		m.make, m.make, m.make, m.expire, m.expire, m.expire, m.expire, m.tell, m.persist, m.rename, m.rename, m.copy, m.copy, m.move, m.move,
		m.swap, m.remove, m.count, m.scan, m.flush,
	}
	if w.below(12) == 0 {
		w.db = w.below(databases)
	}
	pick(&w.dice, steps...)(w, m.key(w))
}

// make puts a new value in the place of what was there.
func (m *keyModel) make(w *walk, key string) {
	m.values++
	h := held{typ: pick(&w.dice, "string", "list", "set", "hash", "zset", "stream"), number: m.values + 1}
	number, existed := strconv.Itoa(h.number), 0
	if _, found := m.get(w, w.db, key); found {
		existed = 1
	}
	m.dbs[w.db][key] = h
	w.want(existed, pick(&w.dice, "DEL", "UNLINK"), key)
	switch h.typ {
	case "string":
		w.want(ok, "SET", key, textValue(h.number))
	case "list":
		w.want(3, "RPUSH", key, number, "x", number)
	case "set":
		w.want(2, "SADD", key, number, "1")
	case "hash":
		w.want(2, "HSET", key, "f", number, "g", "x")
	case "zset":
		w.want(2, "ZADD", key, number, "a", number, "b")
	case "stream":
		w.want(number+"-1", "XADD", key, number+"-1", "f", "v")
		w.want(number+"-2", "XADD", key, number+"-*", "f", "v")
	}
}

func (m *keyModel) expire(w *walk, key string) {
	n := int64(w.between(-3, 60))
	name, at := "EXPIRE", w.now+n*1000
	switch w.below(4) {
	case 0:
		name, at = "PEXPIRE", w.now+n
	case 1:
		at = w.now/1000*1000 + n*1000
		name, n = "EXPIREAT", at/1000
	case 2:
		name, at = "PEXPIREAT", w.now+n*100
		n = at
	}
	h, found := m.get(w, w.db, key)
	if h.at != 0 && w.below(4) == 0 { // the same time again
		name, at, n = "PEXPIREAT", h.at, h.at
	}
	conditions := pick(&w.dice, nil, nil, []string{"NX"}, []string{"XX"}, []string{"GT"}, []string{"LT"}, []string{"XX", "GT"}, []string{"LT", "XX"})
	args := append([]string{name, key, fmt.Sprint(n)}, conditions...)
	allowed := found
	for _, c := range conditions {
		switch c {
		case "NX":
			allowed = allowed && h.at == 0
		case "XX":
			allowed = allowed && h.at != 0
		case "GT":
			allowed = allowed && h.at != 0 && at > h.at
		case "LT":
			allowed = allowed && (h.at == 0 || at < h.at)
		}
	}
	if allowed {
		h.at = at
		m.dbs[w.db][key] = h
	}
	w.want(one(allowed), args...)
}

// tell asks for times in all units.
func (m *keyModel) tell(w *walk, key string) {
	h, found := m.get(w, w.db, key)
	left, at := h.at-w.now, h.at
	switch {
	case !found:
		w.want(-2, pick(&w.dice, "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), key)
	case h.at == 0:
		w.want(-1, pick(&w.dice, "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), key)
	default:
		w.want((left+500)/1000, "TTL", key)
		w.want(left, "PTTL", key)
		w.want((at+500)/1000, "EXPIRETIME", key)
		w.want(at, "PEXPIRETIME", key)
	}
}

func (m *keyModel) persist(w *walk, key string) {
	h, found := m.get(w, w.db, key)
	had := h.at != 0
	if h.at = 0; found {
		m.dbs[w.db][key] = h
	}
	w.want(one(had), "PERSIST", key)
}

func (m *keyModel) rename(w *walk, key string) {
	other, name := m.key(w), pick(&w.dice, "RENAME", "RENAMENX")
	h, found := m.get(w, w.db, key)
	_, taken := m.get(w, w.db, other)
	switch {
	case !found:
		w.want(fail("ERR no such key"), name, key, other)
		return
	case name == "RENAMENX" && taken:
		w.want(0, name, key, other)
		return
	}
	delete(m.dbs[w.db], key)
	m.dbs[w.db][other] = h
	if name == "RENAME" {
		w.want(ok, name, key, other)
	} else {
		w.want(1, name, key, other)
	}
}

func (m *keyModel) copy(w *walk, key string) {
	other, db, replace := m.key(w), w.db, w.coin()
	args := []string{"COPY", key, other}
	if w.coin() {
		db = w.below(databases)
		args = append(args, "DB", fmt.Sprint(db))
	}
	if replace {
		args = append(args, "REPLACE")
	}
	h, found := m.get(w, w.db, key)
	_, taken := m.get(w, db, other)
	switch {
	case db == w.db && key == other:
		w.want(fail("ERR source and destination objects are the same"), args...)
	case !found, taken && !replace:
		w.want(0, args...)
	default:
		m.dbs[db][other] = h
		w.want(1, args...)
	}
}

func (m *keyModel) move(w *walk, key string) {
	db := w.below(databases)
	h, found := m.get(w, w.db, key)
	_, taken := m.get(w, db, key)
	switch {
	case db == w.db:
		w.want(fail("ERR source and destination objects are the same"), "MOVE", key, fmt.Sprint(db))
	case !found, taken:
		w.want(0, "MOVE", key, fmt.Sprint(db))
	default:
		delete(m.dbs[w.db], key)
		m.dbs[db][key] = h
		w.want(1, "MOVE", key, fmt.Sprint(db))
	}
}

func (m *keyModel) swap(w *walk, _ string) {
	a, b := w.below(databases), w.below(databases)
	m.dbs[a], m.dbs[b] = m.dbs[b], m.dbs[a]
	w.want(ok, "SWAPDB", fmt.Sprint(a), fmt.Sprint(b))
}

func (m *keyModel) remove(w *walk, _ string) {
	keys, n := repeat(&w.dice, 3, func() string { return m.key(w) }), 0
	for _, key := range keys {
		if _, found := m.get(w, w.db, key); found {
			n++
		}
		delete(m.dbs[w.db], key)
	}
	w.want(n, append([]string{pick(&w.dice, "DEL", "UNLINK")}, keys...)...)
}

func (m *keyModel) count(w *walk, key string) {
	keys, n := repeat(&w.dice, 4, func() string { return m.key(w) }), 0
	for _, key := range keys {
		if _, found := m.get(w, w.db, key); found {
			n++
		}
	}
	w.want(n, append([]string{pick(&w.dice, "EXISTS", "TOUCH")}, keys...)...)
	m.look(w, key)
}

// scan walks through the keyspace, which changes on the way; what is there all the
// time is seen.
func (m *keyModel) scan(w *walk, _ string) {
	before, seen, changed := m.live(w, w.db), make(map[string]bool), make(map[string]bool)
	for cursor := "0"; ; {
		v := w.do("SCAN", cursor, "COUNT", fmt.Sprint(w.between(1, 4)))
		if len(v.Elems) != 2 {
			w.fail("SCAN: %s", shown(v))
		}
		for _, key := range texts(v.Elems[1]) {
			seen[key] = true
			if _, found := m.get(w, w.db, key); !found {
				w.fail("SCAN saw %s, which is not there", key)
			}
		}
		if cursor = string(v.Elems[0].Text); cursor == "0" {
			break
		}
		key := m.key(w)
		changed[key] = true
		m.make(w, key)
	}
	for _, key := range before {
		if !seen[key] && !changed[key] {
			w.fail("SCAN did not see %s", key)
		}
	}
	w.sweep() // keys that are due may be counted, as in Redis
	w.want(len(m.live(w, w.db)), "DBSIZE")
	v, all := w.do("RANDOMKEY"), m.live(w, w.db)
	if len(all) == 0 != (v.Kind == reply.KindNull) || len(all) > 0 && !slices.Contains(all, string(v.Text)) {
		w.fail("RANDOMKEY of %s: %s", all, shown(v))
	}
}

func (m *keyModel) flush(w *walk, _ string) {
	if w.below(12) > 0 {
		return
	}
	if w.coin() {
		clear(m.dbs[w.db])
		w.want(ok, "FLUSHDB")
		return
	}
	for _, db := range m.dbs {
		clear(db)
	}
	w.want(ok, "FLUSHALL")
}
