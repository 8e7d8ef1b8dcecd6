//go:build !mutant_clock

package fsm

import "github.com/quorate/quorate/fsm/entry"

// clockOf returns the time of an entry, in Unix milliseconds: its leader's.
func clockOf(e *entry.Entry) int64 { return e.StampMs }
