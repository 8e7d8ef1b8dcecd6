// Package keyspace holds the data of all databases: keys, values, expiry times and versions.
//
// # Shape
//
// Each database is one store. A store keeps every key as a packed record (header, key and small value in one
// piece) in slabs of plain bytes, which the garbage collector does not look into, and finds it through a table of
// 8-byte words. Large collections are Go values reached by handle; long strings are one allocation each.
//
// The table is an extendible hash in which everything stands in hash order: the directory is indexed by the top
// bits of the key's hash under the cluster's seed, and within a segment the words are sorted. So growth is the
// split of one segment, and order, scan cursors and random choices follow from the content alone, never from the
// history of one node.
//
// # Locking
//
// The package takes no lock. Methods that change something need the engine's write lock. The others are pure
// reads: any number of goroutines may call them at once under its read lock. [Frozen.Next] belongs to the one
// goroutine that writes a snapshot and needs the read lock.
//
// # Time
//
// Nothing here reads a clock: callers hand in now, in milliseconds since the Unix epoch. A key whose expiry time
// is <= now is absent for readers, and is deleted only by [Keyspace.ExpireDue] and [DB.Evict], which run in the
// log's order on every node. So it is with fields of hashes (fields.go), and with a hash all of whose fields are due.
//
// # Versions
//
// The mutation counter rises by one with every change of state. A key's version, by which WATCH sees changes, is
// the counter at its last change, or, of an absent key, that at the last creation in its bucket: versions.go.
package keyspace
