package faultfs

import (
	"os"
	"strconv"
	"testing"
)

// Rounds returns how often a test of lost power is done with other random losses:
// QUORATE_POWER of them (make power), else as many as few.
func Rounds(t testing.TB, few uint64) uint64 {
	t.Helper()
	text := os.Getenv("QUORATE_POWER")
	if text == "" {
		return few
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
