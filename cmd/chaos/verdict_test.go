package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/chaos/history"
	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/report"
)

// Who runs chaos goes by its exit code.
func TestVerdict(t *testing.T) {
	histories := func(undecided int) map[string]report.Histories {
		return map[string]report.Histories{"set": {Histories: 9, Undecided: undecided}}
	}
	came := []report.Fault{{Name: "process/kill-one"}}
	for _, c := range []struct {
		name    string
		sum     report.Summary
		want    wanted
		code    int
		verdict string
	}{
		{"all well", report.Summary{Operations: 1, Histories: histories(0)}, wanted{}, 0, "pass"},
		{"all well under faults", report.Summary{Operations: 1, Faults: came}, wanted{faults: true}, 0, "pass"},
		{"a violation", report.Summary{Operations: 1, Violations: []string{"v"}}, wanted{}, 1, "fail"},
		{"a violation beside what is open", report.Summary{Violations: []string{"v"}, Histories: histories(1)}, wanted{faults: true}, 1, "fail"},
		{"a history is open", report.Summary{Operations: 1, Histories: histories(1)}, wanted{}, 2, "undecided"},
		{"nothing was done", report.Summary{Faults: came}, wanted{faults: true}, 2, "undecided"},
		{"no fault came", report.Summary{Operations: 1}, wanted{faults: true}, 2, "undecided"},
		{"enough", report.Summary{Operations: 5, Faults: came}, wanted{enough: enough{5, 1}}, 0, "pass"},
		{"too few operations", report.Summary{Operations: 4, Faults: came}, wanted{enough: enough{5, 1}}, 2, "undecided"},
		{"too few faults", report.Summary{Operations: 5, Faults: came}, wanted{enough: enough{5, 2}}, 2, "undecided"},
		{"few open where they may be", report.Summary{Operations: 1, Histories: histories(2)}, wanted{open: 25}, 0, "pass"},
		{"many open where few may be", report.Summary{Operations: 1, Histories: histories(3)}, wanted{open: 25}, 2, "undecided"},
		{"nothing done where histories may be open", report.Summary{}, wanted{open: 25}, 2, "undecided"},
	} {
		if code := decide(&c.sum, c.want); code != c.code || c.sum.Verdict != c.verdict {
			t.Errorf("%s: %d, %s", c.name, code, c.sum.Verdict)
		}
	}
}

// What befell the clients of a node is excused by a fault of that node, or of all;
// by a hand-over, nothing is.
func TestExcuses(t *testing.T) {
	const s = time.Second
	tl := timeline{faults: []report.Fault{
		{Name: "process/kill-leader", Node: 1, From: 10 * s, To: 12 * s},
		{Name: "process/kill-all", Node: nemesis.Everybody, From: 30 * s, To: 35 * s},
		{Name: "process/transfer", Node: nemesis.Nobody, From: 50 * s, To: 51 * s},
	}}
	f := func(want string, from, to time.Duration, nodes ...int) {
		t.Helper()
		if got := tl.excuse(from, to, nodes...); got != want {
			t.Errorf("nodes %v from %v to %v: %q, want %q", nodes, from, to, got, want)
		}
	}
	f("process/kill-leader", 9*s, 10*s, 1)
	f("process/kill-leader", 12*s+afterFault, 20*s, 0, 1)
	f("", 11*s, 12*s, 0)
	f("", 11*s, 12*s, 0, 2)
	f("", 5*s, 9*s, 1)
	f("", 14*s, 15*s, 1)
	f("process/kill-all", 31*s, 32*s, 2)
	f("", 50*s, 51*s, 0, 1, 2)
}

// A check that was given up counts on while the report is written.
func TestReportIsNotCountedInto(t *testing.T) {
	var tl timeline
	op := &history.Op{Call: 1, Return: 2}
	tl.count(op)
	_, rates := tl.soFar()
	tl.count(op)
	if rates[0][0] != 1 {
		t.Errorf("%d operations in a report of one", rates[0][0])
	}
}

// Somebody else's faults are told in a file; the last goes on.
func TestFaultLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faults")
	read := func(text string) ([]report.Fault, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var tl timeline
		err := tl.readLog(file, time.Unix(1000, 0), time.Unix(1009, 0))
		return tl.faults, err
	}
	got, err := read("1001.5 begin 2 pause\n1004 end\n1006 begin 1 kill\n")
	want := []report.Fault{
		{Name: "pause", Text: "pause of node 2", Node: 1, From: 1500 * time.Millisecond, To: 4 * time.Second},
		{Name: "kill", Text: "kill of node 1", Node: 0, From: 6 * time.Second, To: 9 * time.Second},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"x begin 1 kill", "1 begin 0 kill", "1 begin kill", "1 end", "1 over"} {
		if _, err := read(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// Histories of keys with a time to live are judged, but those that lived while the
// cluster's clock may have been wrong.
func TestClockWrong(t *testing.T) {
	const sec = time.Second
	s := &session{opts: &options{duration: 1000 * sec}, out: t.Output()}
	s.began = time.Now()
	tell := s.timeline.event(s)
	event := func(name string, at time.Duration, begin bool, whole time.Duration) {
		tell(nemesis.Event{Name: name, Time: s.began.Add(at), Begin: begin, Whole: whole})
	}
	f := func(want bool, from, to time.Duration) {
		t.Helper()
		if got := s.timeline.clockWrong(from, to); got != want {
			t.Errorf("from %v to %v: %v", from, to, got)
		}
	}
	event("clock/jumps", 5*sec, false, 0) // left out: it can't be had
	event("process/kill-all", 5*sec, true, 0)
	f(false, 0, 1000*sec)
	event("clock/ahead", 20*sec, true, 0)
	f(false, 10*sec, 19*sec)
	f(true, 10*sec, 21*sec)
	f(true, 900*sec, 950*sec) // it goes on
	event("clock/ahead", 21*sec, false, sec)
	f(true, 27*sec, 40*sec)
	f(false, 29*sec, 40*sec)
	event("clock/behind", 24*sec, true, 0) // before the clock is right again
	event("clock/behind", 25*sec, false, sec)
	f(true, 33*sec, 40*sec)
	f(false, 35*sec, 40*sec)
}
