package session_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// three is a cluster of three members of which the first is the asked one. Its
// clients' ports are 7001 to 7003, its Sentinels' 8001 to 8003.
type three struct {
	leader atomic.Int32 // index; -1 is none
	down   atomic.Int32 // index of the member that is not heard of; -1 is none
}

func (c *three) view(listener string) session.Topology {
	port := 7001
	if listener == config.SentinelListener {
		port = 8001
	}
	t := session.Topology{Term: 5}
	for i := range 3 {
		m := session.Member{
			ID: strings.Repeat(fmt.Sprint(i), 40), Host: fmt.Sprintf("10.0.0.%d", i+1), Port: port + i, Voter: true,
			Self: i == 0, Online: int(c.down.Load()) != i, Leader: int(c.leader.Load()) == i, Applied: uint64(100 + i),
		}
		t.Members = append(t.Members, m)
		if m.Leader {
			t.Leader = m
		}
	}
	t.Self = t.Members[0]
	return t
}

func newThree(t *testing.T) (*three, *node) {
	c := new(three)
	c.leader.Store(1)
	c.down.Store(-1)
	return c, newNode(t, func(cluster *sessiontest.Cluster) { cluster.View = c.view })
}

func (n *node) sentinelClient() *client {
	return n.clientFrom(session.Peer{Addr: "x:1", Listener: config.SentinelListener, Redirect: config.RedirectNever})
}

func TestSentinelTellsWhoLeads(t *testing.T) {
	c, n := newThree(t)
	plain, sentinel := n.client(), n.sentinelClient()
	ask := "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster"
	plain.expect(lines(ask, "SENTINEL GET-MASTER-ADDR-BY-NAME other"), "*2 $8 10.0.0.2 $4 7002", "*-1")
	sentinel.expect(lines(ask), "*2 $8 10.0.0.2 $4 7002")
	noMaster := "-ERR No such master with that name"
	plain.expect(lines("SENTINEL MASTER x", "SENTINEL REPLICAS x", "SENTINEL SENTINELS x", "SENTINEL CKQUORUM x", "SENTINEL FAILOVER x"),
		noMaster, noMaster, noMaster, noMaster, noMaster)
	plain.expect(lines("SENTINEL CKQUORUM mymaster"), "+OK 3 usable Sentinels. Quorum and failover authorization can be reached")
	plain.expect(lines("SENTINEL MONITOR other 10.0.0.9 1 2"),
		"-ERR the cluster's members, quorum and time-outs are those of the cluster itself: SENTINEL can only tell of them, and fail over")

	down := "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.2 7002 0 *"
	plain.expect(lines(down), "*3 :0 $1 * :0")
	c.down.Store(1)
	plain.expect(lines(down), "*3 :1 $1 * :0")

	// While nobody leads, commands wait for the next leader here.
	c.leader.Store(-1)
	plain.expect(lines(ask), "*2 $8 10.0.0.1 $4 7001")
}

func TestSentinelFields(t *testing.T) {
	c, n := newThree(t)
	c.down.Store(2)
	plain, sentinel := n.client(), n.sentinelClient()
	has := func(c *client, line string, want ...string) {
		t.Helper()
		c.send(line)
		got := c.replies(1)[0]
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q lacks %q", line, got, w)
			}
		}
	}
	has(plain, "SENTINEL MASTERS", "*1 *40", "$4 port $4 7002", "$5 flags $6 master", "$10 num-slaves $1 2", "$19 num-other-sentinels $1 2", "$6 quorum $1 2")
	has(plain, "SENTINEL REPLICAS mymaster", "*2 *42", "$4 name $13 10.0.0.1:7001", "$5 flags $5 slave", "$17 slave-repl-offset $3 100",
		"$5 flags $25 s_down,slave,disconnected", "$18 master-link-status $3 err", "$11 master-port $4 7002")
	has(plain, "SENTINEL SENTINELS mymaster", "*2 *28", "$4 port $4 7002", "$4 port $4 7003", "$5 flags $28 s_down,sentinel,disconnected")
	has(sentinel, "SENTINEL SENTINELS mymaster", "$4 port $4 8002", "$4 port $4 8003")
	has(sentinel, "SENTINEL MASTER mymaster", "$4 port $4 7002")
	has(sentinel, "INFO sentinel", "master0:name=mymaster,status=ok,address=10.0.0.2:7002,slaves=2,sentinels=3")
	plain.send("INFO everything sentinel")
	if got := plain.replies(1)[0]; strings.Contains(got, "sentinel_") {
		t.Errorf("INFO of a client port has facts of Sentinel: %q", got)
	}
	has(sentinel, "INFO server", "redis_mode:sentinel")
	sentinel.expect(lines("ROLE"), "*2 $8 sentinel *1 $8 mymaster")
	sentinel.send("HELLO 3")
	if got := sentinel.replies(1)[0]; !strings.Contains(got, "$4 mode $8 sentinel") {
		t.Errorf("HELLO: %q", got)
	}
	has(sentinel, "SENTINEL MASTERS", "*1 %20")
}

// What each member has applied is told, not what the asked one has.
func TestReplicasOffsets(t *testing.T) {
	c, n := newThree(t)
	c.leader.Store(0)
	c.down.Store(2)
	plain := n.client()
	plain.expect(lines("ROLE"), "*3 $6 master :0 *1 *3 $8 10.0.0.2 $4 7002 $3 101")
	plain.send("INFO replication")
	got := plain.replies(1)[0]
	for _, want := range []string{"slave0:ip=10.0.0.2,port=7002,state=online,offset=101,lag=0", "slave1:ip=10.0.0.3,port=7003,state=wait_bgsave,offset=102,lag=-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("INFO replication lacks %q: %q", want, got)
		}
	}
}

func TestSwitchMaster(t *testing.T) {
	c, n := newThree(t)
	exact, pattern, sentinel := n.client(), n.client(), n.sentinelClient()
	exact.expect(lines("SUBSCRIBE +switch-master"), "*3 $9 subscribe $14 +switch-master :1")
	pattern.expect(lines("PSUBSCRIBE *"), "*3 $10 psubscribe $1 * :1")
	sentinel.expect(lines("PSUBSCRIBE *"), "*3 $10 psubscribe $1 * :1")

	n.server.LeaderChanged() // the same leader as before
	c.leader.Store(-1)
	n.server.LeaderChanged()
	c.leader.Store(1)
	n.server.LeaderChanged()
	c.leader.Store(2)
	if !n.server.LeaderChanged() {
		t.Error("the leader's address is known, and yet it is to be looked for")
	}
	text := "mymaster 10.0.0.2 7002 10.0.0.3 7003"
	for name, got := range map[string][]string{
		"*3 $7 message $14 +switch-master $36 " + text:       exact.replies(1),
		"*4 $8 pmessage $1 * $14 +switch-master $36 " + text: sentinel.replies(1),
	} {
		if got[0] != name {
			t.Errorf("have %q, want %q", got[0], name)
		}
	}
	for name, client := range map[string]*client{"exact": exact, "pattern": pattern, "sentinel": sentinel} {
		if rest := client.rest(); rest != "" {
			t.Errorf("%s: more than is due: %q", name, rest)
		}
	}
}
