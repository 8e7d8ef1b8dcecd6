package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/engine/rdb/redistest"
)

// TestMigrateWithRedis moves keys of every kind from a redis-server to a node and back:
// what comes back is what went, with its time to live.
func TestMigrateWithRedis(t *testing.T) {
	redisPort := freePort(t)
	redis := redistest.Start(t, nil, "--port", redisPort)
	redis.Do("CONFIG", "SET", "requirepass", "secret")
	port, _ := startNode(t, "--requirepass", "word")
	node, err := dialNode("127.0.0.1:"+port, "word", testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()

	redis.Do("SET", "int", "12345")
	redis.Do("SET", "text", strings.Repeat("text", 100), "PXAT", "4000000000000")
	redis.Do("RPUSH", "list", "a", "1")
	redis.Do("SADD", "intset", "1", "2")
	redis.Do("HSET", "hash", "f", "v")
	redis.Do("ZADD", "zset", "1", "a", "2.5", "b")
	for i := range 1000 {
		n := fmt.Sprint(i)
		redis.Do("RPUSH", "large list", n, strings.Repeat("x", i%200))
		redis.Do("SADD", "large set", "m"+n)
		redis.Do("HSET", "large hash", "f"+n, n)
		redis.Do("ZADD", "large zset", n, "m"+n)
		redis.Do("XADD", "stream", n+"-1", "f", n)
	}
	redis.Do("XGROUP", "CREATE", "stream", "g", "0")
	redis.Do("XREADGROUP", "GROUP", "g", "c", "COUNT", "10", "STREAMS", "stream", ">")
	keys := []string{"int", "text", "list", "intset", "hash", "zset", "large list", "large set", "large hash", "large zset", "stream"}
	digests := func() string {
		var all []string
		for _, v := range redis.Do(append([]string{"DEBUG", "DIGEST-VALUE"}, keys...)...).Elems {
			all = append(all, string(v.Text))
		}
		return strings.Join(all, " ")
	}
	before := digests()

	there := append([]string{"MIGRATE", "127.0.0.1", port, "", "0", "10000", "AUTH", "word", "KEYS"}, keys...)
	if got := redis.Do(there...); string(got.Text) != "OK" {
		t.Fatalf("to the node: %s", got.Text)
	}
	if n := redis.Do("DBSIZE").Int; n != 0 {
		t.Fatalf("%d keys are still there", n)
	}
	back := append([]string{"MIGRATE", "127.0.0.1", redisPort, "", "0", "10000", "AUTH2", "default", "secret", "KEYS"}, keys...)
	if v, err := node.do(back...); err != nil || string(v.Text) != "OK" {
		t.Fatalf("to redis-server: %q, %v", v.Text, err)
	}
	if v, err := node.do("DBSIZE"); err != nil || v.Int != 0 {
		t.Fatalf("%d keys are still here, %v", v.Int, err)
	}
	if after := digests(); after != before {
		t.Errorf("got  %s\nwant %s", after, before)
	}
	if at := redis.Do("PEXPIRETIME", "text").Int; at < 4000000000000-5000 || at > 4000000000000+5000 {
		t.Errorf("expires at %d", at)
	}

	// What redis-server has already is not taken twice, and stays.
	if _, err := node.do("SET", "int", "1"); err != nil {
		t.Fatal(err)
	}
	busy := "ERR Target instance replied with error: BUSYKEY Target key name already exists."
	if _, err := node.do("MIGRATE", "127.0.0.1", redisPort, "int", "0", "10000", "AUTH", "secret"); err == nil || err.Error() != busy {
		t.Errorf("got %v, want %s", err, busy)
	}
	if v, err := node.do("MIGRATE", "127.0.0.1", redisPort, "int", "0", "10000", "COPY", "REPLACE", "AUTH", "secret"); err != nil || string(v.Text) != "OK" {
		t.Errorf("%q, %v", v.Text, err)
	}
	if v, err := node.do("GET", "int"); err != nil || string(v.Text) != "1" || string(redis.Do("GET", "int").Text) != "1" {
		t.Errorf("%q, %v", v.Text, err)
	}
}
