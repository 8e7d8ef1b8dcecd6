// Package workload draws sequences of commands of several clients, valid and
// nearly valid, over all types of data.
package workload

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/scripts/differential/compare"
	"github.com/quorate/quorate/scripts/differential/grammar"
)

// Step is something to do on both sides.
type Step struct {
	Client int      // who does it
	Args   [][]byte // the command; nil: to wait
	Wait   time.Duration
	// Probe is asked just before; the rule sees the answers, for which ProbeRule is.
	Probe     [][]byte
	ProbeRule compare.Rule
	Rule      compare.Rule
	Settle    Settle
	// Inner is the command that a script of one carries out.
	Inner [][]byte
	// Whole says that with fewer arguments the rule would not be the command's.
	Whole bool
	// Shape is the command and the options that were drawn, for those to be
	// counted; "" for what only serves others.
	Shape string
}

// Answered is the command whose reply is the step's.
func (s *Step) Answered() [][]byte {
	if s.Inner != nil {
		return s.Inner
	}
	return s.Args
}

// Options say what is drawn.
type Options struct {
	Seed    uint64
	Clients int
	// Has reports whether both sides have a command: "get", "object|encoding".
	Has func(name string) bool
	// Only, if not empty, names the commands that are drawn.
	Only []string
	// Payloads are replies of DUMP, by the first letter of the keys that hold such
	// values.
	Payloads map[string][][]byte
}

// Workload draws steps, the same for the same options.
type Workload struct {
	options Options
	rand    *rand.Rand
	rows    []row
	letter  string // of the key drawn last
	ids     int    // of streams, drawn so far
}

// row is a Row that can be drawn.
type row struct {
	*Row
	command  *grammar.Command
	limit    int  // the sum of the weights up to and with this row
	fragile  bool // a damaged copy of it could hang on chance or time
	loosened compare.Rule
}

// New returns a workload. It fails when there is nothing to draw.
func New(o Options) (*Workload, error) {
	w := &Workload{options: o, rand: rand.New(rand.NewPCG(o.Seed, 0))}
	alone := make(map[string]bool)
	total := 0
	for i := range rows {
		c, err := grammar.Parse(rows[i].Grammar)
		if err != nil {
			return nil, err
		}
		alone[c.Name] = alone[c.Name] || rows[i].Alone
		if !o.Has(c.Name) || (len(o.Only) > 0 && !slices.Contains(o.Only, c.Name)) {
			continue
		}
		total += weight(&rows[i])
		w.rows = append(w.rows, row{Row: &rows[i], command: c, limit: total})
	}
	if len(w.rows) == 0 {
		return nil, errors.New("workload: no command to draw")
	}
	for i := range w.rows {
		r := &w.rows[i]
		r.fragile = r.Intact || alone[r.command.Name]
		r.loosened = r.Rule
		if r.Packed > 0 {
			r.loosened = compare.Unordered(r.Packed)
		}
	}
	return w, nil
}

// weight is how often a row comes. What must be settled ends a pipeline, so it
// comes more rarely than its Weight says.
func weight(r *Row) int {
	w := r.Weight
	if w == 0 {
		w = 10
	}
	if r.Settle == Nothing {
		w *= 3
	}
	return w
}

// Names returns the commands that can be drawn.
func (w *Workload) Names() []string {
	var names []string
	for _, r := range w.rows {
		names = append(names, r.command.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// settings decide when encodings change: Redis' own values and small ones.
var settings = []struct{ name, own, small string }{
	{"hash-max-listpack-entries", "128", "4"},
	{"hash-max-listpack-value", "64", "8"},
	{"set-max-intset-entries", "512", "4"},
	{"zset-max-listpack-entries", "128", "4"},
	{"zset-max-listpack-value", "64", "8"},
	{"list-max-listpack-size", "-2", "3"},
	{"stream-node-max-entries", "100", "3"},
	{"stream-node-max-bytes", "4096", "100"},
	{"hll-sparse-max-bytes", "3000", "30"},
}

// OwnSettings returns the settings that encodings hang on, with Redis' own values.
func OwnSettings() [][2]string {
	var all [][2]string
	for _, s := range settings {
		all = append(all, [2]string{s.name, s.own})
	}
	return all
}

// Settings draws values of them: every second time Redis' own.
func (w *Workload) Settings() [][2]string {
	all := OwnSettings()
	if w.rand.IntN(2) == 0 {
		return all
	}
	for i := range all {
		if w.rand.IntN(2) == 0 {
			all[i][1] = settings[i].small
		}
	}
	return all
}

// Next draws the steps of one scene, by one client or two. It ends outside of
// transactions. A scene is long, and what needs a second client rare, because
// the steps of one client can be sent at once.
func (w *Workload) Next() []Step {
	client := w.rand.IntN(w.options.Clients)
	var steps []Step
	for range 1 + w.rand.IntN(600) {
		switch n := w.rand.IntN(1000); {
		case n == 0 && w.rand.IntN(6) == 0:
			steps = append(steps, w.expiry(client)...)
		case n < 3:
			steps = append(steps, w.watched(client)...)
		case n < 15:
			steps = append(steps, w.transaction(client)...)
		case n < 100:
			steps = append(steps, w.script(client))
		default:
			steps = append(steps, w.plain(client))
		}
	}
	return steps
}

func (w *Workload) row() *row {
	n := w.rand.IntN(w.rows[len(w.rows)-1].limit)
	i, found := slices.BinarySearchFunc(w.rows, n, func(r row, n int) int { return r.limit - n })
	if found {
		i++
	}
	return &w.rows[i]
}

// drawn draws a command of a row.
func (w *Workload) drawn(r *row) Step {
	d := r.command.Draw(w.rand, w.argument)
	s := Step{Args: d.Args, Rule: r.Rule, Settle: r.Settle, Whole: r.fragile || r.Rule != nil || r.Packed > 0, Shape: r.command.Name}
	if len(d.Options) > 0 {
		slices.Sort(d.Options)
		for _, o := range slices.Compact(d.Options) {
			s.Shape += " " + o
		}
	}
	return s
}

// plain draws a command, with the question before that its rule wants.
func (w *Workload) plain(client int) Step {
	r := w.row()
	s := w.drawn(r)
	s.Client = client
	if !r.fragile && w.rand.IntN(16) == 0 {
		w.damage(&s)
		s.Rule, s.Shape = r.loosened, r.command.Name+" damaged"
		return s
	}
	switch {
	case r.Packed > 0:
		s.Probe, s.Rule = ask([]string{"OBJECT", "ENCODING"}, s.Args[1]), compare.InPackedOrder(r.Packed)
	case r.Probe != nil:
		s.Probe = ask(r.Probe, s.Args[1])
		s.ProbeRule = probeRules[r.Probe[0]]
	}
	return s
}

// probeRules are those for the answers to probes that have no order.
var probeRules = map[string]compare.Rule{"HGETALL": compare.Unordered(2), "SMEMBERS": compare.Unordered(1)}

// ask puts a key into a question: behind its name, or behind OBJECT ENCODING.
func ask(words []string, key []byte) [][]byte {
	at := 1
	if words[0] == "OBJECT" {
		at = len(words)
	}
	var args [][]byte
	for _, word := range words {
		args = append(args, []byte(word))
	}
	return slices.Insert(args, at, key)
}

// junk is what no command expects, but numbers that some would take for a short
// time to live.
var junk = []string{"", "foo", "nan", "-1", "9223372036854775807", "-9223372036854775808", "1e400", "NX", "0", "*x", "\x00"}

// damage makes a command nearly valid.
func (w *Workload) damage(s *Step) {
	args := slices.Clone(s.Args)
	at := w.rand.IntN(len(args))
	switch w.rand.IntN(4) {
	case 0:
		args = args[:max(1, len(args)-1)]
	case 1:
		args = append(args, []byte(pick(w.rand, junk...)))
	case 2:
		if at > 0 {
			args = slices.Delete(args, at, at+1)
		}
	default:
		if at > 0 {
			args[at] = []byte(pick(w.rand, junk...))
		}
	}
	s.Args = args
}

// sweeping are commands that would leave too little if they came in transactions
// and scripts as well.
var sweeping = []string{"flushall", "flushdb", "swapdb"}

// inner draws a command that may stand in a transaction or a script, nearly
// valid ones too.
func (w *Workload) inner() Step {
	for {
		r := w.row()
		if r.Alone || slices.Contains(sweeping, r.command.Name) {
			continue
		}
		s := w.drawn(r)
		s.Rule = r.loosened
		if !r.fragile && w.rand.IntN(50) == 0 {
			w.damage(&s)
		}
		return s
	}
}

// command makes a step that is no row's.
func command(client int, words ...string) Step {
	s := Step{Client: client}
	for _, w := range words {
		s.Args = append(s.Args, []byte(w))
	}
	return s
}

// transaction draws MULTI to EXEC, or DISCARD. EXEC's rule is made of those of
// the commands that were queued, by who carries the steps out.
func (w *Workload) transaction(client int) []Step {
	steps := []Step{command(client, "MULTI")}
	for range 1 + w.rand.IntN(10) {
		s := w.inner()
		s.Client = client
		steps = append(steps, s)
	}
	if w.rand.IntN(10) == 0 {
		return append(steps, command(client, "DISCARD"))
	}
	return append(steps, command(client, "EXEC"))
}

// watched draws WATCH, commands of another client, and a transaction that may
// fail for them.
func (w *Workload) watched(client int) []Step {
	watch := command(client, "WATCH")
	for range 1 + w.rand.IntN(4) {
		watch.Args = append(watch.Args, w.argument(w.rand, "watched"))
	}
	steps := []Step{watch}
	other := w.rand.IntN(w.options.Clients)
	for range w.rand.IntN(8) {
		s := w.inner()
		s.Client = other
		steps = append(steps, s)
	}
	if w.rand.IntN(10) == 0 {
		steps = append(steps, command(client, "UNWATCH"))
	}
	return append(steps, w.transaction(client)...)
}

// script draws a script that carries out one command or several.
func (w *Workload) script(client int) Step {
	if w.rand.IntN(2) == 0 {
		s := w.inner()
		body := pick(w.rand, callOne, tryOne)
		args := append([][]byte{[]byte("EVAL"), []byte(body), []byte("0")}, s.Args...)
		return Step{Client: client, Args: args, Inner: s.Args, Rule: s.Rule, Whole: true, Shape: "eval " + s.Shape}
	}
	out := command(client, "EVAL", tryAll, "0")
	var rules []compare.Rule
	var inner [][][]byte
	for range 1 + w.rand.IntN(5) {
		s := w.inner()
		out.Args = append(out.Args, strconv.AppendInt(nil, int64(len(s.Args)), 10))
		out.Args = append(out.Args, s.Args...)
		rules, inner = append(rules, s.Rule), append(inner, s.Args)
	}
	out.Rule, out.Whole, out.Shape = compare.Each(rules, inner), true, "eval several"
	return out
}

// expiryWait is longer than keys with a short time to live stay on either side.
const expiryWait = 15 * time.Millisecond

// expiry gives some keys a few milliseconds and waits until they are gone. The
// SET then tells the cluster of the time, and EXISTS makes redis-server delete.
func (w *Workload) expiry(client int) []Step {
	var steps, after []Step
	for _, at := range w.rand.Perm(len(letters))[:1+w.rand.IntN(4)] {
		key := string(w.named(w.rand, letters[at:at+1]))
		ms := strconv.Itoa(1 + w.rand.IntN(9))
		if letters[at] == 's' && w.rand.IntN(2) == 0 {
			steps = append(steps, command(client, "SET", key, "v", "PX", ms))
		} else {
			steps = append(steps, command(client, "PEXPIRE", key, ms))
		}
		after = append(after, command(client, "EXISTS", key))
	}
	steps = append(steps, Step{Client: client, Wait: expiryWait}, command(client, "SET", "waited", "1"))
	return append(steps, after...)
}
