package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/report"
)

// timeline is what happened when.
type timeline struct {
	mu     sync.Mutex
	faults []report.Fault // guarded by mu
	open   map[string]int // guarded by mu; begun and not ended, by name: its place in faults
	rates  [][]int64      // guarded by mu; by node, then second
}

// secondsMax bounds the rates that are kept: a day.
const secondsMax = 24 * 3600

// count counts a checked operation for its node and second.
func (t *timeline) count(op *history.Op) {
	second := int(op.Call / int64(time.Second))
	if op.Return == history.Forever || second >= secondsMax {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.rates) <= op.Node {
		t.rates = append(t.rates, nil)
	}
	for len(t.rates[op.Node]) <= second {
		t.rates[op.Node] = append(t.rates[op.Node], 0)
	}
	t.rates[op.Node][second]++
}

// event returns what takes the nemesis' events.
func (t *timeline) event(s *session) func(nemesis.Event) {
	t.open = make(map[string]int)
	return func(e nemesis.Event) {
		at := e.Time.Sub(s.began)
		t.mu.Lock()
		i, open := t.open[e.Name]
		switch {
		case e.Begin && !open:
			t.open[e.Name] = len(t.faults)
			t.faults = append(t.faults, report.Fault{Name: e.Name, Text: e.Text, Node: e.Node, Role: e.Role, From: at, To: s.opts.duration})
		case e.Begin:
			t.faults[i].Served = e.Served
		case open && e.Whole == 0 && !e.Failed:
			// A node ended by itself over the fault: it is started again, and
			// the fault is over when the cluster is whole.
		case open:
			// Whoever was cut off has a while to come back.
			t.faults[i].To = at + max(e.Served, e.Whole)
			delete(t.open, e.Name)
		default:
			t.mu.Unlock()
			s.note("%.1fs: %s: %s", at.Seconds(), e.Name, e.Text)
			return
		}
		t.mu.Unlock()
		if e.Begin && e.Served == 0 {
			fmt.Fprintf(s.out, "chaos: %6.1fs %s: %s\n", at.Seconds(), e.Name, e.Text)
		}
	}
}

// soFar returns a copy of the faults and rates so far: checks that were given up go on
// and count.
func (t *timeline) soFar() ([]report.Fault, [][]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rates := make([][]int64, len(t.rates))
	for node, seconds := range t.rates {
		rates[node] = slices.Clone(seconds)
	}
	return slices.Clone(t.faults), rates
}

// faultsEnded returns how many faults have come and gone.
func (t *timeline) faultsEnded() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.faults) - len(t.open)
}

// watch tells how the run goes.
func (t *timeline) watch(ctx context.Context, s *session) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	last := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			done := s.clients.Done.Load()
			fmt.Fprintf(s.out, "chaos: %4.0fs of %v: %d operations (%d/s), %d in doubt, %d without reply, %d refused\n",
				time.Since(s.began).Seconds(), s.opts.duration, done, (done-last)/5, s.clients.InDoubt.Load(), s.clients.Open.Load(), s.clients.Refused.Load())
			last = done
		}
	}
}

// afterFault is how long after a fault's end clients may still feel it.
const afterFault = time.Second

// excuse returns the fault that explains why node was not served in that time,
// "" if there is none.
func (t *timeline) excuse(from, to time.Duration, nodes ...int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		if to < f.From || from > f.To+afterFault {
			continue
		}
		for _, n := range nodes {
			if f.Touches(n) {
				return f.Name
			}
		}
	}
	return ""
}

// clockTold bounds how long after a clock was put wrong that is known here.
const clockTold = 3 * time.Second

// clockWrong reports whether the cluster's clock may have been wrong at any time
// between two: keys live by it. It goes at twice the pace of time, or half of it,
// after a clock that was put wrong, and is right again after twice as long, at most.
func (t *timeline) clockWrong(from, to time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var right time.Duration // when the clock is right again, after the faults so far
	for _, f := range t.faults {
		if !strings.HasPrefix(f.Name, "clock/") {
			continue
		}
		right = max(right, f.To) + 3*(f.To-f.From)
		if from <= right && to >= f.From {
			return true
		}
	}
	return false
}

// everyNode returns what every fault is about.
func (s *session) everyNode() []int {
	all := []int{nemesis.Nobody}
	for i := range s.nodes {
		all = append(all, i)
	}
	return all
}

// judgeSide judges what the side checks noted, now that the faults are known:
// clients of nodes that no fault was about are refused nothing, and their
// subscribers miss nothing.
func (s *session) judgeSide(sum *report.Summary) {
	notes := s.side.Notes()
	if s.opts.faultLog != "" {
		if err := s.timeline.readLog(s.opts.faultLog, s.began, time.Now()); err != nil {
			s.violation("the faults are not known: " + err.Error())
		}
	}
	sum.Faults, sum.Rates = s.timeline.soFar()
	sum.Ledger, sum.Messages, sum.Causal = notes.Acks, notes.Messages, notes.Causal
	sum.Gaps, sum.Missed, sum.Taken = notes.Gaps, notes.Missed, notes.Taken
	if s.opts.mode == "faulty" && !s.opts.faults && s.opts.faultLog == "" {
		return // somebody else makes trouble: whom it is about is not known here
	}
	for _, r := range notes.Refusals {
		nodes := []int{r.Node}
		if r.Unproven { // a leader that dies elsewhere makes reads wait, on a busy machine longer than they may
			nodes = s.everyNode()
		}
		if s.timeline.excuse(r.From, r.To, nodes...) == "" {
			s.violation(fmt.Sprintf("a client of node %d, which no fault was about, was refused at %.3fs (sent at %.3fs): %s", r.Node+1, r.To.Seconds(), r.From.Seconds(), r.Text))
		}
	}
	for _, e := range notes.Early {
		if !s.timeline.clockWrong(e.From, e.To) {
			s.violation(fmt.Sprintf("a client of node %d that waited for up to %v from %.3fs on was told at %.3fs that its time is up", e.Node+1, e.Timeout, e.From.Seconds(), e.To.Seconds()))
		}
	}
	for _, m := range notes.Missed {
		if s.timeline.excuse(m.From, m.To, m.Publisher, m.Subscriber) == "" {
			s.violation(fmt.Sprintf("a subscriber of node %d missed %d messages of node %d between %.3fs and %.3fs", m.Subscriber+1, m.Count, m.Publisher+1, m.From.Seconds(), m.To.Seconds()))
		}
	}
}
