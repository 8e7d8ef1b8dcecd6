// Package session carries a client's conversation: it decides for each
// command where it is executed, keeps the connection's order, and answers
// what is the session's own.
//
// A command's row decides its route. A write is submitted to the log; it is
// answered by the node's own apply. A read is executed here, from this node's
// memory, behind a proof that it is fresh. A command of neither kind is the
// session's.
//
// # The order of a connection
//
// Commands take effect in the order sent (invariant I3). A Session has two
// lists while it takes a pipeline: steps, which are executed here, and ops,
// which are submitted; at any time only one of them grows.
//
//   - While nothing of the connection is in flight, reads and harmless
//     answers become steps.
//   - A write executes the steps and becomes an op.
//   - Behind an op, or behind anything in flight, everything becomes an op: a
//     read or an answer behind a write rides in the same submission and is
//     executed by the apply of this node at its place.
//   - A session command that changes or shows the connection waits until
//     nothing is in flight, and is executed by the connection's goroutine.
//
// A client that does not read makes its own commands wait: before a pipeline,
// between the reads of one, and, where replies may be large, between
// submissions (flight.go).
//
// So a mixed pipeline is one submission, and what a session command sees is
// final. After an answer that is in doubt every read goes as an op until one has
// been executed: by then the doubt is settled. A session command that shows
// data or has effects outside the connection is preceded by an op that does
// nothing.
package session
