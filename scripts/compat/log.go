package main

import (
	"bufio"
	"io"
	"regexp"
)

// results is what the suite told of one file.
type results struct {
	file    string
	passed  []string // names, with repetitions
	failed  []string // names, with repetitions
	skipped []string // because they are listed so
	leftOut int      // tests and groups the suite itself leaves out with an external server
	ended   bool     // by itself
	hung    string   // the test that did not end, or empty

	verdict
}

// outside is the name given to an error between the tests.
const outside = "(outside tests)"

var (
	reported   = regexp.MustCompile(`^\[(ok|err|skip|ignore|exception)\]: ?(.*)$`)
	okTail     = regexp.MustCompile(` \(\d+ ms\)$`)
	errTail    = regexp.MustCompile(` in tests/\S+\.tcl$`)
	inProgress = regexp.MustCompile(`^sock\S+ => \(IN PROGRESS\) (.*)$`)
	done       = regexp.MustCompile(`^\[1/1 done\]`)
)

// parseLog reads what the suite printed about one file.
func parseLog(file string, log io.Reader) (*results, error) {
	res := &results{file: file}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<30) // details of failures may be whole values
	for lines.Scan() {
		res.add(lines.Text())
	}
	return res, lines.Err()
}

// add takes in one line.
func (res *results) add(line string) {
	if m := inProgress.FindStringSubmatch(line); m != nil {
		res.hung = m[1]
		return
	}
	if done.MatchString(line) {
		res.ended = true
		return
	}
	m := reported.FindStringSubmatch(line)
	if m == nil {
		return
	}
	switch m[1] {
	case "ok":
		res.passed = append(res.passed, okTail.ReplaceAllString(m[2], ""))
	case "skip":
		res.skipped = append(res.skipped, m[2])
	case "ignore":
		res.leftOut++
	case "err":
		name := outside
		if at := errTail.FindStringIndex(m[2]); at != nil {
			name = m[2][:at[0]]
		}
		res.failed = append(res.failed, name)
	case "exception":
		res.failed = append(res.failed, outside)
	}
}

// ran reports whether the servers saw any test.
func (res *results) ran() bool { return len(res.passed)+len(res.failed) > 0 }
