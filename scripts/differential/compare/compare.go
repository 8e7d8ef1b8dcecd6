// Package compare judges whether two servers gave the same answer to a command
// whose reply has no order of its own, hangs on chance, or tells the time.
package compare

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript/notation"
)

// Pair is one value of each server.
type Pair struct{ Redis, Ours reply.Value }

// Answers are what the two servers said to a command.
type Answers struct {
	Args [][]byte
	Got  Pair
	// Before is what they said to a question just before, if the rule wanted one.
	Before Pair
	// Excuse, if not nil, is asked whether answers that are not the same need not be.
	Excuse func(*Answers) bool
}

// Rule says when two replies that are not the same bytes are as good as the
// same. Nil: never. It is asked only when neither is an error.
type Rule func(a *Answers) bool

// Same reports whether the answers are the same by a rule.
func Same(rule Rule, a *Answers) bool {
	if rule == nil || a.Got.Redis.Kind == reply.KindError || a.Got.Ours.Kind == reply.KindError {
		rule = exact
	}
	return exact(a) || rule(a) || (a.Excuse != nil && a.Excuse(a))
}

func exact(a *Answers) bool { return equal(a.Got.Redis, a.Got.Ours) }

func text(v reply.Value) string { return strings.Join(notation.Lines(v), "\n") }

func equal(a, b reply.Value) bool { return text(a) == text(b) }

// Unordered compares the elements of replies as sets of groups: of pairs, say,
// when a flat list alternates names and values. In SCAN's replies it is the list
// behind the cursor.
func Unordered(group int) Rule {
	return func(a *Answers) bool { return equal(sorted(a.Got.Redis, group), sorted(a.Got.Ours, group)) }
}

// sorted returns v with its elements sorted, and leaves v as it was.
func sorted(v reply.Value, group int) reply.Value {
	v = clone(v)
	notation.Sort(&v, group)
	return v
}

func clone(v reply.Value) reply.Value {
	v.Elems = slices.Clone(v.Elems)
	for i := range v.Elems {
		v.Elems[i] = clone(v.Elems[i])
	}
	return v
}

// InPackedOrder is Unordered when the answer before names an encoding that has
// no order. Compact ones have the order of insertion, or that of numbers.
func InPackedOrder(group int) Rule {
	unordered := Unordered(group)
	return func(a *Answers) bool {
		if !equal(a.Before.Redis, a.Before.Ours) {
			return false
		}
		return string(a.Before.Redis.Text) == "hashtable" && unordered(a)
	}
}

// InListOrder is Unordered when the answer before names one of the types that have
// no order in the question. Of such a value LIMIT takes any part.
func InListOrder(unordered ...string) Rule {
	return func(a *Answers) bool {
		if !equal(a.Before.Redis, a.Before.Ours) || !slices.Contains(unordered, string(a.Before.Redis.Text)) {
			return false
		}
		limited := slices.ContainsFunc(a.Args, func(arg []byte) bool { return strings.EqualFold(string(arg), "LIMIT") })
		return limited && Kind(a) || Unordered(1)(a)
	}
}

// CStrings compares elements up to their first zero byte: redis-server's SORT ALPHA
// does, and has what ties so in the order of its hash table.
func CStrings(a *Answers) bool {
	if !Kind(a) {
		return false
	}
	for i, x := range a.Got.Redis.Elems {
		if !bytes.Equal(reply.CText(x.Text), reply.CText(a.Got.Ours.Elems[i].Text)) {
			return false
		}
	}
	return len(a.Got.Redis.Elems) > 0
}

// Within lets integers lie apart by so many: times left, of which some has
// passed between the servers.
func Within(most int64) Rule {
	return func(a *Answers) bool {
		x, y := a.Got.Redis, a.Got.Ours
		return x.Kind == reply.KindInt && y.Kind == reply.KindInt && near(x.Int, y.Int, most) && (x.Int < 0) == (y.Int < 0)
	}
}

func near(x, y, most int64) bool {
	return math.Abs(float64(x)-float64(y)) <= float64(most)
}

// Kind asks for the same kind of reply alone.
func Kind(a *Answers) bool {
	return a.Got.Redis.Kind == a.Got.Ours.Kind && len(a.Got.Redis.Elems) == len(a.Got.Ours.Elems)
}

// Any asks for nothing, when what follows is what is judged.
func Any(*Answers) bool { return true }

// streamTimesMs is how far apart times that streams remember may lie.
const streamTimesMs = 30_000

// StreamTimes lets differ what streams remember of when something was delivered
// or claimed: Unix times, what stands behind a name such as idle, and the third
// of four in XPENDING's lists.
func StreamTimes(a *Answers) bool { return sameButTimes(a.Got.Redis, a.Got.Ours) }

func sameButTimes(x, y reply.Value) bool {
	if x.Kind != y.Kind || len(x.Elems) != len(y.Elems) {
		return false
	}
	if len(x.Elems) == 0 {
		return equal(x, y)
	}
	for i := range x.Elems {
		a, b := x.Elems[i], y.Elems[i]
		if a.Kind == reply.KindInt && b.Kind == reply.KindInt && isTime(x.Elems, i) {
			if !near(a.Int, b.Int, streamTimesMs) {
				return false
			}
		} else if !sameButTimes(a, b) {
			return false
		}
	}
	return true
}

// isTime reports whether the i-th of elems tells a time.
func isTime(elems []reply.Value, i int) bool {
	const unixMs = 1_500_000_000_000
	switch {
	case elems[i].Int > unixMs:
		return true
	case i > 0 && elems[i-1].Kind == reply.KindBulk && slices.Contains([]string{"idle", "inactive", "seen-time"}, string(elems[i-1].Text)):
		return true
	}
	return i == 2 && len(elems) == 4 && elems[0].Kind == reply.KindBulk && elems[1].Kind == reply.KindBulk
}

// Either asks that both found something, or neither.
func Either(a *Answers) bool {
	return (a.Got.Redis.Kind == reply.KindNull) == (a.Got.Ours.Kind == reply.KindNull)
}

var streamID = regexp.MustCompile(`^[0-9]+-[0-9]+$`)

// StreamID asks for an id of a stream, whichever it is.
func StreamID(a *Answers) bool {
	return streamID.Match(a.Got.Redis.Text) && streamID.Match(a.Got.Ours.Text)
}

// Picked judges members that chance chose: each side's must be among those that
// it told before, in groups of so many values, and as many on both sides. A
// positive count asks for different ones.
func Picked(group int) Rule {
	return func(a *Answers) bool {
		redis, ours := leaves(a.Got.Redis, group), leaves(a.Got.Ours, group)
		if a.Got.Redis.Kind != a.Got.Ours.Kind || len(redis) != len(ours) {
			return false
		}
		distinct := len(a.Args) < 3 || !bytes.HasPrefix(a.Args[2], []byte("-"))
		return amongThose(redis, leaves(a.Before.Redis, group), distinct) && amongThose(ours, leaves(a.Before.Ours, group), distinct)
	}
}

// leaves returns the values of v in groups, however they are nested.
func leaves(v reply.Value, group int) []string {
	var flat []string
	var walk func(v reply.Value)
	walk = func(v reply.Value) {
		for _, e := range v.Elems {
			walk(e)
		}
		if v.Text != nil {
			flat = append(flat, string(v.Text))
		}
	}
	walk(v)
	var groups []string
	for g := range slices.Chunk(flat, group) {
		groups = append(groups, fmt.Sprintf("%q", g))
	}
	return groups
}

func amongThose(picked, all []string, distinct bool) bool {
	have := make(map[string]bool, len(all))
	for _, m := range all {
		have[m] = true
	}
	for _, m := range picked {
		if !have[m] {
			return false
		}
		if distinct {
			delete(have, m)
		}
	}
	return true
}

// Each compares the elements of a list, one by one, each by its own rule.
func Each(rules []Rule, args [][][]byte) Rule {
	return func(a *Answers) bool {
		x, y := a.Got.Redis, a.Got.Ours
		if x.Kind != y.Kind || len(x.Elems) != len(y.Elems) || len(x.Elems) > len(rules) {
			return false
		}
		for i := range x.Elems {
			inner := &Answers{Args: args[i], Got: Pair{x.Elems[i], y.Elems[i]}, Excuse: a.Excuse}
			if !Same(rules[i], inner) {
				return false
			}
		}
		return true
	}
}

// Clock asks for Unix times that are close, in TIME's two parts.
func Clock(a *Answers) bool {
	seconds := func(v reply.Value) int64 {
		if len(v.Elems) != 2 {
			return math.MinInt64
		}
		n, _ := strconv.ParseInt(string(v.Elems[0].Text), 10, 64)
		return n
	}
	return near(seconds(a.Got.Redis), seconds(a.Got.Ours), 5)
}
