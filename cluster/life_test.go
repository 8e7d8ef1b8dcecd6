package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// add starts one more node that joins by the addresses of the others.
func (c *trio) add(dir, addr string) int {
	c.t.Helper()
	o := testNode(c.t, dir, addr, c.options[0].Join, 0)
	c.options, c.nodes = append(c.options, o), append(c.nodes, nil)
	c.start(len(c.nodes) - 1)
	return len(c.nodes) - 1
}

func (n *Node) votes(id string) bool {
	return slices.ContainsFunc(n.voters(), func(s raft.Server) bool { return string(s.ID) == id })
}

func TestFourthNodeJoins(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	if got := newClient().do(t, c.nodes[lead], "SET a 1"); got != "+OK" {
		t.Fatal(got)
	}
	fourth := c.nodes[c.add(filepath.Join(t.TempDir(), "n3"), freeAddr(t))]
	eventually(t, "the fourth votes", func() bool { return c.nodes[lead].votes(fourth.ID()) })
	if got := read(t, fourth, "GET a"); got != "$1\r\n1\r\n" {
		t.Errorf("read: %q", got)
	}
	if got := newClient().do(t, fourth, "INCR a"); got != ":2" {
		t.Errorf("write: %s", got)
	}
	if fourth.ClusterID() != c.nodes[lead].ClusterID() {
		t.Error("it belongs to another cluster")
	}
}

// A node that lost its disk comes back at its old address under a new id.
func TestWipedNodeComesBackAsANewOne(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	cl := newClient()
	for k := range 20 {
		cl.do(t, c.nodes[lead], fmt.Sprintf("SET k%d %d", k, k))
	}
	wiped := (lead + 1) % 3
	old := c.nodes[wiped].ID()
	c.stop(wiped)
	c.options[wiped].Dir = filepath.Join(t.TempDir(), "new")
	c.start(wiped)
	n := c.nodes[wiped]
	if n.ID() == old {
		t.Fatal("it has its old id")
	}
	eventually(t, "the new one votes", func() bool { return c.nodes[c.leader()].votes(n.ID()) })
	if got := read(t, n, "GET k19"); got != "$2\r\n19\r\n" {
		t.Errorf("read: %q", got)
	}
	if got := newClient().do(t, n, "INCR k19"); got != ":20" {
		t.Errorf("write: %s", got)
	}
	lead = c.leader()
	if err := c.nodes[lead].Forget(old); err != nil {
		t.Fatal(err)
	}
	if c.nodes[lead].votes(old) || len(c.nodes[lead].voters()) != 3 {
		t.Errorf("voters %v", c.nodes[lead].voters())
	}
	if got := newClient().do(t, n, "INCR k19"); got != ":21" {
		t.Errorf("write afterwards: %s", got)
	}
}

// Containers get new addresses, all at the same time.
func TestAllNodesMoveAtOnce(t *testing.T) {
	if raceDetector {
		t.Skip("raft v1.7.3 itself reads a peer without its lock while its address changes (updateLastAppended beside startStopReplication)")
	}
	c := newTrio(t)
	lead := c.leader()
	newClient().do(t, c.nodes[lead], "SET a 1")
	var addrs []string
	for i := range c.nodes {
		c.stop(i)
		addrs = append(addrs, freeAddr(t))
	}
	for i := range c.nodes {
		c.options[i].Bind, c.options[i].Join = addrs[i], addrs
		c.start(i)
	}
	lead = c.leader()
	for i, n := range c.nodes {
		if got := read(t, n, "GET a"); got != "$1\r\n1\r\n" {
			t.Errorf("node %d: %q", i, got)
		}
	}
	eventually(t, "the configuration has the new addresses", func() bool {
		for _, s := range c.nodes[lead].members.servers() {
			if !slices.Contains(addrs, dialAddress(s.Address)) {
				return false
			}
		}
		return true
	})
}

// Clients of no node notice a transfer but for a pause.
func TestTransferUnderLoadShowsNoError(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	var stop atomic.Bool
	var wg sync.WaitGroup
	counts := make([]int, 3)
	for i, n := range c.nodes {
		wg.Go(func() {
			for cl := newClient(); !stop.Load(); counts[i]++ {
				if got := cl.do(t, n, fmt.Sprint("INCR c", i)); got != fmt.Sprintf(":%d", counts[i]+1) {
					t.Errorf("node %d, write %d: %s", i, counts[i], got)
					return
				}
			}
		})
	}
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := c.nodes[lead].Transfer(ctx, "")
		cancel()
		if err != nil {
			t.Log("transfer:", err) // under load it may time out: no client may notice
		}
		lead = c.leader()
	}
	stop.Store(true)
	wg.Wait()
	for i := range counts {
		if got, want := read(t, c.nodes[lead], fmt.Sprint("GET c", i)), fmt.Sprintf("\r\n%d\r\n", counts[i]); !strings.HasSuffix(got, want) {
			t.Errorf("c%d is %q, want %q", i, got, want)
		}
	}
}

// A transfer to a node that is away comes to nothing: the leader leads on.
func TestTransferThatFailsLeavesTheLeader(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	n := c.nodes[lead]
	away := c.nodes[(lead+1)%3].ID()
	c.stop((lead + 1) % 3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answered := make(chan string, 1)
	go func() { answered <- newClient().do(t, n, "SET a 1") }()
	if err := n.Transfer(ctx, away); err == nil {
		t.Error("leadership went to a node that is away")
	}
	if got := <-answered; got != "+OK" {
		t.Errorf("write meanwhile: %s", got)
	}
	if got := newClient().do(t, n, "SET a 2"); got != "+OK" {
		t.Errorf("write afterwards: %s", got)
	}
	if got := read(t, n, "GET a"); got != "$1\r\n2\r\n" {
		t.Errorf("read afterwards: %q", got)
	}
}

func TestMemoryOnlyCluster(t *testing.T) {
	c := newTrioWith(t, func(o *Options) { o.Memory = true })
	lead := c.leader()
	newClient().do(t, c.nodes[lead], "SET a 1")
	restarted := (lead + 1) % 3
	old := c.nodes[restarted].ID()
	c.stop(restarted)
	c.start(restarted)
	n := c.nodes[restarted]
	if n.ID() == old {
		t.Fatal("it has its old id, and may vote twice")
	}
	if got := read(t, n, "GET a"); got != "$1\r\n1\r\n" {
		t.Errorf("read: %q", got)
	}
}

func TestBoltLogSurvivesARestart(t *testing.T) {
	c := newTrioWith(t, func(o *Options) { o.LogStore = "boltdb" })
	c.leader()
	for k := range 20 {
		if got := newClient().do(t, c.nodes[k%3], fmt.Sprintf("SET k%d %d", k, k)); got != "+OK" {
			t.Fatal(got)
		}
	}
	c.restart()
	for i, n := range c.nodes {
		if got := read(t, n, "GET k19"); got != "$2\r\n19\r\n" {
			t.Errorf("node %d: %q", i, got)
		}
	}
}

// What Close stops is stopped.
func TestCloseHandsLeadershipOver(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	n := c.nodes[lead]
	c.nodes[lead] = nil
	began := time.Now()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	c.leader()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// What a node started is gone when it has stopped.
func TestHaltLeavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		o := testNode(t, filepath.Join(t.TempDir(), "n"), freeAddr(t), nil, 0)
		n, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := newClient().do(t, n, "SET a 1"); got != "+OK" {
			t.Fatal(got)
		}
		if err := n.Halt(); err != nil {
			t.Error(err)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines more than before:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A node that was removed while it was down does not know. Started again, it is
// taken in again, as one that was removed while it ran.
//
// Its promise to found that very cluster does not keep it waiting for a founder
// whose disk is gone since: what was promised has come true.
func TestNodeRemovedWhileDownIsTakenInAgain(t *testing.T) {
	c := newTrio(t)
	lead := c.leader()
	removed := (lead + 1) % 3
	id := c.nodes[removed].ID()
	eventually(t, "it knows its cluster", func() bool { return c.nodes[removed].ClusterID() != "" })
	kept, err := json.Marshal(pledge{Founder: raft.ServerID(strings.Repeat("ab", 20)), Addr: "127.0.0.1:1", Attempt: attempt{1, 1}, List: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.nodes[removed].members.promises.store(kept); err != nil {
		t.Fatal(err)
	}
	c.stop(removed)
	if err := c.nodes[lead].Forget(id); err != nil {
		t.Fatal(err)
	}
	newClient().do(t, c.nodes[lead], "SET a 1")
	c.start(removed)
	eventually(t, "it votes again", func() bool { return c.nodes[lead].votes(id) })
	if got := read(t, c.nodes[removed], "GET a"); got != "$1\r\n1\r\n" {
		t.Errorf("read: %q", got)
	}
}
