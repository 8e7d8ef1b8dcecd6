//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestSnapshotInRedis starts redis-server from a node's dump.rdb: it holds the
// same keys with the same values, encodings and times to live.
func TestSnapshotInRedis(t *testing.T) {
	c := startCluster(t, 3)
	n := c.others(c.leader())[0]
	ctx := testContext(t)
	fillAllTypes(t, ctx, n)
	must[string](t, "SAVE")(n.client().Save(ctx).Result())
	oracle := startRedis(t, filepath.Join(n.dir, "dump.rdb"))
	compared := 0
	for db := range 16 {
		ours, theirs := inDB(n.addr(), db), inDB(oracle, db)
		defer ours.Close()
		defer theirs.Close()
		keys := sorted(must[[]string](t, "KEYS")(ours.Keys(ctx, "*").Result()))
		if their := sorted(must[[]string](t, "KEYS")(theirs.Keys(ctx, "*").Result())); !slices.Equal(keys, their) {
			t.Errorf("db %d: the keys are %q, in redis-server %q", db, keys, their)
		}
		for _, key := range keys {
			compareKey(t, ctx, ours, theirs, key)
			compared++
		}
	}
	if compared < 25 {
		t.Errorf("only %d keys were compared", compared)
	}
	c.checkDigests()
}

// TestWipedNode takes a node's disk away: it comes back as a new member, by a
// snapshot, since the log no longer reaches back to the beginning.
func TestWipedNode(t *testing.T) {
	c := startCluster(t, 3, "--log-keep-bytes", "1mb", "--log-snapshot-bytes", "1mb")
	ctx := testContext(t)
	leader := c.leader()
	wiped := c.others(leader)[0]
	before := selfID(t, wiped)
	fillAllTypes(t, ctx, leader)
	wiped.kill()
	if err := os.RemoveAll(wiped.dir); err != nil {
		t.Fatal(err)
	}
	bulky, client := strings.Repeat("x", 64<<10), leader.client()
	for i := range 200 {
		must[string](t, "SET")(client.Set(ctx, fmt.Sprintf("bulky:%d", i), bulky, 0).Result())
	}
	eventually(t, 20*time.Second, "SAVE", func() error { // the node may be at it, of its own
		return client.Save(ctx).Err()
	})
	if err := os.MkdirAll(wiped.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	wiped.start()
	wiped.waitReady()
	c.checkDigests()
	after := selfID(t, wiped)
	if before == after {
		t.Errorf("a node that lost its disk came back under its old id %s", before)
	}
	if _, err := os.Stat(filepath.Join(wiped.dir, "dump.rdb")); err != nil {
		t.Errorf("it came back without a snapshot: %v", err)
	}
	awaitVoter(t, leader, after)
	// And it stands on its own feet.
	wiped.kill()
	wiped.start()
	wiped.waitReady()
	c.checkDigests()
}

func selfID(t *testing.T, n *testNode) string {
	t.Helper()
	report, err := n.report()
	if err != nil {
		t.Fatal(err)
	}
	return report.Self
}

// awaitVoter waits until a node's view of the cluster has the member as a
// voter.
func awaitVoter(t *testing.T, n *testNode, id string) {
	t.Helper()
	eventually(t, readyWithin, "the node becomes a voter", func() error {
		report, err := n.report()
		if err != nil {
			return err
		}
		for _, m := range report.Members {
			if m.ID == id && m.Voter && m.Online {
				return nil
			}
		}
		return fmt.Errorf("it is not: %+v", report.Members)
	})
}

// startRedis starts redis-server on a copy of an RDB file, or empty if rdb is "", and
// returns its address.
func startRedis(t *testing.T, rdb string) string {
	t.Helper()
	dir := t.TempDir()
	if rdb != "" {
		content, err := os.ReadFile(rdb)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	port := strconv.Itoa(freePort(t))
	cmd := exec.Command("redis-server", "--port", port, "--dir", dir, "--save", "", "--enable-debug-command", "yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := new(strings.Builder)
	cmd.Stdout = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of redis-server:\n%s", log)
		}
	})
	client := inDB("127.0.0.1:"+port, 0)
	defer client.Close()
	eventually(t, 10*time.Second, "redis-server loads the snapshot", func() error {
		return client.Ping(context.Background()).Err()
	})
	return "127.0.0.1:" + port
}

func inDB(addr string, db int) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, DB: db, Protocol: 2, MaxRetries: -1})
}

func sorted(keys []string) []string {
	slices.Sort(keys)
	return keys
}

// readers tell the whole value of a key, by its type. Sorted replies have no
// order of their own.
var readers = map[string][]struct {
	args   []any // KEY stands for the key
	sorted bool
}{
	"string": {{args: []any{"GET", "KEY"}}},
	"list":   {{args: []any{"LRANGE", "KEY", 0, -1}}},
	"set":    {{args: []any{"SMEMBERS", "KEY"}, sorted: true}},
	"hash":   {{args: []any{"HKEYS", "KEY"}, sorted: true}, {args: []any{"HVALS", "KEY"}, sorted: true}},
	"zset":   {{args: []any{"ZRANGE", "KEY", 0, -1, "WITHSCORES"}}},
	"stream": {
		{args: []any{"XRANGE", "KEY", "-", "+"}},
		{args: []any{"XINFO", "STREAM", "KEY"}},
		{args: []any{"XINFO", "GROUPS", "KEY"}},
	},
}

func compareKey(t *testing.T, ctx context.Context, ours, theirs *redis.Client, key string) {
	t.Helper()
	same := func(sorted bool, args ...any) any {
		t.Helper()
		our, err := ours.Do(ctx, args...).Result()
		their, theirErr := theirs.Do(ctx, args...).Result()
		if err != nil || theirErr != nil {
			t.Errorf("%v: %v, in redis-server %v", args, err, theirErr)
			return nil
		}
		if sorted {
			sortReply(our)
			sortReply(their)
		}
		if !reflect.DeepEqual(our, their) {
			t.Errorf("%v: %.300v, in redis-server %.300v", args, our, their)
		}
		return our
	}
	kind, _ := same(false, "TYPE", key).(string)
	same(false, "OBJECT", "ENCODING", key)
	same(false, "PEXPIRETIME", key)
	if len(readers[kind]) == 0 {
		t.Errorf("%s: no reader for type %q", key, kind)
	}
	for _, r := range readers[kind] {
		args := slices.Clone(r.args)
		for i, a := range args {
			if a == "KEY" {
				args[i] = key
			}
		}
		same(r.sorted, args...)
	}
}

func sortReply(reply any) {
	if elements, ok := reply.([]any); ok {
		slices.SortFunc(elements, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
}

// fillAllTypes writes keys of every type and encoding, with and without a time
// to live, in several databases.
func fillAllTypes(t *testing.T, ctx context.Context, n *testNode) {
	t.Helper()
	for _, db := range []int{0, 3, 15} {
		client := inDB(n.addr(), db)
		defer client.Close()
		for _, args := range typeCommands() {
			if err := client.Do(ctx, args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
				t.Fatalf("%.100v: %v", args, err)
			}
		}
	}
}

func typeCommands() [][]any {
	all := [][]any{
		{"SET", "string:int", 12345678901},
		{"SET", "string:negative", -7},
		{"SET", "string:embedded", "short"},
		{"SET", "string:raw", strings.Repeat("long ", 30)},
		{"SET", "string:binary", "\x00\xff\r\n\x80"},
		{"SET", "string:empty", ""},
		{"SET", "string:large", strings.Repeat("0123456789abcdef", 20000)},
		{"SET", "ttl:string", "soon", "EX", 3600},
		{"SET", "ttl:far", "later", "PXAT", 4102444800123},
		{"APPEND", "string:appended", "grown"},
		{"SETBIT", "string:bits", 1000, 1},
		{"RPUSH", "list:small", "a", 1, "\x00", -5, 70000, strings.Repeat("b", 100)},
		{"RPUSH", "list:element", strings.Repeat("big", 5000), "small"},
		{"SADD", "set:ints", 1, -2, 300000, 5000000000},
		{"SADD", "set:words", "x", "y", "z", 7},
		{"HSET", "hash:small", "field", "value", "n", 5, "empty", ""},
		{"HSET", "hash:wide", "field", strings.Repeat("w", 100)},
		{"ZADD", "zset:small", 1.5, "a", -1, "b", "inf", "c", "-inf", "d", 1e300, "e", 0.1, "f"},
		{"ZADD", "zset:wide", 3, strings.Repeat("m", 80)},
		{"XADD", "stream:small", "5-1", "f", "v"},
		{"XADD", "stream:small", "5-2", "f", "w", "g", 3},
		{"XADD", "stream:small", "7-0", "other", "x"},
		{"XDEL", "stream:small", "5-2"},
		{"XGROUP", "CREATE", "stream:small", "readers", "0"},
		{"XREADGROUP", "GROUP", "readers", "alice", "COUNT", 1, "STREAMS", "stream:small", ">"},
		{"XADD", "stream:emptied", "1-1", "f", "v"},
		{"XDEL", "stream:emptied", "1-1"},
		{"EXPIRE", "list:small", 5000},
		{"EXPIRE", "hash:small", 6000},
		{"PEXPIRE", "zset:small", 7000123},
		{"SET", "deleted", "x"},
		{"DEL", "deleted"},
	}
	list, set := []any{"RPUSH", "list:large"}, []any{"SADD", "set:large"}
	hash, zset := []any{"HSET", "hash:large"}, []any{"ZADD", "zset:large"}
	for i := range 3000 {
		list = append(list, fmt.Sprintf("element %d", i))
		set = append(set, fmt.Sprintf("member %d", i))
		hash = append(hash, fmt.Sprintf("field %d", i), i)
		zset = append(zset, float64(i)/3, fmt.Sprintf("member %d", i))
	}
	all = append(all, list, set, hash, zset)
	ints := []any{"SADD", "set:many-ints"}
	for i := range 700 {
		ints = append(ints, i*3)
	}
	all = append(all, ints)
	for i := range 300 {
		all = append(all, []any{"XADD", "stream:large", fmt.Sprintf("%d-%d", 1000+i/3, i%3+1), "n", i, "text", strings.Repeat("t", i%50)})
	}
	return append(all, []any{"EXPIRE", "zset:large", 9000})
}
