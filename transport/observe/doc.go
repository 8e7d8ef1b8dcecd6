// Package observe counts what a node does for its clients: commands, errors,
// traffic, slow commands and latencies, as INFO, SLOWLOG and LATENCY show
// them. All of it may be used by many goroutines.
package observe
