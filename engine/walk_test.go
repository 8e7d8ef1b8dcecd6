package engine

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/seed"
)

// walker makes up commands on few keys of all types, in two databases.
type walker struct {
	*rand.Rand
	keys     int  // per type and database
	positive bool // no score is -0
	fields   bool // those of hashes expire, which redis-server 7.0 does not know
	entries  int  // of streams so far
}

func (w *walker) of(words ...string) string { return words[w.IntN(len(words))] }

// text makes up members, fields and values: mostly few, some long.
func (w *walker) text() string {
	switch w.IntN(12) {
	case 0:
		return strings.Repeat(w.of("ab", "abc", "x"), w.IntN(120))
	case 1, 2, 3:
		return strconv.FormatInt(int64(w.Uint64())>>w.IntN(64), 10)
	}
	return "m" + strconv.Itoa(w.IntN(120))
}

func (w *walker) texts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = w.text()
	}
	return all
}

func (w *walker) score() string {
	zero := "-0"
	if w.positive {
		zero = "0"
	}
	return w.of(zero, "0", "inf", "-inf", "1", "17", strconv.FormatFloat(w.NormFloat64(), 'g', -1, 64))
}

// id makes up the ID of an entry of some stream.
func (w *walker) id() string { return fmt.Sprint(w.entries/40+w.IntN(50), "-", w.IntN(2)) }

// nextID is larger than those before it.
func (w *walker) nextID() string {
	w.entries++
	return fmt.Sprint(w.entries/40+50, "-*")
}

// command returns a command and the database that it is for.
func (w *walker) command() (db int, args []string) {
	db = w.IntN(8) / 7
	kind := w.of("s", "l", "t", "h", "z", "x", "any")
	key := kind + strconv.Itoa(w.IntN(w.keys))
	other := kind + strconv.Itoa(w.IntN(w.keys))
	n := strconv.Itoa(w.IntN(8))
	pick := func(choices ...[]string) []string { return choices[w.IntN(len(choices))] }
	with := func(head []string, tail ...string) []string { return append(head, tail...) }
	switch kind {
	case "s":
		args = pick(
			[]string{"SET", key, w.text()}, []string{"SET", key, w.text(), "PX", strconv.Itoa(1 + w.IntN(100000))}, []string{"APPEND", key, w.text()},
			[]string{"SETRANGE", key, n, w.text()}, []string{"INCRBY", key, n}, []string{"GETDEL", key}, []string{"OBJECT", "ENCODING", key},
			[]string{"GET", key}, []string{"SETBIT", key, n, "1"}, []string{"PFADD", key, w.text()})
	case "l":
		args = pick(
			with([]string{"RPUSH", key}, w.texts(1+w.IntN(30))...), with([]string{"LPUSH", key}, w.texts(1+w.IntN(3))...), []string{"LPOP", key, n},
			[]string{"RPOP", key}, []string{"LSET", key, n, w.text()}, []string{"LINSERT", key, "BEFORE", w.text(), w.text()}, []string{"LREM", key, "0", w.text()},
			[]string{"LTRIM", key, n, "-3"}, []string{"LMOVE", key, other, "LEFT", "RIGHT"}, []string{"LRANGE", key, "0", "-1"}, []string{"LPOS", key, w.text()})
	case "t":
		args = pick(
			with([]string{"SADD", key}, w.texts(1+w.IntN(10))...), []string{"SADD", key, n, "8", "9"}, with([]string{"SREM", key}, w.texts(3)...), []string{"SPOP", key},
			[]string{"SPOP", key, n}, []string{"SMOVE", key, other, w.text()}, []string{"SUNIONSTORE", key, key, other}, []string{"SRANDMEMBER", key, n},
			[]string{"SMEMBERS", key}, []string{"SSCAN", key, "0"}, []string{"OBJECT", "ENCODING", key})
	case "h":
		args = pick(
			with([]string{"HSET", key}, w.texts(2+2*w.IntN(5))...), []string{"HINCRBY", key, "n", n}, with([]string{"HDEL", key}, w.texts(3)...),
			[]string{"HRANDFIELD", key, n, "WITHVALUES"}, []string{"HGETALL", key}, []string{"HSCAN", key, "0"}, []string{"OBJECT", "ENCODING", key})
		if w.fields && w.IntN(4) == 0 {
			args = pick(
				[]string{"HPEXPIRE", key, strconv.Itoa(w.IntN(300)), "FIELDS", "3", w.text(), w.text(), "n"}, []string{"HPERSIST", key, "FIELDS", "2", w.text(), "n"})
		}
	case "z":
		args = pick(
			[]string{"ZADD", key, w.score(), w.text(), w.score(), w.text(), w.score(), w.text()}, []string{"ZINCRBY", key, n, w.text()}, []string{"ZREM", key, w.text(), w.text()},
			[]string{"ZPOPMIN", key}, []string{"ZPOPMAX", key, n}, []string{"ZREMRANGEBYRANK", key, "2", "3"}, []string{"ZRANGE", key, "0", "-1", "WITHSCORES"},
			[]string{"ZUNIONSTORE", key, "2", key, other}, []string{"ZRANDMEMBER", key, n}, []string{"ZSCAN", key, "0"}, []string{"OBJECT", "ENCODING", key})
	case "x":
		group, consumer := w.of("g1", "g2"), w.of("c1", "c2", "c3")
		args = pick(
			[]string{"XADD", key, w.nextID(), w.text(), w.text()}, []string{"XADD", key, w.nextID(), "a", w.text(), "b", w.text()}, []string{"XADD", key, w.nextID(), "a", w.text(), "b", w.text()},
			[]string{"XADD", key, "MAXLEN", "~", "150", w.nextID(), "a", "1", "b", "2"}, []string{"XDEL", key, w.id(), w.id()}, []string{"XTRIM", key, "MAXLEN", "40"},
			[]string{"XGROUP", "CREATE", key, group, w.of("0", "$"), "MKSTREAM"}, []string{"XGROUP", "SETID", key, group, w.id()},
			[]string{"XREADGROUP", "GROUP", group, consumer, "COUNT", n, "STREAMS", key, ">"}, []string{"XACK", key, group, w.id(), w.id()},
			[]string{"XAUTOCLAIM", key, group, consumer, "0", "0", "COUNT", n}, []string{"XGROUP", "DELCONSUMER", key, group, consumer},
			[]string{"XINFO", "STREAM", key, "FULL"}, []string{"XRANGE", key, "-", "+"}, []string{"XPENDING", key, group})
	default:
		kind = w.of("s", "l", "t", "h", "z", "x")
		key, other = kind+strconv.Itoa(w.IntN(w.keys)), kind+strconv.Itoa(w.IntN(w.keys))
		args = pick(
			[]string{"DEL", key}, []string{"PEXPIRE", key, strconv.Itoa(1 + w.IntN(3000))}, []string{"PERSIST", key}, []string{"RENAME", key, other},
			[]string{"COPY", key, other, "REPLACE"}, []string{"PTTL", key}, []string{"TYPE", key}, []string{"SCAN", "0", "COUNT", "5"}, []string{"RANDOMKEY"},
			w.function(key), w.function(key), []string{"DBSIZE"}, []string{"MOVE", key, "1"}, []string{"EVAL", "return redis.call('RANDOMKEY') or " + n, "0"}, []string{"DUMP", key})
	}
	return db, args
}

// function makes up a command about functions, of which there are few.
func (w *walker) function(key string) []string {
	n := strconv.Itoa(w.IntN(5))
	name := "f" + n
	switch w.IntN(10) {
	case 0:
		return []string{"FUNCTION", "DELETE", "lib" + n}
	case 1:
		return []string{"FUNCTION", w.of("LIST", "DUMP", "STATS")}
	case 2:
		return []string{"FUNCTION", w.of("FLUSH", "LIST", "LIST", "LIST")}
	case 3, 4, 5:
		return []string{"FUNCTION", "LOAD", "REPLACE", fmt.Sprintf(`#!lua name=lib%[1]s
			local calls, kept = 0, {}
			local function helper(x) return x .. '' end
			redis.register_function('%[2]s', function(keys, args)
				calls, kept[#kept + 1] = calls + 1, args
				redis.call('SET', keys[1], calls .. '%[4]s' .. #kept .. math.random(100) .. tostring(kept) .. collectgarbage('count'))
				return {calls, tostring(redis.call)}
			end)
			redis.register_function('s%[3]s', function(keys, args)
				local seen = {[helper] = 1, [args] = 2, [redis.call] = 3}
				for _, v in pairs(seen) do redis.call('APPEND', keys[1], helper(v)) end
				return {tostring(helper), tostring(seen), collectgarbage('count'), math.random(100)}
			end)
			redis.register_function{function_name='r%[3]s', flags={'no-writes'}, callback=function(keys) return redis.call('TYPE', keys[1]) end}`,
			n+w.of("", "a"), name, n, strings.Repeat("x", w.IntN(40)))}
	case 6:
		return []string{w.of("FCALL", "FCALL_RO"), "r" + n, "1", key}
	}
	return []string{"FCALL", w.of(name, "s"+n), "1", "s" + strconv.Itoa(w.IntN(w.keys)), n}
}

// node is an engine under a log of its own.
type node struct {
	*Engine
	index uint64
	now   int64
	proto reply.Proto
}

func newNode() *node {
	n := &node{Engine: New(Options{}), now: 1_700_000_000_000, proto: reply.RESP3}
	n.Apply(func(s *Step) { s.Reset(seed.Seed{K0: 11, K1: 12}) })
	return n
}

// do executes one command as the next log entry.
func (n *node) do(db int, args ...string) string {
	n.index++
	n.now += int64(n.index % 7)
	out := reply.NewWriter(n.proto, nil)
	n.Apply(func(s *Step) {
		s.Entry(n.index, n.now)
		s.ExpireDue(4)
		s.Do(db, words(args...), false, out)
	})
	return string(out.Bytes())
}

// set changes settings through the log.
func (n *node) set(t testing.TB, pairs ...string) {
	t.Helper()
	n.Apply(func(s *Step) {
		if err := s.Set(words(pairs...)); err != nil {
			t.Fatal(err)
		}
	})
}

// ask executes a command that changes nothing.
func (n *node) ask(db int, args ...string) []byte {
	out := reply.NewWriter(n.proto, nil)
	n.View(n.now, 1, func(v *View) { v.Do(db, words(args...), false, out) })
	return out.Bytes()
}

func words(s ...string) [][]byte {
	b := make([][]byte, len(s))
	for i := range s {
		b[i] = []byte(s[i])
	}
	return b
}
