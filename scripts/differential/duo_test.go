package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/scripts/differential/wire"
)

// serve answers the commands of one connection with what answer returns, and returns its address.
func serve(t *testing.T, answer func(words []string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r := bufio.NewReader(nc)
		line := func() string {
			s, _ := r.ReadString('\n') // an end is an empty line
			return strings.TrimSpace(s)
		}
		for {
			n, err := strconv.Atoi(strings.TrimPrefix(line(), "*"))
			if err != nil {
				return
			}
			var words []string
			for range n {
				line() // its length
				words = append(words, line())
			}
			if _, err := nc.Write([]byte(answer(words))); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// The next epoch begins when what was in doubt is settled, though replies of the old one are still to come.
func TestDoubtIsWaitedFor(t *testing.T) {
	asked := 0
	addr := serve(t, func(words []string) string {
		switch words[0] {
		case "SET":
			return "-INDOUBT x; the write may or may not have been applied\r\n"
		case "RESET":
			return "+RESET\r\n"
		case "EVAL":
			if asked++; asked < 3 {
				return "-CLUSTERDOWN no leader\r\n"
			}
			fallthrough
		default:
			last := words[len(words)-1]
			return fmt.Sprintf("$%d\r\n%s\r\n", len(last), last)
		}
	})
	conn, err := wire.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Put(wire.Words("SET", "k", "v")...)
	conn.Put(wire.Words("SET", "k", "v")...)
	if err := answers(conn, 2); err == nil { // the second reply is not read
		t.Fatal("a doubt is no error")
	}
	if err := settled(conn); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
