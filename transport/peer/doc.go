// Package peer is the one node-to-node port: every connection between two
// nodes goes through it, after a handshake in which both prove that they belong
// to the same cluster.
//
// # What runs over it
//
// The dialer names what the connection is for (a [Kind]): raft, calls, ordered
// streams or gossip. Raft and gossip take the raw connection ([Port.Dial],
// [Port.Handle], [Port.Listener]); calls and streams are made here ([Port.Call],
// [Port.OpenStream]).
//
// # The handshake
//
//	dialer    hello: magic, version, kind, nonce, cluster name, cluster id, node id
//	acceptor  hello: the same of the other side, and its proof
//	dialer    its proof
//	acceptor  accepted, or the reason of a refusal
//
// A proof is an HMAC-SHA256 under a key derived from the cluster secret, over
// the side's role and both hellos; with TLS also over keying material of that
// very TLS connection. So it can't be replayed (nonces), reflected (roles), used
// for another purpose (the kind is in the hello) or relayed through another TLS
// connection. Without TLS the secret keeps strangers out, but what follows the
// handshake is neither hidden nor protected against someone on the path: the
// network must then be private.
//
// # Who is refused
//
// The cluster name is always compared. The cluster id is compared when both
// sides have one: a fresh node has none, and must be able to ask a cluster to
// take it in. When it learns its id ([Port.SetClusterID]) connections to nodes of
// other ids are cut. A port that is neither bound to loopback nor protected by a
// secret or by TLS with verified client certificates does not start.
//
// # Limits
//
// A handshake has a deadline and fixed sizes; handshakes in progress,
// connections, frame sizes, calls per connection and bytes queued on a stream
// are bounded (see the constants and [Options]). What exceeds a bound is refused
// and counted in [Stats].
package peer
