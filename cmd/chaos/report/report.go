// Package report says what a chaos run did and found: a verdict of one line, a
// summary for programs and a page with a timeline for people.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/chaos/nemesis"
	"github.com/quorate/quorate/cmd/chaos/side"
)

// Fault is one that was injected.
type Fault struct {
	Name     string
	Text     string
	Node     int    // whose clients may feel it, from 0, or nemesis.Everybody, or nemesis.Nobody
	Role     string // of that node when the fault began: leader or follower
	From, To time.Duration
	Served   time.Duration // how long the nodes that must serve took to, as the nemesis saw it
	Gap      time.Duration // see Join
}

// Touches reports whether clients of a node may feel the fault: wait for it, be
// refused, miss messages.
func (f *Fault) Touches(node int) bool { return f.Node == nemesis.Everybody || f.Node == node }

// Summary is everything that is known of a run.
type Summary struct {
	Verdict string // pass, fail or undecided
	Why     []string

	Seed      uint64
	Mode      string
	Nodes     int
	Clients   int
	Endpoints []string
	Began     time.Time
	Lasted    time.Duration

	Operations int64 // of checked histories; of rounds, if there are no others
	InRounds   int64 // of kinds that are played in rounds
	Open       int64 // outcomes that stayed unknown
	InDoubt    int64
	Refused    int64 // definite errors
	Redirected int64
	Broken     int64 // connections that ended
	Histories  map[string]Histories
	Ledger     int64      // writes acknowledged to the ledgers
	Messages   int64      // received by subscribers
	Causal     int64      // causal reads
	Taken      side.Taken // by consumers that waited

	Digests    []string
	Faults     []Fault
	FaultGaps  []FaultGaps
	Violations []string
	Notes      []string

	// Gaps and Missed are for the page.
	Gaps   []side.Gap    `json:"-"`
	Missed []side.Missed `json:"-"`
	Rates  [][]int64     `json:"-"` // by node, then by second: operations
}

// Histories counts the histories of one kind.
type Histories struct {
	Histories, Operations, Failed, Undecided int
	Longest                                  time.Duration // check
}

// Line is the verdict.
func (s *Summary) Line() string {
	histories, failed, undecided := 0, 0, 0
	for _, h := range s.Histories {
		histories += h.Histories
		failed += h.Failed
		undecided += h.Undecided
	}
	line := fmt.Sprintf("%s: %d operations in %d histories (%d failed, %d undecided), %d ledger writes, %d messages, %d faults, %d violations in %v, seed %d",
		strings.ToUpper(s.Verdict), s.Operations, histories, failed, undecided, s.Ledger, s.Messages, len(s.Faults), len(s.Violations), s.Lasted.Round(time.Second), s.Seed)
	if t := s.Taken; t != (side.Taken{}) {
		line += fmt.Sprintf("; %d operations in rounds: consumers that waited got %d elements, %d times nothing, and %d went to who had gone, who may have taken %d", s.InRounds, t.Elements, t.Timeouts, t.Lost, t.Doubts)
	}
	if len(s.Why) > 0 {
		line += ": " + s.Why[0]
		if more := len(s.Why) - 1; more > 0 {
			line += fmt.Sprintf(" (and %d more)", more)
		}
	}
	return line
}

// Write writes summary.json and timeline.html into dir.
func (s *Summary) Write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "summary.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, "timeline.html"))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer f.Close()
	if err := s.page(f); err != nil {
		return fmt.Errorf("report: timeline: %w", err)
	}
	return nil
}
