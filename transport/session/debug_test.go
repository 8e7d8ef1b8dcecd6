package session_test

import (
	"testing"

	"github.com/quorate/quorate/transport/config"
)

// The digests are redis-server's.
func TestDebugOfKeys(t *testing.T) {
	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
	c := n.client()
	c.expect(lines("SET x y", "DEBUG DIGEST-VALUE x missing", "DEBUG DIGEST-VALUE"),
		"+OK", "*2 +5de2ea9d5ffab1d9674bdd0e51d2eff013a722cc +0000000000000000000000000000000000000000", "*0")
	c.expect(lines("DEBUG OBJECT x", "DEBUG OBJECT missing", "DEBUG OBJECT", "DEBUG OBJECT x y"),
		"+Value at:0x000000000000 refcount:1 encoding:embstr serializedlength:2 lru:0 lru_seconds_idle:0", "-ERR no such key",
		"-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP.",
		"-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP.")
	c.expect(lines("RPUSH l a b", "DEBUG OBJECT l"), ":2", "+Value at:0x000000000000 refcount:1 encoding:quicklist "+
		"serializedlength:16 lru:0 lru_seconds_idle:0 ql_nodes:1 ql_avg_node:2.00 ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:13")
}
