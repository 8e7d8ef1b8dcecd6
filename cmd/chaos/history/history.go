// Package history holds what clients sent and were told, with the times of both.
package history

import (
	"fmt"
	"strings"
	"time"
)

// Forever is the time of the return of what never returned: later than any other.
const Forever = int64(1) << 62

// Outcome is what a client knows of an operation.
type Outcome uint8

// The outcomes. Operations that ended in a definite error are in no history:
// they must not have been applied, so nothing may need them to be explained.
const (
	// Done: the reply is known.
	Done Outcome = iota
	// Settled: INDOUBT; it may have been applied, and if so before Return.
	Settled
	// Open: no reply came. It may take effect at any time, or never.
	Open
)

// Form is how an operation's commands were sent.
type Form uint8

// The forms.
const (
	Plain  Form = iota // one command
	Tx                 // MULTI ... EXEC: all commands at once
	Guards             // as Tx, after WATCH: only if the keys still hold Seen
)

// Cmd is a command. An argument that is a key is written by Key.
type Cmd []string

// Key is the argument that stands for the i-th key of a group.
func Key(i int) string { return "\x00" + string(rune('0'+i)) }

// KeyIndex returns which key of its group an argument stands for.
func KeyIndex(arg string) (i int, ok bool) {
	if len(arg) != 2 || arg[0] != 0 {
		return 0, false
	}
	return int(arg[1] - '0'), true
}

func (c Cmd) String() string {
	words := make([]string, len(c))
	for i, arg := range c {
		if k, ok := KeyIndex(arg); ok {
			arg = string(rune('a' + k))
		}
		words[i] = arg
	}
	return strings.Join(words, " ")
}

// Op is one operation: what takes effect at one moment, or not at all.
type Op struct {
	Client int
	Node   int   // by which it was sent
	Call   int64 // nanoseconds since the run began, by the monotonic clock, before the first byte was sent
	Return int64 // the same, after the reply's last byte came; Forever if none did

	Form    Form
	Cmds    []Cmd
	Seen    []Seen   // of Guards
	Replies []string // canonical, one a command, if Outcome is Done
	Aborted bool     // Guards: EXEC told that a key had changed
	Outcome Outcome

	// Pipe and Pos give the order of the operations of one pipeline whose
	// replies are known: Pos counts from 0, Last marks the last. Pipe is 0
	// outside pipelines.
	Pipe uint64
	Pos  int
	Last bool

	// Early says that this is the view of a time at which the operation had not
	// returned: it has taken effect, with the replies that came later, or not.
	Early bool
}

// Seen is what a client read of a key after it had begun to watch it.
type Seen struct {
	Key   int
	Reply string // canonical, of GET
}

func (o *Op) String() string {
	var b strings.Builder
	for i, s := range o.Seen {
		if i == 0 {
			b.WriteString("if ")
		}
		fmt.Fprintf(&b, "%c=%s ", 'a'+s.Key, s.Reply)
	}
	for i, c := range o.Cmds {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.String())
	}
	switch {
	case o.Outcome == Settled:
		b.WriteString(" -> INDOUBT")
	case o.Outcome == Open:
		b.WriteString(" -> ?")
	case o.Aborted:
		b.WriteString(" -> aborted")
	default:
		b.WriteString(" -> " + strings.Join(o.Replies, "; "))
	}
	return b.String()
}

// Line is the operation with its times, for a log.
func (o *Op) Line() string {
	ret := "never"
	if o.Return != Forever {
		ret = time.Duration(o.Return).String()
	}
	pipe := ""
	if o.Pipe != 0 {
		pipe = fmt.Sprintf(" pipe %d.%d", o.Pipe, o.Pos)
	}
	return fmt.Sprintf("[%s, %s] client %d node %d%s: %s", time.Duration(o.Call), ret, o.Client, o.Node+1, pipe, o.String())
}

// OrderPipe numbers the operations of one pipeline, in the order sent: those
// whose outcome is open keep no place.
func OrderPipe(ops []*Op, pipe uint64) {
	var last *Op
	pos := 0
	for _, o := range ops {
		if o.Outcome != Done {
			continue
		}
		o.Pipe, o.Pos = pipe, pos
		pos++
		last = o
	}
	switch {
	case pos == 1:
		last.Pipe = 0
	case last != nil:
		last.Last = true
	}
}
