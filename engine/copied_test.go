package engine

import (
	"fmt"
	"strings"
	"testing"
)

// Stored unions, differences and intersections of large sets that begin with a copy are those that are made member by
// member, and go their own way afterwards.
func TestStoredSetsThatAreCopies(t *testing.T) {
	const size = 3000
	n := newNode()
	fill := func(command, key string, from, to int) {
		for i := from; i < to; i++ {
			switch command {
			case "SADD":
				n.do(0, command, key, fmt.Sprint("member:", i))
			case "INTS":
				n.do(0, "SADD", key, fmt.Sprint(i))
			default:
				n.do(0, command, key, fmt.Sprint(i%100), fmt.Sprint("member:", i))
			}
		}
	}
	fill("SADD", "a", 0, size)
	fill("SADD", "b", size-5, size+5)
	fill("INTS", "ints", 0, size)
	fill("ZADD", "z", 0, size)
	fill("SADD", "a+b", 0, size+5)
	fill("SADD", "a-b", 0, size-5)
	for _, line := range []struct{ store, want string }{
		{"SUNIONSTORE to a", "a"},
		{"SUNIONSTORE to b a", "a+b"},
		{"SUNIONSTORE to a a missing", "a"},
		{"SUNIONSTORE to ints", "ints"},
		{"SDIFFSTORE to a", "a"},
		{"SDIFFSTORE to a missing", "a"},
		{"SDIFFSTORE to a b", "a-b"},
		{"SINTERSTORE to a", "a"},
		{"SINTERSTORE to a a+b", "a"},
		{"ZUNIONSTORE to 1 z", "z"},
		{"ZINTERSTORE to 1 z", "z"},
		{"ZDIFFSTORE to 1 z", "z"},
		{"ZUNIONSTORE to 1 z WEIGHTS 1", "z"},
	} {
		n.do(0, "DEL", "to")
		if got := n.do(0, strings.Fields(line.store)...); got[0] != ':' {
			t.Fatalf("%s: %s", line.store, got)
		}
		key := strings.Fields(line.store)[2]
		if key == "1" { // their number
			key = "z"
		}
		source := n.do(0, "DUMP", key)
		for _, look := range []string{"DUMP", "OBJECT ENCODING"} {
			words := strings.Fields(look)
			if got, want := n.do(0, append(words, "to")...), n.do(0, append(words, line.want)...); got != want {
				t.Errorf("%s: %s differs from that of %s", line.store, look, line.want)
			}
		}
		if n.do(0, "SADD", "to", "new")[0] == '-' {
			n.do(0, "ZADD", "to", "1", "new")
			n.do(0, "ZREM", "to", "member:1")
		} else {
			n.do(0, "SREM", "to", "member:1", "1")
		}
		if n.do(0, "DUMP", key) != source {
			t.Errorf("%s: the source changed with the copy", line.store)
		}
	}
}
