package side

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/cmd/chaos/client"
	"github.com/quorate/quorate/engine/reply"
)

// chunkLen is how many values go onto one list and string before they are
// compared and fresh ones are begun: it bounds memory.
const chunkLen = 400

// Env is what the side checks share.
type Env struct {
	Endpoints []string
	Began     time.Time
	Prefix    string // of all keys and channels
	// Violation is told of what must not be.
	Violation func(text string)
	// Judged is told of each round that was judged. It may be nil.
	Judged func(kind string, v Verdict)
	// Keep keeps a text about a round that failed and returns where. It may be nil.
	Keep func(name, text string) string

	mu       sync.Mutex
	acks     int64     // guarded by mu
	gaps     []Gap     // guarded by mu
	refusals []Refusal // guarded by mu
	missed   []Missed  // guarded by mu
	messages int64     // guarded by mu; received
	causal   int64     // guarded by mu; causal reads
	early    []Early   // guarded by mu
	taken    Taken     // guarded by mu

	published []map[int64]int64 // guarded by mu; by node and life: the last message acknowledged
}

// GapMin is the shortest wait for an acknowledgement that is noted as a gap,
// and notesMax bounds each list of notes.
const (
	GapMin   = 20 * time.Millisecond
	notesMax = 50000
)

// Gap is a time in which a client that always writes had nothing acknowledged.
type Gap struct {
	Node     int
	From, To time.Duration // since the run began
}

// Refusal is a write that was not acknowledged at once by the node it was sent to.
type Refusal struct {
	Node     int
	From, To time.Duration // since the run began
	Text     string
	Broken   bool // the connection ended, or could not be made
	// Unproven: the node waited for a majority for as long as a read may, and did not
	// see one.
	Unproven bool
}

func (e *Env) now() time.Duration { return time.Since(e.Began) }

func note[T any](e *Env, list *[]T, v T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(*list) < notesMax {
		*list = append(*list, v)
	}
}

// Verdict is what was found of one round.
type Verdict struct {
	Operations        int
	Failed, Undecided bool
	Took              time.Duration // the check
}

func (e *Env) judged(kind string, v Verdict) {
	if e.Judged != nil {
		e.Judged(kind, v)
	}
}

// keep returns where a text was kept, as it stands in a complaint.
func (e *Env) keep(name, text string) string {
	if e.Keep == nil {
		return ""
	}
	return " " + e.Keep(name, text)
}

// Taken is what the rounds of consumers that wait came to.
type Taken struct {
	Elements int64 // that consumers got
	Timeouts int64 // waits whose time was up
	Lost     int64 // acknowledged elements that went to consumers that had gone, or were in doubt
	Doubts   int64 // how many those may have taken
}

// Notes are what the side checks saw beside violations.
type Notes struct {
	Acks, Messages, Causal int64
	Gaps                   []Gap
	Refusals               []Refusal
	Missed                 []Missed
	Early                  []Early
	Taken                  Taken
}

// Notes returns what was seen so far.
func (e *Env) Notes() Notes {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Notes{Acks: e.acks, Messages: e.messages, Causal: e.causal, Gaps: e.gaps, Refusals: e.refusals, Missed: e.missed, Early: e.early, Taken: e.taken}
}

// Ledger is a client of one node that writes without pause what only it
// writes: a counter, a list and a string. So each reply, and the final state,
// show whether something was lost or done twice.
type Ledger struct {
	Env    *Env
	Node   int
	Number int
	Pace   time.Duration // pause between writes; 0: none
	Rand   *rand.Rand

	conn  *client.Conn
	count Counter
	chunk int
	list  []Sent
	text  []Sent
	last  time.Duration // when something was last acknowledged
	n     int
}

// ledgerTimeout is longer than a node takes to answer INDOUBT.
const ledgerTimeout = 15 * time.Second

// Run writes until ctx ends.
func (l *Ledger) Run(ctx context.Context) {
	defer l.hangUp()
	defer func() { l.gap(l.Env.now()) }() // that nobody has ended
	for i := 0; ctx.Err() == nil; i++ {
		began := l.Env.now()
		if l.last == 0 {
			l.last = began
		}
		l.write(i%3, began)
		if len(l.list) >= chunkLen {
			l.turn(ctx)
		}
		if l.conn == nil {
			pause(ctx, 20*time.Millisecond)
		}
		if l.Pace > 0 {
			pause(ctx, l.Pace)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (l *Ledger) key(what string) string {
	return fmt.Sprintf("%sledger:%d:%s", l.Env.Prefix, l.Number, what)
}

func (l *Ledger) chunkKey(what string) string { return l.key(what + strconv.Itoa(l.chunk)) }

func (l *Ledger) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// write sends one write and notes what became of it.
func (l *Ledger) write(which int, began time.Duration) {
	if l.conn == nil {
		conn, err := client.Dial(l.Env.Endpoints[l.Node], 2, 2*time.Second)
		if err != nil {
			note(l.Env, &l.Env.refusals, Refusal{Node: l.Node, From: began, To: l.Env.now(), Text: "not reached", Broken: true})
			return
		}
		l.conn = conn
	}
	l.n++
	value := strconv.Itoa(l.n)
	var v reply.Value
	var err error
	switch which {
	case 0:
		v, err = l.conn.Do(ledgerTimeout, "INCR", l.key("count"))
	case 1:
		v, err = l.conn.Do(ledgerTimeout, "LPUSH", l.chunkKey("list"), value)
	default:
		v, err = l.conn.Do(ledgerTimeout, "APPEND", l.chunkKey("text"), value+";")
	}
	outcome := l.outcome(err, began)
	switch which {
	case 0:
		switch outcome {
		case Doubted:
			l.count.Doubted()
		case Acked:
			if err := l.count.Acked(v.Int); err != nil {
				l.complain("%v", err)
			}
		}
	case 1:
		l.list = append(l.list, Sent{value, outcome})
	default:
		l.text = append(l.text, Sent{value, outcome})
	}
}

func (l *Ledger) complain(format string, args ...any) {
	l.Env.Violation(fmt.Sprintf("ledger %d of node %d: %s", l.Number, l.Node+1, fmt.Sprintf(format, args...)))
}

// outcome notes the time of an acknowledgement, or the refusal.
func (l *Ledger) outcome(err error, began time.Duration) Outcome {
	now := l.Env.now()
	if err == nil {
		l.gap(now)
		l.last = now
		l.Env.mu.Lock()
		l.Env.acks++
		l.Env.mu.Unlock()
		return Acked
	}
	var refused reply.Error
	isReply := errors.As(err, &refused)
	note(l.Env, &l.Env.refusals, Refusal{Node: l.Node, From: began, To: now, Text: err.Error(), Broken: !isReply})
	if !isReply {
		l.hangUp()
		return Doubted
	}
	switch class, _ := client.Classify(string(refused)); class {
	case client.InDoubt:
		return Doubted
	case client.Unexpected:
		l.complain("answered %q", string(refused))
	}
	return Refused
}

// gap notes the time since the last acknowledgement, if it was long.
func (l *Ledger) gap(now time.Duration) {
	if l.last > 0 && now-l.last >= GapMin {
		note(l.Env, &l.Env.gaps, Gap{Node: l.Node, From: l.last, To: now})
	}
}

// turn compares the chunk as a random node holds it, and begins a fresh one. It may
// wait for that node, which has been killed perhaps: time in which this client wrote
// nothing and which is no gap.
func (l *Ledger) turn(ctx context.Context) {
	began := l.Env.now()
	defer func() { l.last += l.Env.now() - began }()
	l.compare(ctx, l.Rand.IntN(len(l.Env.Endpoints)))
	if l.conn != nil {
		l.conn.Append("UNLINK", l.chunkKey("list"), l.chunkKey("text"))
		if l.conn.Flush(ledgerTimeout) != nil {
			l.hangUp()
		} else if _, err := l.conn.Read(ledgerTimeout); err != nil {
			l.hangUp()
		}
	}
	l.chunk++
	l.list, l.text = l.list[:0], l.text[:0]
}

// Compare compares what every node holds. It is for after Run.
func (l *Ledger) Compare(ctx context.Context) {
	for node := range l.Env.Endpoints {
		if !l.compare(ctx, node) {
			l.complain("node %d did not answer the final reads", node+1)
		}
	}
}

// compare reads everything from a node, trying for some seconds.
func (l *Ledger) compare(ctx context.Context, node int) bool {
	for try := 0; try < 20; try++ {
		if l.compareOnce(node) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

func (l *Ledger) compareOnce(node int) bool {
	conn, err := client.Dial(l.Env.Endpoints[node], 2, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	const timeout = 3 * time.Second
	list, err := conn.Do(timeout, "LRANGE", l.chunkKey("list"), "0", "-1")
	if err != nil {
		return false
	}
	found := make([]string, len(list.Elems))
	for i := range list.Elems {
		found[len(found)-1-i] = string(list.Elems[i].Text) // pushed from the left
	}
	l.judge("list", node, CheckSequence(l.list, found))
	text, err := conn.Do(timeout, "GET", l.chunkKey("text"))
	if err != nil {
		return false
	}
	l.judge("text", node, CheckSequence(l.text, strings.FieldsFunc(string(text.Text), func(r rune) bool { return r == ';' })))
	count, err := conn.Do(timeout, "GET", l.key("count"))
	if err != nil {
		return false
	}
	n, _ := strconv.ParseInt(string(count.Text), 10, 64)
	if err := l.count.Read(n); err != nil {
		l.complain("read from node %d: %v", node+1, err)
	}
	return true
}

func (l *Ledger) judge(what string, node int, wrong []string) {
	for i, w := range wrong {
		if i == 3 {
			l.complain("%s %d as node %d holds it: and %d more", what, l.chunk, node+1, len(wrong)-i)
			return
		}
		l.complain("%s %d as node %d holds it: %s", what, l.chunk, node+1, w)
	}
}
