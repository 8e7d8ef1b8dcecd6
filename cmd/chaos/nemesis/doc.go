// Package nemesis runs a cluster of real processes and makes trouble for it:
// processes are killed and paused, links are cut, slowed and garbled, disks fill
// and fail, files are damaged, clocks are wrong, members come and go.
//
// One kind of trouble is a Fault. It is begun, lasts, and is healed; after that
// the cluster must be whole and serve again, and how long that took is told.
// Unless a fault says otherwise it breaks a minority at a time.
//
// What a fault needs (root, namespaces, a small disk, strace, a binary built
// with a tag) may be missing: then Begin returns an error that is
// ErrUnavailable and says what is missing.
//
// All traffic stays on loopback or in namespaces of the cluster's own. Processes
// die with this one; namespaces and mounts that a killed process left behind are
// removed at the next Start.
package nemesis
