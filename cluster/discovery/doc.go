// Package discovery tells which nodes of the cluster there seem to be, where
// they can be reached and whether they seem alive.
//
// It is gossip (memberlist) and no more than a source of hints: nobody joins or
// leaves the cluster's configuration because of it, and what it says may be
// late, wrong or missing. It finds the leader for a joining node, the addresses of
// nodes that moved, and the fresh nodes that may form a cluster together.
//
// Streams of gossip run over the node-to-node port, so both ends have proved
// themselves. Packets run over UDP at the same port number, encrypted under the
// cluster secret; where there is none (the port is protected by TLS alone),
// packets travel inside streams too. The cluster name labels every packet, and
// nodes of another cluster id are kept out of the member list.
package discovery
