//go:build e2e

package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// While all nodes are in one script of the log, each tells its own clients so, leader and
// followers alike. SCRIPT KILL on another node waits until the budget ends the script.
func TestBusyOnEveryNode(t *testing.T) {
	c := startCluster(t, 3, "--lua-instructions-max", "300000000", "--busy-reply-threshold", "5")
	ctx := context.Background()
	for i := range c.nodes {
		mine, killer, third := c.nodes[i].client(), c.nodes[(i+1)%3].client(), c.nodes[(i+2)%3].client()
		ended := make(chan error, 1)
		go func() { ended <- mine.Eval(ctx, `while true do end`, nil).Err() }()
		// Nodes that share a processor are in the script one after the other.
		var others sync.WaitGroup
		others.Go(func() { awaitBusy(t, third) })
		others.Go(func() {
			awaitBusy(t, killer)
			if err := killer.ScriptKill(ctx).Err(); err != nil {
				t.Errorf("node %d: SCRIPT KILL: %v", i+1, err)
			}
		})
		others.Wait()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "budget") {
			t.Errorf("node %d: the script ended with %v", i+1, err)
		}
		for _, client := range []*redis.Client{mine, killer, third} {
			err := client.Incr(ctx, "n").Err()
			for until := time.Now().Add(readyWithin); isBusy(err) && time.Now().Before(until); {
				err = client.Incr(ctx, "n").Err()
			}
			if err != nil {
				t.Errorf("node %d: afterwards: %v", i+1, err)
			}
		}
	}

	// What reads is in one node's way alone.
	ended := make(chan error, 1)
	go func() { ended <- c.nodes[0].client().EvalRO(ctx, `while true do redis.call("ping") end`, nil).Err() }()
	mine := c.nodes[0].client()
	awaitBusy(t, mine)
	if err := c.nodes[1].client().Ping(ctx).Err(); err != nil {
		t.Errorf("another node: %v", err)
	}
	if err := mine.ScriptKill(ctx).Err(); err != nil {
		t.Errorf("SCRIPT KILL: %v", err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed by user") {
		t.Errorf("the script ended with %v", err)
	}
	c.checkDigests()
}

// awaitBusy asks until a client hears that its node is busy.
func awaitBusy(t *testing.T, client *redis.Client) {
	t.Helper()
	for until := time.Now().Add(readyWithin); time.Now().Before(until); {
		if isBusy(client.Ping(context.Background()).Err()) {
			return
		}
	}
	t.Error("nobody is told that the node is busy")
}

func isBusy(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "BUSY ") }
