package models

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

var stringKind = kind{
	new:   func() model { return &stringModel{values: make(map[string]timed)} },
	forms: []string{"int", "embstr", "raw"},
}

func TestStrings(t *testing.T) { testKind(t, stringKind) }
func FuzzStrings(f *testing.F) { fuzzKind(f, stringKind) }

// timed is a text that may be gone at some time.
type timed struct {
	text string
	at   int64 // Unix milliseconds; 0 is never
}

// stringModel is all keys with their texts. The key "list" is none of them.
type stringModel struct{ values map[string]timed }

func (m *stringModel) key(w *walk) string { return pick(&w.dice, "a", "b", "c", "d") }

func (m *stringModel) get(w *walk, key string) (timed, bool) {
	v, found := m.values[key]
	if found && v.at != 0 && v.at <= w.now {
		delete(m.values, key)
		return timed{}, false
	}
	return v, found
}

// old returns what a command replies that tells the value that was there.
func (m *stringModel) old(w *walk, key string) any {
	if v, found := m.get(w, key); found {
		return v.text
	}
	return nil
}

func (m *stringModel) check(w *walk) {
	for _, key := range []string{"a", "b", "c", "d"} {
		v, found := m.get(w, key)
		w.want(m.old(w, key), "GET", key)
		switch {
		case !found:
			w.want(-2, "PEXPIRETIME", key)
		case v.at == 0:
			w.want(-1, "PEXPIRETIME", key)
		default:
			w.want(v.at, "PEXPIRETIME", key)
		}
		w.meet(key)
	}
}

func (m *stringModel) step(w *walk) {
	steps := []func(*walk, string){
		m.set, m.set, m.setNumber, m.getex, m.append, m.setrange, m.getrange, m.incr, m.incr, m.incrByFloat, m.many, m.lcs, m.other, m.ofAnotherType,
	}
	pick(&w.dice, steps...)(w, m.key(w))
}

// expiry draws an option that sets an expiry time, and tells the time.
func expiry(w *walk) (option []string, at int64) {
	n := int64(w.between(1, 100))
	switch w.below(4) {
	case 0:
		return []string{"EX", fmt.Sprint(n)}, w.now + n*1000
	case 1:
		return []string{"PX", fmt.Sprint(n)}, w.now + n
	case 2:
		at = (w.now/1000 + n - 10) * 1000
		return []string{"EXAT", fmt.Sprint(at / 1000)}, at
	}
	return []string{"PXAT", fmt.Sprint(w.now + n - 10)}, w.now + n - 10
}

func (m *stringModel) set(w *walk, key string) {
	next := timed{text: w.text()}
	args := []string{"SET", key, next.text}
	old, found := m.get(w, key)
	condition := pick(&w.dice, "", "", "NX", "XX")
	if condition != "" {
		args = append(args, condition)
	}
	switch w.below(4) {
	case 0:
		args = append(args, "KEEPTTL")
		next.at = old.at
	case 1:
		option, at := expiry(w)
		args, next.at = append(args, option...), at
	}
	done := condition == "" || (condition == "XX") == found
	var want any = ok
	if !done {
		want = nil
	}
	if w.coin() {
		args = append(args, "GET")
		want = m.old(w, key)
	}
	if done {
		m.values[key] = next
	}
	w.want(want, args...)
}

func (m *stringModel) setNumber(w *walk, key string) {
	m.values[key] = timed{text: pick(&w.dice, "0", "-1", "10", "9223372036854775807", "-9223372036854775808", "1.5", "-0.25", "007", "nan", "9223372036854775808", "")}
	w.want(ok, "SET", key, m.values[key].text)
}

func (m *stringModel) getex(w *walk, key string) {
	args, v := []string{"GETEX", key}, m.values[key]
	switch w.below(4) {
	case 0:
		args = append(args, "PERSIST")
		v.at = 0
	case 1, 2:
		option, at := expiry(w)
		args, v.at = append(args, option...), at
	}
	want := m.old(w, key)
	if want != nil {
		m.values[key] = v
	}
	w.want(want, args...)
}

func (m *stringModel) change(w *walk, key, text string) {
	v, _ := m.get(w, key)
	m.values[key] = timed{text, v.at}
}

func (m *stringModel) append(w *walk, key string) {
	v, _ := m.get(w, key)
	tail := w.text()
	m.change(w, key, v.text+tail)
	w.want(len(v.text)+len(tail), "APPEND", key, tail)
}

func (m *stringModel) setrange(w *walk, key string) {
	v, _ := m.get(w, key)
	from, part := w.between(0, 120), w.text()
	args := []string{"SETRANGE", key, fmt.Sprint(from), part}
	if part == "" {
		w.want(len(v.text), args...)
		return
	}
	whole := []byte(v.text)
	for len(whole) < from+len(part) {
		whole = append(whole, 0)
	}
	copy(whole[from:], part)
	m.change(w, key, string(whole))
	w.want(len(whole), args...)
}

// part returns the bounds of what a range from first to last has of n; half-open.
func part(first, last, n int) (from, limit int) {
	if first < 0 {
		first = max(0, n+first)
	}
	if last < 0 {
		last = n + last
	}
	limit = min(n, last+1)
	if first >= limit {
		return 0, 0
	}
	return first, limit
}

func (m *stringModel) getrange(w *walk, key string) {
	v, _ := m.get(w, key)
	first, last := w.between(-30, 30), w.between(-30, 30)
	// Redis takes an end before the beginning for the first byte.
	if first < 0 && last < 0 && first > last {
		last = first - 1
	} else if last < 0 {
		last = max(last, -len(v.text))
	}
	from, limit := part(first, last, len(v.text))
	w.want(v.text[from:limit], pick(&w.dice, "GETRANGE", "SUBSTR"), key, fmt.Sprint(first), fmt.Sprint(last))
}

// number returns a text as INCR takes it.
func number(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == text
}

func (m *stringModel) incr(w *walk, key string) {
	by := pick(&w.dice, int64(1), 7, -12, math.MaxInt64, math.MinInt64+1, int64(w.take(8)))
	args := []string{"INCRBY", key, fmt.Sprint(by)}
	switch w.below(4) {
	case 0:
		by, args = 1, []string{"INCR", key}
	case 1:
		by, args = -1, []string{"DECR", key}
	case 2:
		if by == math.MinInt64 {
			by++
		}
		by, args = -by, []string{"DECRBY", key, fmt.Sprint(by)}
	}
	v, found := m.get(w, key)
	if !found {
		v.text = "0"
	}
	n, isNumber := number(v.text)
	sum := new(big.Int).Add(big.NewInt(n), big.NewInt(by))
	switch {
	case !isNumber, !sum.IsInt64():
		w.want(fail("ERR"), args...)
	default:
		m.change(w, key, sum.String())
		w.want(sum.Int64(), args...)
	}
}

// incrByFloat adds numbers that have few bits, so that nothing is rounded.
func (m *stringModel) incrByFloat(w *walk, key string) {
	if w.coin() {
		m.values[key] = timed{text: fmt.Sprint(float64(w.between(-200, 200)) / 8)}
		w.want(ok, "SET", key, m.values[key].text)
	}
	v, found := m.get(w, key)
	if !found {
		v.text = "0"
	}
	old, isNumber := new(big.Rat).SetString(v.text)
	by := float64(w.between(-200, 200)) / 16
	args := []string{"INCRBYFLOAT", key, fmt.Sprint(by)}
	if !isNumber || strings.Contains(v.text, "x") || len(v.text) > 8 {
		w.do(args...) // an error, or more digits than we care for
		m.values[key] = timed{text: "0"}
		w.want(ok, "SET", key, "0")
		return
	}
	sum, _ := old.Add(old, new(big.Rat).SetFloat64(by)).Float64()
	text := strconv.FormatFloat(sum+0, 'f', -1, 64)
	if text == "-0" {
		text = "0"
	}
	m.change(w, key, text)
	w.want(text, args...)
}

// many is MSET and its kin.
func (m *stringModel) many(w *walk, _ string) {
	keys := repeat(&w.dice, 4, func() string { return m.key(w) })
	if w.coin() {
		values := make([]any, len(keys))
		for i, key := range keys {
			values[i] = m.old(w, key)
		}
		w.want(values, append([]string{"MGET"}, keys...)...)
		return
	}
	var pairs []string
	for _, key := range keys {
		pairs = append(pairs, key, w.text())
	}
	var want any = ok
	name := pick(&w.dice, "MSET", "MSETNX")
	if name == "MSETNX" {
		want = 1
		for _, key := range keys {
			if _, found := m.get(w, key); found {
				want = 0
			}
		}
	}
	if want != 0 {
		for i := 0; i < len(pairs); i += 2 {
			m.values[pairs[i]] = timed{text: pairs[i+1]}
		}
	}
	w.want(want, append([]string{name}, pairs...)...)
}

// lcs asks for a longest common subsequence: there may be several.
func (m *stringModel) lcs(w *walk, key string) {
	other := m.key(w)
	a, _ := m.get(w, key)
	b, _ := m.get(w, other)
	longest := lcsLen(a.text, b.text)
	w.want(longest, "LCS", key, other, "LEN")
	got := string(w.do("LCS", key, other).Text)
	if len(got) != longest || !subsequence(got, a.text) || !subsequence(got, b.text) {
		w.fail("%q is not a longest common part of %q and %q", got, a.text, b.text)
	}
	total := 0
	matches := w.do("LCS", key, other, "IDX", "WITHMATCHLEN").Elems[1]
	for _, match := range matches.Elems {
		x, y := match.Elems[0].Elems, match.Elems[1].Elems
		if a.text[x[0].Int:x[1].Int+1] != b.text[y[0].Int:y[1].Int+1] || match.Elems[2].Int != x[1].Int-x[0].Int+1 {
			w.fail("%s is no match of %q and %q", shown(match), a.text, b.text)
		}
		total += int(match.Elems[2].Int)
	}
	if total != longest {
		w.fail("matches of %d bytes in all, not %d: %s", total, longest, shown(matches))
	}
}

func lcsLen(a, b string) int {
	above := make([]int, len(b)+1)
	for i := range len(a) {
		row := make([]int, len(b)+1)
		for j := range len(b) {
			if row[j+1] = max(above[j+1], row[j]); a[i] == b[j] {
				row[j+1] = above[j] + 1
			}
		}
		above = row
	}
	return slices.Max(above)
}

func subsequence(part, whole string) bool {
	for i := range len(whole) {
		if part != "" && part[0] == whole[i] {
			part = part[1:]
		}
	}
	return part == ""
}

func (m *stringModel) other(w *walk, key string) {
	v, found := m.get(w, key)
	switch w.below(6) {
	case 0:
		w.want(len(v.text), "STRLEN", key)
	case 1:
		want := m.old(w, key)
		delete(m.values, key)
		w.want(want, "GETDEL", key)
	case 2:
		want := m.old(w, key)
		m.values[key] = timed{text: w.text()}
		w.want(want, "GETSET", key, m.values[key].text)
	case 3:
		text, want := w.text(), 0
		if !found {
			m.values[key], want = timed{text: text}, 1
		}
		w.want(want, "SETNX", key, text)
	case 4:
		text, n := w.text(), w.between(1, 50)
		name, unit := "SETEX", 1000
		if w.coin() {
			name, unit = "PSETEX", 1
		}
		m.values[key] = timed{text, w.now + int64(n*unit)}
		w.want(ok, name, key, fmt.Sprint(n), text)
	case 5:
		want := 0
		if found {
			want = 1
		}
		delete(m.values, key)
		w.want(want, pick(&w.dice, "DEL", "UNLINK"), key)
	}
}

// ofAnotherType sends commands to a key that holds a list: they change nothing.
func (m *stringModel) ofAnotherType(w *walk, key string) {
	if w.do("EXISTS", "list").Int == 0 {
		w.want(1, "RPUSH", "list", "x")
	}
	w.want(wrongType, pick(&w.dice, []string{"APPEND", "list", "x"}, []string{"INCR", "list"}, []string{"SETRANGE", "list", "1", "x"}, []string{"GETSET", "list", "x"},
		[]string{"SET", "list", "x", "GET"}, []string{"GETEX", "list", "PX", "1"}, []string{"GETDEL", "list"}, []string{"INCRBYFLOAT", "list", "1"}, []string{"SETBIT", "list", "1", "1"})...)
	if v := w.do("LCS", "list", key); v.Kind != reply.KindError {
		w.fail("LCS of a list: %s", shown(v))
	}
	w.want([]string{"x"}, "LRANGE", "list", "0", "-1")
}
