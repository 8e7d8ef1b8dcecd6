//go:build mutant_skipped_fsync

package raftlog

// skipFsync is a bug, planted to show that the tests find it: StoreLogs
// acknowledges under Always what no fsync has covered.
const skipFsync = true
