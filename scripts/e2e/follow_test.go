//go:build e2e || compose

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// envFollow makes this test binary a client of a cluster instead: it is run so
// inside namespaces and containers, which have no other client. Its value is
// the addresses to begin with, by commas.
const envFollow = "QUORATE_E2E_FOLLOW"

// follow is a cluster client at work: it writes and reads keys of many slots
// and prints the addresses that it was told. It returns the exit code.
func follow(seeds string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	told, err := followOnce(ctx, strings.Split(seeds, ","))
	if err != nil {
		fmt.Fprintln(os.Stderr, "follow:", err)
		return 1
	}
	fmt.Println("told", strings.Join(told, " "))
	return 0
}

// followOnce writes and reads through a cluster client, and returns the
// addresses by which it was told to reach the nodes.
func followOnce(ctx context.Context, seeds []string) ([]string, error) {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: seeds, ReadTimeout: 10 * time.Second})
	defer client.Close()
	const keys = 200
	for i := range keys {
		key := fmt.Sprintf("follow:%s:%d", seeds[0], i)
		if err := client.Set(ctx, key, i, 0).Err(); err != nil {
			return nil, fmt.Errorf("set %s: %w", key, err)
		}
		if got, err := client.Get(ctx, key).Int(); err != nil || got != i {
			return nil, fmt.Errorf("get %s: %d, %w; want %d", key, got, err, i)
		}
	}
	shards, err := client.ClusterShards(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("cluster shards: %w", err)
	}
	var told []string
	for _, node := range shards[0].Nodes {
		told = append(told, net.JoinHostPort(node.Endpoint, strconv.FormatInt(node.Port, 10)))
	}
	// Each of the addresses must lead somewhere, not the leader's alone.
	for _, addr := range told {
		plain := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		err := plain.Ping(ctx).Err()
		plain.Close()
		if err != nil {
			return nil, fmt.Errorf("told to go to %s: %w", addr, err)
		}
	}
	return told, nil
}

// self runs this test binary as a client, by way of another command: the
// arguments before it.
func self(seeds string, by ...string) (told []string, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append(by, exe)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), envFollow+"="+seeds)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w: %s", seeds, err, out)
	}
	return toldOf(string(out)), nil
}

// toldOf finds the addresses in what follow printed.
func toldOf(out string) []string {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "told "); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}
