// Package resp serves clients on sockets: it takes commands from a stream of
// bytes, within limits, and gives replies back without ever waiting for a
// slow reader.
package resp
