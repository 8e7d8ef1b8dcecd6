//go:build e2e

package nemesis

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

var positions = flag.Int("positions", 200, "how many damages of files are tried")

// TestFiles damages the files of a stopped node, one position after the other,
// and starts it beside two others that live: it must refuse, or come up with what
// the others hold. At the end the node is replaced, and nothing is missing.
//
// The node begins each time from a copy of what it held when it was stopped. It
// must not take a client's write meanwhile: its life is the same one again and
// again.
func TestFiles(t *testing.T) {
	c := begun(t, Options{Nodes: 3, Dir: t.TempDir(), Args: []string{"--log-snapshot-bytes", "1mb", "--log-keep-bytes", "1mb"}})
	ctx := context.Background()
	write(t, c, 0, 400)
	n := victim(t, c)
	save(t, n)
	write(t, c, 400, 800)
	settled(t, c)
	if err := n.terminate(); err != nil {
		t.Fatal(err)
	}
	digest, err := c.others(n)[0].digest()
	if err != nil {
		t.Fatal(err)
	}
	template := n.dir + "-template"
	if err := os.CopyFS(template, os.DirFS(n.dir)); err != nil {
		t.Fatal(err)
	}
	all, err := damages(n.dir, *positions, rand.New(rand.NewPCG(uint64(chosenSeed(t)), 0)))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[verdict]int)
	for _, d := range all {
		if err := d.do(n.dir); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		v, words, err := c.judge(ctx, n, digest)
		if err != nil {
			t.Fatal(err)
		}
		counts[v]++
		if v == wrong || v == silent || v == detected && !saysWayOut(words) {
			t.Errorf("%s: %s: %s", d, v, words)
		} else {
			t.Logf("%s: %s: %s", d, v, words)
		}
		n.kill()
		if err := n.wipe(); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(n.dir, os.DirFS(template)); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("%d damages: %d detected, %d repaired or harmless, %d wrong, %d without an answer\n",
		len(all), counts[detected], counts[repaired], counts[wrong], counts[silent])
	if err := n.wipe(); err != nil {
		t.Fatal(err)
	}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	wctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := c.awaitWhole(wctx); err != nil {
		t.Fatal(err)
	}
	if got := settled(t, c); got != digest {
		t.Errorf("the digest was %s and is %s", digest, got)
	}
}

// saysWayOut reports whether a node's last words are an error of its own, not a
// crash.
func saysWayOut(words string) bool {
	for _, crash := range []string{"panic", "SIGSEGV", "goroutine ", "signal:"} {
		if strings.Contains(words, crash) {
			return false
		}
	}
	return true
}

// write writes keys of all sizes.
func write(t *testing.T, c *Cluster, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		value := make([]byte, 10+i%97*20)
		for j := range value {
			value[j] = byte('a' + (i+j)%26)
		}
		if _, err := ask(c.nodes[i%2].addr(), 10*time.Second, "SET", fmt.Sprint("k", i), string(value)); err != nil {
			t.Fatal(err)
		}
	}
}

// victim returns a follower that is not asked for anything else.
func victim(t *testing.T, c *Cluster) *node {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	leader, err := c.leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c.others(leader)[0]
}

// settled waits until all nodes have one digest, and returns it.
func settled(t *testing.T, c *Cluster) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	first := ""
	if err := eventually(ctx, func() error {
		first = ""
		for _, n := range c.nodes {
			d, err := n.digest()
			if err != nil {
				return err
			}
			if first == "" {
				first = d
			}
			if d != first {
				return fmt.Errorf("node %d has digest %s, another %s", n.number, d, first)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return first
}

// save writes a snapshot of n, which may be at one of its own.
func save(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := eventually(ctx, func() error {
		_, err := ask(n.addr(), 10*time.Second, "SAVE")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
