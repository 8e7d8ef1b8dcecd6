package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// commands is what the model knows. CAS is the compare-and-set script.
var commands map[string]func(*exec)

func init() {
	commands = map[string]func(*exec){
		"GET": doGet, "SET": doSet, "SETNX": doSetNX, "GETSET": doGetSet, "GETDEL": doGetDel, "DEL": doDel, "EXISTS": doExists,
		"INCRBY": doIncrBy, "INCR": doIncrBy, "APPEND": doAppend, "STRLEN": doStrlen, "MGET": doMGet, "MSET": doMSet, "CAS": doCAS,
		"PEXPIRE": doPExpire, "PERSIST": doPersist, "PTTL": doPTTL,
		"LPUSH": doPush, "RPUSH": doPush, "LPOP": doPop, "RPOP": doPop, "LLEN": doLen, "LRANGE": doAll, "LMOVE": doMove,
		"HSET": doHSet, "HGET": doHGet, "HDEL": doHDel, "HINCRBY": doHIncrBy, "HLEN": doLen, "HGETALL": doAll,
		"SADD": doSAdd, "SREM": doSRem, "SPOP": doSPop, "SISMEMBER": doSIsMember, "SCARD": doLen, "SMEMBERS": doAll, "SMOVE": doSMove,
		"ZADD": doZAdd, "ZINCRBY": doZIncrBy, "ZREM": doZRem, "ZSCORE": doZScore, "ZPOPMIN": doZPop, "ZPOPMAX": doZPop, "ZCARD": doLen, "ZRANGE": doAll,
		"XADD": doXAdd, "XLEN": doLen, "XRANGE": doXRange, "XTRIM": doXTrim,
	}
}

// Replies in canonical form: "_" is null, ":1" an integer, "$a" a text, "[a b]"
// any aggregate, flattened.

func integer(n int) string { return ":" + strconv.Itoa(n) }

func flat(items []string) string { return "[" + strings.Join(items, " ") + "]" }

const (
	null = "_"
	ok   = "$OK"
	one  = ":1"
	zero = ":0"
)

func yes(b bool) string {
	if b {
		return one
	}
	return zero
}

// get is the reply of GET.
func get(v *value) string {
	if v.kind == none {
		return null
	}
	return "$" + v.str
}

func text(s string) value { return value{kind: str, str: s} }

func doGet(e *exec) {
	v := e.at(1)
	e.says(get(&v))
}

// doSet knows the options PX ms, NX and KEEPTTL, in that order of tests.
func doSet(e *exec) {
	k, old, v := e.key(1), e.at(1), text(e.cmd[2])
	for i := 3; i < len(e.cmd); i++ {
		switch e.cmd[i] {
		case "PX":
			v.lo, v.hi = e.deadline(e.cmd[i+1])
			i++
		case "KEEPTTL":
			v.lo, v.hi = old.lo, old.hi
		case "NX":
			if old.kind != none {
				e.says(null)
				return
			}
		}
	}
	e.gives(ok, e.s.with(k, v))
}

// deadline returns when a key expires that is given that many milliseconds now.
func (e *exec) deadline(ms string) (lo, hi int64) {
	n, _ := strconv.ParseInt(ms, 10, 64)
	ttl := n * int64(time.Millisecond)
	// Stamps are cut to milliseconds.
	return e.op.Call + ttl - int64(time.Millisecond), e.op.Return + ttl
}

func doSetNX(e *exec) {
	if e.at(1).kind != none {
		e.says(zero)
		return
	}
	e.gives(one, e.s.with(e.key(1), text(e.cmd[2])))
}

func doGetSet(e *exec) {
	v := e.at(1)
	e.gives(get(&v), e.s.with(e.key(1), text(e.cmd[2])))
}

func doGetDel(e *exec) {
	v := e.at(1)
	e.gives(get(&v), e.s.with(e.key(1), value{}))
}

func doDel(e *exec) { e.gives(yes(e.at(1).kind != none), e.s.with(e.key(1), value{})) }

func doExists(e *exec) { e.says(yes(e.at(1).kind != none)) }

// doIncrBy keeps the key's time to live, as Redis does.
func doIncrBy(e *exec) {
	by := 1
	if len(e.cmd) > 2 {
		by, _ = strconv.Atoi(e.cmd[2])
	}
	v := e.at(1)
	n, _ := strconv.Atoi(v.str)
	v.kind, v.str = str, strconv.Itoa(n+by)
	e.gives(integer(n+by), e.s.with(e.key(1), v))
}

func doAppend(e *exec) {
	v := e.at(1)
	v.kind, v.str = str, v.str+e.cmd[2]
	e.gives(integer(len(v.str)), e.s.with(e.key(1), v))
}

func doStrlen(e *exec) { e.says(integer(len(e.at(1).str))) }

func doMGet(e *exec) {
	var all []string
	for i := 1; i < len(e.cmd); i++ {
		v := e.at(i)
		all = append(all, get(&v))
	}
	e.says(flat(all))
}

func doMSet(e *exec) {
	s := e.s
	for i := 1; i < len(e.cmd); i += 2 {
		s = s.with(e.key(i), text(e.cmd[i+1]))
	}
	e.gives(ok, s)
}

// doCAS is CAS key old new: sets if the key holds old.
func doCAS(e *exec) {
	v := e.at(1)
	if v.kind == none || v.str != e.cmd[2] {
		e.says(zero)
		return
	}
	e.gives(one, e.s.with(e.key(1), text(e.cmd[3])))
}

func doPExpire(e *exec) {
	v := e.at(1)
	if v.kind == none {
		e.says(zero)
		return
	}
	v.lo, v.hi = e.deadline(e.cmd[2])
	e.gives(one, e.s.with(e.key(1), v))
}

func doPersist(e *exec) {
	v := e.at(1)
	if v.kind == none || v.lo == 0 {
		e.says(zero)
		return
	}
	v.lo, v.hi = 0, 0
	e.gives(one, e.s.with(e.key(1), v))
}

// doPTTL takes any reply that a clock in the operation's time may give.
func doPTTL(e *exec) {
	v := e.at(1)
	switch {
	case v.kind == none:
		e.says(":-2")
		return
	case v.lo == 0:
		e.says(":-1")
		return
	case !e.known:
		e.out = append(e.out, e.s)
		return
	}
	left, err := strconv.ParseInt(strings.TrimPrefix(e.want, ":"), 10, 64)
	if err != nil || left < 0 {
		return
	}
	const slack = int64(3 * time.Millisecond)
	ns := left * int64(time.Millisecond)
	if ns > max(v.hi-e.op.Call, 0)+slack || ns < v.lo-e.op.Return-slack {
		return
	}
	e.out = append(e.out, e.s)
}

func doLen(e *exec) {
	v := e.at(1)
	n := len(v.items)
	if v.kind == hash || v.kind == zset || v.kind == stream {
		n /= 2
	}
	e.says(integer(n))
}

// doAll reads a whole collection in the order that the model keeps.
func doAll(e *exec) {
	v := e.at(1)
	if v.kind != zset {
		e.says(flat(v.items))
		return
	}
	turned := make([]string, len(v.items)) // Redis tells the member first
	for i := 0; i < len(turned); i += 2 {
		turned[i], turned[i+1] = v.items[i+1], v.items[i]
	}
	e.says(flat(turned))
}

func doPush(e *exec) {
	v := e.at(1)
	v.kind = list
	v = pushed(v, e.cmd[2], e.cmd[0] == "LPUSH")
	e.gives(integer(len(v.items)), e.s.with(e.key(1), v))
}

func pushed(v value, item string, left bool) value {
	if left {
		v.items = append([]string{item}, v.items...)
	} else {
		v.items = append(slices.Clone(v.items), item)
	}
	return v
}

func popped(v value, left bool) (string, value) {
	n := len(v.items)
	if left {
		item := v.items[0]
		v.items = v.items[1:]
		return item, v
	}
	item := v.items[n-1]
	v.items = v.items[: n-1 : n-1]
	return item, v
}

func doPop(e *exec) {
	v := e.at(1)
	if len(v.items) == 0 {
		e.says(null)
		return
	}
	item, v := popped(v, e.cmd[0] == "LPOP")
	e.gives("$"+item, e.s.with(e.key(1), v))
}

// doMove is LMOVE source target LEFT|RIGHT LEFT|RIGHT.
func doMove(e *exec) {
	from, to := e.key(1), e.key(2)
	v := e.s.keys[from]
	if len(v.items) == 0 {
		e.says(null)
		return
	}
	item, v := popped(v, e.cmd[3] == "LEFT")
	s := e.s.with(from, v)
	w := s.keys[to]
	w.kind = list
	e.gives("$"+item, s.with(to, pushed(w, item, e.cmd[4] == "LEFT")))
}

// pair finds the item of that name among pairs whose names stand at offset.
func pair(items []string, name string, offset int) (at int, found bool) {
	for i := 0; i < len(items); i += 2 {
		if items[i+offset] == name {
			return i, true
		}
	}
	return 0, false
}

func doHSet(e *exec) {
	v, added := hset(e.at(1), e.cmd[2], e.cmd[3])
	e.gives(yes(added), e.s.with(e.key(1), v))
}

func hset(v value, field, val string) (value, bool) {
	v.kind = hash
	items := slices.Clone(v.items)
	i, found := pair(items, field, 0)
	if found {
		items[i+1] = val
		v.items = items
		return v, false
	}
	for i = 0; i < len(items) && items[i] < field; i += 2 {
	}
	v.items = slices.Insert(items, i, field, val)
	return v, true
}

func doHGet(e *exec) {
	v := e.at(1)
	i, found := pair(v.items, e.cmd[2], 0)
	if !found {
		e.says(null)
		return
	}
	e.says("$" + v.items[i+1])
}

func doHDel(e *exec) {
	v := e.at(1)
	i, found := pair(v.items, e.cmd[2], 0)
	if found {
		v.items = slices.Delete(slices.Clone(v.items), i, i+2)
	}
	e.gives(yes(found), e.s.with(e.key(1), v))
}

func doHIncrBy(e *exec) {
	v := e.at(1)
	n, _ := strconv.Atoi(e.cmd[3])
	if i, found := pair(v.items, e.cmd[2], 0); found {
		old, _ := strconv.Atoi(v.items[i+1])
		n += old
	}
	v, _ = hset(v, e.cmd[2], strconv.Itoa(n))
	e.gives(integer(n), e.s.with(e.key(1), v))
}

func sadd(v value, member string) (value, bool) {
	i, found := slices.BinarySearch(v.items, member)
	if found {
		return v, false
	}
	v.kind = set
	v.items = slices.Insert(slices.Clone(v.items), i, member)
	return v, true
}

func srem(v value, member string) (value, bool) {
	i, found := slices.BinarySearch(v.items, member)
	if found {
		v.items = slices.Delete(slices.Clone(v.items), i, i+1)
	}
	return v, found
}

func doSAdd(e *exec) {
	v, added := sadd(e.at(1), e.cmd[2])
	e.gives(yes(added), e.s.with(e.key(1), v))
}

func doSRem(e *exec) {
	v, removed := srem(e.at(1), e.cmd[2])
	e.gives(yes(removed), e.s.with(e.key(1), v))
}

// doSPop takes the member that the reply tells; without a reply, any.
func doSPop(e *exec) {
	v := e.at(1)
	if len(v.items) == 0 {
		e.says(null)
		return
	}
	for _, member := range v.items {
		if !e.known || e.want == "$"+member {
			left, _ := srem(v, member)
			e.out = append(e.out, e.s.with(e.key(1), left))
		}
	}
}

func doSIsMember(e *exec) {
	_, found := slices.BinarySearch(e.at(1).items, e.cmd[2])
	e.says(yes(found))
}

func doSMove(e *exec) {
	v, removed := srem(e.at(1), e.cmd[3])
	if !removed {
		e.says(zero)
		return
	}
	s := e.s.with(e.key(1), v)
	w, _ := sadd(s.keys[e.key(2)], e.cmd[3])
	e.gives(one, s.with(e.key(2), w))
}

// zset returns v with a member of that score, and whether the member is new.
func zadd(v value, score int, member string) (value, bool) {
	v, had := zrem(v, member)
	v.kind = zset
	i := 0
	for ; i < len(v.items); i += 2 {
		s, _ := strconv.Atoi(v.items[i])
		if s > score || s == score && v.items[i+1] > member {
			break
		}
	}
	v.items = slices.Insert(slices.Clone(v.items), i, strconv.Itoa(score), member)
	return v, !had
}

func zrem(v value, member string) (value, bool) {
	i, found := pair(v.items, member, 1)
	if found {
		v.items = slices.Delete(slices.Clone(v.items), i, i+2)
	}
	return v, found
}

func doZAdd(e *exec) {
	score, _ := strconv.Atoi(e.cmd[2])
	v, added := zadd(e.at(1), score, e.cmd[3])
	e.gives(yes(added), e.s.with(e.key(1), v))
}

func doZIncrBy(e *exec) {
	v := e.at(1)
	score, _ := strconv.Atoi(e.cmd[2])
	if i, found := pair(v.items, e.cmd[3], 1); found {
		old, _ := strconv.Atoi(v.items[i])
		score += old
	}
	v, _ = zadd(v, score, e.cmd[3])
	e.gives("$"+strconv.Itoa(score), e.s.with(e.key(1), v))
}

func doZRem(e *exec) {
	v, removed := zrem(e.at(1), e.cmd[2])
	e.gives(yes(removed), e.s.with(e.key(1), v))
}

func doZScore(e *exec) {
	v := e.at(1)
	i, found := pair(v.items, e.cmd[2], 1)
	if !found {
		e.says(null)
		return
	}
	e.says("$" + v.items[i])
}

func doZPop(e *exec) {
	v := e.at(1)
	n := len(v.items)
	if n == 0 {
		e.says("[]")
		return
	}
	i := 0
	if e.cmd[0] == "ZPOPMAX" {
		i = n - 2
	}
	score, member := v.items[i], v.items[i+1]
	v.items = slices.Delete(slices.Clone(v.items), i, i+2)
	e.gives(flat([]string{member, score}), e.s.with(e.key(1), v))
}
