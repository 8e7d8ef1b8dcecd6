// Package pubsub delivers messages to the subscribers of one node: a registry
// of who listens to what, and the queues that hold messages of other nodes
// until this node has applied what their publishers had seen.
package pubsub
