package engine

import (
	"encoding/binary"
	"hash/crc64"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/quorate/quorate/engine/reply"
)

// What one command with hostile arguments may take. A stall takes minutes and a
// large allocation gigabytes, so there is room for slow machines between.
const (
	hostileBytesMax = 32 << 20
	hostileCPUMax   = 2 * time.Second
)

// cost executes one command as a log entry and returns its reply, the memory
// that it allocated and the processor's time that it took. The calling goroutine
// is the only one of its thread.
func (n *node) cost(inTx bool, args ...string) (got string, allocated uint64, cpu time.Duration) {
	var before, after runtime.MemStats
	n.index++
	out := reply.NewWriter(reply.RESP2, nil)
	runtime.ReadMemStats(&before)
	start := threadTime()
	n.Apply(func(s *Step) {
		s.Entry(n.index, n.now)
		s.Do(0, words(args...), inTx, out)
	})
	cpu = threadTime() - start
	runtime.ReadMemStats(&after)
	return string(out.Bytes()), after.TotalAlloc - before.TotalAlloc, cpu
}

// threadTime returns the processor's time that this thread has taken, exactly:
// getrusage is some milliseconds late. Others on the machine do not count.
func threadTime() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0); err != 0 {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// checkCost executes a command and tells if it costs too much or panics.
func (n *node) checkCost(t *testing.T, inTx bool, args ...string) (got string) {
	t.Helper()
	panics := n.Panics()
	got, allocated, cpu := n.cost(inTx, args...)
	if allocated > hostileBytesMax || cpu > hostileCPUMax || n.Panics() > panics {
		t.Errorf("%.100q: %d bytes, %v, %d panics: %.100q", args, allocated, cpu, n.Panics()-panics, got)
	}
	return got
}

// hostileNode returns a node with a value of each type.
func hostileNode(t *testing.T) *node {
	n := newNode()
	for _, line := range []string{
		"SET s abc", "SET top 9223372036854775807", "RPUSH l a b c a", "SADD set a b c", "SADD ints 1 2 3", "HSET h f 1 g 2",
		"ZADD z 1 a 2 b 3 c", "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "PFADD hll a b c",
		"XADD x 1-1 a 1", "XADD x 1-2 a 1", "XADD x 2-1 a 1", "XGROUP CREATE x grp 0", "XREADGROUP GROUP grp c STREAMS x >",
	} {
		if got := n.do(0, strings.Fields(line)...); got[0] == '-' {
			t.Fatalf("%s: %s", line, got)
		}
	}
	n.do(0, "SADD", "long", strings.Repeat("x", 1<<20))
	n.do(0, "HSET", "longh", "f", strings.Repeat("x", 1<<20))
	n.do(0, "ZADD", "longz", "1", strings.Repeat("x", 1<<20))
	n.do(0, "SET", "text", strings.Repeat("ab", 1<<15))
	n.do(0, "SET", "text2", strings.Repeat("ba", 1<<15))
	n.do(0, "SET", "short", strings.Repeat("ab", 2000))
	n.do(0, "SET", "short2", strings.Repeat("ba", 2000))
	return n
}

// hostile are commands and the beginnings of their replies: errors, or what
// there is, at no more cost than it has. MAX and MIN are the largest and the
// least number.
var hostile = []struct{ command, want string }{
	// Elements that may repeat.
	{"SRANDMEMBER set {min}", "-ERR value is out of range"},
	{"SRANDMEMBER set -1000000000", "-ERR value is out of range"},
	{"SRANDMEMBER set -1048577", "-ERR value is out of range"},
	{"HRANDFIELD h {min} WITHVALUES", "-ERR value is out of range"},
	{"HRANDFIELD h -1000000000", "-ERR value is out of range"},
	{"HRANDFIELD h -1000000000 WITHVALUES", "-ERR value is out of range"},
	{"ZRANDMEMBER z {min}", "-ERR value is out of range"},
	{"ZRANDMEMBER z -1000000000", "-ERR value is out of range"},
	{"ZRANDMEMBER z -1000000000 WITHSCORES", "-ERR value is out of range"},
	{"SRANDMEMBER set {max}", "*3"},
	{"HRANDFIELD h 4611686018427387903 WITHVALUES", "*4"},
	{"ZRANDMEMBER z {max}", "*3"},

	// Strings as long as a client likes.
	{"SETRANGE s 536870912 x", "-ERR string exceeds"},
	{"SETRANGE s {max} x", "-ERR string exceeds"},
	{"SETBIT s 4294967296 1", "-ERR bit offset"},
	{"SETBIT s {max} 1", "-ERR bit offset"},
	{"BITFIELD s SET u8 4294967296 1", "-ERR bit offset"},
	{"BITFIELD s SET u8 #{max} 1", "-ERR bit offset"},
	{"BITFIELD_RO s GET u8 4294967295", "*1"},
	{"GETRANGE s {min} {max}", "$3"},
	{"BITCOUNT s {min} {max} BIT", ":10"},
	{"BITPOS s 1 {min} {max}", ":1"},
	{"LCS text text2", "-ERR Insufficient memory"},
	{"LCS text text2 IDX", "-ERR Insufficient memory"},
	{"LCS short short2", "$3999"},
	{"INCR top", "-ERR increment or decrement would overflow"},

	// Patterns.
	{"KEYS {stars}b", "*0"},
	{"KEYS *a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "*0"},
	{"SCAN 0 COUNT {max} MATCH {stars}b", "*2"},
	{"HSCAN h 0 MATCH {stars}b", "*2"},
	{"SSCAN long 0 MATCH *x*x*x*x*x*x*x*x*b", "*2"},

	// Numbers of elements, keys and fields.
	{"LMPOP {max} l LEFT", "-ERR"},
	{"LMPOP 2147483647 l LEFT", "-ERR"},
	{"LPOS l a COUNT {max} MAXLEN {max}", "*2"},
	{"LPOS l a RANK {min}", ":3"},
	{"ZMPOP {max} z MIN COUNT {max}", "-ERR"},
	{"ZRANGE g -inf +inf BYSCORE LIMIT 0 {max}", "*2"},
	{"ZRANGE g -inf +inf BYSCORE LIMIT {max} {max}", "*0"},
	{"SINTERCARD 2147483648 set", "-ERR Number of keys"},
	{"SINTERCARD {max} set", "-ERR Number of keys"},
	{"ZUNION 2147483647 z", "-ERR syntax"},
	{"ZUNIONSTORE d {max} z", "-ERR syntax"},
	{"ZINTERCARD 4611686018427387904 z", "-ERR syntax"},
	{"GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT {max}", "*2"},
	{"GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1e300 km COUNT {max} ANY", "*2"},
	{"SORT l LIMIT {max} {max} ALPHA", "*0"},
	{"MEMORY USAGE set SAMPLES {max}", ":"},
	{"SCAN 0 COUNT 4611686018427387904", "*2"},
	{"SSCAN set 0 COUNT {max}", "*2"},
	{"HSCAN h 0 COUNT {max}", "*2"},
	{"ZSCAN g 0 COUNT {max}", "*2"},
	{"XRANGE x - + COUNT {max}", "*3"},
	{"XREAD COUNT {max} STREAMS x 0", "*1"},
	{"XCLAIM x grp c 0 1-1 RETRYCOUNT {max}", "*1"},
	{"XAUTOCLAIM x grp c 0 0 COUNT {max}", "-ERR COUNT"},
	{"XAUTOCLAIM x grp c 0 0 COUNT 1000000000", "*3"},
	{"XPENDING x grp - + {max}", "*3"},
	{"XINFO STREAM x FULL COUNT {max}", "*18"},
	{"XADD x MAXLEN ~ 1 LIMIT {max} * a 1", "$"},
	{"XTRIM x MAXLEN ~ 0 LIMIT {max}", ":"},
	{"XADD x 18446744073709551616-0 a 1", "-ERR Invalid stream ID"},
	{"COPY s d DB 1000000000", "-ERR DB index"},
	{"EVAL return 2147483648 a", "-ERR Number of keys"},
	{"EVAL return {max} a", "-ERR Number of keys"},
	{"EVAL return {min} a", "-ERR Number of keys"},
	{"SPOP ints {max}", "*3"},
	{"LPOP l {max}", "*4"},
	{"ZPOPMIN z {max}", "*6"},
	{"RESTORE r {max} x", "-ERR DUMP payload"},
}

var hostileWords = strings.NewReplacer("{max}", "9223372036854775807", "{min}", "-9223372036854775808", "{stars}", strings.Repeat("*", 20000))

// Numbers, patterns and sizes that are meant to make a node stall or run out of
// memory: alone, in a transaction, and from a script.
func TestHostileArguments(t *testing.T) {
	runtime.LockOSThread()
	alone, inTx, inScript := hostileNode(t), hostileNode(t), hostileNode(t)
	for _, c := range hostile {
		args := strings.Fields(hostileWords.Replace(c.command))
		if got := alone.checkCost(t, false, args...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %.100q", c.command, got)
		}
		if got := inTx.checkCost(t, true, args...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: in a transaction: got %.100q", c.command, got)
		}
		if args[0] != "EVAL" {
			inScript.checkCost(t, false, slices.Concat([]string{"EVAL", "return redis.call(unpack(ARGV))", "0"}, args)...)
		}
	}
}

// A reply of elements that may repeat ends when it is too long, not when the
// memory does.
func TestRepeatedElementsAreBoundedByTheirLength(t *testing.T) {
	n := hostileNode(t)
	for _, c := range []string{"SRANDMEMBER long -100000", "HRANDFIELD longh -100000 WITHVALUES", "ZRANDMEMBER longz -100000"} {
		got, allocated, _ := n.cost(false, strings.Fields(c)...)
		if !strings.HasPrefix(got, "-ERR") || allocated > 512<<20 {
			t.Errorf("%s: %d bytes allocated, got %.100q", c, allocated, got)
		}
	}
}

// Payloads whose checksums are right and whose lengths are not.
func TestHostilePayloads(t *testing.T) {
	runtime.LockOSThread()
	n := hostileNode(t)
	const one = "one, "
	lengths := map[string]string{
		"2^32-1": "\x80\xff\xff\xff\xff", "2^31": "\x80\x80\x00\x00\x00", "2^29": "\x80\x20\x00\x00\x00", "2^24": "\x80\x01\x00\x00\x00",
		"2^63": "\x81\x80\x00\x00\x00\x00\x00\x00\x00", "2^63-1": "\x81\x7f\xff\xff\xff\xff\xff\xff\xff", "2^61": "\x81\x20\x00\x00\x00\x00\x00\x00\x00",
		"compressed": "\xc3\x04\x80\x1f\xff\xff\xff", "compressed, long": "\xc3\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
		one + "then 2^32-1": "\x01\x80\xff\xff\xff\xff", one + "of one byte, then 2^63-1": "\x01\x01a\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
	}
	for name, length := range lengths {
		for kind := range 40 {
			for _, tail := range []string{"", "abcd", strings.Repeat("\x00", 40), strings.Repeat("\xff", 40)} {
				body := string([]byte{byte(kind)}) + length + tail
				if got := n.checkCost(t, false, "RESTORE", "new", "0", payload(body)); got[0] != '-' {
					if strings.HasPrefix(name, one) {
						n.do(0, "DEL", "new") // whole, and something behind it, which Redis lets pass
						continue
					}
					t.Errorf("type %d, length %s: got %q", kind, name, got)
				}
			}
		}
	}
}

// What DUMP gives, cut off anywhere and signed anew.
func TestTruncatedPayloads(t *testing.T) {
	runtime.LockOSThread()
	n := hostileNode(t)
	for _, key := range []string{"s", "l", "set", "ints", "h", "z", "x", "hll"} {
		v, _, err := reply.Read([]byte(n.do(0, "DUMP", key)))
		if err != nil {
			t.Fatal(err)
		}
		const footer = 10
		body := string(v.Text[:len(v.Text)-footer])
		for i := range body {
			if got := n.checkCost(t, false, "RESTORE", "new", "0", payload(body[:i])); got[0] != '-' {
				t.Errorf("%s, cut at %d: got %q", key, i, got)
			}
		}
		if got := n.checkCost(t, false, "RESTORE", "new", "0", "REPLACE", payload(body)); key != "s" && got[0] != '-' {
			t.Errorf("%s: options in the payload's place: %q", key, got)
		}
		if got := n.do(0, "RESTORE", "new", "0", payload(body), "REPLACE"); got != "+OK\r\n" {
			t.Errorf("%s: whole: %q", key, got)
		}
		n.do(0, "DEL", "new")
	}
}

var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// payload signs a value as DUMP does.
func payload(body string) string {
	const version = 10
	b := binary.LittleEndian.AppendUint16([]byte(body), version)
	return string(binary.LittleEndian.AppendUint64(b, ^crc64.Update(^uint64(0), jones, b)))
}

// A value that is named many times ends the reply with an error.
func TestNamedManyTimes(t *testing.T) {
	runtime.LockOSThread()
	n := newNode()
	n.index++
	n.Apply(func(s *Step) {
		s.Entry(n.index, n.now)
		if err := s.Set(words("proto-max-bulk-len", "1048576")); err != nil {
			t.Fatal(err)
		}
	})
	big := strings.Repeat("x", 1<<20)
	n.do(0, "SET", "big", big)
	n.do(0, "HSET", "h", "f", big)
	n.do(0, "XADD", "st", "1", "f", big)
	n.do(0, "RPUSH", "l", "a")
	const most, more = 63, 65 // times: up to 64 MB
	for name, repeat := range map[string]func(times int) []string{
		"MGET": func(times int) []string { return append([]string{"MGET"}, slices.Repeat([]string{"big"}, times)...) },
		"HMGET": func(times int) []string {
			return append([]string{"HMGET", "h"}, slices.Repeat([]string{"f"}, times)...)
		},
		"SORT": func(times int) []string {
			return append([]string{"SORT", "l", "BY", "no"}, slices.Repeat([]string{"GET", "big*"}, times)...)
		},
		"XREAD": func(times int) []string {
			return slices.Concat([]string{"XREAD", "STREAMS"}, slices.Repeat([]string{"st"}, times), slices.Repeat([]string{"0"}, times))
		},
	} {
		n.do(0, "SET", "biga", big)
		if got, _, _ := n.cost(false, repeat(most)...); got[0] != '*' || len(got) < most<<20 {
			t.Errorf("%s %d times: %.50q, %d bytes", name, most, got, len(got))
		}
		if got, _, _ := n.cost(false, repeat(more)...); !strings.HasPrefix(got, "-ERR the reply would be longer") {
			t.Errorf("%s %d times: %.50q, %d bytes", name, more, got, len(got))
		}
	}
}
