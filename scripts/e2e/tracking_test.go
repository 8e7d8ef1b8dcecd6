//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestTracking keeps copies at each node, while another one writes: a copy goes when
// its key changes, and what is read after that is not older than the message.
func TestTracking(t *testing.T) {
	c := startCluster(t, 3)
	ctx := testContext(t)
	for i, n := range c.nodes {
		writer := c.nodes[(i+1)%len(c.nodes)].client()
		conn, err := net.Dial("tcp", n.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		in := bufio.NewReader(conn)
		take := func(lines int) string {
			var all []string
			for range lines {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatalf("node %d: %v", n.number, err)
				}
				all = append(all, strings.TrimSpace(line))
			}
			return strings.Join(all, " ")
		}
		must[string](t, "SET")(writer.Set(ctx, "copied", "0", 0).Result())
		fmt.Fprint(conn, "GET copied\r\nCLIENT CONSISTENCY stale\r\n") // from now on reads ask nobody
		take(3)
		fmt.Fprint(conn, "HELLO 3\r\nCLIENT TRACKING ON\r\n")
		for take(1) != "+OK" {
		}
		for round := 1; round <= 100; round++ {
			fmt.Fprint(conn, "GET copied\r\n")
			take(2)
			must[string](t, "SET")(writer.Set(ctx, "copied", fmt.Sprint(round), 0).Result())
			if got := take(5); got != ">2 $10 invalidate *1 $6" {
				t.Fatalf("node %d, round %d: %s", n.number, round, got)
			}
			take(1)
			fmt.Fprint(conn, "GET copied\r\n")
			if take(1); take(1) != fmt.Sprint(round) {
				t.Fatalf("node %d, round %d: what follows the message is older", n.number, round)
			}
		}
	}
}
