package workload

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/types/seed"
	"github.com/quorate/quorate/scripts/differential/grammar"
)

var seeds = flag.Uint64("seeds", 3, "how many walks over all commands three nodes do")

// others are the commands of the log that are not drawn for redis-server.
var others = []string{
	"FLUSHALL [SYNC | ASYNC]",
	"ACL|SETUSER member 'on' 'nopass' '~a*' '+@read'",
	"ACL|SETUSER member 'reset' '(%R~b* +get)' '&news'",
	"ACL|DELUSER member member",
	"PUBLISH value value",
	"SPUBLISH value value",
	"SCRIPT|FLUSH [SYNC | ASYNC]",
	"SCRIPT|HELP",
	"SCRIPT|KILL",
	"SCRIPT|DEBUG NO",
	"RESTORE-ASKING restored restorettl payload [REPLACE]",
	"MEMORY|USAGE any",
	"XADD stream '*' (field value)...",
	"SORT any BY 'nosort' [LIMIT index count] [GET getpattern] [ASC | DESC] [STORE list]",
	"SORT any BY weightpattern [LIMIT index count] [GET getpattern] [ASC | DESC] ALPHA STORE list",
	"GEOSEARCHSTORE geo geo FROMMEMBER member BYRADIUS distance unit COUNT small ANY",
	"SSCAN set cursor COUNT small",
	"HSCAN hash cursor COUNT small",
	"HEXPIRE hash small [NX | XX | GT | LT] FIELDS '2' field field",
	"HPEXPIRE hash small [NX | XX | GT | LT] FIELDS '1' field",
	"HEXPIREAT hash '2000000000' [NX | XX | GT | LT] FIELDS '1' field",
	"HPEXPIREAT hash '2000000000000' [NX | XX | GT | LT] FIELDS '1' field",
	"HPERSIST hash FIELDS '1' field",
	"HTTL hash FIELDS '1' field",
	"HPTTL hash FIELDS '1' field",
	"HEXPIRETIME hash FIELDS '1' field",
	"HPEXPIRETIME hash FIELDS '2' field field",
	"ZSCAN zset cursor COUNT small",
	"SCAN cursor COUNT small",
}

func init() {
	kinds["cursor"] = func(_ *Workload, r *rand.Rand) []byte { return strconv.AppendUint(nil, r.Uint64()>>r.IntN(64), 10) }
}

// nodes are three engines that execute the same log: two that live through all of
// it, and one that is restored from a snapshot of the first at any time.
type nodes struct {
	t       *testing.T
	engines [3]*engine.Engine
	events  [3][]string // of keys, and what was published, since the last entry
	index   uint64
	now     int64
	last    string // what was executed, for a report
}

// newNodes returns nodes of a cluster that has the seed order.
func newNodes(t *testing.T, order seed.Seed) *nodes {
	n := &nodes{t: t, now: 1_700_000_000_000}
	for i := range n.engines {
		n.engines[i] = n.newEngine(i)
		n.engines[i].Apply(func(s *engine.Step) { s.Reset(order) })
	}
	n.set([][2]string{{"notify-keyspace-events", "KEA"}})
	return n
}

func (n *nodes) newEngine(i int) *engine.Engine {
	return engine.New(engine.Options{Publish: func(m engine.Message) {
		n.events[i] = append(n.events[i], fmt.Sprintf("%q %q", m.Channel, m.Text))
	}})
}

func (n *nodes) restore() {
	n.t.Helper()
	s, err := n.engines[0].Freeze(nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer s.Close()
	var file bytes.Buffer
	if err := s.WriteRDB(&file); err != nil {
		n.t.Fatal(err)
	}
	n.engines[2] = n.newEngine(2)
	if err := n.engines[2].Restore(&file, nil); err != nil {
		n.t.Fatal(err)
	}
}

// entry executes commands as one entry of the log. All three must reply and change
// alike. The third owes nobody a reply at every second entry, and so discards it.
func (n *nodes) entry(db int, commands [][][]byte, inTx bool) []byte {
	n.t.Helper()
	n.last = fmt.Sprintf("%d %.2000q", db, commands)
	n.index++
	n.now += int64(n.index % 5)
	var first []byte
	n.events = [3][]string{}
	for i, e := range n.engines {
		out := reply.NewWriter(reply.RESP3, nil)
		if i == 1 && n.index%2 == 0 {
			out = reply.NewWriter(reply.Discard, nil)
		}
		e.Apply(func(s *engine.Step) {
			s.Entry(n.index, n.now)
			s.ExpireDue(4)
			for _, args := range commands {
				s.Do(db, args, inTx, out)
			}
		})
		if i == 0 {
			first = slices.Clone(out.Bytes())
		} else if !out.Discards() && !bytes.Equal(out.Bytes(), first) && !ofTheNode(commands) {
			n.t.Fatalf("%s\nnode %d %.3000q\nnode 0 %.3000q", n.last, i, out.Bytes(), first)
		}
	}
	n.sameChain()
	return first
}

// read executes a command that changes nothing as a client's, beside the log.
func (n *nodes) read(db int, args [][]byte) {
	n.t.Helper()
	n.last = fmt.Sprintf("read %d %.2000q", db, args)
	var first []byte
	for i, e := range n.engines {
		out := reply.NewWriter(reply.RESP3, nil)
		e.View(n.now, n.index, func(v *engine.View) { v.Do(db, args, false, out) })
		if i == 0 {
			first = out.Bytes()
		} else if !bytes.Equal(out.Bytes(), first) && !ofTheNode([][][]byte{args}) {
			n.t.Fatalf("%s\nnode %d %.3000q\nnode 0 %.3000q", n.last, i, out.Bytes(), first)
		}
	}
}

// reads reports whether a command changes nothing.
func (n *nodes) reads(args [][]byte) bool {
	row, _, ok := n.engines[0].Table().Find(args)
	return ok && row.Spec.Reads()
}

// ofTheNode reports whether a command asks for what each node may answer in its way.
func ofTheNode(commands [][][]byte) bool {
	return slices.ContainsFunc(commands, func(args [][]byte) bool { return string(args[0]) == "MEMORY" })
}

func (n *nodes) sameChain() {
	n.t.Helper()
	for i, e := range n.engines[1:] {
		if e.Chain() != n.engines[0].Chain() {
			n.t.Fatalf("%s\nnode %d changed in another way than node 0", n.last, i+1)
		}
		if !slices.Equal(n.events[i+1], n.events[0]) {
			n.t.Fatalf("%s\nnode %d tells %q\nnode 0 tells %q", n.last, i+1, n.events[i+1], n.events[0])
		}
	}
}

func (n *nodes) sameDigest() {
	n.t.Helper()
	for i, e := range n.engines[1:] {
		if got, want := e.Digest(), n.engines[0].Digest(); got != want {
			n.t.Fatalf("%s\nthe digest of node %d is %s, of node 0 %s", n.last, i+1, got, want)
		}
	}
}

func (n *nodes) set(pairs [][2]string) {
	var args [][]byte
	for _, p := range pairs {
		args = append(args, []byte(p[0]), []byte(p[1]))
	}
	n.last = fmt.Sprintf("config %q", args)
	for _, e := range n.engines {
		e.Apply(func(s *engine.Step) {
			if err := s.Set(args); err != nil {
				n.t.Fatal(err)
			}
		})
	}
}

// payloads returns what DUMP tells of some keys, by their first letters.
func (n *nodes) payloads(into map[string][][]byte) {
	for letter := range strings.SplitSeq(letters, "") {
		for i := range keysPerType {
			args := [][]byte{[]byte("DUMP"), fmt.Append(nil, letter, i+1)}
			v, _, err := reply.Read(n.entry(0, [][][]byte{args}, false))
			if err == nil && v.Kind == reply.KindBulk {
				into[letter] = append(into[letter][max(0, len(into[letter])-10):], v.Text)
			}
		}
	}
}

// anything draws a command of any row, those of chance too, at times damaged.
func (w *Workload) anything() [][]byte {
	s := w.drawn(w.row())
	if w.rand.IntN(20) == 0 {
		w.damage(&s)
	}
	return s.Args
}

// TestThreeNodesDoTheSame draws commands of all rows, alone, several in one entry, in
// transactions and in scripts.
func TestThreeNodesDoTheSame(t *testing.T) {
	for number := range *seeds {
		t.Run(fmt.Sprint(number), func(t *testing.T) { walkNodes(t, number, 2500) })
	}
}

func walkNodes(t *testing.T, number uint64, steps int) {
	n, payloads := newNodes(t, seed.Seed{K0: number, K1: 6}), make(map[string][][]byte)
	w, err := New(Options{Seed: number, Clients: 1, Has: func(string) bool { return true }, Payloads: payloads})
	if err != nil {
		t.Fatal(err)
	}
	rest := w.parse(t, others)
	for range steps {
		draw := func() [][]byte {
			if w.rand.IntN(12) == 0 {
				return rest[w.rand.IntN(len(rest))].Draw(w.rand, w.argument).Args
			}
			return w.anything()
		}
		db, commands := w.rand.IntN(6)/5, [][][]byte{draw()}
		switch w.rand.IntN(8) {
		case 0, 1:
			for range w.rand.IntN(6) {
				commands = append(commands, draw())
			}
			n.entry(db, commands, w.rand.IntN(2) == 0)
		case 2, 3:
			script := words("EVAL", tryAll, "0")
			for range 1 + w.rand.IntN(4) {
				args := draw()
				script = append(append(script, strconv.AppendInt(nil, int64(len(args)), 10)), args...)
			}
			n.entry(db, [][][]byte{script}, false)
		default:
			if n.reads(commands[0]) && w.rand.IntN(2) == 0 {
				n.read(db, commands[0])
			} else {
				n.entry(db, commands, false)
			}
		}
		switch w.rand.IntN(150) {
		case 0:
			n.sameDigest()
			n.restore()
			n.sameDigest()
		case 1:
			n.set(w.Settings())
		case 2:
			n.now += w.rand.Int64N(100_000)
		case 3:
			n.payloads(payloads)
		}
	}
	n.sameDigest()
	for i, e := range n.engines {
		if e.Panics() != 0 {
			t.Errorf("node %d: %d commands panicked", i, e.Panics())
		}
	}
}

func (w *Workload) parse(t *testing.T, descriptions []string) []*grammar.Command {
	t.Helper()
	var all []*grammar.Command
	for _, text := range descriptions {
		c, err := grammar.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func words(s ...string) [][]byte {
	var all [][]byte
	for _, word := range s {
		all = append(all, []byte(word))
	}
	return all
}

// TestEveryCommandIsDrawn finds a command of the log that no walk meets.
func TestEveryCommandIsDrawn(t *testing.T) {
	w := newWorkload(t, 1)
	drawn := w.Names()
	for _, c := range w.parse(t, others) {
		drawn = append(drawn, c.Name)
	}
	table := engine.New(engine.Options{}).Table()
	for _, name := range table.Names() {
		if row, _ := table.Lookup(name); row.Do != nil && !slices.Contains(drawn, name) {
			t.Errorf("%s is in no row", name)
		}
	}
}
