package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A client of one node waits; its user is deleted on another, and what comes right behind
// that is not given to it.
func TestWaiterOfADeletedUserGetsNothing(t *testing.T) {
	port, first := startNode(t)
	second, _ := startNode(t, "--join", "127.0.0.1:"+first.String("cluster-port"))
	awaitMembers(t, second, "127.0.0.1:"+port, "127.0.0.1:"+second)
	admin, watcher := talkTo(t, "127.0.0.1:"+port), talkTo(t, "127.0.0.1:"+second)
	for range 20 {
		admin.expects("OK", "ACL", "SETUSER", "bob", "on", "nopass", "~*", "+@all")
		bob := talkTo(t, "127.0.0.1:"+second)
		bob.expects("OK", "AUTH", "bob", "x")
		ended := make(chan error, 1)
		go func() {
			v, err := bob.c.do("BLPOP", "k", "0")
			if err == nil {
				t.Errorf("bob got %v", v.Elems)
			}
			ended <- err
		}()
		awaitInfo(t, watcher, "blocked_clients:1\r\n")

		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(testPatience))
		if _, err := io.WriteString(c, "ACL DELUSER bob\r\nRPUSH k x\r\nLLEN k\r\nDEL k\r\n"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(":1\r\n:1\r\n:1\r\n:1\r\n"))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != strings.Repeat(":1\r\n", 4) {
			t.Errorf("delete bob, push, count, delete: %q, %v", got, err)
		}
		c.Close()
		<-ended
		awaitInfo(t, watcher, "blocked_clients:0\r\n")
	}
}

// awaitInfo waits until INFO of a node has a line.
func awaitInfo(t *testing.T, k talk, line string) {
	t.Helper()
	for end := time.Now().Add(testPatience); time.Now().Before(end); {
		if v, err := k.c.do("INFO", "clients"); err != nil {
			t.Fatal(err)
		} else if strings.Contains(string(v.Text), line) {
			return
		}
	}
	t.Fatalf("INFO does not come to show %q", line)
}
