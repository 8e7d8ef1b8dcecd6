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

// What every kind of reply becomes on its way through a script.
func TestRepliesThroughScripts(t *testing.T) {
	n := newNode(t, nil)
	n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
	c := n.client()
	const call = ` "redis.setresp(3) return redis.call('debug','protocol',ARGV[1])" 0 `
	c.send("EVAL" + call + "bignum")
	if got := c.replies(1)[0]; got[0] != '-' {
		t.Errorf("DEBUG was not kept from a script: %q", got)
	}
	c.expect(lines("DEBUG SET-DISABLE-DENY-SCRIPTS 1"), "+OK")
	c.send("HELLO 3")
	c.replies(1)
	c.expect(lines("EVAL"+call+"bignum", "EVAL"+call+"map", "EVAL"+call+"set", "EVAL"+call+"double", "EVAL"+call+"null",
		"EVAL"+call+"verbatim", "EVAL"+call+"true", "EVAL"+call+"false", "EVAL"+call+"attrib"),
		"(1234567999999999999999999999999999999", "%3 :1 #t :2 #f :0 #f", "~3 :1 :2 :0", ",3.141", "_",
		"=29 txt:This is a verbatim\nstring", "#t", "#f",
		"$39 Some real reply following the attribute")
	c.expect(lines("DEBUG PROTOCOL integer", "DEBUG PROTOCOL nonsense"), ":12345", "-ERR Wrong protocol type name. Please use one of the "+
		"following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	c.expect(lines("DEBUG SET-DISABLE-DENY-SCRIPTS 0"), "+OK")
	c.send("EVAL" + call + "bignum")
	if got := c.replies(1)[0]; got[0] != '-' {
		t.Errorf("DEBUG was not kept from a script again: %q", got)
	}
}
