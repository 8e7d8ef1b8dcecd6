// Package raftlog keeps a node's Raft log on disk so that what StoreLogs has
// acknowledged is there after any crash, or the node refuses to start.
//
// # Why not a general store
//
// A Raft log is written at its end, read near its end, freed at its front and,
// rarely, cut at its end. A B+tree pays several page writes and two fsyncs for
// what is one append. Here StoreLogs is one pwrite and one fdatasync into a
// segment file whose blocks were allocated beforehand, so that the fdatasync
// has no file size and, in a recycled segment, no extent to journal.
//
// # The two invariants
//
//  1. Every change of the log is a record appended to the newest segment: an
//     entry, "entries from i on are gone" (conflict), "entries before i are gone"
//     (compaction). Nothing is ever rewritten in place and no second file has to
//     agree, so any prefix of the records is a state the log once had.
//  2. A record says up to which offset of its segment everything had been
//     fsynced when it was written. So a damaged record is told apart from a torn
//     one: if a later intact record calls its place durable, acknowledged data is
//     gone and Open fails with a *CorruptError; if none does, the record was
//     never acknowledged and the log ends before it.
//
// # Outline
//
//   - Segments are numbered files log-<seq>.seg. A record carries its segment's
//     random generation, its own offset and the number of the session (Open) that
//     wrote it, all under one CRC32C: bytes of a recycled segment's former life,
//     of a torn write that a later session overwrote, or of a client's value that
//     imitates a record are never taken for one.
//   - A full segment ends in a seal. The next segment exists, durably, before the
//     seal is written, and gets its first record after the seal is fsynced: so only
//     the newest segment with records can be torn, and a missing one is noticed.
//   - Compaction frees whole segments from the front; they are renamed to spares
//     and used again. A compaction record and every segment header name the oldest
//     segment still needed, so older files are leftovers, whatever they hold.
//   - Open reads everything, verifies each checksum, rewrites and fsyncs what no
//     record calls durable (after a failed fsync the page cache may claim more than
//     the disk holds), and opens a new session.
//   - When the log has been quiet for a second, and at Close, a mark record calls
//     the end durable: from then on damage to the last entries is found too.
//
// After a failed write or fsync nothing about the file is known any more: the
// store answers every later write with that first error, and the process should
// end (Options.OnFatal).
//
// # Gaps, and why the store is not monotonic
//
// raft.MonotonicLogStore is deliberately not implemented. It makes raft delete
// the whole log after a snapshot is installed, also entries beyond the snapshot
// that this node has acknowledged: an InstallSnapshot that arrives late would
// then lose them. It does not mend the livelock of a conflicting tail behind an
// installed snapshot either (raft keeps its idea of the last entry in memory).
// So the store accepts gaps between entries, as raft then expects: GetLog inside
// a gap answers raft.ErrLogNotFound.
package raftlog
