package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/cmd/chaos/model"
	"github.com/quorate/quorate/cmd/chaos/report"
	"github.com/quorate/quorate/cmd/chaos/side"
	"github.com/quorate/quorate/cmd/chaos/workload"
)

// checker checks histories while others are made.
type checker struct {
	session *session
	env     *workload.Env
	slots   chan struct{} // one a check at a time

	mu         sync.Mutex
	kinds      map[string]report.Histories // guarded by mu
	operations int64                       // guarded by mu; of histories
	inRounds   int64                       // guarded by mu; operations of rounds
	drawn      int                         // guarded by mu; pictures made
	leftOut    int                         // guarded by mu; histories that are not judged
}

func newChecker(s *session, checks int) *checker {
	return &checker{session: s, slots: make(chan struct{}, checks), kinds: make(map[string]report.Histories)}
}

// finalReadWait is how long a node may take to answer the last reads of a
// finished group.
const finalReadWait = 2 * time.Second

// take reads what a finished group holds, checks it and lets it go.
func (c *checker) take(g *workload.Group) {
	defer c.session.board.Checked()
	c.env.FinalReads(g, finalReadWait)
	ops := g.Ops()
	for _, op := range ops {
		c.session.timeline.count(op)
	}
	if c.clockWrong(g) {
		c.leaveOut()
		return
	}
	c.slots <- struct{}{}
	began := time.Now()
	verdict := model.Check(ops, c.session.opts.limit)
	result := verdict.Result
	took := time.Since(began)
	<-c.slots
	if result == porcupine.Illegal && g.Kind.Name == "ttl" {
		time.Sleep(clockTold) // a clock may be wrong already, and nobody has told
		if c.clockWrong(g) {
			c.leaveOut()
			return
		}
	}
	c.mu.Lock()
	k := c.kinds[g.Kind.Name]
	k.Histories++
	k.Operations += len(ops)
	k.Longest = max(k.Longest, took)
	switch result {
	case porcupine.Illegal:
		k.Failed++
	case porcupine.Unknown:
		k.Undecided++
	}
	c.kinds[g.Kind.Name] = k
	c.operations += int64(len(ops))
	draw := result != porcupine.Ok && c.drawn < picturesMax
	if draw {
		c.drawn++
	}
	c.mu.Unlock()
	if result == porcupine.Ok {
		return
	}
	where := ""
	if draw {
		where = ": " + c.keep(g, &verdict)
	}
	if verdict.Split {
		c.session.note("history %d: the two searches disagree", g.ID)
	}
	if result == porcupine.Illegal {
		c.session.violation(fmt.Sprintf("history %d (%s, %d operations) is not linearizable%s", g.ID, g.Kind.Name, len(ops), where))
	} else {
		c.session.note("history %d (%s, %d operations) was not decided in %v%s", g.ID, g.Kind.Name, len(ops), c.session.opts.limit, where)
	}
}

// round counts a round of a kind that needs no search.
func (c *checker) round(kind string, v side.Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.kinds[kind]
	k.Histories++
	k.Operations += v.Operations
	k.Longest = max(k.Longest, v.Took)
	if v.Failed {
		k.Failed++
	}
	if v.Undecided {
		k.Undecided++
	}
	c.kinds[kind] = k
	c.inRounds += int64(v.Operations)
}

// clockWrong reports whether a history can't be judged because its keys lived by a
// clock that was put wrong.
func (c *checker) clockWrong(g *workload.Group) bool {
	if g.Kind.Name != "ttl" {
		return false
	}
	from, to := history.Forever, int64(0)
	for _, op := range g.Ops() {
		from = min(from, op.Call)
		if op.Return != history.Forever {
			to = max(to, op.Return)
		}
	}
	return c.session.timeline.clockWrong(time.Duration(from), time.Duration(to))
}

// leaveOut counts a history that is not judged.
func (c *checker) leaveOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leftOut++
}

// picturesMax bounds the histories that are kept.
const picturesMax = 10

// keep writes the history as text and as porcupine's picture.
func (c *checker) keep(g *workload.Group, verdict *model.Verdict) string {
	name := fmt.Sprintf("history-%d-%s", g.ID, g.Kind.Name)
	base := filepath.Join(c.session.opts.out, name)
	ops := slices.Clone(g.Ops())
	slices.SortStableFunc(ops, func(a, b *history.Op) int { return int(a.Call - b.Call) })
	var text strings.Builder
	for _, op := range ops {
		text.WriteString(op.Line() + "\n")
	}
	if err := os.WriteFile(base+".txt", []byte(text.String()), 0o644); err != nil {
		return err.Error()
	}
	if !verdict.Drawn {
		return base + ".txt"
	}
	if err := porcupine.VisualizePath(model.Porcupine(), verdict.Info, base+".html"); err != nil {
		return err.Error()
	}
	return base + ".html"
}

// giveUp notes that not all could be checked.
func (c *checker) giveUp(err error) {
	c.session.note("%v", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.kinds["unchecked"]
	k.Undecided++
	c.kinds["unchecked"] = k
}

// checked returns how many operations are in the histories that were checked; those
// of rounds, which come cheaper, count where there are no histories.
func (c *checker) checked() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.session.opts.kinds) == 0 {
		return c.inRounds
	}
	return c.operations
}

// sum puts the counts into the report.
func (c *checker) sum(s *report.Summary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Operations, s.InRounds = c.operations, c.inRounds
	if len(c.session.opts.kinds) == 0 {
		s.Operations = c.inRounds
	}
	if c.leftOut > 0 {
		c.session.note("%d histories of keys with a time to live were not judged: a clock was wrong", c.leftOut)
	}
	s.Histories = make(map[string]report.Histories, len(c.kinds))
	for name, k := range c.kinds {
		s.Histories[name] = k
	}
}
