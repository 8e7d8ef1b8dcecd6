package session_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/quorate/quorate/transport/config"
)

// What DEBUG SET-ACTIVE-EXPIRE 0 keeps goes when it is read, as in redis-server.
func TestWhatIsKeptGoesWhenItIsRead(t *testing.T) {
	for _, tc := range []struct {
		name string
		read []string
		want []string
		left string // keys
	}{
		{"not looked at", lines("PING"), lines("+PONG"), ":3"},
		{"MGET", lines("MGET a b nosuch"), lines("*3 $-1 $-1 $-1"), ":1"},
		{"a transaction", lines("MULTI", "GET a", "EXEC"), lines("+OK", "+QUEUED", "*1 $-1"), ":2"},
		{"SCAN", lines("SCAN 0 MATCH x"), lines("*2 $1 0 *0"), ":0"},
		{"a script that does not write", lines("EVAL_RO return{} 1 a"), lines("*0"), ":2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t, nil)
			n.config.Adopt([]config.Pair{{Name: "enable-debug-command", Value: "yes"}})
			c, other := n.client(), n.client()
			c.expect(lines("DEBUG SET-ACTIVE-EXPIRE 0"), "+OK")
			c.expect(lines("SET a 1 PX 1", "SET b 1 PX 1", "SET c 1 PX 1"), "+OK", "+OK", "+OK")
			for until := time.Now().Add(5 * time.Millisecond); time.Now().Before(until); {
				runtime.Gosched()
			}
			other.expect(lines("DEL nosuch", "DBSIZE"), ":0", ":3") // takes the log's clock on
			c.expect(tc.read, tc.want...)
			c.expect(lines("DBSIZE"), tc.left)
		})
	}
}
