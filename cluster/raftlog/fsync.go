//go:build !mutant_skipped_fsync

package raftlog

// skipFsync is false but in a build whose tests must notice: see fsync_mutant.go.
const skipFsync = false
