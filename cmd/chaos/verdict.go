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

// wanted is what a run must have done to pass.
type wanted struct {
	faults bool // there should have been some
	enough enough
	open   int // of a hundred histories, that may stay undecided
}

// decide gives a summary its verdict and returns the exit code.
func decide(sum *report.Summary, want wanted) int {
	unchecked, all := 0, 0
	for _, h := range sum.Histories {
		unchecked += h.Undecided
		all += h.Histories
	}
	undecided := func(why string) int {
		sum.Verdict, sum.Why = "undecided", []string{why}
		return exitUndecided
	}
	switch {
	case len(sum.Violations) > 0:
		sum.Verdict, sum.Why = "fail", sum.Violations
		return exitFail
	case 100*unchecked > want.open*all:
		return undecided(fmt.Sprintf("%d histories could not be checked in time", unchecked))
	case sum.Operations == 0:
		return undecided("no operation was executed")
	case want.faults && len(sum.Faults) == 0:
		return undecided("no fault came")
	case sum.Operations < want.enough.operations || len(sum.Faults) < want.enough.faults:
		return undecided(fmt.Sprintf("%d operations and %d faults were asked for: this machine was too slow for them", want.enough.operations, want.enough.faults))
	}
	sum.Verdict = "pass"
	return exitPass
}
