//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// info returns a number of INFO.
func (n *testNode) info(t *testing.T, section, name string) int64 {
	t.Helper()
	text, err := n.client().Info(testContext(t), section).Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "\r\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return number
}

// TestEviction loads a cluster with several times what maxmemory lets it hold, through all
// nodes, kills the leader twice meanwhile, and goes through policies: use stays near the
// limit on all nodes, and their states are the same.
func TestEviction(t *testing.T) {
	const limit = 4 << 20
	c := startCluster(t, 3, "--maxmemory", fmt.Sprint(limit), "--maxmemory-policy", "allkeys-lru")
	for i, policy := range []string{"allkeys-lru", "volatile-ttl", "allkeys-lfu", "volatile-random"} {
		if err := c.leader().client().ConfigSet(testContext(t), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
		written := c.flood(t, 3*limit, i%2 == 0)
		c.waitReady()
		for _, n := range c.nodes {
			eventually(t, 5*time.Second, "use within the limit", func() error {
				used := n.info(t, "memory", "used_memory") - n.info(t, "memory", "mem_not_counted_for_evict")
				if used > limit*102/100 || used < limit/2 {
					return fmt.Errorf("%s: %d are used on node %d", policy, used, n.number)
				}
				return nil
			})
		}
		c.checkDigests()
		t.Logf("%s: %d bytes written; evicted keys on the nodes: %d %d %d", policy, written,
			c.nodes[0].info(t, "stats", "evicted_keys"), c.nodes[1].info(t, "stats", "evicted_keys"), c.nodes[2].info(t, "stats", "evicted_keys"))
	}
	ctx := testContext(t)
	if err := c.nodes[0].client().ConfigSet(ctx, "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.nodes[0].client().ConfigSet(ctx, "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		if err := n.client().Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM ") {
			t.Errorf("SET on node %d with memory short: %v", n.number, err)
		}
	}
}

// flood writes so many bytes through all nodes, and kills the leader in the middle if told
// to.
func (c *testCluster) flood(t *testing.T, bytes int64, kill bool) int64 {
	t.Helper()
	ctx := testContext(t)
	var written atomic.Int64
	var wg sync.WaitGroup
	half := make(chan struct{})
	var once sync.Once
	for i, n := range c.nodes {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), uint64(bytes)))
			for written.Load() < bytes && ctx.Err() == nil {
				size := 0
				_, err := n.client().Pipelined(ctx, func(p redis.Pipeliner) error {
					for range 50 {
						value := strings.Repeat("x", r.IntN(400))
						size += len(value)
						p.Set(ctx, fmt.Sprint("key:", r.IntN(1_000_000)), value, time.Duration(1000+r.IntN(1000))*time.Second)
					}
					return nil
				})
				if err != nil { // its node is being killed
					awaitOr(ctx, 50*time.Millisecond)
					continue
				}
				if written.Add(int64(size)) > bytes/2 {
					once.Do(func() { close(half) })
				}
			}
		})
	}
	if kill {
		select {
		case <-half:
		case <-ctx.Done():
		}
		leader := c.leader()
		leader.kill()
		leader.start()
	}
	wg.Wait()
	return written.Load()
}

// awaitOr waits a while, or until ctx ends.
func awaitOr(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
