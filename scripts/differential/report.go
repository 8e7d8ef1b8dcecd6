package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/engine/reply"
	"github.com/quorate/quorate/engine/transcript/notation"
	"github.com/quorate/quorate/scripts/differential/workload"
)

// counts are what was done, by shape of command.
type counts struct {
	commands int
	shapes   map[string]*tally
	known    map[*known]int
}

// tally counts the times that a shape was answered, and those without an error.
type tally struct{ all, good int }

func newCounts() *counts {
	return &counts{shapes: make(map[string]*tally), known: make(map[*known]int)}
}

// note counts the reply to a step. What is queued is not answered yet.
func (c *counts) note(s *workload.Step, redis []byte) {
	c.commands++
	if s.Shape == "" || string(redis) == "+QUEUED\r\n" {
		return
	}
	t := c.shapes[s.Shape]
	if t == nil {
		t = &tally{}
		c.shapes[s.Shape] = t
	}
	t.all++
	if redis[0] != '-' {
		t.good++
	}
}

// share is the part of the answers that are no errors, of commands that were
// not damaged on purpose too.
func (c *counts) share() float64 {
	var sum tally
	for _, t := range c.shapes {
		sum.all += t.all
		sum.good += t.good
	}
	return float64(sum.good) / float64(max(sum.all, 1))
}

// ran returns how often each command was answered, in scripts and transactions too.
func (c *counts) ran() map[string]int {
	n := make(map[string]int)
	for shape, t := range c.shapes {
		name, _, _ := strings.Cut(strings.TrimPrefix(shape, "eval "), " ")
		n[name] += t.all
	}
	return n
}

// rare is a shape that was drawn often and hardly ever went well.
const (
	rareDrawn = 50
	rareGood  = 0.02
)

// print tells what was done and what was not.
func (c *counts) print(w io.Writer, names []string) {
	fmt.Fprintf(w, "%d commands, %.1f%% of them without an error\n", c.commands, 100*c.share())
	ran := c.ran()
	var never []string
	for _, name := range names {
		if ran[name] == 0 {
			never = append(never, name)
		}
	}
	if never != nil {
		fmt.Fprintf(w, "never ran: %s\n", strings.Join(never, " "))
	}
	var rare []string
	for shape, t := range c.shapes {
		if t.all >= rareDrawn && float64(t.good) < rareGood*float64(t.all) {
			rare = append(rare, fmt.Sprintf("%s (%d of %d)", shape, t.good, t.all))
		}
	}
	if slices.Sort(rare); rare != nil {
		fmt.Fprintf(w, "hardly ever without an error: %s\n", strings.Join(rare, ", "))
	}
	for _, k := range slices.SortedFunc(maps.Keys(c.known), func(a, b *known) int { return strings.Compare(a.reason, b.reason) }) {
		fmt.Fprintf(w, "known: %d times: %s: %s\n", c.known[k], k.command, k.reason)
	}
}

func shown(v reply.Value) string { return strings.Join(notation.Lines(v), "\n") }

// line writes a command as redis-cli would take it.
func line(args [][]byte) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = string(arg)
		if quoted := notation.Quote(arg); len(arg) == 0 || quoted != `"`+words[i]+`"` || strings.ContainsAny(words[i], ` '#`) {
			words[i] = quoted
		}
	}
	return strings.Join(words, " ")
}

// script writes steps down as a script for engine/commands/testdata. It says so
// where such a script can't show what several clients, or time, did.
func script(settings [][2]string, steps []workload.Step, replies [][]reply.Value) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "config %s %s\n\n", s[0], s[1])
	}
	b.WriteString("run\n")
	for i := range steps {
		switch {
		case steps[i].Args == nil:
			fmt.Fprintf(&b, "(%v pass)\n", steps[i].Wait)
			continue
		case steps[i].Client != steps[0].Client:
			fmt.Fprintf(&b, "(client %d) ", steps[i].Client)
		}
		if steps[i].Probe != nil {
			b.WriteString(line(steps[i].Probe) + "\n")
		}
		b.WriteString(line(steps[i].Args) + "\n")
	}
	var resp2 string
	for i, mark := range []string{"----", "---- resp3"} {
		block := mark + "\n"
		for _, v := range replies[i] {
			block += shown(v) + "\n"
		}
		if i == 0 {
			resp2 = block
		} else if strings.TrimPrefix(block, mark) == strings.TrimPrefix(resp2, "----") {
			break
		}
		b.WriteString(block)
	}
	return b.String()
}
