package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// filler fills one key, or all of one kind.
type filler struct {
	command string
	each    int // elements a command
	element func(i int) string
}

var fillers = []filler{
	{"MSET", 500, func(i int) string { return fmt.Sprintf("key:%d %d", i, i) }},
	{"RPUSH list", 500, func(i int) string { return fmt.Sprintf("element:%d", i) }},
	{"HSET hash", 500, func(i int) string { return fmt.Sprintf("field:%d %d", i, i) }},
	{"SADD set", 500, func(i int) string { return fmt.Sprintf("member:%d", i) }},
	{"SADD ints", 500, func(i int) string { return fmt.Sprint(i * 3) }},
	{"ZADD zset", 500, func(i int) string { return fmt.Sprintf("%d member:%d", i*7919%1_000_003, i) }},
	{"XADD stream", 1, func(i int) string { return fmt.Sprintf("%d-1 field value:%d", i+1, i) }},
	{"GEOADD geo", 500, func(i int) string {
		return fmt.Sprintf("%f %f place:%d", float64(i*7919%1_000_003)/5600, float64(i*7907%1_000_003)/12000, i)
	}},
	{"PFADD hll", 500, func(i int) string { return fmt.Sprintf("element:%d", i) }},
}

// setUp is carried out once the keys are filled; see lines.
var setUp = []string{
	"SADD few member:1 member:3 member:5 member:7 member:9", "ZADD zfew 1 member:1 2 member:3 3 member:5",
	"XGROUP CREATE stream group 0", "SET counter 1", "SETBIT string ^ 1", "SETBIT zeros ^ 0",
}

// typeCommand is a command, or several that undo each other, so that the key
// keeps its size.
type typeCommand struct {
	kind, label string
	order       string // documented by Redis
	perElement  bool   // its time grows with the number of elements
	commands    string // set apart by " ; "; see lines
}

func (c typeCommand) name() string { return c.kind + " " + c.label }

// fresh counts what has not been an element before.
var fresh int

// lines returns the commands for a key of n elements. @ stands for the number of
// an element by chance, # for one that never was there, the same ones in all of the
// commands; % and & for the middle and nine behind it, ! for n, ^ for the last
// bit of n bytes.
func lines(commands string, n int, r *rand.Rand) []string {
	fresh++
	words := strings.NewReplacer("@", fmt.Sprint(r.IntN(n)), "#", fmt.Sprint(n+fresh), "%", fmt.Sprint(n/2), "&", fmt.Sprint(n/2+9),
		"!", fmt.Sprint(n), "^", fmt.Sprint(8*n-1))
	return strings.Split(words.Replace(commands), " ; ")
}

func typeCommands() []typeCommand {
	const one, logN, all = "1", "log n", "n"
	return []typeCommand{
		{"keys", "GET", one, false, "GET key:@"},
		{"keys", "SET", one, false, "SET key:@ value"},
		{"keys", "INCR", one, false, "INCR counter"},
		{"keys", "DEL, SET", one, false, "DEL key:@ ; SET key:@ value"},
		{"keys", "EXISTS", one, false, "EXISTS key:@"},
		{"keys", "EXPIRE, PERSIST", one, false, "EXPIRE key:@ 1000 ; PERSIST key:@"},
		{"keys", "RENAME", one, false, "RENAME key:@ other ; RENAME other key:@"},
		{"keys", "SCAN COUNT 10", one, false, "SCAN 0 COUNT 10"},
		{"keys", "RANDOMKEY", one, false, "RANDOMKEY"},
		{"keys", "KEYS", all, true, "KEYS nothing"},

		{"string", "GETRANGE 10", one, false, "GETRANGE string % &"},
		{"string", "SETRANGE 1", one, false, "SETRANGE string % x"},
		{"string", "STRLEN", one, false, "STRLEN string"},
		{"string", "GETBIT", one, false, "GETBIT string @"},
		{"string", "SETBIT", one, false, "SETBIT string @ 1"},
		{"string", "BITFIELD", one, false, "BITFIELD string GET u8 @ INCRBY u8 @ 1"},
		{"string", "BITCOUNT", all, true, "BITCOUNT string"},
		{"string", "BITPOS", all, true, "BITPOS zeros 1"},
		{"string", "BITOP AND", all, true, "BITOP AND result string zeros"},
		{"string", "APPEND", one, false, "APPEND string x"},

		{"list", "LPUSH, LPOP", one, false, "LPUSH list x ; LPOP list"},
		{"list", "RPUSH, RPOP", one, false, "RPUSH list x ; RPOP list"},
		{"list", "LMOVE", one, false, "LMOVE list list LEFT RIGHT"},
		{"list", "LLEN", one, false, "LLEN list"},
		{"list", "LINDEX end", one, false, "LINDEX list -1"},
		{"list", "LINDEX middle", all, false, "LINDEX list %"},
		{"list", "LRANGE 10, start", one, false, "LRANGE list 0 9"},
		{"list", "LRANGE 10, middle", all, false, "LRANGE list % &"},
		{"list", "LRANGE all", all, true, "LRANGE list 0 -1"},
		{"list", "LSET middle", all, false, "LSET list % x"},
		{"list", "LINSERT, LREM", all, true, "LINSERT list BEFORE nothing x ; LREM list 0 nothing"},
		{"list", "LPOS", all, true, "LPOS list nothing"},
		{"list", "SORT", "n log n", true, "SORT ints LIMIT 0 10"},

		{"hash", "HGET", one, false, "HGET hash field:@"},
		{"hash", "HSET", one, false, "HSET hash field:@ 1"},
		{"hash", "HSET, HDEL", one, false, "HSET hash field:# 1 ; HDEL hash field:#"},
		{"hash", "HINCRBY", one, false, "HINCRBY hash field:@ 1"},
		{"hash", "HLEN", one, false, "HLEN hash"},
		{"hash", "HEXISTS", one, false, "HEXISTS hash field:#"},
		{"hash", "HRANDFIELD", one, false, "HRANDFIELD hash"},
		{"hash", "HRANDFIELD 10", one, false, "HRANDFIELD hash 10"},
		{"hash", "HSCAN", one, false, "HSCAN hash 0"},
		{"hash", "HGETALL", all, true, "HGETALL hash"},

		{"set", "SADD, SREM", one, false, "SADD set member:# ; SREM set member:#"},
		{"set", "SISMEMBER", one, false, "SISMEMBER set member:@"},
		{"set", "SCARD", one, false, "SCARD set"},
		{"set", "SADD, SPOP", one, false, "SADD set member:# ; SPOP set"},
		{"set", "SRANDMEMBER", one, false, "SRANDMEMBER set"},
		{"set", "SRANDMEMBER 10", one, false, "SRANDMEMBER set 10"},
		{"set", "SSCAN", one, false, "SSCAN set 0"},
		{"set", "SMEMBERS", all, true, "SMEMBERS set"},
		{"set", "SINTER with 5", one, false, "SINTER set few"},
		{"set", "SDIFF of 5", one, false, "SDIFF few set"},
		{"set", "SUNIONSTORE", all, true, "SUNIONSTORE result set few"},
		{"set", "SISMEMBER, integers", one, false, "SISMEMBER ints @"},
		{"set", "SADD, SREM, integers", one, false, "SADD ints 1 ; SREM ints 1"},

		{"zset", "ZADD", logN, false, "ZADD zset @ member:@"},
		{"zset", "ZADD, ZREM", logN, false, "ZADD zset @ member:# ; ZREM zset member:#"},
		{"zset", "ZINCRBY", logN, false, "ZINCRBY zset 1 member:@"},
		{"zset", "ZSCORE", one, false, "ZSCORE zset member:@"},
		{"zset", "ZRANK", logN, false, "ZRANK zset member:@"},
		{"zset", "ZCARD", one, false, "ZCARD zset"},
		{"zset", "ZCOUNT", logN, false, "ZCOUNT zset 5 500000"},
		{"zset", "ZRANGE 10", logN, false, "ZRANGE zset % &"},
		{"zset", "ZRANGEBYSCORE 10", logN, false, "ZRANGEBYSCORE zset 5 inf LIMIT 0 10"},
		{"zset", "ZADD, ZPOPMIN", logN, false, "ZADD zset @ member:# ; ZPOPMIN zset"},
		{"zset", "ZRANDMEMBER", one, false, "ZRANDMEMBER zset"},
		{"zset", "ZSCAN", one, false, "ZSCAN zset 0"},
		{"zset", "ZRANGE all", all, true, "ZRANGE zset 0 -1"},
		{"zset", "ZUNIONSTORE", "n log n", true, "ZUNIONSTORE result 2 zset zfew"},
		{"zset", "ZINTER with 3", logN, false, "ZINTER 2 zset zfew"},

		{"stream", "XLEN", one, false, "XLEN stream"},
		{"stream", "XRANGE 10", logN, false, "XRANGE stream @ + COUNT 10"},
		{"stream", "XREVRANGE 10", logN, false, "XREVRANGE stream @ - COUNT 10"},
		{"stream", "XREAD 10", logN, false, "XREAD COUNT 10 STREAMS stream @"},
		{"stream", "XGROUP SETID, XREADGROUP, XACK", logN, false, "XGROUP SETID stream group @-0 ; XREADGROUP GROUP group me COUNT 1 STREAMS stream > ; XACK stream group @-1"},
		{"stream", "XINFO STREAM", one, false, "XINFO STREAM stream"},
		{"stream", "XADD, trimmed", one, false, "XADD stream MAXLEN ~ ! * field value"},

		{"geo", "GEOADD", logN, false, "GEOADD geo 10 20 place:@"},
		{"geo", "GEODIST", one, false, "GEODIST geo place:@ place:0"},
		{"geo", "GEOPOS", one, false, "GEOPOS geo place:@"},
		{"geo", "GEOSEARCH 10 of 1 km", logN, false, "GEOSEARCH geo FROMMEMBER place:@ BYRADIUS 1 km ASC COUNT 10"},

		{"hll", "PFADD", one, false, "PFADD hll element:#"},
		{"hll", "PFCOUNT", one, false, "PFCOUNT hll"},
		{"hll", "PFMERGE", one, false, "PFMERGE merged hll"},
	}
}
