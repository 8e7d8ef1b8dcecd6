package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/chaos/report"
)

// readLog adds the faults that somebody else made and told in a file, one after the
// other: what the flag -fault-log says. The last may go on until the run ends.
func (t *timeline) readLog(path string, began, end time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("fault log: %w", err)
	}
	defer f.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	open := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		at, fault, err := logged(lines.Text(), began)
		switch {
		case err == nil && fault != nil:
			fault.From, fault.To = at, end.Sub(began)
			t.faults, open = append(t.faults, *fault), true
		case err == nil && open:
			t.faults[len(t.faults)-1].To, open = at, false
		default:
			return fmt.Errorf("fault log: line %q", lines.Text())
		}
	}
	return lines.Err()
}

// logged reads a line: when it was, and the fault that began, nil if one ended.
func logged(line string, began time.Time) (time.Duration, *report.Fault, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return 0, nil, strconv.ErrSyntax
	}
	seconds, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		return 0, nil, err
	}
	at := time.UnixMicro(int64(seconds * 1e6)).Sub(began)
	switch {
	case words[1] == "end" && len(words) == 2:
		return at, nil, nil
	case words[1] != "begin" || len(words) != 4:
		return 0, nil, strconv.ErrSyntax
	}
	node, err := strconv.Atoi(words[2])
	if err != nil || node < 1 {
		return 0, nil, strconv.ErrRange
	}
	return at, &report.Fault{Name: words[3], Text: words[3] + " of node " + words[2], Node: node - 1}, nil
}
