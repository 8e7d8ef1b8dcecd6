package engine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// fillAll gives one key of each type n elements.
func (n *node) fillAll(size int) {
	each := func(element func(b []string, i int) []string, command ...string) {
		const batch = 1000
		for from := 0; from < size; from += batch {
			args := command
			for i := from; i < min(from+batch, size); i++ {
				args = element(args, i)
			}
			n.do(0, args...)
		}
	}
	name := func(i int) string { return "element:" + strconv.Itoa(i) }
	each(func(b []string, i int) []string { return append(b, name(i)) }, "RPUSH", "list")
	each(func(b []string, i int) []string { return append(b, name(i)) }, "SADD", "set")
	each(func(b []string, i int) []string { return append(b, name(i), strconv.Itoa(i)) }, "HSET", "hash")
	each(func(b []string, i int) []string { return append(b, strconv.Itoa(i), name(i)) }, "ZADD", "zset")
	for i := range size {
		n.do(0, "XADD", "stream", fmt.Sprint(i+1, "-1"), "field", name(i))
	}
	n.do(0, "SETBIT", "string", strconv.Itoa(size*8-1), "1")
}

// The commands that take the longest over a large value, in an order in which
// each finds what it works on. Those with a reply are measured with it, as on the
// node that answers.
var held = []string{
	"BITCOUNT string", "BITPOS string 1", "BITOP NOT s2 string", "COPY string s3", "SET s4 {value}", "GET s4", "APPEND string x", "DUMP string",
	"LRANGE list 0 -1", "LINDEX list {middle}", "LSET list {middle} x", "LINSERT list BEFORE nothing x", "LREM list 0 nothing", "LPOS list nothing",
	"LTRIM list 0 {last}", "COPY list l2", "RPUSH l2 x", "DUMP list", "SORT list ALPHA LIMIT 0 10", "RENAME list l3", "LPOP l3 {many}", "DEL l2",
	"SMEMBERS set", "SUNIONSTORE u set", "SINTERSTORE i set u", "SDIFFSTORE d set nothing", "SCARD u", "COPY set c", "SADD c x", "SRANDMEMBER set {many}", "DUMP set", "SPOP i {many}", "UNLINK d", "DEL u",
	"HGETALL hash", "HRANDFIELD hash {many}", "COPY hash h2", "HSET h2 f v", "DUMP hash", "EXPIRE h2 1000", "RENAME hash h3", "DEL h2",
	"ZRANGE zset 0 -1", "ZUNIONSTORE zu 1 zset", "ZINTERSTORE zi 2 zset zu", "ZRANGESTORE zr zset 0 -1", "COPY zset zc", "ZADD zc 1 x", "DUMP zset", "ZPOPMIN zi {many}", "ZREMRANGEBYRANK zr 0 {last}", "DEL zu",
	"XRANGE stream - +", "COPY stream st2", "XADD st2 * f v", "XINFO STREAM stream", "DUMP stream", "XTRIM st2 MAXLEN {half}", "DEL st2",
	"SWAPDB 0 1", "FLUSHALL",
}

// BenchmarkLock tells how long commands hold the engine's lock over values of
// QUORATE_ELEMENTS elements, in processor's time; docs/operating/cost.md has the
// figures. It runs each once:
//
//	QUORATE_ELEMENTS=1000000 go test ./engine -run NONE -bench Lock -benchtime 1x
func BenchmarkLock(b *testing.B) {
	size, err := strconv.Atoi(os.Getenv("QUORATE_ELEMENTS"))
	if err != nil {
		size = 10_000
	}
	runtime.LockOSThread()
	n := newNode()
	n.proto = reply.RESP2
	n.fillAll(size)
	words := strings.NewReplacer("{value}", strings.Repeat("x", size), "{middle}", strconv.Itoa(size/2), "{half}", strconv.Itoa(size/2),
		"{last}", strconv.Itoa(size-2), "{many}", strconv.Itoa(size-1))
	runtime.GC()
	for _, line := range held {
		got, allocated, cpu := n.cost(false, strings.Fields(words.Replace(line))...)
		if got[0] == '-' {
			b.Errorf("%s: %s", line, got)
		}
		fmt.Printf("| %s | %.3f | %d |\n", line, float64(cpu.Microseconds())/1e3, allocated>>20)
	}
}
