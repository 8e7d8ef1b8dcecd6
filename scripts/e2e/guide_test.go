//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// recipe is a page of an introduction to Redis, as an application does it.
// The keys of one recipe have a hash tag in common, as cluster clients demand.
type recipe struct {
	name string
	// cook works through here; there is another node, or the same cluster.
	cook func(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string)
}

var recipes = []recipe{
	{"cache with TTL", cache},
	{"leaderboard", leaderboard},
	{"recent items", recentItems},
	{"publisher and subscriber", publishSubscribe},
	{"pattern subscription", patternSubscription},
	{"sliding-window rate limiter", rateLimiter},
	{"counter in MULTI and EXEC", optimisticCounter},
	{"compare and delete in Lua", compareAndDelete},
	{"stream producer and reader", streamReader},
}

// TestGuide cooks every recipe on every node, as a plain client does.
func TestGuide(t *testing.T) {
	c := startCluster(t, 3)
	for i, n := range c.nodes {
		there := c.nodes[(i+1)%len(c.nodes)]
		t.Run(fmt.Sprintf("node %d", n.number), func(t *testing.T) {
			for _, r := range recipes {
				t.Run(r.name, func(t *testing.T) {
					r.cook(t, testContext(t), n.client(), there.client(), fmt.Sprintf("{go:%d:%s}", n.number, r.name))
				})
			}
			t.Run("python", func(t *testing.T) {
				runPython(t, "guide.py", "--port", strconv.Itoa(n.port), "--other", strconv.Itoa(there.port))
			})
		})
	}
	// Here a client shows by asking for the slots that it follows redirections.
	t.Run("cluster client", func(t *testing.T) { cookAsCluster(t, c) })
	c.checkDigests()
}

// TestGuideRedirectAlways cooks them with clients of Redis Cluster, on nodes
// that answer as those of Redis Cluster do.
func TestGuideRedirectAlways(t *testing.T) {
	c := startCluster(t, 3, "--redirect", "always")
	t.Run("cluster client", func(t *testing.T) { cookAsCluster(t, c) })
	for _, n := range c.others(c.leader()) {
		t.Run(fmt.Sprintf("python by node %d", n.number), func(t *testing.T) {
			runPython(t, "guide.py", "--port", strconv.Itoa(n.port), "--cluster")
		})
		t.Run(fmt.Sprintf("redis-cli by node %d", n.number), func(t *testing.T) {
			key, port := fmt.Sprintf("cli:%d", n.number), strconv.Itoa(n.port)
			if out := redisCLI(t, "-p", port, "SET", key, "moved"); !strings.HasPrefix(out, "MOVED ") {
				t.Errorf("without -c, a follower answered %q", out)
			}
			if out := redisCLI(t, "-c", "-p", port, "SET", key, "followed"); out != "OK" {
				t.Errorf("redis-cli -c SET: %q", out)
			}
			if out := redisCLI(t, "-c", "-p", port, "GET", key); out != "followed" {
				t.Errorf("redis-cli -c GET: %q", out)
			}
		})
	}
	c.checkDigests()
}

// TestGuideOverLeaderKill kills the leader beneath clients that cook: those of the
// other nodes notice nothing but a pause, and those that follow the leader go on
// with the same client.
func TestGuideOverLeaderKill(t *testing.T) {
	c := startCluster(t, 3)
	leader := c.leader()
	survivors := c.others(leader)
	here, there := survivors[0].client(), survivors[1].client()
	var clients, sentinels []string
	for _, n := range c.nodes {
		clients, sentinels = append(clients, n.addr()), append(sentinels, n.addr())
	}
	followers := map[string]redis.UniversalClient{
		"cluster client": redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: clients, ReadTimeout: 10 * time.Second, ClusterStateReloadInterval: time.Second,
		}),
		"failover client": failoverClient(sentinels),
	}
	for name, client := range followers {
		defer client.Close()
		cookAll(t, name+" before", client, client)
	}
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		eventually(t, 20*time.Second, "the plain clients have begun", func() error {
			if n, err := there.Exists(t.Context(), "{plain clients 1:leaderboard}:board").Result(); n != 1 {
				return fmt.Errorf("EXISTS: %d, %w", n, err)
			}
			return nil
		})
		_ = leader.cmd.Process.Kill()
	}()
	for round := range 3 {
		cookAll(t, fmt.Sprintf("plain clients %d", round+1), here, there)
	}
	<-killed
	leader.kill() // waits for its end
	for name, client := range followers {
		eventually(t, 30*time.Second, name+" has found the next leader", func() error {
			return client.Set(t.Context(), "found", name, 0).Err()
		})
		cookAll(t, name+" after", client, client)
	}
	for _, n := range survivors {
		t.Run(fmt.Sprintf("python by node %d", n.number), func(t *testing.T) {
			runPython(t, "guide.py", "--port", strconv.Itoa(n.port), "--cluster")
		})
	}
}

// cookAll cooks every recipe once; who tells whose keys they are.
func cookAll(t *testing.T, who string, here, there redis.UniversalClient) {
	t.Run(who, func(t *testing.T) {
		for _, r := range recipes {
			t.Run(r.name, func(t *testing.T) {
				r.cook(t, testContext(t), here, there, fmt.Sprintf("{%s:%s}", who, r.name))
			})
		}
	})
}

func cookAsCluster(t *testing.T, c *testCluster) {
	var seeds []string
	for _, n := range c.nodes {
		seeds = append(seeds, n.addr())
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: seeds, ReadTimeout: 10 * time.Second})
	defer client.Close()
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			r.cook(t, testContext(t), client, client, "{cluster:"+r.name+"}")
		})
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// runPython runs a script beside this file with Debian's Python, where
// python3-redis is installed.
func runPython(t *testing.T, script string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{script}, args...)...)
	cmd.Dir = filepath.Join(root, "scripts", "e2e")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", script, strings.Join(args, " "), err, out)
	}
}

func redisCLI(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "redis-cli", args...).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("redis-cli %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// must fails the test on an error.
func must[T any](t *testing.T, what string) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

func cache(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	page, brief := tag+":page", tag+":brief"
	if err := here.Get(ctx, page).Err(); !errors.Is(err, redis.Nil) {
		t.Fatalf("GET of nothing: %v", err)
	}
	must[string](t, "SET EX")(here.Set(ctx, page, "<html>", time.Minute).Result())
	if got := must[string](t, "GET")(there.Get(ctx, page).Result()); got != "<html>" {
		t.Errorf("GET on another node: %q", got)
	}
	if ttl := must[time.Duration](t, "TTL")(there.TTL(ctx, page).Result()); ttl < 50*time.Second || ttl > time.Minute {
		t.Errorf("TTL: %v", ttl)
	}
	if must[bool](t, "SETNX")(here.SetNX(ctx, page, "other", 0).Result()) {
		t.Error("SET NX replaced a page")
	}
	must[string](t, "SET PX")(here.Set(ctx, brief, "soon gone", 80*time.Millisecond).Result())
	eventually(t, 5*time.Second, "the key expires on both nodes", func() error {
		for _, client := range []redis.UniversalClient{here, there} {
			if n, err := client.Exists(ctx, brief).Result(); err != nil || n != 0 {
				return fmt.Errorf("EXISTS: %d, %w", n, err)
			}
		}
		return nil
	})
}

func leaderboard(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	board := tag + ":board"
	for i := range 100 {
		must[int64](t, "ZADD")(here.ZAdd(ctx, board, redis.Z{Score: float64(i), Member: fmt.Sprintf("player%d", i)}).Result())
	}
	must[float64](t, "ZINCRBY")(there.ZIncrBy(ctx, board, 1000.5, "player7").Result())
	top := must[[]redis.Z](t, "ZREVRANGE")(here.ZRevRangeWithScores(ctx, board, 0, 2).Result())
	want := []redis.Z{{Score: 1007.5, Member: "player7"}, {Score: 99, Member: "player99"}, {Score: 98, Member: "player98"}}
	if !slices.Equal(top, want) {
		t.Errorf("top three: %v", top)
	}
	if rank := must[int64](t, "ZREVRANK")(there.ZRevRank(ctx, board, "player98").Result()); rank != 2 {
		t.Errorf("ZREVRANK: %d", rank)
	}
	if n := must[int64](t, "ZCOUNT")(there.ZCount(ctx, board, "(10", "20").Result()); n != 10 {
		t.Errorf("ZCOUNT: %d", n)
	}
}

func recentItems(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	recent := tag + ":recent"
	for i := range 30 {
		pipe := here.Pipeline()
		pipe.LPush(ctx, recent, i)
		pipe.LTrim(ctx, recent, 0, 9)
		must[[]redis.Cmder](t, "LPUSH and LTRIM")(pipe.Exec(ctx))
	}
	got := must[[]string](t, "LRANGE")(there.LRange(ctx, recent, 0, -1).Result())
	if want := []string{"29", "28", "27", "26", "25", "24", "23", "22", "21", "20"}; !slices.Equal(got, want) {
		t.Errorf("recent items: %v", got)
	}
}

func publishSubscribe(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	channel := tag + ":news"
	sub := there.Subscribe(ctx, channel)
	defer sub.Close()
	must[any](t, "SUBSCRIBE")(sub.Receive(ctx))
	awaitReceivers(t, ctx, here, channel, 1)
	const messages = 100
	for i := range messages {
		if n := must[int64](t, "PUBLISH")(here.Publish(ctx, channel, i).Result()); n != 1 {
			t.Errorf("PUBLISH %d reached %d", i, n)
		}
	}
	for i := 0; i < messages; {
		m := must[*redis.Message](t, "message")(sub.ReceiveMessage(ctx))
		if m.Payload == probe {
			continue
		}
		if m.Payload != strconv.Itoa(i) {
			t.Fatalf("message %d is %q", i, m.Payload)
		}
		i++
	}
}

// probe is a message that only looks whether anyone listens.
const probe = "anyone there?"

// awaitReceivers waits until a publisher's node has heard of the subscribers.
func awaitReceivers(t *testing.T, ctx context.Context, publisher redis.UniversalClient, channel string, want int64) {
	t.Helper()
	eventually(t, 5*time.Second, "subscribers are known", func() error {
		n, err := publisher.Publish(ctx, channel, probe).Result()
		if err != nil || n != want {
			return fmt.Errorf("%d receivers, %w; want %d", n, err, want)
		}
		return nil
	})
}

func patternSubscription(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	sub := there.PSubscribe(ctx, tag+":*:sold")
	defer sub.Close()
	must[any](t, "PSUBSCRIBE")(sub.Receive(ctx))
	awaitReceivers(t, ctx, here, tag+":probe:sold", 1)
	must[int64](t, "PUBLISH")(here.Publish(ctx, tag+":tea:bought", "no").Result())
	must[int64](t, "PUBLISH")(here.Publish(ctx, tag+":tea:sold", "yes").Result())
	for {
		m := must[*redis.Message](t, "message")(sub.ReceiveMessage(ctx))
		if m.Payload == probe {
			continue
		}
		if m.Channel != tag+":tea:sold" || m.Pattern != tag+":*:sold" || m.Payload != "yes" {
			t.Errorf("message: %v", m)
		}
		return
	}
}

func rateLimiter(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	window := tag + ":window"
	allowed := func(client redis.UniversalClient, now int64) bool {
		pipe := client.Pipeline()
		pipe.ZRemRangeByScore(ctx, window, "-inf", strconv.FormatInt(now-1000, 10))
		pipe.ZAdd(ctx, window, redis.Z{Score: float64(now), Member: now})
		count := pipe.ZCard(ctx, window)
		pipe.Expire(ctx, window, 10*time.Second)
		must[[]redis.Cmder](t, "window")(pipe.Exec(ctx))
		return count.Val() <= 10
	}
	for i := range int64(12) {
		client := here
		if i%2 == 1 {
			client = there
		}
		if got, want := allowed(client, 5000+i), i < 10; got != want {
			t.Errorf("request %d allowed: %t", i+1, got)
		}
	}
	if !allowed(here, 6020) {
		t.Error("a request after the window is refused")
	}
}

func optimisticCounter(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	key := tag + ":count"
	const workers, each = 4, 10
	increment := func(client redis.UniversalClient) error {
		for {
			err := client.Watch(ctx, func(tx *redis.Tx) error {
				n, err := tx.Get(ctx, key).Int()
				if err != nil && !errors.Is(err, redis.Nil) {
					return err
				}
				_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
					pipe.Set(ctx, key, n+1, 0)
					return nil
				})
				return err
			}, key)
			if !errors.Is(err, redis.TxFailedErr) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for w := range workers {
		client := here
		if w%2 == 1 {
			client = there
		}
		wg.Go(func() {
			for range each {
				if err := increment(client); err != nil {
					t.Errorf("WATCH, MULTI, EXEC: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := must[int](t, "GET")(here.Get(ctx, key).Int()); n != workers*each {
		t.Errorf("%d increments came to %d", workers*each, n)
	}
}

var unlock = redis.NewScript(`
if redis.call("GET", KEYS[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

func compareAndDelete(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	lock := tag + ":lock"
	must[string](t, "lock")(here.Set(ctx, lock, "mine", 0).Result())
	if n := must[int](t, "EVALSHA")(unlock.Run(ctx, there, []string{lock}, "another's").Int()); n != 0 {
		t.Errorf("another's token unlocked: %d", n)
	}
	if n := must[int](t, "EVALSHA")(unlock.Run(ctx, there, []string{lock}, "mine").Int()); n != 1 {
		t.Errorf("the own token did not unlock: %d", n)
	}
	if n := must[int64](t, "EXISTS")(here.Exists(ctx, lock).Result()); n != 0 {
		t.Error("the lock is still there")
	}
}

func streamReader(t *testing.T, ctx context.Context, here, there redis.UniversalClient, tag string) {
	stream := tag + ":orders"
	const orders = 60
	var ids []string
	for i := range orders {
		args := &redis.XAddArgs{Stream: stream, Values: []any{"order", i}, MaxLen: 1000, Approx: true}
		ids = append(ids, must[string](t, "XADD")(here.XAdd(ctx, args).Result()))
	}
	last := "0"
	for read := 0; read < orders; {
		args := &redis.XReadArgs{Streams: []string{stream, last}, Count: 25, Block: -1}
		for _, m := range must[[]redis.XStream](t, "XREAD")(there.XRead(ctx, args).Result())[0].Messages {
			if m.ID != ids[read] || m.Values["order"] != strconv.Itoa(read) {
				t.Fatalf("entry %d is %v", read, m)
			}
			last = m.ID
			read++
		}
	}
	if n := must[int64](t, "XLEN")(there.XLen(ctx, stream).Result()); n != orders {
		t.Errorf("XLEN: %d", n)
	}
	newest := must[[]redis.XMessage](t, "XREVRANGE")(here.XRevRangeN(ctx, stream, "+", "-", 1).Result())
	if newest[0].ID != ids[orders-1] {
		t.Errorf("newest entry: %v", newest)
	}
}
