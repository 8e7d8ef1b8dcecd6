package main

import (
	"fmt"

	"github.com/quorate/quorate/cmd/chaos/report"
)

// Exit codes.
const (
	exitPass      = 0
	exitFail      = 1
	exitUndecided = 2
)

// decide gives a summary its verdict and returns the exit code. faults: there
// should have been some.
func decide(sum *report.Summary, faults bool) int {
	unchecked := 0
	for _, h := range sum.Histories {
		unchecked += h.Undecided
	}
	undecided := func(why string) int {
		sum.Verdict, sum.Why = "undecided", []string{why}
		return exitUndecided
	}
	switch {
	case len(sum.Violations) > 0:
		sum.Verdict, sum.Why = "fail", sum.Violations
		return exitFail
	case unchecked > 0:
		return undecided(fmt.Sprintf("%d histories could not be checked in time", unchecked))
	case sum.Operations == 0:
		return undecided("no operation was executed")
	case faults && len(sum.Faults) == 0:
		return undecided("no fault came")
	}
	sum.Verdict = "pass"
	return exitPass
}
