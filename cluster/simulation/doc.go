// Package simulation runs whole clusters in one process on virtual time, under
// faults: its tests are the only code here.
//
// The nodes are real: origins, packer, raft, log store, snapshots, membership,
// gossip, reads and the engine. Unreal are the network (package memnet: delays,
// resets, partitions), the disks (package faultfs: what was not fsynced is lost,
// writes are torn) and time (testing/synctest). Clients on every node record what
// they were told, and check.go says whether one sequential Redis could have told
// it; that state is a function of the log, that a term has one leader, that each
// element of a queue goes to one of those who wait for it, in turn, and that the
// cluster serves soon after all faults have ended is checked too. In some runs
// memory is short, and which keys went is checked: memory_test.go.
//
// A run is a function of its Schedule, which a seed generates before it begins:
// so a failing seed replays, and shrinks by leaving parts of its schedule out.
package simulation
