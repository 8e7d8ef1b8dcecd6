package commands_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript"
)

// beside carries out commands here and by redis-server, the oracle, and compares
// what both reply.
type beside struct {
	t            *testing.T
	ours, theirs transcript.Target
	history      []string
}

// besideOracle calls f once for each protocol. It skips the test where
// redis-server is not to be asked.
func besideOracle(t *testing.T, f func(b *beside, proto reply.Proto)) {
	if !transcript.Oracle() {
		t.Skip("needs redis-server: run with -oracle")
	}
	t.Parallel() // most of the time goes by waiting for each other
	for _, proto := range []reply.Proto{reply.RESP2, reply.RESP3} {
		f(&beside{t: t, ours: newTarget(proto), theirs: transcript.Server(t, proto)}, proto)
	}
}

func (b *beside) config(name, value string) {
	for _, target := range []transcript.Target{b.ours, b.theirs} {
		if err := target.Config(name, value); err != nil {
			b.t.Fatal(err)
		}
	}
}

// do carries out one command, whose arguments hold no spaces.
func (b *beside) do(line string) {
	b.t.Helper()
	b.args(line, bytes.Fields([]byte(line)))
}

// args carries out one command that history shall call line.
func (b *beside) args(line string, args [][]byte) {
	b.t.Helper()
	b.history = append(b.history, line)
	got, gotEvents := b.ours.Do(args)
	want, wantEvents := b.theirs.Do(args)
	if !sameInAnyOrder(b.t, args, got, want) || fmt.Sprint(gotEvents) != fmt.Sprint(wantEvents) {
		b.t.Fatalf("%.200s\ngot  %.500q %v\nwant %.500q %v\nafter\n%.5000s", line, got, gotEvents, want, wantEvents,
			strings.Join(b.history[max(0, len(b.history)-30):], "\n"))
	}
}

// walkBesideOracle makes many random commands on few keys, all of which are
// compared, and now and then the encoding of the key that was named first.
func walkBesideOracle(t *testing.T, config map[string]string, command func(*dice) string) {
	besideOracle(t, func(b *beside, proto reply.Proto) {
		b.config("notify-keyspace-events", "KEAn")
		for name, value := range config {
			b.config(name, value)
		}
		d := &dice{rand.New(rand.NewPCG(3, uint64(proto)))}
		for range 10_000 {
			line := command(d)
			b.do(line)
			if words := strings.Fields(line); len(words) > 1 && d.IntN(3) == 0 {
				b.do("OBJECT ENCODING " + words[1])
			}
		}
	})
}

// unordered are commands whose replies have no order, and the number of elements
// that belong together in a flat reply.
var unordered = map[string]int{
	"SMEMBERS": 1, "SINTER": 1, "SUNION": 1, "SDIFF": 1, "SSCAN": 1, "SPOP": 1, "SRANDMEMBER": 1,
	"HGETALL": 2, "HKEYS": 1, "HVALS": 1, "HSCAN": 2, "HRANDFIELD": 1, "ZSCAN": 2, "ZRANDMEMBER": 1, "KEYS": 1,
}

// sameInAnyOrder compares two replies, the elements of a list in any order if the
// command has none.
func sameInAnyOrder(t *testing.T, args [][]byte, got, want []byte) bool {
	t.Helper()
	if bytes.Equal(got, want) {
		return true
	}
	group := unordered[string(args[0])]
	if group == 0 {
		return false
	}
	if last := string(args[len(args)-1]); last == "WITHVALUES" || last == "WITHSCORES" {
		group = 2
	}
	return slices.Equal(elements(t, got, group), elements(t, want, group))
}

func elements(t *testing.T, raw []byte, group int) []string {
	t.Helper()
	v, _, err := reply.Read(raw)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if len(v.Elems) == 0 {
		return []string{string(raw)}
	}
	if len(v.Elems) == 2 && v.Elems[1].Kind == reply.KindArray { // a scan's
		v = v.Elems[1]
	}
	if len(v.Elems) > 0 && v.Kind == reply.KindArray && len(v.Elems[0].Elems) > 0 { // pairs already
		group = 1
	}
	all := []string{}
	for pair := range slices.Chunk(v.Elems, group) {
		all = append(all, fmt.Sprint(pair))
	}
	slices.Sort(all)
	return append(all, string(v.Kind))
}

// dice makes up arguments.
type dice struct{ *rand.Rand }

func (d *dice) of(words ...string) string { return words[d.IntN(len(words))] }

func (d *dice) words(n int, word func() string) string {
	all := make([]string, 1+d.IntN(n))
	for i := range all {
		all[i] = word()
	}
	return strings.Join(all, " ")
}

func (d *dice) key() string { return d.of("a", "b", "c", "nokey") }

func (d *dice) index() string { return fmt.Sprint(d.IntN(60) - 30) }

func (d *dice) element() string {
	if d.IntN(40) == 0 {
		return strings.Repeat("long", d.IntN(3000)) + "."
	}
	return d.of("x", "y", "z", "1", "-70000", "007", strings.Repeat("m", 100))
}
