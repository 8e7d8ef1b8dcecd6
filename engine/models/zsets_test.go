package models

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var zsetKind = kind{
	new: func() model { return &zsetModel{zsets: make(map[string]zset)} },
	limits: map[string][]string{
		"zset-max-listpack-entries": {"0", "1", "4", "20", "128"},
		"zset-max-listpack-value":   {"0", "3", "64", "100"},
	},
	forms: []string{"listpack", "skiplist"},
}

func TestZsets(t *testing.T) { testKind(t, zsetKind) }
func FuzzZsets(f *testing.F) { fuzzKind(f, zsetKind) }

// zset is scores by member.
type zset map[string]float64

type scored struct {
	member string
	score  float64
}

// order returns the members by score, then by text.
func (z zset) order() []scored {
	var all []scored
	for member, score := range z {
		all = append(all, scored{member, score})
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.score, b.score), strings.Compare(a.member, b.member))
	})
	return all
}

func scoreText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// listed writes members out, with their scores or without.
func listed(all []scored, scores bool) []string {
	texts := []string{}
	for _, s := range all {
		if texts = append(texts, s.member); scores {
			texts = append(texts, scoreText(s.score))
		}
	}
	return texts
}

// wantScores is want for replies with scores. Whether a zero that was made of others
// has a sign follows from the order in which Redis takes the sets.
func wantScores(w *walk, want any, args ...string) {
	w.Helper()
	if got, want := unsigned(shown(w.do(args...))), show(want); got != want {
		w.fail("got  %.2000s\nwant %.2000s", got, want)
	}
}

func unsigned(text string) string { return strings.ReplaceAll(text, `"-0"`, `"0"`) }

// zsetModel is all sorted sets by key; there are no empty ones.
type zsetModel struct{ zsets map[string]zset }

var zsetKeys = []string{"a", "b", "c"}

func (m *zsetModel) put(key string, z zset) {
	if m.zsets[key] = z; len(z) == 0 {
		delete(m.zsets, key)
	}
}

// score draws a number that has few bits, so that sums are not rounded.
func (m *zsetModel) score(w *walk) float64 {
	switch w.below(20) {
	case 0:
		return math.Inf(1)
	case 1:
		return math.Inf(-1)
	case 2:
		return float64(w.between(-200, 200)) * 1e9
	}
	return float64(w.between(-40, 40)) / 4
}

func (m *zsetModel) member(w *walk, key string) string {
	if all := m.zsets[key].order(); len(all) > 0 && w.coin() {
		return all[w.below(len(all))].member
	}
	return w.text()
}

func (m *zsetModel) check(w *walk) {
	for _, key := range zsetKeys {
		wantScores(w, listed(m.zsets[key].order(), true), "ZRANGE", key, "0", "-1", "WITHSCORES")
		w.want(len(m.zsets[key]), "ZCARD", key)
		w.meet(key)
	}
}

func (m *zsetModel) step(w *walk) {
	steps := []func(*walk, string){
		m.add, m.add, m.add, m.addMany, m.incr, m.rem, m.rem, m.look, m.ranges, m.ranges, m.ranges, m.byLex, m.removeRange, m.pop, m.combine, m.combine, m.store, m.random, m.scan, m.remove,
	}
	pick(&w.dice, steps...)(w, pick(&w.dice, zsetKeys...))
}

func (m *zsetModel) add(w *walk, key string) {
	args := []string{"ZADD", key}
	condition, limit := pick(&w.dice, "", "", "", "NX", "XX"), ""
	if condition != "NX" {
		limit = pick(&w.dice, "", "", "", "GT", "LT")
	}
	for _, option := range []string{condition, limit} {
		if option != "" {
			args = append(args, option)
		}
	}
	counts := w.coin()
	if counts {
		args = append(args, "CH")
	}
	z, added, changed := maps.Clone(m.zsets[key]), 0, 0
	if z == nil {
		z = make(zset)
	}
	for range w.between(1, 4) {
		member, score := m.member(w, key), m.score(w)
		args = append(args, scoreText(score), member)
		old, had := z[member]
		switch {
		case had && (condition == "NX" || limit == "GT" && score <= old || limit == "LT" && score >= old), !had && condition == "XX":
			continue
		case !had:
			added++
		case old != score:
			changed++
		}
		z[member] = score
	}
	m.put(key, z)
	if counts {
		added += changed
	}
	w.want(added, args...)
}

func (m *zsetModel) addMany(w *walk, key string) {
	if w.below(6) > 0 {
		return
	}
	args, z, added := []string{"ZADD", key}, maps.Clone(m.zsets[key]), 0
	if z == nil {
		z = make(zset)
	}
	for i := range w.between(20, 200) {
		member, score := fmt.Sprint("m", i), m.score(w)
		_, had := z[member]
		added += one(!had)
		z[member] = score
		args = append(args, scoreText(score), member)
	}
	m.put(key, z)
	w.want(added, args...)
}

func (m *zsetModel) incr(w *walk, key string) {
	member, by := m.member(w, key), m.score(w)
	sum := m.zsets[key][member] + by
	args := []string{"ZINCRBY", key, scoreText(by), member}
	if w.coin() {
		args = []string{"ZADD", key, "INCR", scoreText(by), member}
	}
	if math.IsNaN(sum) {
		w.want(fail("ERR resulting score is not a number (NaN)"), args...)
		return
	}
	if m.zsets[key] == nil {
		m.zsets[key] = make(zset)
	}
	m.zsets[key][member] = sum
	wantScores(w, scoreText(sum), args...)
}

func (m *zsetModel) rem(w *walk, key string) {
	members, n := repeat(&w.dice, 9, func() string { return m.member(w, key) }), 0
	for _, member := range members {
		_, had := m.zsets[key][member]
		n += one(had)
		delete(m.zsets[key], member)
	}
	m.put(key, m.zsets[key])
	w.want(n, append([]string{"ZREM", key}, members...)...)
}

func (m *zsetModel) look(w *walk, key string) {
	member, all := m.member(w, key), m.zsets[key].order()
	at := slices.IndexFunc(all, func(s scored) bool { return s.member == member })
	if at < 0 {
		w.want(nil, "ZSCORE", key, member)
		w.want(nil, pick(&w.dice, "ZRANK", "ZREVRANK"), key, member)
		return
	}
	wantScores(w, scoreText(all[at].score), "ZSCORE", key, member)
	w.want(at, "ZRANK", key, member)
	w.want(len(all)-1-at, "ZREVRANK", key, member)
	wantScores(w, []any{scoreText(all[at].score), nil}, "ZMSCORE", key, member, "no such member")
}

// bound draws the end of a range of scores, and what is on its right side.
func (m *zsetModel) bound(w *walk) (text string, above func(float64) bool, below func(float64) bool) {
	b := m.score(w)
	if w.coin() {
		return "(" + scoreText(b), func(f float64) bool { return f > b }, func(f float64) bool { return f < b }
	}
	return scoreText(b), func(f float64) bool { return f >= b }, func(f float64) bool { return f <= b }
}

// byScore draws two ends, and returns what is between them.
func (m *zsetModel) byScore(w *walk, key string) (low, high string, found []scored) {
	low, above, _ := m.bound(w)
	high, _, below := m.bound(w)
	for _, s := range m.zsets[key].order() {
		if above(s.score) && below(s.score) {
			found = append(found, s)
		}
	}
	return low, high, found
}

// limited draws a LIMIT, and returns what it leaves.
func limited(w *walk, args []string, found []scored) ([]string, []scored) {
	if w.coin() {
		return args, found
	}
	offset, count := w.below(6), w.between(-1, 6)
	found = found[min(offset, len(found)):]
	if count >= 0 {
		found = found[:min(count, len(found))]
	}
	return append(args, "LIMIT", fmt.Sprint(offset), fmt.Sprint(count)), found
}

func (m *zsetModel) ranges(w *walk, key string) {
	scores := w.coin()
	args, found := m.someRange(w, key)
	if scores {
		args = append(args, "WITHSCORES")
	}
	wantScores(w, listed(found, scores), append([]string{"ZRANGE", key}, args...)...)
}

// someRange draws what ZRANGE and ZRANGESTORE take, and what that means.
func (m *zsetModel) someRange(w *walk, key string) (args []string, found []scored) {
	reverse := w.coin()
	if w.coin() {
		from, to := w.between(-20, 20), w.between(-20, 20)
		all := m.zsets[key].order()
		if reverse {
			slices.Reverse(all)
		}
		first, limit := part(from, to, len(all))
		args, found = []string{fmt.Sprint(from), fmt.Sprint(to)}, all[first:limit]
		if reverse {
			args = append(args, "REV")
		}
		return args, found
	}
	low, high, found := m.byScore(w, key)
	args = []string{low, high, "BYSCORE"}
	if reverse {
		slices.Reverse(found)
		args = []string{high, low, "BYSCORE", "REV"}
	}
	return limited(w, args, found)
}

// byLex works on a key whose members all have one score.
func (m *zsetModel) byLex(w *walk, _ string) {
	if len(m.zsets["lex"]) == 0 || w.coin() {
		member := w.text()
		_, had := m.zsets["lex"][member]
		if m.zsets["lex"] == nil {
			m.zsets["lex"] = make(zset)
		}
		m.zsets["lex"][member] = 1
		w.want(one(!had), "ZADD", "lex", "1", member)
	}
	low, high := m.member(w, "lex"), m.member(w, "lex")
	lowSign, highSign := pick(&w.dice, "[", "("), pick(&w.dice, "[", "(")
	lowText, highText := lowSign+low, highSign+high
	fromStart, toEnd := w.below(5) == 0, w.below(5) == 0
	if fromStart {
		lowText = "-"
	}
	if toEnd {
		highText = "+"
	}
	var found []scored
	for _, s := range m.zsets["lex"].order() {
		if (fromStart || s.member > low || lowSign == "[" && s.member == low) && (toEnd || s.member < high || highSign == "[" && s.member == high) {
			found = append(found, s)
		}
	}
	switch w.below(4) {
	case 0:
		w.want(len(found), "ZLEXCOUNT", "lex", lowText, highText)
	case 1:
		for _, s := range found {
			delete(m.zsets["lex"], s.member)
		}
		m.put("lex", m.zsets["lex"])
		w.want(len(found), "ZREMRANGEBYLEX", "lex", lowText, highText)
	case 2:
		args, found := limited(w, []string{"ZRANGEBYLEX", "lex", lowText, highText}, found)
		wantScores(w, listed(found, false), args...)
	default:
		slices.Reverse(found)
		args, found := limited(w, []string{"ZRANGE", "lex", highText, lowText, "BYLEX", "REV"}, found)
		wantScores(w, listed(found, false), args...)
	}
}

func (m *zsetModel) removeRange(w *walk, key string) {
	low, high, found := m.byScore(w, key)
	args := []string{"ZREMRANGEBYSCORE", key, low, high}
	switch w.below(3) {
	case 0:
		w.want(len(found), "ZCOUNT", key, low, high)
		return
	case 1:
		from, to, all := w.between(-20, 20), w.between(-20, 20), m.zsets[key].order()
		first, limit := part(from, to, len(all))
		args, found = []string{"ZREMRANGEBYRANK", key, fmt.Sprint(from), fmt.Sprint(to)}, all[first:limit]
	}
	m.take(key, found)
	w.want(len(found), args...)
}

func (m *zsetModel) take(key string, found []scored) {
	for _, s := range found {
		delete(m.zsets[key], s.member)
	}
	m.put(key, m.zsets[key])
}

func (m *zsetModel) pop(w *walk, key string) {
	all, n, end := m.zsets[key].order(), w.below(5), pick(&w.dice, "MIN", "MAX")
	if end == "MAX" {
		slices.Reverse(all)
	}
	all = all[:min(n, len(all))]
	if n > 0 && len(all) > 0 && w.coin() {
		m.take(key, all)
		var pairs []any
		for _, s := range all {
			pairs = append(pairs, []any{s.member, scoreText(s.score)})
		}
		wantScores(w, []any{key, pairs}, "ZMPOP", "2", "none", key, end, "COUNT", fmt.Sprint(n))
		return
	}
	m.take(key, all)
	wantScores(w, listed(all, true), "ZPOP"+end, key, fmt.Sprint(n))
}

func (m *zsetModel) infinite(keys []string) bool {
	for _, key := range keys {
		for _, score := range m.zsets[key] {
			if math.IsInf(score, 0) {
				return true
			}
		}
	}
	return false
}

// result draws what ZUNION, ZINTER and ZDIFF take, and what they make of it.
func (m *zsetModel) result(w *walk) (name string, args []string, result zset) {
	name = pick(&w.dice, "ZUNION", "ZINTER", "ZDIFF")
	keys := repeat(&w.dice, 3, func() string { return pick(&w.dice, "a", "b", "c", "none") })
	args = append([]string{fmt.Sprint(len(keys))}, keys...)
	weights := slices.Repeat([]float64{1}, len(keys))
	aggregate := "SUM"
	if name != "ZDIFF" {
		if w.coin() {
			args = append(args, "WEIGHTS")
			for i := range weights {
				weights[i] = float64(pick(&w.dice, 1, 2, -1, 0))
				if m.infinite(keys) { // what is no number, ZINTER takes in its own ways
					weights[i] = 1
				}
				args = append(args, scoreText(weights[i]))
			}
		}
		if w.coin() || m.infinite(keys) {
			aggregate = pick(&w.dice, "SUM", "MIN", "MAX")
			if m.infinite(keys) { // the sum of three may hang on the order
				aggregate = "MAX"
			}
			args = append(args, "AGGREGATE", aggregate)
		}
	}
	result = make(zset)
	in := make(map[string]int) // how many of the sets have a member
	for i, key := range keys {
		for member, score := range m.zsets[key] {
			weighted := score * weights[i]
			old, had := result[member]
			switch {
			case !had:
			case name == "ZDIFF":
				weighted = old
			case aggregate == "MIN":
				weighted = min(old, weighted)
			case aggregate == "MAX":
				weighted = max(old, weighted)
			default:
				weighted += old
			}
			result[member] = weighted + 0
			in[member]++
		}
	}
	maps.DeleteFunc(result, func(member string, _ float64) bool {
		_, inFirst := m.zsets[keys[0]][member]
		return name == "ZINTER" && in[member] < len(keys) || name == "ZDIFF" && !(inFirst && in[member] == 1)
	})
	return name, args, result
}

func (m *zsetModel) combine(w *walk, _ string) {
	name, args, result := m.result(w)
	wantScores(w, listed(result.order(), true), append(append([]string{name}, args...), "WITHSCORES")...)
}

func (m *zsetModel) store(w *walk, key string) {
	if w.coin() {
		source := pick(&w.dice, zsetKeys...)
		args, found := m.someRange(w, source)
		result := make(zset)
		for _, s := range found {
			result[s.member] = s.score
		}
		m.put(key, result)
		w.want(len(result), append([]string{"ZRANGESTORE", key, source}, args...)...)
		return
	}
	name, args, result := m.result(w)
	m.put(key, result)
	w.want(len(result), append([]string{name + "STORE", key}, args...)...)
}

func (m *zsetModel) random(w *walk, key string) {
	n, z := w.between(-12, 12), m.zsets[key]
	all, seen := texts(w.do("ZRANDMEMBER", key, fmt.Sprint(n), "WITHSCORES")), make(map[string]bool)
	for i := 0; i+1 < len(all); i += 2 {
		if score, found := z[all[i]]; !found || scoreText(score) != strings.Replace(all[i+1], "-0", "0", one(all[i+1] == "-0")) || n > 0 && seen[all[i]] {
			w.fail("%q is not there, or comes again", all[i])
		}
		seen[all[i]] = true
	}
	want := min(n, len(z))
	if n < 0 {
		want = -n * one(len(z) > 0)
	}
	if len(all) != 2*want {
		w.fail("%d members, not %d", len(all)/2, want)
	}
}

// scan goes through a set that changes on the way: what stays is seen.
func (m *zsetModel) scan(w *walk, key string) {
	stayed, seen := maps.Clone(m.zsets[key]), make(map[string]bool)
	for cursor, rounds := "0", 0; ; rounds++ {
		v := w.do("ZSCAN", key, cursor, "COUNT", fmt.Sprint(w.between(1, 9)))
		for i, member := range texts(v.Elems[1]) {
			if i%2 == 0 {
				seen[member] = true
			}
		}
		if cursor = string(v.Elems[0].Text); cursor == "0" {
			break
		}
		if rounds < 5 {
			pick(&w.dice, m.add, m.rem)(w, key)
		}
		maps.DeleteFunc(stayed, func(member string, _ float64) bool { _, is := m.zsets[key][member]; return !is })
	}
	for member := range stayed {
		if !seen[member] {
			w.fail("ZSCAN did not see %q", member)
		}
	}
}

func (m *zsetModel) remove(w *walk, key string) {
	if w.below(4) > 0 {
		return
	}
	n := one(m.zsets[key] != nil)
	delete(m.zsets, key)
	w.want(n, "DEL", key)
}
