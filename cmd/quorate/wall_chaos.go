//go:build chaos

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The chaos harness (cmd/chaos) sets the wall clocks of nodes that were built
// with the tag chaos: by how many milliseconds one is ahead stands in the file
// that QUORATE_CHAOS_CLOCK names. Releases have none of this.

const wallEvery = 50 * time.Millisecond

var wallOffset atomic.Int64 // nanoseconds

func init() {
	path := os.Getenv("QUORATE_CHAOS_CLOCK")
	if path == "" {
		return
	}
	readWall(path)
	go func() {
		for range time.Tick(wallEvery) {
			readWall(path)
		}
	}()
}

func readWall(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return // not set yet
	}
	if ms, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
		wallOffset.Store(int64(time.Duration(ms) * time.Millisecond))
	}
}

// wall is the wall clock, which may be wrong.
func wall() time.Time { return time.Now().Add(time.Duration(wallOffset.Load())) }
