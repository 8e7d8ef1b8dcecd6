//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// load is clients at work, each with a connection of its own that resends
// nothing. Client i counts in the key count:i, so that a reply alone shows a
// lost or doubled INCR, and pushes values that occur once onto one list.
type load struct {
	t       *testing.T
	clients []*loadClient
	stop    chan struct{}
	wg      sync.WaitGroup
	// forgiving clients go on after an error, as those of killed nodes must.
	forgiving bool
}

type loadClient struct {
	number int

	mu     sync.Mutex
	count  int64         // guarded by mu; the newest reply to INCR
	pushed []string      // guarded by mu; values whose LPUSH was acknowledged
	doubt  int           // guarded by mu; commands that may have been applied all the same
	done   int           // guarded by mu; commands acknowledged
	gap    time.Duration // guarded by mu; the longest wait for a reply since resetGap
	failed error         // guarded by mu
	errs   []error       // guarded by mu; what a forgiving client got over
}

const pushList = "pushed"

func newLoad(t *testing.T, clients int) *load {
	l := &load{t: t}
	for i := range clients {
		l.clients = append(l.clients, &loadClient{number: i})
	}
	return l
}

// begin sets the clients to work on the nodes, one after the other.
func (l *load) begin(nodes ...*testNode) {
	l.stop = make(chan struct{})
	for i, c := range l.clients {
		client := redis.NewClient(&redis.Options{
			Addr: nodes[i%len(nodes)].addr(), MaxRetries: -1, PoolSize: 1, ReadTimeout: 20 * time.Second, DialTimeout: time.Second,
		})
		l.wg.Go(func() {
			defer client.Close()
			c.work(client, l.stop, l.forgiving)
		})
	}
}

// end waits until the clients have stopped, each after its command in flight.
func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

func (c *loadClient) work(client *redis.Client, stop chan struct{}, forgiving bool) {
	ctx := context.Background()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		began := time.Now()
		var err error
		if i%2 == 0 {
			err = c.increment(ctx, client)
		} else {
			err = c.push(ctx, client, i)
		}
		c.mu.Lock()
		c.gap = max(c.gap, time.Since(began))
		if err == nil {
			c.done++
		} else {
			c.errs = append(c.errs, err)
			if !strings.Contains(err.Error(), "CLUSTERDOWN") {
				c.doubt++
			}
			if !forgiving {
				c.failed = err
			}
		}
		c.mu.Unlock()
		switch {
		case err != nil && !forgiving:
			return
		case err != nil:
			time.Sleep(5 * time.Millisecond) // its node is dead: don't spin
		}
	}
}

func (c *loadClient) increment(ctx context.Context, client *redis.Client) error {
	n, err := client.Incr(ctx, fmt.Sprintf("count:%d", c.number)).Result()
	if err != nil {
		return fmt.Errorf("client %d: INCR: %w", c.number, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What is in doubt may have been counted.
	if n <= c.count || n > c.count+1+int64(c.doubt) {
		return fmt.Errorf("client %d: INCR after %d gave %d", c.number, c.count, n)
	}
	c.count = n
	return nil
}

func (c *loadClient) push(ctx context.Context, client *redis.Client, i int) error {
	c.mu.Lock()
	value := fmt.Sprintf("%d-%d-%d", c.number, c.done, i)
	c.mu.Unlock()
	if err := client.LPush(ctx, pushList, value).Err(); err != nil {
		return fmt.Errorf("client %d: LPUSH: %w", c.number, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushed = append(c.pushed, value)
	return nil
}

// done returns the commands acknowledged so far by each client.
func (l *load) done() []int {
	var all []int
	for _, c := range l.clients {
		c.mu.Lock()
		all = append(all, c.done)
		c.mu.Unlock()
	}
	return all
}

// awaitProgress waits until every client has had more commands acknowledged.
func (l *load) awaitProgress(more int) {
	l.t.Helper()
	from := l.done()
	eventually(l.t, 30*time.Second, "clients go on", func() error {
		if err := l.err(); err != nil {
			l.t.Fatal(err)
		}
		for i, n := range l.done() {
			if n < from[i]+more {
				return fmt.Errorf("client %d: %d commands since", i, n-from[i])
			}
		}
		return nil
	})
}

// takeGap returns the longest wait of a client since the last call.
func (l *load) takeGap() time.Duration {
	var longest time.Duration
	for _, c := range l.clients {
		c.mu.Lock()
		longest, c.gap = max(longest, c.gap), 0
		c.mu.Unlock()
	}
	return longest
}

func (l *load) err() error {
	for _, c := range l.clients {
		c.mu.Lock()
		err := c.failed
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// check compares what the node holds with what was acknowledged: nothing is
// lost, nothing is there twice, and what is there was sent.
func (l *load) check(n *testNode) {
	l.t.Helper()
	ctx, client := l.t.Context(), n.client()
	found := make(map[string]int)
	for _, v := range must[[]string](l.t, "LRANGE")(client.LRange(ctx, pushList, 0, -1).Result()) {
		found[v]++
	}
	lost, doubled, doubt, total := 0, 0, 0, len(found)
	for _, times := range found {
		if times > 1 {
			doubled++
		}
	}
	for _, c := range l.clients {
		doubt += c.doubt
		for _, v := range c.pushed {
			if found[v] == 0 {
				lost++
			}
			delete(found, v)
		}
		got := must[int64](l.t, "GET")(client.Get(ctx, fmt.Sprintf("count:%d", c.number)).Int64())
		if got < c.count || got > c.count+int64(c.doubt) {
			l.t.Errorf("node %d: client %d was told %d, and the counter is %d; %d commands in doubt", n.number, c.number, c.count, got, c.doubt)
		}
	}
	if lost > 0 || doubled > 0 || len(found) > doubt {
		l.t.Errorf("node %d: %d pushes, %d lost, %d doubled, %d not acknowledged of %d in doubt", n.number, total, lost, doubled, len(found), doubt)
	}
}

// total describes the work done.
func (l *load) total() string {
	sum := 0
	for _, n := range l.done() {
		sum += n
	}
	return fmt.Sprintf("%d commands acknowledged", sum)
}

func milliseconds(all []time.Duration) string {
	var words []string
	for _, d := range all {
		words = append(words, fmt.Sprint(d.Milliseconds()))
	}
	return strings.Join(words, " ") + " ms"
}
