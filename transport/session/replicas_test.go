package session_test

import (
	"strings"
	"testing"
)

// Without as many good replicas as are wanted nothing is written; reads go on, also those
// of scripts that do not say what they do.
func TestMinReplicasToWrite(t *testing.T) {
	n := newNode(t, nil) // alone
	c := n.client()
	const refused = "-NOREPLICAS Not enough good replicas to write."
	c.expect(lines("SET a 1", "CONFIG SET min-replicas-to-write 1", "SET a 2", "GET a"), "+OK", "+OK", refused, "$1 1")
	c.expect(lines("BLPOP k 1", "DEL a", "PFCOUNT a", "FLUSHALL", "FUNCTION FLUSH"), refused, refused, "-WRONGTYPE Key is not a valid HyperLogLog string value.", refused, refused)
	for _, tc := range []struct{ script, want string }{
		{"return(redis.call('get','a'))", "$1 1"},
		{"return(redis.call('set','a','2'))", refused + " script: "},
		{"return(redis.pcall('set','a','2').err)", "$45 " + refused[1:]},
	} {
		c.send("EVAL \"" + tc.script + "\" 0")
		if got := c.replies(1)[0]; !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %s, want %s", tc.script, got, tc.want)
		}
	}
	c.expect(lines("MULTI", "GET a", "EXEC"), "+OK", "+QUEUED", "*1 $1 1")
	c.expect(lines("MULTI", "SET a 2", "EXEC"), "+OK", refused, "-EXECABORT Transaction discarded because of previous errors.")
	other := n.client()
	c.expect(lines("CONFIG SET min-replicas-to-write 0", "MULTI", "SET a 2"), "+OK", "+OK", "+QUEUED")
	other.expect(lines("CONFIG SET min-replicas-to-write 1"), "+OK")
	c.expect(lines("EXEC"), "-EXECABORT Transaction discarded because of: "+refused[1:])
	c.send("INFO replication")
	if got := c.replies(1)[0]; !strings.Contains(got, "min_slaves_good_slaves:0") {
		t.Errorf("INFO replication: %s", got)
	}
	c.expect(lines("CONFIG SET min-replicas-max-lag 0", "SET a 2"), "+OK", "+OK")
}
