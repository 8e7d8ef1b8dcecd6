//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// consumers take elements of a list, and note who got what.
type consumers struct {
	mu     sync.Mutex
	got    map[string]int // guarded by mu; how often each element came
	failed []string       // guarded by mu
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// consume has so many clients of each node wait for elements of a list.
func consume(ctx context.Context, each int, nodes ...*testNode) *consumers {
	c := &consumers{got: make(map[string]int)}
	ctx, c.stop = context.WithCancel(ctx)
	for _, n := range nodes {
		client := n.client()
		for range each {
			c.done.Go(func() {
				for ctx.Err() == nil {
					c.note(client.Do(ctx, "BLPOP", "queue", "0.5").Slice())
				}
			})
		}
	}
	return c
}

func (c *consumers) note(reply []any, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.got[fmt.Sprint(reply[1])]++
	case strings.Contains(err.Error(), "nil") || strings.Contains(err.Error(), "context"): // its time was up, or the test's is
	default:
		c.failed = append(c.failed, err.Error())
	}
}

func (c *consumers) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

// TestLeaderKilledBeneathWaitingClients: clients of the other nodes wait on, without an
// error, and each element goes to one of them, once.
func TestLeaderKilledBeneathWaitingClients(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	for round := range 3 {
		leader := c.leader()
		others := c.others(leader)
		taken := consume(ctx, 8, others...)
		pusher := others[0].client()
		const elements = 200
		for i := range elements {
			if i == elements/4 {
				leader.kill()
			}
			if err := pusher.RPush(ctx, "queue", fmt.Sprintf("%d-%d", round, i)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 20*time.Second, "all are taken", func() error {
			if n := taken.len(); n < elements {
				return fmt.Errorf("%d of %d", n, elements)
			}
			return nil
		})
		leader.start()
		leader.waitReady()
		taken.stop()
		taken.done.Wait()
		for element, n := range taken.got {
			if n != 1 {
				t.Errorf("%s came %d times", element, n)
			}
		}
		if len(taken.failed) > 0 {
			t.Errorf("%d errors: %.200s", len(taken.failed), taken.failed[0])
		}
	}
	c.checkDigests()
}

// TestNodeKilledBeneathItsWaitingClients: what waits in its name is given nothing more
// once the node is retired.
func TestNodeKilledBeneathItsWaitingClients(t *testing.T) {
	c := startCluster(t, 3, "--retire-after", "1000")
	ctx := testContext(t)
	leader := c.leader()
	victim := c.others(leader)[0]
	taken := consume(ctx, 4, victim)
	eventually(t, 20*time.Second, "they wait", func() error {
		if info := leader.client().Info(ctx).Err(); info != nil {
			return info
		}
		if info := victim.client().Info(ctx, "clients").Val(); !strings.Contains(info, "blocked_clients:4") {
			return fmt.Errorf("%.100s", info)
		}
		return nil
	})
	victim.kill()
	taken.stop()
	taken.done.Wait()
	client := leader.client()
	eventually(t, 20*time.Second, "the node is retired", func() error {
		if n := client.RPush(ctx, "queue", "x").Val(); n == 0 {
			return fmt.Errorf("an element was not pushed")
		}
		if client.LLen(ctx, "queue").Val() == 0 {
			return fmt.Errorf("an element was given to who is gone")
		}
		return nil
	})
}
