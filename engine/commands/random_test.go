package commands_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
)

// ask executes a command and returns its reply's elements, or the reply itself.
func ask(t *testing.T, target *target, format string, args ...any) []string {
	t.Helper()
	raw, _ := target.Do(bytes.Fields(fmt.Appendf(nil, format, args...)))
	v, _, err := reply.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	if v.Kind != reply.KindArray && v.Kind != reply.KindSet {
		return []string{string(raw)}
	}
	all := []string{}
	for _, e := range v.Elems {
		all = append(all, string(e.Text))
	}
	return all
}

// Sizes of which each is another form: integers, compact, large.
var randomSets = []struct {
	name, prefix string
	size         int
}{{"intset", "", 20}, {"compact", "m", 20}, {"large", "m", 300}}

func TestRandomMembersAreDistinctMembers(t *testing.T) {
	for _, c := range randomSets {
		t.Run(c.name, func(t *testing.T) {
			ours := newTarget(reply.RESP3)
			for i := range c.size {
				ask(t, ours, "SADD s %s%d", c.prefix, i)
				ask(t, ours, "HSET h %s%d %d", c.prefix, i, i)
			}
			members := ask(t, ours, "SMEMBERS s")
			for _, command := range []string{"SRANDMEMBER s", "HRANDFIELD h"} {
				chosen := map[string]bool{}
				for range 40 {
					got := ask(t, ours, "%s 5", command)
					slices.Sort(got)
					if len(slices.Compact(slices.Clone(got))) != 5 {
						t.Fatalf("%s: %q", command, got)
					}
					for _, m := range got {
						chosen[m] = true
						if !slices.Contains(members, m) {
							t.Fatalf("%s: %q is no member", command, m)
						}
					}
				}
				if len(chosen) <= 5 {
					t.Errorf("%s always chooses %v", command, chosen)
				}
				if got := ask(t, ours, "%s -500", command); len(got) != 500 {
					t.Errorf("%s -500 gives %d", command, len(got))
				}
				if got := ask(t, ours, "%s -1000000000", command); !strings.HasPrefix(got[0], "-ERR value is out of range") {
					t.Errorf("%s -1000000000 gives %q", command, got)
				}
			}
		})
	}
}

func TestPoppedMembersAreGone(t *testing.T) {
	for _, c := range randomSets {
		t.Run(c.name, func(t *testing.T) {
			ours := newTarget(reply.RESP3)
			for i := range c.size {
				ask(t, ours, "SADD s %s%d", c.prefix, i)
			}
			all := ask(t, ours, "SMEMBERS s")
			var popped []string
			for len(popped) < c.size {
				popped = append(popped, ask(t, ours, "SPOP s 3")...)
				left := ask(t, ours, "SMEMBERS s")
				both := slices.Concat(popped, left)
				slices.Sort(both)
				want := slices.Sorted(slices.Values(all))
				if !slices.Equal(both, want) {
					t.Fatalf("popped %q, left %q", popped, left)
				}
			}
		})
	}
}

// Two nodes with the same members choose alike, though one set was large before.
func TestChoiceFollowsFromContent(t *testing.T) {
	a, b := newTarget(reply.RESP3), newTarget(reply.RESP3)
	for i := range 300 {
		ask(t, b, "SADD s gone%d", i)
	}
	for i := range 30 {
		ask(t, a, "SADD s m%d", i)
		ask(t, b, "SADD s m%d", 29-i)
	}
	for i := range 300 {
		ask(t, b, "SREM s gone%d", i)
	}
	a.calls, b.calls = 0, 0 // what seeds the choices
	for _, command := range []string{"SMEMBERS s", "SRANDMEMBER s 3", "SSCAN s 0 COUNT 5", "SPOP s 4", "SPOP s", "SMEMBERS s"} {
		if got, want := ask(t, a, "%s", command), ask(t, b, "%s", command); !slices.Equal(got, want) {
			t.Errorf("%s: %q and %q", command, got, want)
		}
	}
}

// Looking at an expired key deletes it and moves others about: what a command
// has read of its other keys must not change under it.
func TestCombiningSetsAmongExpiredKeys(t *testing.T) {
	ours := newTarget(reply.RESP3)
	for i := range 200 {
		ask(t, ours, "SADD expired%d a b c", i)
		ours.env.Keyspace.DB(0).SetExpire(fmt.Appendf(nil, "expired%d", i), ours.now+1)
		ask(t, ours, "SADD keep%d a k%d", i, i)
	}
	ours.Advance(5e6)
	for i := range 200 {
		if got := ask(t, ours, "SUNIONSTORE r keep%d expired%d keep%d", i, i, (i+1)%200); got[0] != ":3\r\n" {
			t.Fatalf("%d: %q", i, got)
		}
		want := []string{"a", fmt.Sprintf("k%d", i), fmt.Sprintf("k%d", (i+1)%200)}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(ask(t, ours, "SMEMBERS r"))); !slices.Equal(got, want) {
			t.Fatalf("%d: %q", i, got)
		}
	}
}
