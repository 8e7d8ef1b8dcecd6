//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestFourthNode takes a node in: it learns first, then it votes.
func TestFourthNode(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	for i := range 100 {
		must[string](t, "SET")(c.nodes[0].client().Set(ctx, fmt.Sprintf("k%d", i), i, 0).Result())
	}
	fourth := c.add()
	fourth.args = append(fourth.args, "--join", c.nodes[1].clusterAddr())
	fourth.start()
	fourth.waitReady()
	id := selfID(t, fourth)
	awaitVoter(t, c.nodes[0], id)
	log := ""
	for _, n := range c.nodes {
		log += n.log()
	}
	taken, promoted := strings.Index(log, "taking a node in"), strings.Index(log, "becomes a voter")
	if taken < 0 || promoted < 0 {
		t.Errorf("the leader's log tells of no member that was taken in (%d) and promoted (%d)", taken, promoted)
	}
	if got := must[string](t, "GET")(fourth.client().Get(ctx, "k42").Result()); got != "42" {
		t.Errorf("GET on the fourth node: %q", got)
	}
	// Four voters stand the loss of one.
	leader := c.leader()
	leader.kill()
	for _, n := range c.running() {
		must[int64](t, "INCR")(n.client().Incr(ctx, "after").Result())
	}
	c.checkDigests()
}

// TestNewAddress restarts a node with another node-to-node port: it is the
// same member.
func TestNewAddress(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	moved := c.others(c.leader())[0]
	id := selfID(t, moved)
	moved.terminate()
	must[string](t, "SET")(c.leader().client().Set(ctx, "while away", 1, 0).Result())
	moved.cluster = freePort(t) + clusterPort
	moved.args = append(moved.args, "--cluster-port", strconv.Itoa(moved.cluster))
	moved.start()
	moved.waitReady()
	c.checkDigests()
	if now := selfID(t, moved); now != id {
		t.Errorf("the node was %s and is %s", id, now)
	}
	// The others find it there: with one of them gone it makes the majority.
	c.others(moved)[0].kill()
	must[int64](t, "INCR")(moved.client().Incr(ctx, "count").Result())
	c.checkDigests()
}

// TestMemoryOnly kills a node of a cluster that keeps nothing on disk: it comes
// back as a new member and has everything.
func TestMemoryOnly(t *testing.T) {
	c := startCluster(t, 3, "--appendonly", "no")
	ctx := testContext(t)
	leader := c.leader()
	for i := range 200 {
		must[string](t, "SET")(leader.client().Set(ctx, fmt.Sprintf("k%d", i), i, 0).Result())
	}
	before := selfID(t, leader)
	leader.kill()
	survivor := c.others(leader)[0]
	must[int64](t, "INCR")(survivor.client().Incr(ctx, "count").Result())
	leader.start()
	leader.waitReady()
	after := selfID(t, leader)
	if before == after {
		t.Errorf("a node without a disk came back under its old id %s", before)
	}
	awaitVoter(t, survivor, after)
	if got := must[string](t, "GET")(leader.client().Get(ctx, "k199").Result()); got != "199" {
		t.Errorf("GET on the new member: %q", got)
	}
	c.checkDigests()
	if info := must[string](t, "INFO")(leader.client().Info(ctx, "persistence").Result()); !strings.Contains(info, "acknowledged_write:in_the_memory_of_a_majority") {
		t.Errorf("INFO persistence does not say what an OK means:\n%s", info)
	}
	for _, name := range []string{"log", "stable.db", "dump.rdb"} {
		if _, err := os.Stat(filepath.Join(leader.dir, name)); err == nil {
			t.Errorf("a memory-only node wrote %s", name)
		}
	}
}

// TestOneNode: a node that is told of no others is a cluster, and a restart
// finds what it held.
func TestOneNode(t *testing.T) {
	n := newNode(t, 1)
	n.start()
	n.waitReady()
	ctx := context.Background()
	must[string](t, "SET")(n.client().Set(ctx, "k", "v", 0).Result())
	n.kill()
	n.start()
	n.waitReady()
	if got := must[string](t, "GET")(n.client().Get(ctx, "k").Result()); got != "v" {
		t.Errorf("GET after a restart: %q", got)
	}
	n.terminate()
	if code := n.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestForeignDirectory starts a node of one cluster in the place of another's:
// it is refused, and told how to get in.
func TestForeignDirectory(t *testing.T) {
	c := startCluster(t, 3)
	lone := newNode(t, 9)
	lone.start()
	lone.waitReady()
	must[string](t, "SET")(lone.client().Set(t.Context(), "theirs", 1, 0).Result())
	lone.terminate()

	stranger := c.others(c.leader())[0]
	before := selfID(t, c.leader())
	stranger.terminate()
	if err := os.Rename(stranger.dir, stranger.dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(lone.dir, stranger.dir); err != nil {
		t.Fatal(err)
	}
	stranger.start()
	if code := stranger.exitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	log := stranger.log()
	for _, word := range []string{"another cluster", stranger.dir} {
		if !strings.Contains(log[strings.LastIndex(log, "---"):], word) {
			t.Errorf("the refusal does not say %q", word)
		}
	}
	for _, n := range c.running() {
		if keys := must[[]string](t, "KEYS")(n.client().Keys(t.Context(), "*").Result()); slices.Contains(keys, "theirs") {
			t.Errorf("node %d has the stranger's keys", n.number)
		}
	}
	if now := selfID(t, c.leader()); now != before {
		t.Errorf("leadership went from %s to %s", before, now)
	}
	c.checkDigests()
}
