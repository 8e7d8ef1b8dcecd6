//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/cluster"
)

// upgradeFrom is the revision whose binary the cluster is upgraded from: the last
// one without semantic versions. QUORATE_UPGRADE_FROM names another.
const upgradeFrom = "5424c58"

// buildOld builds quorate as it was at the older revision.
func buildOld(t *testing.T) string {
	t.Helper()
	revision := upgradeFrom
	if named := os.Getenv("QUORATE_UPGRADE_FROM"); named != "" {
		revision = named
	}
	dir := t.TempDir()
	archive := exec.Command("git", "archive", revision)
	archive.Dir = root
	files, err := archive.Output()
	if err != nil {
		t.Skipf("revision %s is not here: %v", revision, err)
	}
	unpack := exec.Command("tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(files)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	old := filepath.Join(dir, "quorate-old")
	build := exec.Command("go", "build", "-o", old, "./cmd/quorate")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build of %s: %v\n%s", revision, err, out)
	}
	return old
}

// startAs starts the node as another release, with directives that its own does
// not have left out.
func (n *testNode) startAs(release string, extra ...string) {
	n.t.Helper()
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	n.run(exec.Command(release, append(append([]string{}, n.args...), extra...)...), log)
}

// roll stops one node after the other and starts it as another release. Each loads
// what the one before has saved.
func roll(t *testing.T, c *testCluster, release string, extra ...string) {
	t.Helper()
	for _, n := range c.nodes {
		exercise(t, c)
		if err := n.client().Save(t.Context()).Err(); err != nil {
			t.Fatalf("node %d: SAVE: %v", n.number, err)
		}
		n.terminate()
		n.startAs(release, extra...)
		c.waitReady()
		exerciseNew(t, c)
	}
	exercise(t, c)
	c.checkDigests()
}

// exercise writes and reads by way of every node.
func exercise(t *testing.T, c *testCluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, n := range c.nodes {
		client := n.client()
		before := must[int64](t, "DBSIZE")(client.DBSize(ctx).Result())
		key := fmt.Sprintf("key:%d:%d", n.number, before)
		must[int64](t, "HSET")(client.HSet(ctx, key, "f", n.number, "g", before).Result())
		must[int64](t, "INCR")(client.Incr(ctx, "count").Result())
		must[string](t, "XADD")(client.Do(ctx, "XADD", "stream", "MAXLEN", "~", "100", "*", "f", key).Text())
		must[int64](t, "SADD")(client.SAdd(ctx, "set", key).Result())
		must[bool](t, "EXPIRE")(client.Expire(ctx, key, time.Hour).Result())
		for _, other := range c.nodes {
			if got := must[string](t, "HGET")(other.client().HGet(ctx, key, "f").Result()); got != fmt.Sprint(n.number) {
				t.Fatalf("node %d says %q", other.number, got)
			}
		}
	}
}

// exerciseNew tries what the older release does not have: no node lets it into the
// log, and what a script hears of it is the same on all, for it writes that down.
func exerciseNew(t *testing.T, c *testCluster) {
	t.Helper()
	for _, n := range c.nodes {
		for _, args := range [][]any{{"PFADD", "new", "x"}, {"GEOADD", "new", 1, 2, "x"}} {
			if got, err := n.client().Do(t.Context(), args...).Result(); err == nil || !strings.HasPrefix(err.Error(), "ERR ") {
				t.Errorf("node %d: %v: %v, %v", n.number, args, got, err)
			}
			script := "redis.call('RPUSH', KEYS[1], redis.pcall(unpack(ARGV)).err)"
			if err := n.client().Do(t.Context(), append([]any{"EVAL", script, 1, "heard"}, args...)...).Err(); err != nil && err != redis.Nil {
				t.Errorf("node %d: EVAL of %v: %v", n.number, args, err)
			}
		}
	}
}

// semantic returns the semantic version in force, as a node tells.
func semantic(t *testing.T, n *testNode) uint16 {
	t.Helper()
	r, err := n.report()
	if err != nil {
		t.Fatal(err)
	}
	return r.Semantic
}

// A cluster is upgraded node by node, goes back, and goes on again; then the
// semantic version rises, and the older release is refused.
func TestRollingUpgradeBackAndForth(t *testing.T) {
	old := buildOld(t)
	c := newCluster(t, 3)
	for _, n := range c.nodes {
		n.startAs(old)
	}
	c.waitReady()
	roll(t, c, binary, "--cluster-version-raise", "no")
	if got := semantic(t, c.nodes[0]); got != 1 {
		t.Fatalf("the semantic version is %d although it is held back", got)
	}
	roll(t, c, old)
	roll(t, c, binary, "--cluster-version-raise", "no", "--cluster-version-raise-delay", "0")
	for _, n := range c.nodes {
		must[string](t, "CONFIG SET")(n.client().ConfigSet(t.Context(), "cluster-version-raise", "auto").Result())
	}
	eventually(t, readyWithin, "the semantic version rises", func() error {
		for _, n := range c.nodes {
			if r, err := n.report(); err != nil || r.Semantic != cluster.SemanticMax {
				return fmt.Errorf("node %d: %+v, %v", n.number, r, err)
			}
		}
		return nil
	})
	exercise(t, c)
	must[int64](t, "PFADD")(c.nodes[0].client().Do(t.Context(), "PFADD", "new", "x").Int64())
	c.checkDigests()

	n := c.nodes[0]
	n.terminate()
	exercise(t, &testCluster{t: t, nodes: c.nodes[1:]})
	n.startAs(old)
	eventually(t, readyWithin, "the older release ends", func() error {
		if n.running() {
			return fmt.Errorf("it runs")
		}
		return nil
	})
	if code := n.exitCode(); code == 0 || !strings.Contains(n.log(), "upgrade this node") {
		t.Errorf("it ended with %d and did not say what to do", code)
	}
	n.startAs(binary)
	c.waitReady()
	exercise(t, c)
	c.checkDigests()
}
