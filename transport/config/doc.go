// Package config holds what a node is told by its configuration file, its
// command line and CONFIG SET, in redis.conf's syntax.
//
// Every directive is one row of a table (table.go, table_own.go): its name,
// kind, limits, default, and whether it may change while the node runs. The
// package knows no other part of the server: who needs to hear of a change
// registers a hook with [Config.OnSet].
package config
