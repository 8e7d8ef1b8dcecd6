package main

import (
	"slices"
	"strings"
	"testing"
)

const log = `[ready]: 4711
Testing unit/a
[ok]: plain (3 ms)
[ok]: named (twice) (3 ms)
[skip]: hopeless
[ignore]: alone: Not supported on external server
[ignore]: Not supported on external server
[err]: broken in tests/unit/a.tcl
Expected '[ok]' to be equal to '(error)' (context: x)
[err]: can't read "x": no such variable
    while executing
[1/1 done]: unit/a (4 seconds)
`

func TestParseLog(t *testing.T) {
	res := parse(t, log)
	if len(res.passed) != 2 || res.leftOut != 2 || !res.ended || res.hung != "" {
		t.Errorf("have %+v", res)
	}
	if want := []string{"broken", outside}; !slices.Equal(res.failed, want) {
		t.Errorf("failed: %q, want %q", res.failed, want)
	}
	if want := []string{"hopeless"}; !slices.Equal(res.skipped, want) {
		t.Errorf("skipped: %q, want %q", res.skipped, want)
	}
}

// The test that runs when nothing more comes has hung.
func TestParseLogOfAHungTest(t *testing.T) {
	res := parse(t, "[ok]: plain (3 ms)\n[TIMEOUT]: clients state report follows.\nsock55d => (IN PROGRESS) waits for ever\nKilling\n")
	if res.hung != "waits for ever" || res.ended {
		t.Errorf("have %+v", res)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name            string
		list            string // kind and test of each entry
		unlisted, stale []string
		known           int
	}{
		{"nothing is listed", "", []string{"broken", outside}, nil, 0},
		{"all is listed", "fails:broken fails:" + outside + " skipped:hopeless", nil, nil, 2},
		{"by pattern", "fails:/^bro fails:/^.outside", nil, nil, 2},
		{"listed tests pass", "fails:broken fails:" + outside + " fails:plain skipped:plain", nil, []string{"plain passes", "plain is gone"}, 2},
		{"a listed pattern matches tests that pass", "fails:/. ", nil, []string{"plain passes", "named (twice) passes"}, 2},
		{"a listed test is gone", "fails:/^bro varies:/. fails:lost", nil, []string{"lost is gone"}, 2},
		{"what may fail and does not", "varies:plain varies:/.", nil, nil, 2},
		{"what may hang", "hangs:/.", nil, nil, 2},
		{"skipped is not failing", "skipped:broken varies:" + outside, []string{"broken"}, []string{"broken is gone"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var list []*listed
			for entry := range strings.SplitSeq(strings.ReplaceAll(c.list, outside, "OUTSIDE"), " ") {
				kind, test, ok := strings.Cut(strings.ReplaceAll(entry, "OUTSIDE", outside), ":")
				if !ok {
					continue
				}
				l, err := parseListed([]string{kind, "any", "unit/a", test, "because"})
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, l)
			}
			res := parse(t, log)
			res.judge(list)
			if !slices.Equal(res.unlisted, c.unlisted) || !slices.Equal(res.stale, c.stale) || res.known != c.known {
				t.Errorf("unlisted %q, stale %q, known %d; want %q, %q, %d", res.unlisted, res.stale, res.known, c.unlisted, c.stale, c.known)
			}
		})
	}
}

func TestTheListIsSound(t *testing.T) {
	list, err := loadList("suite.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[[3]string]bool)
	for _, l := range list {
		if key := [3]string{l.Where, l.File, l.Test}; seen[key] {
			t.Errorf("%s: %s is listed twice", l.File, l.Test)
		} else {
			seen[key] = true
		}
	}
}

func parse(t *testing.T, text string) *results {
	t.Helper()
	res, err := parseLog("unit/a", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return res
}
