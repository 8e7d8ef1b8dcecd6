package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// listed is a line of the list: a test that fails, or is not run, and why.
type listed struct {
	Kind   kind
	Where  string // a stage, or any
	File   string
	Test   string // a name, or / and a regular expression
	Reason string

	// hangs: the test varies, and when it fails it waits for ever. Then none of its file
	// is waited for longer than hungAfter.
	hangs   bool
	pattern *regexp.Regexp // of test, if it is one
}

type kind string

const (
	fails   kind = "fails"   // it is run, and must fail
	skipped kind = "skipped" // it is not run: it would hang, or spoil those behind it
	varies  kind = "varies"  // it is run, and may do either

	hangs kind = "hangs" // as varies, and may hang: only in the list's file
)

// hungAfter is the seconds after which a test counts as hung in a file of which one is
// known to hang.
const hungAfter = 30

// loadList reads the list.
func loadList(path string) ([]*listed, error) {
	rows, err := readTSV(path)
	if err != nil {
		return nil, err
	}
	var list []*listed
	for i, row := range rows {
		l, err := parseListed(row)
		if err != nil {
			return nil, fmt.Errorf("%s: entry %d: %w", path, i+1, err)
		}
		list = append(list, l)
	}
	return list, nil
}

func parseListed(row []string) (*listed, error) {
	if len(row) != 5 {
		return nil, fmt.Errorf("%d columns, not kind, where, file, test and reason", len(row))
	}
	l := &listed{Kind: kind(row[0]), Where: row[1], File: row[2], Test: row[3], Reason: row[4]}
	if l.Kind == hangs {
		l.Kind, l.hangs = varies, true
	}
	if l.Kind != fails && l.Kind != skipped && l.Kind != varies {
		return nil, fmt.Errorf("unknown kind %q", l.Kind)
	}
	if _, ok := stages[l.Where]; !ok && l.Where != "any" {
		return nil, fmt.Errorf("unknown stage %q", l.Where)
	}
	if l.Reason == "" {
		return nil, fmt.Errorf("%s gives no reason", l.Test)
	}
	var err error
	if expr, ok := strings.CutPrefix(l.Test, "/"); ok {
		l.pattern, err = regexp.Compile(expr)
	}
	return l, err
}

// matches reports whether the entry is about the test of its file.
func (l *listed) matches(test string) bool {
	if l.pattern != nil {
		return l.pattern.MatchString(test)
	}
	return l.Test == test
}

// of returns the entries about a file on a stage.
func of(list []*listed, stage, file string) []*listed {
	var some []*listed
	for _, l := range list {
		// The list is about quorate: redis-server has no excuse.
		if l.File == file && (l.Where == stage || l.Where == "any" && stage != "redis-server") {
			some = append(some, l)
		}
	}
	return some
}

// verdict compares the results of a file with the list.
type verdict struct {
	known    int      // failures that are listed
	unlisted []string // failures that are not
	stale    []string // what the list says and is not so
}

// judge fills in the verdict. The entries are those about the file.
func (res *results) judge(entries []*listed) {
	for _, test := range res.failed {
		if slices.ContainsFunc(entries, func(l *listed) bool { return l.Kind != skipped && l.matches(test) }) {
			res.known++
		} else {
			res.unlisted = append(res.unlisted, test)
		}
	}
	if !res.ended {
		res.unlisted = append(res.unlisted, "the file did not end by itself")
	}
	for _, l := range entries {
		res.stale = append(res.stale, res.contradict(l)...)
	}
}

// contradict returns what an entry says and is not so.
func (res *results) contradict(l *listed) []string {
	switch {
	case l.Kind == skipped && !slices.ContainsFunc(res.skipped, l.matches):
		return []string{l.Test + " is gone"}
	case l.Kind == fails && !slices.ContainsFunc(slices.Concat(res.failed, res.passed), l.matches):
		return []string{l.Test + " is gone"}
	case l.Kind == fails:
		return res.pass(l)
	}
	return nil
}

// pass returns the tests of an entry that pass. The suite runs some twice under
// one name: once failed is failed.
func (res *results) pass(l *listed) []string {
	var names []string
	for _, test := range res.passed {
		if l.matches(test) && !slices.Contains(res.failed, test) {
			names = append(names, test+" passes")
		}
	}
	return names
}

// readTSV reads a file of tab-separated columns, without comments and the line
// of headings.
func readTSV(path string) ([][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.Comment, r.LazyQuotes = '\t', '#', true
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[1:], nil
}
