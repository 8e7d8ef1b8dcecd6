//go:build e2e || compose

package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A user who is made on one node is one on the others once that is acknowledged; users
// outlive restarts and come with snapshots; changes reach the connections of every node.
func TestUsersAreTheClusters(t *testing.T) {
	ctx := context.Background()
	c := startCluster(t, 3)
	admin := c.nodes[0].client()
	do := func(client *redis.Client, args ...any) error { return client.Do(ctx, args...).Err() }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	as := func(n *testNode, password string) *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: n.addr(), Username: "alice", Password: password, MaxRetries: -1, PoolSize: 1, DisableIdentity: true})
		t.Cleanup(func() { client.Close() })
		return client
	}
	for i := range 20 {
		password := strings.Repeat("x", i+1)
		must(do(admin, "ACL", "SETUSER", "alice", "reset", "on", ">"+password, "~a:*", "+@all", "-flushall"))
		for _, n := range c.nodes {
			must(do(as(n, password), "SET", "a:1", password))
		}
	}
	password := strings.Repeat("x", 20)
	check := func(when string) {
		t.Helper()
		for _, n := range c.nodes {
			alice := as(n, password)
			must(do(alice, "SET", "a:1", "v"))
			for _, call := range [][]any{{"SET", "b", "v"}, {"FLUSHALL"}, {"EVAL", "return redis.call('set', 'b', 'v')", 0}} {
				if err := do(alice, call...); err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "The user executing the script") {
					t.Errorf("%s, node %d: %v: %v", when, n.number, call, err)
				}
			}
		}
	}
	check("at first")
	for _, n := range c.nodes {
		n.kill()
	}
	for _, n := range c.nodes {
		n.start()
	}
	c.waitReady()
	check("after a restart")
	must(do(c.nodes[1].client(), "SAVE"))
	for _, n := range c.nodes {
		n.terminate()
		n.start()
		c.waitReady()
	}
	check("with a snapshot")
	listener := as(c.nodes[2], password)
	pinned := listener.Conn()
	must(pinned.Ping(ctx).Err())
	must(do(c.nodes[1].client(), "ACL", "DELUSER", "alice"))
	eventually(t, readyWithin, "the connection of a deleted user ends", func() error {
		if pinned.Ping(ctx).Err() != nil {
			return nil
		}
		return errStillThere
	})
	c.checkDigests()
}

var errStillThere = errors.New("it is served")
