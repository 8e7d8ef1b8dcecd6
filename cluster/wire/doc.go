// Package wire carries raft's messages between nodes, and knows from them what
// raft itself does not tell: since when a quorum has been known to follow this
// leader.
//
// # Stamps
//
// Every AppendEntries, be it raft's heartbeat, replication or one of our own
// kicks and probes, draws a stamp before its first byte is written: a tick of a
// counter (a [Mark]) and the monotonic time. A success of the same term proves
// that at some moment after the stamp the follower had seen no later term. The
// quorum-th newest stamp over the voters, Q, is thus a moment up to which no
// other leader can have committed anything. Two rules rest on it:
//
//   - ReadIndex ([Transport.WaitAck]): a read that drew its mark before Q is
//     served by a leader that was still the leader after the read arrived. Only
//     the counter is compared: no clock is trusted.
//   - Lease ([Transport.LeaseHeld]): no follower of that quorum helps to elect
//     another leader for a HeartbeatTimeout after Q; half of it is used.
//
// raft's VerifyLeader counts answers to messages sent before the question, and
// its LeaderLeaseTimeout is stamped when an answer arrives: neither proves
// anything about now.
//
// # What makes the lease true
//
//   - No heartbeat fast path: every message passes raft's main goroutine.
//   - A node that restarts with state drops vote requests for one
//     HeartbeatTimeout: it forgot whom it heard last (Options.NoVoteFor).
//   - A TimeoutNow carries the term of its sender's leadership and is dropped by a
//     receiver in any other term; leases of the term end before it is written. A
//     vote request that claims a leadership transfer keeps the claim only in the
//     term right after the one in which this node was told to take over.
//   - A follower that answers while it is not in raft's follower state (a
//     candidate by transfer answers AppendEntries, yet may start another election
//     at any moment) says so, and its answer gives no stamp.
//
// # Kicks
//
// A follower learns of a commit with the next AppendEntries. [Transport.Kick]
// sends it one at once, empty, behind the last entry P sent on the same ordered
// stream, with a commit index of at most P. raft's follower takes the smaller of
// the commit index and its own last index, which may belong to an unverified
// tail; with P as the previous entry, it is verified. For the same reason the
// receiving side clamps every AppendEntries' commit index to the last entry that
// the message itself verifies.
//
// # Form
//
// All messages have a hand-written binary form with stated limits (codec.go).
// Entries are written from and read into their own buffers, never gathered into
// a frame. A node's address in message headers is prefixed by its id: raft records
// whom it voted for by that address, and an address may be handed to another node
// within a term.
package wire
