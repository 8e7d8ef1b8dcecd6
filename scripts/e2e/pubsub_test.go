//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestPubSub publishes on all nodes for subscribers on all nodes.
func TestPubSub(t *testing.T) {
	c := startCluster(t, 3)
	t.Run("order of a publisher", func(t *testing.T) { publishersInOrder(t, c) })
	t.Run("receivers are counted on all nodes", func(t *testing.T) { receiversCounted(t, c) })
	t.Run("a message is not ahead of its write", func(t *testing.T) { causalRule(t, c) })
	t.Run("inside transactions and scripts", func(t *testing.T) { publishedByApply(t, c) })
	c.checkDigests()
}

// publishersInOrder: each subscriber gets the messages of each publisher in
// the order in which they were sent, whole.
func publishersInOrder(t *testing.T, c *testCluster) {
	const messages = 300
	ctx := testContext(t)
	var wg sync.WaitGroup
	for _, n := range c.nodes {
		sub := n.client().Subscribe(ctx, "orderly")
		defer sub.Close()
		must[any](t, "SUBSCRIBE")(sub.Receive(ctx))
		wg.Go(func() {
			next := make(map[string]int)
			for got := 0; got < messages*len(c.nodes); {
				m, err := sub.ReceiveMessage(ctx)
				if err != nil {
					t.Errorf("subscriber of node %d, after %d messages: %v", n.number, got, err)
					return
				}
				if m.Payload == probe {
					continue
				}
				from, number, _ := strings.Cut(m.Payload, ":")
				if number != strconv.Itoa(next[from]) {
					t.Errorf("subscriber of node %d got %s after %d of that publisher", n.number, m.Payload, next[from])
					return
				}
				next[from]++
				got++
			}
		})
	}
	for _, n := range c.nodes {
		awaitReceivers(t, ctx, n.client(), "orderly", int64(len(c.nodes)))
	}
	for _, n := range c.nodes {
		client := n.client()
		wg.Go(func() {
			for i := range messages {
				if err := client.Publish(ctx, "orderly", fmt.Sprintf("%d:%d", n.number, i)).Err(); err != nil {
					t.Errorf("PUBLISH on node %d: %v", n.number, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func receiversCounted(t *testing.T, c *testCluster) {
	ctx := testContext(t)
	for i, n := range c.nodes {
		sub := n.client().Subscribe(ctx, "counted")
		defer sub.Close()
		must[any](t, "SUBSCRIBE")(sub.Receive(ctx))
		pattern := n.client().PSubscribe(ctx, "count*")
		defer pattern.Close()
		must[any](t, "PSUBSCRIBE")(pattern.Receive(ctx))
		for _, publisher := range c.nodes {
			awaitReceivers(t, ctx, publisher.client(), "counted", int64(2*(i+1)))
		}
	}
	for _, n := range c.nodes {
		if got := must[[]string](t, "PUBSUB CHANNELS")(n.client().PubSubChannels(ctx, "counted").Result()); len(got) != 1 {
			t.Errorf("PUBSUB CHANNELS on node %d: %v", n.number, got)
		}
		if got := must[map[string]int64](t, "PUBSUB NUMSUB")(n.client().PubSubNumSub(ctx, "counted").Result())["counted"]; got != 3 {
			t.Errorf("PUBSUB NUMSUB on node %d: %d", n.number, got)
		}
	}
}

// causalRule: who gets a message about a write and then reads, on whatever
// node the subscriber is and however stale its reads may be, sees the write.
func causalRule(t *testing.T, c *testCluster) {
	ctx := testContext(t)
	for i, n := range c.nodes {
		publisher, there := n.client(), c.nodes[(i+1)%len(c.nodes)]
		sub := there.client().Subscribe(ctx, "written")
		defer sub.Close()
		must[any](t, "SUBSCRIBE")(sub.Receive(ctx))
		awaitReceivers(t, ctx, publisher, "written", 1)
		reader := there.client().Conn()
		defer reader.Close()
		// A local read asks nobody: it shows what the node has applied.
		must[any](t, "CLIENT CONSISTENCY")(reader.Do(ctx, "CLIENT", "CONSISTENCY", "stale").Result())
		for round := 1; round <= 200; round++ {
			must[string](t, "SET")(publisher.Set(ctx, "causal", round, 0).Result())
			must[int64](t, "PUBLISH")(publisher.Publish(ctx, "written", round).Result())
			payload := probe
			for payload == probe {
				m, err := sub.ReceiveMessage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				payload = m.Payload
			}
			if got := must[string](t, "GET")(reader.Get(ctx, "causal").Result()); got != payload {
				t.Fatalf("node %d: the message says %s, and its read %s", there.number, payload, got)
			}
		}
		sub.Close()
		awaitReceivers(t, ctx, publisher, "written", 0)
	}
}

// publishedByApply: what a transaction or a script publishes, every node
// delivers to its own subscribers.
func publishedByApply(t *testing.T, c *testCluster) {
	ctx := testContext(t)
	publisher := c.nodes[0].client()
	for _, n := range c.nodes {
		sub := n.client().Subscribe(ctx, "applied")
		defer sub.Close()
		must[any](t, "SUBSCRIBE")(sub.Receive(ctx))
		tx := publisher.TxPipeline()
		tx.Incr(ctx, "applied:count")
		// Numbered: a node that lags applies the last round's after this
		// subscription.
		texts := []string{fmt.Sprintf("by transaction %d", n.number), fmt.Sprintf("by script %d", n.number)}
		tx.Publish(ctx, "applied", texts[0])
		if _, err := tx.Exec(ctx); err != nil {
			t.Fatalf("MULTI, PUBLISH, EXEC: %v", err)
		}
		if err := publisher.Eval(ctx, `return redis.call("PUBLISH", KEYS[1], ARGV[1])`, []string{"applied"}, texts[1]).Err(); err != nil {
			t.Fatalf("EVAL PUBLISH: %v", err)
		}
		for len(texts) > 0 {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				t.Fatalf("subscriber of node %d: %v; want %q", n.number, err, texts)
			}
			if !strings.HasSuffix(m.Payload, strconv.Itoa(n.number)) {
				continue
			}
			if m.Payload != texts[0] {
				t.Fatalf("subscriber of node %d: %q; want %q", n.number, m.Payload, texts)
			}
			texts = texts[1:]
		}
	}
}
