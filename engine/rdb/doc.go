// Package rdb writes and reads Redis' RDB files and DUMP payloads, value by value.
//
// # What is written
//
// [Writer] writes version 10, as redis-server 7.0.15 does with its default
// configuration: strings as integers or LZF-compressed where that is shorter,
// small collections as the packed blocks that they are in memory, a checksum at
// the end. redis-server loads the files, and the payloads of a [Dumper] are byte
// for byte those of its DUMP wherever the order of elements is not by hash. Hashes
// whose fields expire, which redis-server has since 7.4, are written as that does: a
// file with such hashes is for it and later ones.
//
// # What is read
//
// [Reader] reads versions 1 to 12 with all types of values of Redis up to 7.4:
// ziplists, zipmaps and the other old forms are turned into today's. Values of
// modules give [ErrUnsupported]; what modules keep beside their values is skipped.
// [Reader.ShowModules] skips their values too.
//
// Files are not trusted. Whatever the bytes are, a Reader does not panic, does not
// allocate more than a megabyte on the strength of a claimed length (memory doubles
// as data comes, unless [Reader.Size] tells that it will; LZF expands at most 88-fold), and checks every packed block
// completely before anyone relies on it: its own layout, that elements of hashes,
// sets and sorted sets are distinct, that scores are numbers in order, that
// streams' IDs ascend and pending entries have one consumer each.
//
// # Memory
//
// No value is held twice. A writer has a buffer of 256 KiB, which long strings do not
// go through, and the LZF data of one string of at most 16 MiB. A reader has the same
// buffer; long packed values and the nodes of lists and streams are read into the
// memory in which they stay, LZF data goes straight from the buffer into what it
// stands for, and elements of collections pass one by one.
//
// # Forms
//
// A node restored from a snapshot must answer every later command as a node does
// that lived through the history. So a value must come back not only with its
// content but with all that later answers depend on. Type by type:
//
//   - Strings: content, and the encoding that OBJECT ENCODING tells. Files do not
//     tell the encoding. Reading gives the one that a string set as a whole has
//     ([StringEncoding]); who needs others notes them beside (package engine does).
//   - Lists: content, and how it is cut into nodes, which DUMP shows. A long list's
//     nodes are written and read as they are. A packed list is one node. A single
//     node no longer than [list.PackedBytesMax] is read as a packed list, the
//     packed form of every list that had it; that a long list had shrunk to such a
//     node, and its limits, are for the caller to note.
//   - Sets: an intset is written as the block that it is. All other sets have the
//     order of their members' hashes under the cluster's seed, packed or large, so
//     it does not matter which of the two a set read back is: built member by
//     member it takes the form that its size calls for, and never an intset.
//   - Hashes: a small one is written as the listpack that it is, with the order of
//     its fields. A large one has the order of hashes, and comes back large however
//     few its fields are. Fields keep their expiry times, due ones too.
//   - Sorted sets: as hashes. Order is by score and member in both forms; the
//     scores of a large one are written as doubles, so that -0 stays -0.
//   - Streams: nodes as they are, so that later entries and trimming fall as they
//     would have; all counters; groups, consumers and pending entries with their
//     times. All of these are ordered by their names or IDs.
//
// [Build.Derive] chooses redis-server's way instead, which forgets the form and
// chooses it by the limits: for RESTORE and for importing.
package rdb
