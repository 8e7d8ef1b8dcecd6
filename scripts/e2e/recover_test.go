//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestLostMajority destroys the disks of two nodes of three. The third becomes
// a cluster of one with all its data and the cluster's id, and two fresh nodes
// come in.
func TestLostMajority(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	for i := range 500 {
		must[string](t, "SET")(c.nodes[0].client().Set(ctx, fmt.Sprintf("k%d", i), i, 0).Result())
	}
	c.checkDigests() // all three have everything
	survivor := c.others(c.leader())[0]
	before, err := survivor.report()
	if err != nil {
		t.Fatal(err)
	}
	id := before.Self
	command := func(own ...string) []string {
		return slices.Concat([]string{"cluster", "recover"}, own, survivor.args[1:])
	}
	if out, code := quorate(command("--confirm", id)...); code != 1 || !strings.Contains(out, "in use by another process") {
		t.Errorf("recover of a node that runs: exit code %d, %q", code, out)
	}
	for _, n := range c.nodes {
		n.kill()
	}
	lost := c.others(survivor)
	for _, n := range lost {
		if err := os.RemoveAll(n.dir); err != nil {
			t.Fatal(err)
		}
	}
	out, code := quorate(command("--inspect")...)
	if code != 0 || !strings.Contains(out, id) || !strings.Contains(out, before.ClusterID) {
		t.Errorf("inspect: exit code %d, %s", code, out)
	}
	if out, code := quorate(command("--confirm", strings.Repeat("0", 40))...); code != 1 {
		t.Errorf("recover of another node's id: exit code %d, %s", code, out)
	}
	if out, code := quorate(command("--confirm", id)...); code != 0 {
		t.Fatalf("recover: exit code %d, %s", code, out)
	}
	survivor.start()
	survivor.waitReady()
	for i := range 500 {
		key := fmt.Sprintf("k%d", i)
		if got := must[string](t, "GET")(survivor.client().Get(ctx, key).Result()); got != fmt.Sprint(i) {
			t.Fatalf("GET %s: %q", key, got)
		}
	}
	for _, n := range lost {
		n.start()
		n.waitReady()
		awaitVoter(t, survivor, selfID(t, n))
	}
	after, err := survivor.report()
	if err != nil {
		t.Fatal(err)
	}
	if after.ClusterID != before.ClusterID || after.Self != id || len(after.Members) != 3 {
		t.Errorf("cluster %s with %d members seen by %s; before it was %s, and the node %s", after.ClusterID, len(after.Members), after.Self, before.ClusterID, id)
	}
	survivor.kill() // the two new ones are a majority
	must[int64](t, "INCR")(lost[0].client().Incr(ctx, "after").Result())
	survivor.start()
	c.waitReady()
	c.checkDigests()
}
