package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/commands"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
)

// The transcripts on three nodes: each command alone, and, on three others, called by
// a script, which also takes down the order in which it sees the reply.
type transcribed struct {
	*trio
	scripts *trio
	db      int
}

const calling = `
local reply, seen = redis.pcall(unpack(ARGV)), {}
if type(reply) == 'table' then
  for k, v in pairs(reply) do seen[#seen + 1] = tostring(k) .. '=' .. type(v) end
end
return {reply, seen, math.random(1000000)}`

func (tr *transcribed) Do(args [][]byte) ([]byte, []transcript.Message) {
	if len(args) == 2 && call.EqualFold(args[0], "SELECT") {
		tr.db, _ = strconv.Atoi(string(args[1]))
		return []byte("+OK\r\n"), nil
	}
	if tr.nodes[0].proto == reply.RESP3 { // once is enough: scripts see the same in either
		tr.scripts.do(tr.db, append(words("EVAL", calling, "0"), args...))
	}
	o := tr.do(tr.db, args)
	return []byte(o.reply), o.events
}

func (tr *transcribed) Advance(d time.Duration) {
	tr.later(d, 0)
	tr.scripts.later(d, 0)
}

func (tr *transcribed) Config(name, value string) error {
	var err error
	for _, nodes := range [][3]*member{tr.nodes, tr.scripts.nodes} {
		for _, m := range nodes {
			m.Apply(func(s *Step) { err = s.Set([][]byte{[]byte(name), []byte(value)}) })
		}
	}
	return err
}

// TestTranscriptsOnThreeNodes runs the transcripts of all commands on three nodes, and
// so meets every option of each.
func TestTranscriptsOnThreeNodes(t *testing.T) {
	open := func(t *testing.T, proto reply.Proto) transcript.Target {
		tr := &transcribed{trio: newTrio(t, proto, 25), scripts: newTrio(t, proto, 25)}
		t.Cleanup(func() {
			tr.sameDigest()
			tr.scripts.sameDigest()
		})
		return tr
	}
	transcript.Test(t, open, "commands/testdata/*/*.txt", "script/testdata/functions.txt", "testdata/applications/*.txt")
}

// undetermined tells whether Redis' tips call a reply of the command a matter of
// chance, of time or of an inner order.
func undetermined(row *call.Row) bool {
	for _, tip := range row.Tips {
		if tip == "nondeterministic_output" || tip == "nondeterministic_output_order" {
			return true
		}
	}
	return false
}

func TestUndeterminedCommandsHaveExamples(t *testing.T) {
	for _, row := range commands.All() {
		if undetermined(&row) && examples[row.Name] == nil {
			t.Errorf("%s: no example of TestChanceTimeAndOrder", row.Name)
		}
	}
}

// examples are calls of commands whose replies or effects follow from chance, from
// the time or from an inner order, by the commands' names. Every command of which
// Redis' tips say so has one. $s, $l, $t, $h, $z and $x stand for keys of a type;
// $T, $H, $Z and $L for large ones; $n for a small number.
var examples = map[string][]string{
	"ttl":             {"TTL $s", "TTL $h"},
	"pttl":            {"PTTL $s"},
	"keys":            {"KEYS *", "KEYS *1*"},
	"scan":            {"SCAN $cursor COUNT $n", "SCAN 0 COUNT 100000 TYPE set", "SCAN $cursor MATCH *1* COUNT 50"},
	"randomkey":       {"RANDOMKEY"},
	"object|encoding": {"OBJECT ENCODING $s", "OBJECT ENCODING $t", "OBJECT ENCODING $h", "OBJECT ENCODING $z", "OBJECT ENCODING $l"},
	"object|refcount": {"OBJECT REFCOUNT $s"},
	"object|idletime": {"OBJECT IDLETIME $s"},
	"object|freq":     {"OBJECT FREQ $s"},
	"dump":            {"DUMP $s", "DUMP $l", "DUMP $t", "DUMP $h", "DUMP $z", "DUMP $x", "DUMP $T", "DUMP $H"},
	"hgetall":         {"HGETALL $h", "HGETALL $H"},
	"hkeys":           {"HKEYS $h", "HKEYS $H"},
	"hvals":           {"HVALS $h", "HVALS $H"},
	"hscan":           {"HSCAN $h 0", "HSCAN $H $cursor COUNT $n", "HSCAN $H $cursor MATCH *1*"},
	"hrandfield":      {"HRANDFIELD $h", "HRANDFIELD $H $n WITHVALUES", "HRANDFIELD $H -$n", "HRANDFIELD $h -$n WITHVALUES"},
	"httl":            {"HTTL $h FIELDS 2 n member:$n", "HTTL $H FIELDS 1 member:$n"},
	"hpttl":           {"HPTTL $h FIELDS 1 n", "HPTTL $H FIELDS 2 member:$n member:7$n"},
	"hexpire":         {"HEXPIRE $H $n FIELDS 2 member:$n member:6$n", "HPEXPIRE $h $n0 FIELDS 1 n", "HPEXPIRE $H $n GT FIELDS 3 member:$n member:1$n member:22$n", "HPERSIST $H FIELDS 1 member:$n"},
	"smembers":        {"SMEMBERS $t", "SMEMBERS $T"},
	"spop":            {"SPOP $t", "SPOP $T", "SPOP $T $n", "SPOP $t $n", "SPOP $t 100"},
	"srandmember":     {"SRANDMEMBER $t", "SRANDMEMBER $T $n", "SRANDMEMBER $T -$n", "SRANDMEMBER $t -20"},
	"sscan":           {"SSCAN $t 0", "SSCAN $T $cursor COUNT $n", "SSCAN $T $cursor MATCH *1*"},
	"sinter":          {"SINTER $t $T", "SINTER $T $T"},
	"sunion":          {"SUNION $t $t $T"},
	"sdiff":           {"SDIFF $T $t", "SDIFF $t $T $t"},
	"zrandmember":     {"ZRANDMEMBER $z", "ZRANDMEMBER $Z $n WITHSCORES", "ZRANDMEMBER $Z -$n", "ZRANDMEMBER $z -$n WITHSCORES"},
	"zscan":           {"ZSCAN $z 0", "ZSCAN $Z $cursor COUNT $n", "ZSCAN $Z $cursor MATCH *1*"},
	"xadd":            {"XADD $x * f v", "XADD $x MAXLEN ~ 200 * f v g w", "XADD $x MAXLEN 100 * f v"},
	"xtrim":           {"XTRIM $x MAXLEN ~ $n00", "XTRIM $x MINID ~ $n-0"},
	"xpending":        {"XPENDING $x g1", "XPENDING $x g1 - + $n", "XPENDING $x g2 IDLE 5 - + $n"},
	"xclaim":          {"XCLAIM $x g1 c1 $n 51-0 52-0 51-1 FORCE", "XCLAIM $x g2 c2 0 53-0 54-0 IDLE 100"},
	"xautoclaim":      {"XAUTOCLAIM $x g1 c2 $n 0", "XAUTOCLAIM $x g2 c1 0 0 COUNT $n JUSTID"},
	"xinfo|consumers": {"XINFO CONSUMERS $x g1"},
	"xinfo|stream":    {"XINFO STREAM $x FULL"},
	"xreadgroup":      {"XREADGROUP GROUP g1 c1 COUNT $n STREAMS $x >", "XREADGROUP GROUP g2 c3 STREAMS $x 0"},
	"expire":          {"EXPIRE $s $n", "EXPIRE $h $n NX", "EXPIRE $t -1"},
	"pexpire":         {"PEXPIRE $s $n0", "PEXPIRE $z $n GT", "PEXPIRE $l $n00"},
	"set":             {"SET $s v EX $n", "SET $s w PX $n KEEPTTL GET", "SET $s x PX $n0"},
	"getex":           {"GETEX $s PX $n0"},
	"restore":         {"RESTORE $s $n garbage"},
	"sort":            {"SORT $t BY nosort", "SORT $T BY nosort LIMIT 0 $n", "SORT $h BY nosort", "SORT $t ALPHA STORE $l", "SORT $t BY nosort STORE $l", "SORT $Z BY nosort DESC LIMIT 2 $n"},
	"sinterstore":     {"SINTERSTORE $t $T $T", "SUNIONSTORE $t $T $t", "SDIFFSTORE $t $T $t"},
	"zunionstore":     {"ZUNIONSTORE $z 2 $T $z", "ZINTERSTORE $z 2 $T $Z", "ZDIFFSTORE $z 2 $T $z", "ZUNION 3 $T $T $Z"},
	"copy":            {"COPY $T $t REPLACE", "COPY $H $h REPLACE", "RENAME $t $t"},
	"flushdb":         {"SWAPDB 0 1", "SWAPDB 1 0"},
	"xsetid":          {"XSETID $x 5$n-0", "XSETID $x 400-0"},
}

// scripts show what a script sees of chance, time and order.
var scripts = []string{
	"local s = '' for k, v in pairs({a = 1, b = 2, c = 3, 10, 20, [7] = 1, [2.5] = 2, [true] = 3}) do s = s .. tostring(k) .. '=' .. v .. ' ' end return s",
	"local t = {} for i = 1, 300 do t['k' .. i * 7919 % 1000] = i end t.k7 = nil local s = {} for k in pairs(t) do s[#s + 1] = k end return s",
	"return {math.random(1000000), tostring(math.random()), math.random(5, 9)}",
	"math.randomseed($n) return {math.random(1000000), math.random(1000000)}",
	"return {tostring({}), tostring(print), tostring(redis.call), tostring(coroutine.create(function() end))}",
	"local a, b = {}, {} return tostring(tostring(a) < tostring(b)) .. tostring(next({x = 1, y = 2}))",
	"return redis.call('TIME')",
	"return tostring(os.clock())",
	"local t = {5, 3, 9, 1, 4} pcall(table.sort, t, function() return math.random(2) == 1 end) return t",
	"return {cjson.encode({a = 1, b = {c = 2, d = 3}, e = 'x', f = 1.5}), redis.sha1hex(cmsgpack.pack({a = 1, b = 2, c = {3, 4}}))}",
	"local m = redis.call('HGETALL', '$H') local s = {} for i = 1, #m, 2 do s[m[i]] = m[i + 1] end for k, v in pairs(s) do redis.call('RPUSH', '$l', k) end return redis.call('LLEN', '$l')",
	"redis.setresp(3) local r = redis.call('SMEMBERS', '$T') local n = 0 for m in pairs(r.set) do n = n + 1 redis.call('SET', '$s', m) if n == 3 then break end end return redis.call('GET', '$s')",
	"local m = redis.call('SPOP', '$T', 3) for _, x in ipairs(m) do redis.call('LPUSH', '$l', x) end return redis.call('SCAN', 0, 'COUNT', 20)",
	"local k = redis.call('RANDOMKEY') if k then redis.call('PEXPIRE', k, $n) end return {k, redis.call('PTTL', k or '')}",
	"for i, k in ipairs(redis.call('KEYS', '*1*')) do if i % 5 == 0 then redis.call('PERSIST', k) end end return redis.call('XADD', '$x', '*', 'f', math.random(100))",
	"return {redis.call('XAUTOCLAIM', '$x', 'g1', 'c9', 0, 0, 'COUNT', 2), redis.call('SRANDMEMBER', '$T', -3), redis.call('ZRANDMEMBER', '$Z', 3)}",
	"return redis.pcall('SORT', '$T', 'BY', 'nosort')",
}

// chanceWalk makes up commands that examples and scripts show, between others that
// change what is there.
type chanceWalk struct {
	*walker
	cursors []string // that scans have replied
}

func (w *chanceWalk) key(class byte) string {
	if 'A' <= class && class <= 'Z' {
		return strings.ToLower(string(class)) + "0"
	}
	return string(class) + strconv.Itoa(w.IntN(w.keys))
}

// fill puts keys and numbers in the places that a template has for them.
func (w *chanceWalk) fill(template string) string {
	head, rest, found := strings.Cut(template, "$")
	if !found {
		return template
	}
	if after, ok := strings.CutPrefix(rest, "cursor"); ok {
		return head + w.of(w.cursors...) + w.fill(after)
	}
	if rest[0] == 'n' {
		return head + strconv.Itoa(1+w.IntN(9)) + w.fill(rest[1:])
	}
	return head + w.key(rest[0]) + w.fill(rest[1:])
}

var exampleNames = slices.Sorted(maps.Keys(examples))

// command returns a command and the database that it is for.
func (w *chanceWalk) command() (db int, args []string) {
	switch w.IntN(6) {
	case 0, 1:
		return w.walker.command()
	case 2:
		return 0, []string{"EVAL", w.fill(w.of(scripts...)), "0"}
	}
	args = strings.Fields(w.fill(w.of(examples[w.of(exampleNames...)]...)))
	if w.IntN(3) == 0 { // by a script
		args = append([]string{"EVAL", calling, "0"}, args...)
	}
	return w.IntN(8) / 7, args
}

// TestChanceTimeAndOrder makes random commands of which each hangs on chance, time or
// order, on large and small values of all types.
func TestChanceTimeAndOrder(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &chanceWalk{&walker{Rand: rand.New(rand.NewPCG(seed, 9)), keys: 5, fields: true}, []string{"0"}}
			tr := newTrio(t, reply.RESP3, 150)
			for step := range 2500 {
				if step%500 == 0 {
					w.enlarge(tr)
				}
				if w.IntN(20) == 0 {
					tr.later(time.Duration(w.IntN(40))*time.Millisecond, 3)
				}
				db, args := w.command()
				w.note(tr.do(db, words(args...)).reply)
			}
			tr.sameDigest()
		})
	}
}

// enlarge makes one key of each type large, and the keyspace too.
func (w *chanceWalk) enlarge(tr *trio) {
	tr.t.Helper()
	for _, command := range [][]string{{"SADD", "t0"}, {"HSET", "h0"}, {"ZADD", "z0"}, {"RPUSH", "l0"}, {"MSET"}} {
		if len(command) > 1 {
			tr.do(0, words("DEL", command[1]))
		}
		for i := range 700 {
			if command[0] == "ZADD" {
				command = append(command, strconv.Itoa(w.IntN(50)))
			}
			command = append(command, fmt.Sprint("member:", i))
			if command[0] == "HSET" || command[0] == "MSET" {
				command = append(command, w.text())
			}
		}
		tr.do(0, words(command...))
	}
}

// note keeps the cursor of a scan's reply, to go on with.
func (w *chanceWalk) note(raw string) {
	v, _, err := reply.Read([]byte(raw))
	if err != nil || len(v.Elems) != 2 || v.Elems[1].Kind != reply.KindArray {
		return
	}
	if cursor := string(v.Elems[0].Text); cursor != "" {
		w.cursors = append(w.cursors[max(0, len(w.cursors)-5):], cursor)
	}
}
