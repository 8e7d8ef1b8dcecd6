// Package side holds the checks that need no search: counters, lists and
// strings that one client alone writes, published messages, and elements that
// consumers wait for.
package side

import "fmt"

// Outcome is what a ledger's client was told of a write.
type Outcome uint8

// The outcomes.
const (
	Acked   Outcome = iota
	Doubted         // INDOUBT, or no reply
	Refused         // a definite error
)

// Sent is one value that a client added to its own list or string.
type Sent struct {
	Value   string
	Outcome Outcome
}

// CheckSequence compares what one client sent, in its order, with what a node
// holds, in that order. It returns what is wrong: an acknowledged value is
// lost, a value is there twice, in another order, though it was refused, or
// though nobody sent it. What was in doubt may stand anywhere, once.
func CheckSequence(sent []Sent, found []string) []string {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	rank := make(map[string]int, len(sent))
	for i, s := range sent {
		rank[s.Value] = i
	}
	seen := make(map[string]bool, len(found))
	last := -1
	for _, v := range found {
		i, known := rank[v]
		switch {
		case !known:
			complain("%q was never sent", v)
			continue
		case seen[v]:
			complain("%q is there twice", v)
			continue
		case sent[i].Outcome == Refused:
			complain("%q is there, and was answered with a definite error", v)
		case sent[i].Outcome == Acked && i < last:
			complain("%q stands behind %q, which was sent later", v, sent[last].Value)
		}
		seen[v] = true
		if sent[i].Outcome == Acked {
			last = max(last, i)
		}
	}
	for _, s := range sent {
		if s.Outcome == Acked && !seen[s.Value] {
			complain("%q was acknowledged and is lost", s.Value)
		}
	}
	return wrong
}

// Counter follows a counter that one client alone increments by one.
type Counter struct {
	last  int64 // the newest reply
	doubt int64 // increments in doubt since the beginning
	seen  int64 // of them, known to have been applied
}

// Acked takes the reply of an INCR, and returns what is wrong with it.
func (c *Counter) Acked(n int64) error {
	extra := n - c.last - 1
	if extra < 0 || extra > c.doubt-c.seen {
		return fmt.Errorf("INCR after %d gave %d, with %d in doubt", c.last, n, c.doubt-c.seen)
	}
	c.last, c.seen = n, c.seen+extra
	return nil
}

// Doubted notes an INCR that may have been applied, or may be yet.
func (c *Counter) Doubted() { c.doubt++ }

// Read takes what a read of the counter gave that began after the last reply.
func (c *Counter) Read(n int64) error {
	if n < c.last || n > c.last+c.doubt-c.seen {
		return fmt.Errorf("the counter is %d after %d was acknowledged, with %d in doubt", n, c.last, c.doubt-c.seen)
	}
	return nil
}
