package engine

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// fillLarge gives the keys of all types, named by their letters, many elements.
func fillLarge(n *node, from, to int) {
	for i := from; i < to; i++ {
		text := fmt.Sprint("element:", i*7919%100_000)
		n.do(0, "RPUSH", "l", text)
		n.do(0, "SADD", "t", text)
		n.do(0, "HSET", "h", text, text)
		n.do(0, "ZADD", "z", strconv.Itoa(i), text)
		n.do(0, "XADD", "x", fmt.Sprint(i+1, "-1"), "field", text)
	}
}

const usageInScript = "return redis.call('MEMORY', 'USAGE', KEYS[1])"

// What values take differs between a node that lived through the history and one that
// is restored. A script that acts on it must do the same on both.
func TestScriptsSeeMemoryOfContent(t *testing.T) {
	lived := newNode()
	fillLarge(lived, 0, 3000)
	for i := range 2900 {
		text := fmt.Sprint("element:", i*7919%100_000)
		lived.do(0, "LPOP", "l")
		lived.do(0, "SREM", "t", text)
		lived.do(0, "HDEL", "h", text)
		lived.do(0, "ZREM", "z", text)
		lived.do(0, "XDEL", "x", fmt.Sprint(i+1, "-1"))
	}
	came := lived.restored(t, lived.snapshot(t))
	differs := 0
	for key := range strings.SplitSeq("l t h z x", " ") {
		if string(lived.ask(0, "MEMORY", "USAGE", key)) != string(came.ask(0, "MEMORY", "USAGE", key)) {
			differs++
		}
		if a, b := lived.do(0, "EVAL", usageInScript, "1", key), came.do(0, "EVAL", usageInScript, "1", key); a != b {
			t.Errorf("%s: a script of the node that lived sees %q, of the one restored %q", key, a, b)
		}
	}
	if differs == 0 {
		t.Error("the real sizes are the same: this test shows nothing")
	}
}

// The estimate is near what the value really takes.
func TestMemoryInScriptsIsNearTheRealOne(t *testing.T) {
	n := newNode()
	fillLarge(n, 0, 3000)
	n.do(0, "XGROUP", "CREATE", "x", "g", "0")
	n.do(0, "XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">")
	size := func(raw string) float64 {
		v, _, err := reply.Read([]byte(raw))
		if err != nil || v.Int < 1000 {
			t.Fatalf("%q, %v", raw, err)
		}
		return float64(v.Int)
	}
	for key := range strings.SplitSeq("l t h z x", " ") {
		is, told := size(string(n.ask(0, "MEMORY", "USAGE", key))), size(n.do(0, "EVAL", usageInScript, "1", key))
		if told < is/1.5 || told > is*1.5 {
			t.Errorf("%s takes %.0f, a script is told %.0f", key, is, told)
		}
	}
}
