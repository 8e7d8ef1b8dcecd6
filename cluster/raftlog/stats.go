package raftlog

import "time"

// Stats is a picture of the store for INFO and metrics.
type Stats struct {
	FirstIndex uint64 // 0 when the log is empty
	LastIndex  uint64 // 0 when the log is empty
	Bytes      int64  // of the entries in the log, with their headers
	DiskBytes  int64  // of the segment files in use
	Segments   int    // in use
	Spares     int    // ready to be used
	TailBytes  int64  // of the entries kept in memory

	Policy      Policy
	Writes      uint64        // StoreLogs calls that wrote
	Fsyncs      uint64        // of segments; those of new files and of the directory are not counted
	LastFsync   time.Duration // how long the last one took
	UnsyncedFor time.Duration // age of the oldest write that no fsync covers yet, 0 when all are
	Failed      error         // why the store takes no more writes, nil while it does
}

// Recovery tells what Open found.
type Recovery struct {
	Segments int           // read
	Records  int           // read and verified, control records included
	Torn     bool          // remains of an unacknowledged write were found behind the end
	Took     time.Duration // for all of Open
}
