package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cluster"
)

// talk is a connection on which a test expects answers.
type talk struct {
	t *testing.T
	c *conn
}

func talkTo(t *testing.T, addr string) talk {
	t.Helper()
	c, err := dialNode(addr, "", testPatience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return talk{t, c}
}

// expects sends words and compares the answer, or the error.
func (k talk) expects(want string, words ...string) {
	k.t.Helper()
	v, err := k.c.do(words...)
	got := string(v.Text)
	if err != nil {
		got = err.Error()
	}
	if got != want {
		k.t.Errorf("%q: got %q, want %q", words, got, want)
	}
}

func refuses(t *testing.T, addr string) {
	t.Helper()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Errorf("%s takes connections still", addr)
	}
}

// CONFIG SET port, bind and tls-port move the listeners, and connections stay. What can't
// be had changes nothing.
func TestListenersMove(t *testing.T) {
	port, conf := startNode(t)
	k := talkTo(t, "127.0.0.1:"+port)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	failed := func(directive string, why error) string {
		return fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", directive, why)
	}

	k.expects(failed("port", errPort), "CONFIG", "SET", "maxmemory", "10000001", "port", takenPort, "timeout", "77")
	k.expects(failed("bind", errBind), "CONFIG", "SET", "bind", "192.0.2.1 127.0.0.1")
	k.expects(failed("tls-port", errTLS), "CONFIG", "SET", "tls-port", freePort(t))
	if conf.Int("maxmemory") != 0 || conf.Int("timeout") != 0 || conf.String("port") != port || conf.String("bind") != "127.0.0.1" || conf.Int("tls-port") != 0 {
		t.Errorf("a change that was refused left something: %v", conf.Get("maxmemory", "timeout", "port", "bind", "tls-port"))
	}
	talkTo(t, "127.0.0.1:"+port).expects("PONG", "PING")

	// One address of the port, all, and back: the one must be closed before the other can be opened.
	k.expects("OK", "CONFIG", "SET", "bind", "*")
	talkTo(t, "127.0.0.2:"+port).expects("PONG", "PING")
	k.expects("OK", "CONFIG", "SET", "bind", "127.0.0.1 -192.0.2.1")
	refuses(t, "127.0.0.2:"+port)

	cert, key := writeCertificate(t)
	next, secure := freePort(t), freePort(t)
	k.expects("OK", "CONFIG", "SET", "tls-port", secure, "port", next, "tls-auth-clients", "no", "tls-key-file", key, "tls-cert-file", cert)
	refuses(t, "127.0.0.1:"+port)
	n := talkTo(t, "127.0.0.1:"+next)
	n.expects("PONG", "PING")
	s, err := tls.Dial("tcp", "127.0.0.1:"+secure, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	k.expects(failed("tls-cert-file", fmt.Errorf("the new TLS files are not used: TLS needs tls-cert-file and tls-key-file")), "CONFIG", "SET", "tls-cert-file", "")
	k.expects("OK", "CONFIG", "SET", "tls-port", "0")
	k.expects("OK", "CONFIG", "SET", "tls-cert-file", "")
	refuses(t, "127.0.0.1:"+secure)
	if v, err := k.c.do("INFO", "server"); err != nil || !strings.Contains(string(v.Text), "tcp_port:"+next+"\r\n") {
		t.Errorf("INFO does not show the port %s", next)
	}
	k.expects("OK", "CONFIG", "SET", "port", "0")
	refuses(t, "127.0.0.1:"+next)
	k.expects("OK", "CONFIG", "SET", "port", port)
	n.expects("PONG", "PING")
	talkTo(t, "127.0.0.1:"+port).expects("PONG", "PING")
}

// The other nodes send clients to where the listener is now.
func TestMovedListenerIsToldOfByOthers(t *testing.T) {
	port, first := startNode(t)
	second, _ := startNode(t, "--join", "127.0.0.1:"+first.String("cluster-port"))
	k := talkTo(t, "127.0.0.1:"+second)
	awaitMembers(t, second, "127.0.0.1:"+port, "127.0.0.1:"+second)
	next := freePort(t)
	talkTo(t, "127.0.0.1:"+port).expects("OK", "CONFIG", "SET", "port", next)
	awaitMembers(t, second, "127.0.0.1:"+next, "127.0.0.1:"+second)
	if _, err := k.c.do("CLUSTER", "SLOTS"); err != nil { // it follows redirections
		t.Fatal(err)
	}
	want, got := "MOVED 12182 127.0.0.1:"+next, ""
	for end := time.Now().Add(testPatience); got != want; { // the picture that clients are shown may be a little old
		if time.Now().After(end) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if _, err := k.c.do("GET", "foo"); err != nil {
			got = err.Error()
		}
	}
}

// awaitMembers waits until a node knows the members' client addresses.
func awaitMembers(t *testing.T, port string, want ...string) {
	t.Helper()
	slices.Sort(want)
	var known []string
	for end := time.Now().Add(testPatience); time.Now().Before(end); {
		var out bytes.Buffer
		if err := runCluster([]string{"status", "--port", port, "--json"}, &out); err != nil {
			t.Fatal(err)
		}
		var r cluster.Report
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		known = nil
		for _, m := range r.Members {
			known = append(known, m.Client)
		}
		slices.Sort(known)
		if slices.Equal(known, want) && r.Leader != "" {
			return
		}
	}
	t.Fatalf("node %s knows of %q, want %q", port, known, want)
}
