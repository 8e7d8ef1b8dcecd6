package session_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	usecs     = regexp.MustCompile(`usec=\d+,usec_per_call=[\d.]+,`)
	shortened = strings.NewReplacer("calls=", "", ",rejected_calls=", "/", ",failed_calls=", "/")
)

// What INFO counts is what redis-server 7.0.15 counts for the same commands.
func TestCountsAreThoseOfRedis(t *testing.T) {
	for _, c := range []struct{ commands, want string }{
		{"INCR s", "incr 1/0/1 ERR=1"},
		{"LRANGE s 0 1", "lrange 1/0/1 WRONGTYPE=1 hits=1"},
		{"NOSUCH a", "ERR=1"},
		{"GET", "get 0/1/0 ERR=1"},
		{"CONFIG SET nosuch 1; SELECT 99", "config|set 1/0/1 select 1/0/1 ERR=2"},
		{"INCR i; SELECT 99; GET s", "get 1/0/0 incr 1/0/0 select 1/0/1 ERR=1 hits=1"},
		{"MULTI; GET a; INCR s; GET a b; SET x 1; EXEC", "exec 1/0/1 get 0/1/0 multi 1/0/0 ERR=1 EXECABORT=1"},
		{"MULTI; GET a; INCR s; SET x 1; GET s; EXEC", "exec 1/0/0 get 2/0/0 incr 1/0/1 multi 1/0/0 set 1/0/0 ERR=1 hits=1 misses=1"},
		{"MULTI; SELECT 99; LRANGE s 0 1; EXEC", "exec 1/0/0 lrange 1/0/1 multi 1/0/0 select 1/0/1 ERR=1 WRONGTYPE=1 hits=1"},
		{"EXEC; MULTI; MULTI; EXEC", "exec 2/0/1 multi 2/0/1 ERR=2"},
		{`EVAL "redis.call('get','s') redis.call('get','no') return 1" 0`, "eval 1/0/0 get 2/0/0 hits=1 misses=1"},
		{`EVAL "redis.pcall('incr','s') return 1" 0`, "eval 1/0/0 incr 1/0/1 ERR=1"},
		{`EVAL "redis.call('incr','s') return 1" 0`, "eval 1/0/1 incr 1/0/1 ERR=1"},
		{`EVAL "return redis.pcall('incr','s')" 0`, "eval 1/0/1 incr 1/0/1 ERR=1"},
		{`EVAL "redis.pcall('incr','s') return redis.pcall('lpush','s','x')" 0`, "eval 1/0/1 incr 1/0/1 lpush 1/0/1 ERR=1 WRONGTYPE=1"},
		{`EVAL "for i=1,20 do redis.pcall('incr','s') end return 1" 0`, "eval 1/0/0 incr 20/0/20 ERR=20"},
		{`EVAL "redis.pcall('get') redis.pcall('nosuch') redis.pcall('subscribe','x') return 1" 0`, "eval 1/0/0 get 0/1/0 subscribe 0/1/0 ERR=3"},
		{`EVAL "return redis.error_reply('FOO bar')" 0`, "eval 1/0/1 FOO=1"},
		{`EVAL "return redis.error_reply('FOO')" 0`, "eval 1/0/1 ERR=1"},
		{`EVAL_RO "redis.pcall('set','a','b') return redis.call('get','s')" 0`, "eval_ro 1/0/0 get 1/0/0 set 0/1/0 ERR=1 hits=1"},
		{"MULTI; EVAL \"return redis.pcall('incr','s')\" 0; EXEC", "eval 1/0/1 exec 1/0/0 incr 1/0/1 multi 1/0/0 ERR=1"},
		{"SET s 2; APPEND s 1; INCR i; EXISTS s no; TTL s; TYPE no", "append 1/0/0 exists 1/0/0 incr 1/0/0 set 1/0/0 ttl 1/0/0 type 1/0/0 hits=2 misses=2"},
		{"GETSET s 1; GETDEL no; GETEX s; SET s 2 GET", "getdel 1/0/0 getex 1/0/0 getset 1/0/0 set 1/0/0 hits=3 misses=1"},
		{"SINTERSTORE d st no; ZUNIONSTORE d 1 st; BITOP AND d s no; COPY s e", "bitop 1/0/0 copy 1/0/0 sinterstore 1/0/0 zunionstore 1/0/0 hits=4 misses=2"},
		{"SORT st; SORT_RO st; SMOVE st d 1; MEMORY USAGE s", "memory|usage 1/0/0 smove 1/0/0 sort 1/0/0 sort_ro 1/0/0 hits=2"},
	} {
		n := newNode(t, nil)
		client := n.client()
		client.send("SET s v", "SADD st 1 2", "CONFIG RESETSTAT")
		client.replies(3)
		commands := strings.Split(c.commands, "; ")
		client.send(commands...)
		client.replies(len(commands))
		if got := counts(n.server.Info("commandstats", "errorstats", "stats")); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.commands, got, c.want)
		}
	}
}

// counts shortens INFO: each command's calls, refusals and failures, each error
// code's number, and the lookups unless there were none.
func counts(info string) string {
	var commands, others []string
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch kind, rest, _ := strings.Cut(name, "_"); {
		case kind == "cmdstat" && rest != "config|resetstat":
			commands = append(commands, rest+" "+shortened.Replace(usecs.ReplaceAllString(value, "")))
		case kind == "errorstat":
			others = append(others, rest+"="+strings.TrimPrefix(value, "count="))
		case kind == "keyspace" && value != "0":
			others = append(others, rest+"="+value)
		}
	}
	slices.Sort(others)
	return strings.Join(slices.Concat(commands, others), " ")
}

// CONFIG RESETSTAT zeroes what INFO stats counts of keys.
func TestResetOfKeyCounts(t *testing.T) {
	n := newNode(t, nil)
	c := n.client()
	c.expect(lines("SET a 1 PXAT 1", "GET a", "GET a", "INCR a", "GET a"), "+OK", "$-1", "$-1", ":1", "$1 1")
	for _, want := range []string{"expired_keys:1\r\n", "evicted_keys:0\r\n", "keyspace_hits:1\r\n", "keyspace_misses:2\r\n"} {
		if text := n.server.Info("stats"); !strings.Contains(text, want) {
			t.Errorf("INFO lacks %q: %s", want, text)
		}
	}
	c.expect(lines("CONFIG RESETSTAT"), "+OK")
	for _, want := range []string{"expired_keys:0\r\n", "keyspace_hits:0\r\n", "keyspace_misses:0\r\n"} {
		if text := n.server.Info("stats"); !strings.Contains(text, want) {
			t.Errorf("after CONFIG RESETSTAT INFO lacks %q", want)
		}
	}
}
