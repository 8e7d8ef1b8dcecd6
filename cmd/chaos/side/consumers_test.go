package side

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"
)

// A node that has not heard yet that a consumer waits answers CLIENT UNBLOCK with 0.
// Without another one a consumer of an empty queue would wait for ever.
func TestUnblockIsSentUntilTheWaitHasEnded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for asked := 0; ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "UNBLOCK\r\n" {
				asked++
				fmt.Fprintf(conn, ":%d\r\n", asked/3)
			}
		}
	}()
	env := &Env{Endpoints: []string{listener.Addr().String()}, Began: time.Now()}
	c := &consumer{round: &round{env: env}, id: "1", nudges: line{env: env, resp: 2}}
	defer c.nudges.hangUp()
	if got := c.unblockUntil(make(chan struct{}), time.Nanosecond, "TIMEOUT"); got != ended {
		t.Errorf("got %d, want that the third answer ended the wait", got)
	}
	answered := make(chan struct{})
	close(answered)
	if got := c.unblockUntil(answered, time.Hour, "TIMEOUT"); got != notSent {
		t.Errorf("got %d for a wait that had been answered, want that nothing was sent", got)
	}
}
