package workload

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/cmd/chaos/model"
)

// Kind is one kind of history: which commands are sent at the keys of a group.
type Kind struct {
	Name string
	// next returns an operation: its form and its commands. If the form is Guards,
	// they are what is done if the first key is as it was when it was watched.
	next func(g *chance) (history.Form, []history.Cmd)
	// final reads all that the group holds.
	final []history.Cmd
	// life is how long a group is worked at; 0: the default.
	life time.Duration
}

// Kinds are all kinds, in the order of their documentation.
var Kinds = []*Kind{
	{Name: "string", next: plainStrings, final: []history.Cmd{{"GET", a}, {"GET", b}}},
	{Name: "counter", next: counters, final: []history.Cmd{{"GET", a}, {"GET", b}}},
	{Name: "append", next: appends, final: []history.Cmd{{"GET", a}}},
	{Name: "hash", next: hashes, final: []history.Cmd{{"HGETALL", a}}},
	{Name: "list", next: lists, final: []history.Cmd{{"LRANGE", a, "0", "-1"}, {"LRANGE", b, "0", "-1"}}},
	{Name: "set", next: sets, final: []history.Cmd{{"SMEMBERS", a}, {"SMEMBERS", b}}},
	{Name: "zset", next: zsets, final: []history.Cmd{{"ZRANGE", a, "0", "-1", "WITHSCORES"}}},
	{Name: "stream", next: streams, final: []history.Cmd{{"XRANGE", a, "-", "+"}}},
	{Name: "multi", next: transactions, final: []history.Cmd{{"MGET", a, b, c}}},
	{Name: "watch", next: guarded, final: []history.Cmd{{"MGET", a, b, c}}},
	{Name: "lua", next: scripts, final: []history.Cmd{{"GET", a}, {"GET", b}}},
	{Name: "ttl", next: mortals, life: 6 * time.Second, final: []history.Cmd{{"GET", a}, {"GET", b}, {"GET", c}}},
}

var a, b, c = history.Key(0), history.Key(1), history.Key(2)

// chance makes choices.
type chance struct{ *rand.Rand }

func (r *chance) key(n int) string { return history.Key(r.IntN(n)) }

func (r *chance) of(words ...string) string { return words[r.IntN(len(words))] }

// oneOf returns one of the makers' commands, each as likely as its weight.
func (r *chance) oneOf(choices ...weighted) history.Cmd {
	total := 0
	for _, w := range choices {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range choices {
		if n -= w.weight; n < 0 {
			return w.cmd
		}
	}
	panic("unreachable")
}

type weighted struct {
	weight int
	cmd    history.Cmd
}

var lastUnique atomic.Uint64

// unique returns a value that occurs once in the run.
func unique() string { return model.Unique(lastUnique.Add(1)) }

func plainStrings(r *chance) (history.Form, []history.Cmd) {
	k := r.key(2)
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{8, history.Cmd{"GET", k}},
		weighted{6, history.Cmd{"SET", k, unique()}},
		weighted{2, history.Cmd{"GETSET", k, unique()}},
		weighted{1, history.Cmd{"SETNX", k, unique()}},
		weighted{1, history.Cmd{"SET", k, unique(), "NX"}},
		weighted{1, history.Cmd{"GETDEL", k}},
		weighted{1, history.Cmd{"DEL", k}},
		weighted{1, history.Cmd{"EXISTS", k}},
		weighted{1, history.Cmd{"MGET", a, b}},
		weighted{1, history.Cmd{"MSET", a, unique(), b, unique()}},
	)}
}

func counters(r *chance) (history.Form, []history.Cmd) {
	k := r.key(2)
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{6, history.Cmd{"INCR", k}},
		weighted{2, history.Cmd{"INCRBY", k, strconv.Itoa(r.IntN(40) - 20)}},
		weighted{5, history.Cmd{"GET", k}},
		weighted{1, history.Cmd{"MGET", a, b}},
	)}
}

func appends(r *chance) (history.Form, []history.Cmd) {
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{6, history.Cmd{"APPEND", a, "." + unique()}},
		weighted{5, history.Cmd{"GET", a}},
		weighted{2, history.Cmd{"STRLEN", a}},
		weighted{1, history.Cmd{"SET", a, unique()}},
	)}
}

func hashes(r *chance) (history.Form, []history.Cmd) {
	field := r.of("f", "g", "h")
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{4, history.Cmd{"HSET", a, field, unique()}},
		weighted{2, history.Cmd{"HDEL", a, field}},
		weighted{3, history.Cmd{"HINCRBY", a, "n", strconv.Itoa(1 + r.IntN(9))}},
		weighted{3, history.Cmd{"HGET", a, field}},
		weighted{4, history.Cmd{"HGETALL", a}},
		weighted{1, history.Cmd{"HLEN", a}},
	)}
}

func lists(r *chance) (history.Form, []history.Cmd) {
	k := r.key(2)
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{3, history.Cmd{"LPUSH", k, unique()}},
		weighted{3, history.Cmd{"RPUSH", k, unique()}},
		weighted{3, history.Cmd{"LPOP", k}},
		weighted{4, history.Cmd{"RPOP", k}},
		weighted{2, history.Cmd{"LMOVE", a, b, r.of("LEFT", "RIGHT"), r.of("LEFT", "RIGHT")}},
		weighted{5, history.Cmd{"LRANGE", k, "0", "-1"}},
		weighted{1, history.Cmd{"LLEN", k}},
	)}
}

func sets(r *chance) (history.Form, []history.Cmd) {
	k, member := r.key(2), r.of("m", "n", "o", "p", "q", "r")
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{7, history.Cmd{"SADD", k, member}},
		weighted{1, history.Cmd{"SREM", k, member}},
		weighted{5, history.Cmd{"SPOP", k}},
		weighted{1, history.Cmd{"SMOVE", a, b, member}},
		weighted{2, history.Cmd{"SISMEMBER", k, member}},
		weighted{4, history.Cmd{"SMEMBERS", k}},
		weighted{1, history.Cmd{"SCARD", k}},
	)}
}

func zsets(r *chance) (history.Form, []history.Cmd) {
	member := r.of("m", "n", "o", "p", "q")
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{5, history.Cmd{"ZADD", a, strconv.Itoa(r.IntN(100)), member}},
		weighted{3, history.Cmd{"ZINCRBY", a, strconv.Itoa(1 + r.IntN(9)), member}},
		weighted{1, history.Cmd{"ZREM", a, member}},
		weighted{2, history.Cmd{"ZPOPMIN", a}},
		weighted{2, history.Cmd{"ZPOPMAX", a}},
		weighted{2, history.Cmd{"ZSCORE", a, member}},
		weighted{5, history.Cmd{"ZRANGE", a, "0", "-1", "WITHSCORES"}},
		weighted{1, history.Cmd{"ZCARD", a}},
	)}
}

func streams(r *chance) (history.Form, []history.Cmd) {
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{6, history.Cmd{"XADD", a, "*", "f", unique()}},
		weighted{2, history.Cmd{"XTRIM", a, "MAXLEN", strconv.Itoa(1 + r.IntN(4))}},
		weighted{5, history.Cmd{"XRANGE", a, "-", "+"}},
		weighted{1, history.Cmd{"XLEN", a}},
	)}
}

func transactions(r *chance) (history.Form, []history.Cmd) {
	switch r.IntN(6) {
	case 0:
		return history.Plain, []history.Cmd{{"MGET", a, b, c}}
	case 1:
		return history.Tx, []history.Cmd{{"GET", a}, {"GET", b}, {"GET", c}}
	case 2:
		n := strconv.Itoa(1 + r.IntN(9))
		return history.Tx, []history.Cmd{{"INCRBY", a, "-" + n}, {"INCRBY", b, n}}
	case 3:
		return history.Tx, []history.Cmd{{"SET", c, unique()}, {"INCR", a}, {"GET", b}}
	case 4:
		return history.Plain, []history.Cmd{{"INCR", r.key(2)}}
	}
	return history.Tx, []history.Cmd{{"GETSET", c, unique()}, {"GET", a}, {"INCR", b}}
}

// guarded gives the transaction of an operation that watches a.
func guarded(r *chance) (history.Form, []history.Cmd) {
	switch r.IntN(6) {
	case 0:
		return history.Guards, []history.Cmd{{"DEL", a}, {"INCR", b}}
	case 1:
		return history.Guards, []history.Cmd{{"SET", a, unique()}, {"SET", c, unique()}, {"GET", b}}
	case 2:
		return history.Plain, []history.Cmd{{"SET", a, unique()}}
	case 3:
		return history.Plain, []history.Cmd{{"MGET", a, b, c}}
	}
	return history.Guards, []history.Cmd{{"SET", a, unique()}, {"INCR", b}}
}

// casScript is the compare-and-set that the model calls CAS.
const casScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0`

// scripts writes few values, so that what is compared with is often there.
func scripts(r *chance) (history.Form, []history.Cmd) {
	k, v, w := r.key(2), strconv.Itoa(r.IntN(3)), strconv.Itoa(r.IntN(3))
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{6, history.Cmd{"CAS", k, v, w}},
		weighted{2, history.Cmd{"CAS", k, v, unique()}},
		weighted{2, history.Cmd{"SET", k, v}},
		weighted{5, history.Cmd{"GET", k}},
	)}
}

// mortals gives keys some tenths of a second to live.
func mortals(r *chance) (history.Form, []history.Cmd) {
	k, ms := r.key(3), strconv.Itoa(50+r.IntN(600))
	return history.Plain, []history.Cmd{r.oneOf(
		weighted{4, history.Cmd{"SET", k, unique(), "PX", ms}},
		weighted{1, history.Cmd{"SET", k, unique(), "PX", ms, "NX"}},
		weighted{1, history.Cmd{"SET", k, unique(), "KEEPTTL"}},
		weighted{1, history.Cmd{"PEXPIRE", k, ms}},
		weighted{1, history.Cmd{"PERSIST", k}},
		weighted{2, history.Cmd{"PTTL", k}},
		weighted{12, history.Cmd{"GET", k}},
		weighted{2, history.Cmd{"MGET", a, b, c}},
	)}
}

// reads tells which commands change nothing.
var reads = map[string]bool{
	"GET": true, "MGET": true, "EXISTS": true, "STRLEN": true, "HGET": true, "HGETALL": true, "HLEN": true, "LRANGE": true, "LLEN": true,
	"SISMEMBER": true, "SMEMBERS": true, "SCARD": true, "ZSCORE": true, "ZRANGE": true, "ZCARD": true, "XRANGE": true, "XLEN": true, "PTTL": true,
}

// readOnly reports whether an operation changes nothing.
func readOnly(cmds []history.Cmd) bool {
	for _, c := range cmds {
		if !reads[c[0]] {
			return false
		}
	}
	return true
}
