package config

import "github.com/quorate/quorate/engine/words"

// SplitArgs splits a line as lines of the configuration are split: see [words.Split].
func SplitArgs(line []byte) (list [][]byte, ok bool) { return words.Split(line) }
