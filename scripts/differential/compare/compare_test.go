package compare

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// value makes a reply of its bytes, with spaces for line ends.
func value(t *testing.T, s string) reply.Value {
	t.Helper()
	v, rest, err := reply.Read([]byte(strings.ReplaceAll(s, " ", "\r\n") + "\r\n"))
	if err != nil || len(rest) > 0 {
		t.Fatalf("%s: %v, %q is left", s, err, rest)
	}
	return v
}

func TestRules(t *testing.T) {
	members := "*3 $1 a $1 b $1 c"
	for _, c := range []struct {
		name                string
		rule                Rule
		before, redis, ours string
		want                bool
	}{
		{"exact", nil, "", ":1", ":2", false},
		{"exact tells kinds apart", nil, "", "+1", "$1 1", false},
		{"errors are exact", Kind, "", "-NOA", "-NOB", false},
		{"an error on one side", Kind, "", "-NOA", ":1", false},
		{"another order", Unordered(1), "", "*2 :1 :2", "*2 :2 :1", true},
		{"another element", Unordered(1), "", "*2 :1 :2", "*2 :2 :3", false},
		{"pairs stay together", Unordered(2), "", "*4 :1 :2 :3 :4", "*4 :3 :4 :1 :2", true},
		{"pairs torn apart", Unordered(2), "", "*4 :1 :2 :3 :4", "*4 :1 :4 :3 :2", false},
		{"packed values have an order", InPackedOrder(1), "$8 listpack", "*2 :1 :2", "*2 :2 :1", false},
		{"hash tables have none", InPackedOrder(1), "$9 hashtable", "*2 :1 :2", "*2 :2 :1", true},
		{"sets have no order", InListOrder("set"), "+set", "*2 :1 :2", "*2 :2 :1", true},
		{"lists have one", InListOrder("set"), "+list", "*2 :1 :2", "*2 :2 :1", false},
		{"ties of C strings", CStrings, "", "*2 $3 a\x00b $1 a", "*2 $1 a $3 a\x00b", true},
		{"other C strings", CStrings, "", "*2 $1 b $1 a", "*2 $1 a $1 b", false},
		{"times left", Within(2), "", ":100", ":98", true},
		{"times too far apart", Within(2), "", ":100", ":97", false},
		{"no time left is no time", Within(2), "", ":0", ":-1", false},
		{"no time at all", Within(2), "", "$-1", "$-1", true},
		{"stream times", StreamTimes, "", "*4 $3 1-1 $1 a :5 :1", "*4 $3 1-1 $1 a :7 :1", true},
		{"deliveries are counted", StreamTimes, "", "*4 $3 1-1 $1 a :5 :1", "*4 $3 1-1 $1 a :5 :2", false},
		{"idle by name", StreamTimes, "", "*2 $4 idle :5", "*2 $4 idle :9", true},
		{"pending by name", StreamTimes, "", "*2 $7 pending :5", "*2 $7 pending :9", false},
		{"members picked", Picked(1), members, "*2 $1 a $1 b", "*2 $1 c $1 a", true},
		{"a member picked twice", Picked(1), members, "*2 $1 a $1 b", "*2 $1 c $1 c", false},
		{"a stranger picked", Picked(1), members, "$1 a", "$1 d", false},
		{"fewer picked", Picked(1), members, "*2 $1 a $1 b", "*1 $1 a", false},
		{"each by its rule", Each([]Rule{nil, Unordered(1)}, make([][][]byte, 2)), "", "*2 :1 *2 :1 :2", "*2 :1 *2 :2 :1", true},
		{"each by its own", Each([]Rule{Unordered(1), nil}, make([][][]byte, 2)), "", "*2 :1 *2 :1 :2", "*2 :1 *2 :2 :1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &Answers{Got: Pair{value(t, c.redis), value(t, c.ours)}}
			if c.before != "" {
				a.Before = Pair{value(t, c.before), value(t, c.before)}
			}
			if got := Same(c.rule, a); got != c.want {
				t.Errorf("%s and %s: %t", c.redis, c.ours, got)
			}
		})
	}
}
