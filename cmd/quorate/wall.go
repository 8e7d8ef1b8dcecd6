//go:build !chaos

package main

import "time"

// wall is the wall clock.
func wall() time.Time { return time.Now() }
