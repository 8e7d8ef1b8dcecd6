package commands_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/call"
	"github.com/quorate/quorate/engine/reply"
)

// A threshold is a size at which a value changes its encoding.
type threshold struct {
	name    string
	setting string // that says where it is; none if it is the same always
	limits  []int  // the settings to try, or where it is
	// grow holds, by name, ways to bring the key k to that size.
	grow map[string]func(size int) []string
	// shrink makes the value small again.
	shrink []string
}

// TestThresholdsBesideOracle walks around every threshold with everything that
// grows a value over it, one below, on it and one above, and on to what copies and
// saves the value. After each command all keys' encodings are compared.
func TestThresholdsBesideOracle(t *testing.T) {
	besideOracle(t, func(b *beside, proto reply.Proto) {
		if proto != reply.RESP2 {
			return // encodings do not depend on it
		}
		defaults := call.DefaultSettings()
		for _, at := range thresholds {
			for _, limit := range at.limits {
				if at.setting != "" {
					b.config(at.setting, strconv.Itoa(limit))
				}
				for _, name := range slices.Sorted(maps.Keys(at.grow)) {
					for size := max(1, limit-1); size <= limit+1; size++ {
						b.walkAround(at, name, size)
					}
				}
			}
			if at.setting != "" {
				b.config(at.setting, strconv.Itoa(*numbers(&defaults)[at.setting]))
			}
		}
	})
}

func (b *beside) walkAround(at threshold, grow string, size int) {
	b.t.Helper()
	b.history = []string{fmt.Sprintf("# %s by %s to %d", at.name, grow, size)}
	steps := slices.Concat([]string{"FLUSHALL"}, at.grow[grow](size), []string{"COPY k copy", "RENAME copy renamed"}, at.shrink, []string{"COPY k shrunk"})
	for _, line := range steps {
		b.do(line)
		b.do("OBJECT ENCODING k")
	}
	for _, key := range []string{"k", "renamed"} {
		b.exchange(key)
	}
	b.sameEncodings()
}

// sameEncodings compares the encodings of all keys.
func (b *beside) sameEncodings() {
	b.t.Helper()
	for _, key := range []string{"k", "renamed", "shrunk", "theirs", "own"} {
		b.do("OBJECT ENCODING " + key)
	}
}

// exchange restores on both sides what DUMP gives of a key on either.
func (b *beside) exchange(key string) {
	b.t.Helper()
	dump := [][]byte{[]byte("DUMP"), []byte(key)}
	own, _ := b.ours.Do(dump)
	theirs, _ := b.theirs.Do(dump)
	for name, raw := range map[string][]byte{"own": own, "theirs": theirs} {
		payload, _, err := reply.Read(raw)
		if err != nil || len(payload.Text) == 0 {
			return // the key is gone
		}
		b.args("RESTORE "+name, slices.Concat(words("RESTORE "+name+" 0"), [][]byte{payload.Text}, words("REPLACE")))
	}
}

func words(line string) [][]byte { return bytes.Fields([]byte(line)) }

// one returns a growth by one command whose arguments are made by arg, of each of
// 0 to size-1.
func one(command string, arg func(i int) string) func(size int) []string {
	return func(size int) []string {
		line := command
		for i := range size {
			line += " " + arg(i)
		}
		return []string{line}
	}
}

// each returns a growth by a command for each of 0 to size-1: $i stands for it,
// and $v for a text of that many bytes.
func each(command string) func(size int) []string {
	return func(size int) []string {
		lines := make([]string, size)
		for i := range lines {
			lines[i] = strings.ReplaceAll(command, "$i", strconv.Itoa(i))
		}
		return lines
	}
}

// long returns commands in which $v is a text of size bytes and $n a number of as
// many digits.
func long(commands ...string) func(size int) []string {
	return func(size int) []string {
		digits := "1"
		if size > 1 {
			digits = "2" + strings.Repeat("1", size-1)
		}
		lines := make([]string, len(commands))
		for i, line := range commands {
			lines[i] = strings.NewReplacer("$v", strings.Repeat("v", size), "$n", digits).Replace(line)
		}
		return lines
	}
}

// after returns commands to follow a growth.
func after(grow func(size int) []string, commands ...string) func(size int) []string {
	return func(size int) []string { return append(grow(size), commands...) }
}

func pair(i int) string   { return fmt.Sprintf("f%d %d", i, i) }
func number(i int) string { return strconv.Itoa(i) }
func scored(i int) string { return fmt.Sprintf("%d m%d", i, i) }

var thresholds = []threshold{
	{
		name: "fields of a hash", setting: "hash-max-listpack-entries", limits: []int{0, 1, 2, 5, 512},
		grow: map[string]func(int) []string{
			"HSET of all":   one("HSET k", pair),
			"HMSET of all":  one("HMSET k", pair),
			"HSET of each":  each("HSET k f$i $i"),
			"HSETNX":        each("HSETNX k f$i $i"),
			"HINCRBY":       each("HINCRBY k f$i 1"),
			"HINCRBYFLOAT":  each("HINCRBYFLOAT k f$i 1.5"),
			"HSET again":    after(one("HSET k", pair), "HSET k f0 1 f0 2"),
			"HDEL and HSET": after(one("HSET k", pair), "HDEL k f0", "HSET k g v"),
		},
		shrink: []string{"HDEL k f0 f1 f2 f3", "HSET k f1 1", "HSETNX k f1 x"},
	},
	{
		name: "texts of a hash", setting: "hash-max-listpack-value", limits: []int{0, 1, 2, 3, 17, 64, 300},
		grow: map[string]func(int) []string{
			"HSET value":          long("HSET k f $v"),
			"HSET field":          long("HSET k $v v"),
			"HSET second":         long("HSET k f v $v w"),
			"HMSET":               long("HMSET k f v g $v"),
			"HSETNX value":        long("HSETNX k f $v"),
			"HSETNX field":        long("HSETNX k $v v"),
			"HSETNX there":        long("HSETNX k f v", "HSETNX k f $v"),
			"HSET over":           long("HSET k f v", "HSET k f $v", "HSET k f v"),
			"HSET number":         long("HSET k f $n"),
			"HINCRBY field":       long("HINCRBY k $v 1"),
			"HINCRBY to":          long("HINCRBY k f 9", "HINCRBY k f 1", "HINCRBY k f 90", "HINCRBY k f -1100"),
			"HINCRBY fails":       long("HSET k f v", "HINCRBY k f 1", "HINCRBY k $v x"),
			"HINCRBYFLOAT field":  long("HINCRBYFLOAT k $v 1"),
			"HINCRBYFLOAT to":     long("HINCRBYFLOAT k f 9", "HINCRBYFLOAT k f 1", "HINCRBYFLOAT k f 0.125", "HINCRBYFLOAT k f 1e16"),
			"HSET of other type":  long("SET k v", "HSET k f $v"),
			"HSET with too few":   long("HSET k f v", "HSET k f $v g"),
			"HGET of what is not": long("HSET k f v", "HGET k $v", "HDEL k $v", "HEXISTS k $v"),
		},
		shrink: []string{"HSET k g v", "HDEL k f"},
	},
	{
		name: "members of a set of integers", setting: "set-max-intset-entries", limits: []int{0, 1, 2, 5, 512},
		grow: map[string]func(int) []string{
			"SADD of all":    one("SADD k", number),
			"SADD of each":   each("SADD k $i"),
			"SADD again":     after(one("SADD k", number), "SADD k 0 0 1 1"),
			"SADD and SREM":  after(one("SADD k", number), "SREM k 0", "SADD k 999"),
			"SADD of a text": after(one("SADD k", number), "SADD k 01", "SREM k 01"),
			"SMOVE":          after(each("SADD a $i"), "SADD k 1000", "SMOVE a k 0", "SMOVE a k 0"),
			"SUNIONSTORE":    after(one("SADD a", number), "SUNIONSTORE k a"),
			"SUNIONSTORE 2":  after(one("SADD a", number), "SADD b 1 2 3", "SUNIONSTORE k a b"),
			"SINTERSTORE":    after(one("SADD a", number), "SINTERSTORE k a"),
			"SINTERSTORE 2":  after(one("SADD a", number), "SADD b 0 1 2 x", "SINTERSTORE k a b"),
			"SDIFFSTORE":     after(one("SADD a", number), "SADD b 0 x", "SDIFFSTORE k a b"),
			"SPOP":           after(one("SADD k", number), "SADD k 1000", "EXISTS k"),
		},
		shrink: []string{"SREM k 0 1 2 3", "SADD k 1"},
	},
	{
		name: "width of integers", limits: []int{1},
		grow: map[string]func(int) []string{
			"SADD": func(int) []string {
				return []string{"SADD k 1", "SADD k 32768", "SADD k 2147483648", "SADD k -9223372036854775808", "SADD k 9223372036854775807", "SADD k 9223372036854775808"}
			},
			"no integers": func(int) []string {
				return []string{"SADD k 0", "SADD a 00", "SADD b +1", "SADD c -0", "SADD d 1.0", "SUNIONSTORE k a", "SUNIONSTORE k b", "SUNIONSTORE k c", "SUNIONSTORE k d", "SUNIONSTORE k none"}
			},
		},
		shrink: []string{"SREM k 1"},
	},
	{
		name: "members of a sorted set", setting: "zset-max-listpack-entries", limits: []int{0, 1, 2, 5, 128},
		grow: map[string]func(int) []string{
			"ZADD of all":         one("ZADD k", scored),
			"ZADD of each":        each("ZADD k $i m$i"),
			"ZADD again":          after(one("ZADD k", scored), "ZADD k 7 m0", "ZADD k XX 8 new", "ZADD k NX 9 m0"),
			"ZADD INCR":           each("ZADD k INCR 1 m$i"),
			"ZINCRBY":             each("ZINCRBY k 1 m$i"),
			"ZADD and ZREM":       after(one("ZADD k", scored), "ZREM k m0", "ZADD k 1 n"),
			"ZUNIONSTORE":         after(one("ZADD a", scored), "ZUNIONSTORE k 1 a"),
			"ZUNIONSTORE 2":       after(one("ZADD a", scored), "ZADD b 1 n 2 m1", "ZUNIONSTORE k 2 a b"),
			"ZUNIONSTORE set":     after(one("SADD a", number), "ZUNIONSTORE k 1 a"),
			"ZINTERSTORE":         after(one("ZADD a", scored), "ZINTERSTORE k 2 a a"),
			"ZDIFFSTORE":          after(one("ZADD a", scored), "ZADD b 1 m0", "ZDIFFSTORE k 2 a b"),
			"ZRANGESTORE":         after(one("ZADD a", scored), "ZRANGESTORE k a 0 -1"),
			"ZRANGESTORE part":    after(one("ZADD a", scored), "ZRANGESTORE k a 1 -1"),
			"ZRANGESTORE BYSCORE": after(one("ZADD a", scored), "ZRANGESTORE k a 1 5 BYSCORE"),
			"ZRANGESTORE BYLEX":   after(one("ZADD a", func(i int) string { return fmt.Sprint("0 m", i) }), "ZRANGESTORE k a - + BYLEX"),
		},
		shrink: []string{"ZREM k m0 m1 m2 m3", "ZREMRANGEBYRANK k 0 0", "ZADD k 1 m1"},
	},
	{
		name: "texts of a sorted set", setting: "zset-max-listpack-value", limits: []int{0, 1, 2, 17, 64, 300},
		grow: map[string]func(int) []string{
			"ZADD":            long("ZADD k 1 $v"),
			"ZADD second":     long("ZADD k 1 a 2 $v 3 b"),
			"ZADD number":     long("ZADD k 1 $n"),
			"ZADD score":      long("ZADD k 1234567890.12345 a"),
			"ZADD XX":         long("ZADD k 1 a", "ZADD k XX 1 $v"),
			"ZADD INCR":       long("ZADD k INCR 1 $v"),
			"ZINCRBY":         long("ZINCRBY k 1 $v"),
			"ZADD fails":      long("ZADD k 1 a", "ZADD k 1 $v x b"),
			"ZUNIONSTORE":     long("ZADD a 1 $v", "ZUNIONSTORE k 1 a"),
			"ZUNIONSTORE set": long("SADD a $v", "ZUNIONSTORE k 1 a"),
			"ZINTERSTORE":     long("ZADD a 1 $v", "SADD b $v", "ZINTERSTORE k 2 a b"),
			"ZINTERSTORE not": long("ZADD a 1 $v 2 a", "ZADD b 1 a", "ZINTERSTORE k 2 a b"),
			"ZDIFFSTORE":      long("ZADD a 1 $v 2 a", "ZADD b 1 a", "ZDIFFSTORE k 2 a b"),
			"ZDIFFSTORE not":  long("ZADD a 1 $v 2 a", "ZADD b 1 $v", "ZDIFFSTORE k 2 a b"),
			"ZRANGESTORE":     long("ZADD a 1 a 2 $v", "ZRANGESTORE k a 0 -1"),
			"ZRANGESTORE not": long("ZADD a 1 a 2 $v", "ZRANGESTORE k a 0 0"),
		},
		shrink: []string{"ZADD k 1 b", "ZREM k a"},
	},
	{
		name: "elements of a list", setting: "list-max-listpack-size", limits: []int{1, 2, 5, 128},
		grow: map[string]func(int) []string{
			"RPUSH":  one("RPUSH k", number),
			"LPUSH":  each("LPUSH k $i"),
			"RPUSHX": after(one("RPUSH k", number), "RPUSHX k x"),
			"LMOVE":  after(one("RPUSH a", number), "LMOVE a k LEFT LEFT", "RPOPLPUSH a k"),
			"SORT":   after(one("RPUSH a", number), "SORT a STORE k"),
		},
		shrink: []string{"LTRIM k 0 0", "LSET k 0 v", "LINSERT k BEFORE v w"},
	},
	{
		name: "bytes of a string", limits: []int{44},
		grow: map[string]func(int) []string{
			"SET":         long("SET k $v"),
			"SET of text": long("SET k v", "SETNX k $v", "SET k $v XX"),
			"GETSET":      long("SET k 1", "GETSET k $v", "GETSET k 12"),
			"MSET":        long("MSET k $v a b", "MSETNX a 1 b $v"),
			"SETEX":       long("SETEX k 100 $v", "PERSIST k"),
			"APPEND":      long("APPEND k $v", "APPEND k x"),
			"APPEND to":   long("SET k $v", "APPEND k v"),
			"SETRANGE":    long("SETRANGE k 0 $v", "SETRANGE k 0 w"),
			"SETRANGE to": long("SET k $v", "SETRANGE k 1 w"),
			"SETBIT":      long("SET k $v", "SETBIT k 1 0"),
			"BITFIELD":    long("SET k $v", "BITFIELD k GET u8 0", "BITFIELD k SET u8 0 1"),
			"BITOP":       long("SET a $v", "BITOP OR k a"),
			"GETEX":       long("SET k $v", "GETEX k EX 100", "GETDEL k", "SET k $v"),
			"INCRBYFLOAT": long("SET k 1", "INCRBYFLOAT k 1e30", "INCRBYFLOAT k 0.125"),
			"PFADD":       long("SET k $v", "STRLEN k"),
		},
		shrink: []string{"SET k v", "GETSET k 1"},
	},
	{
		name: "digits of a string", limits: []int{19, 20, 21},
		grow: map[string]func(int) []string{
			"SET":             long("SET k $n"),
			"SET -":           long("SET k -$n"),
			"APPEND":          long("APPEND k $n"),
			"INCR":            long("INCR k", "INCRBY k 9223372036854775806", "DECRBY k 1", "INCR k", "INCR k"),
			"INCR of raw":     long("APPEND k 12", "INCR k"),
			"INCRBYFLOAT":     long("INCRBYFLOAT k 12", "INCRBYFLOAT k 0.5", "INCRBYFLOAT k 0.5"),
			"SETRANGE":        long("SET k $n", "SETRANGE k 0 1"),
			"SETBIT":          long("SET k 12", "GETBIT k 1", "SETBIT k 1 0", "SETBIT k 1 1"),
			"extremes":        long("SET k 9223372036854775807", "SET k -9223372036854775808", "SET k 9223372036854775808", "SET k -9223372036854775809"),
			"no numbers":      long("SET k 01", "SET k +1", "SET k -0", "SET k 0x1", "SET k 1e3", "SET k 0"),
			"MSET":            long("MSET k 12 a 9999 b 10000", "OBJECT ENCODING a", "OBJECT REFCOUNT a", "OBJECT REFCOUNT b"),
			"GETRANGE":        long("SET k 12", "GETRANGE k 0 0", "LCS k k"),
			"raw that is int": long("APPEND k 1", "APPEND k 2", "GETEX k PERSIST"),
		},
		shrink: []string{"SET k 7", "APPEND k 7"},
	},
	{
		name: "entries of a stream's node", setting: "stream-node-max-entries", limits: []int{0, 1, 2, 5, 100},
		grow: map[string]func(int) []string{
			"XADD":        after(each("XADD k 1-* f $i"), "XINFO STREAM k"),
			"XADD fields": after(each("XADD k 1-* f$i $i g h"), "XINFO STREAM k"),
			"XDEL":        after(each("XADD k 1-* f $i"), "XDEL k 1-0", "XADD k 2-* f v", "XINFO STREAM k"),
			"XTRIM":       after(each("XADD k 1-* f $i"), "XTRIM k MAXLEN ~ 2", "XINFO STREAM k", "XTRIM k MAXLEN 2", "XINFO STREAM k"),
		},
		shrink: []string{"XTRIM k MAXLEN 1", "XINFO STREAM k"},
	},
	{
		name: "bytes of a stream's node", setting: "stream-node-max-bytes", limits: []int{0, 1, 60, 100, 4096},
		grow: map[string]func(int) []string{
			"XADD": long("XADD k 1-* f $v", "XADD k 1-* f $v", "XADD k 1-* f v", "XADD k 2-* g $v", "XINFO STREAM k"),
			"many": after(each("XADD k 1-* f $i"), "XINFO STREAM k"),
		},
		shrink: []string{"XTRIM k MAXLEN 1", "XINFO STREAM k"},
	},
}
