// Package rdbsnap is a raft.SnapshotStore whose snapshot files are the plain RDB
// streams that the state machine wrote, loadable by redis-server.
//
// # Files
//
// In the data directory, for a snapshot of index 4711 in term 3:
//
//	snapshots/4711-3-1.rdb    the stream as written
//	snapshots/4711-3-1.meta   index, term, configuration, size and checksum
//	dump.rdb                  another name (hard link) of the newest .rdb
//
// A hard link rather than a symbolic one: whatever copies the data directory or
// dump.rdb alone (tar, rsync, docker cp) gets the data and not a path.
//
// # Invariants
//
//  1. A meta file is there only when its RDB is complete and durable: the RDB is
//     fsynced and renamed first, the meta is the commit. Anything else is a
//     leftover of a crash, removed at Open.
//  2. A reader gets the last bytes of a snapshot only after the checksum over all
//     of them was found right; so nobody takes a damaged snapshot for a whole one.
//  3. No silent way back: once the newest snapshot is known to be damaged, List
//     and Open fail instead of offering an older one, which raft would take
//     without asking whether its log reaches that far back. Whoever knows that it
//     does calls SetAside.
package rdbsnap
