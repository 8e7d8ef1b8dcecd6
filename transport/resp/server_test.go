package resp

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/engine"
	"github.com/quorate/quorate/transport/config"
	"github.com/quorate/quorate/transport/observe"
	"github.com/quorate/quorate/transport/pubsub"
	"github.com/quorate/quorate/transport/session"
	"github.com/quorate/quorate/transport/session/sessiontest"
)

// serve starts a server over a bare engine, with directives set and one
// listener on a free port of the loopback interface beside those given.
func serve(t testing.TB, directives []config.Pair, more ...config.Listener) *Server {
	t.Helper()
	return serveOn(t, directives, func(*sessiontest.Cluster) {}, more...)
}

// serveOn is serve with a cluster that is changed before it is used.
func serveOn(t testing.TB, directives []config.Pair, change func(*sessiontest.Cluster), more ...config.Listener) *Server {
	t.Helper()
	conf := config.New()
	if err := conf.Set(directives...); err != nil {
		t.Fatal(err)
	}
	registry := pubsub.NewRegistry()
	e := engine.New(engine.Options{Receivers: registry.Receivers})
	cluster := &sessiontest.Cluster{Engine: e, Registry: registry}
	change(cluster)
	cluster.Start()
	sessions := session.New(session.Options{
		Engine: e, Cluster: cluster, Config: conf, Registry: registry, Counters: &observe.Counters{}, Version: "test",
	})
	listeners := append([]config.Listener{{Name: "default", Network: "tcp", Addrs: []string{"127.0.0.1:0"}}}, more...)
	s, err := Listen(Options{Sessions: sessions, Listeners: listeners})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sessions.Close()
		s.Close()
		cluster.Close()
	})
	return s
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addrs()[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// exchange sends bytes and returns what comes back until want has come or, if
// closed is wanted, the connection has ended.
func exchange(t testing.TB, c net.Conn, send, want string, closed bool) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	go func() { _, _ = io.WriteString(c, send) }() // a server that closes may stop reading
	got := make([]byte, 0, len(want)+1)
	buf := make([]byte, 64<<10)
	for closed || len(got) < len(want) {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			if !closed || os.IsTimeout(err) {
				t.Errorf("%.60q: after %q: %v", send, got, err)
			}
			break
		}
	}
	if string(got) != want {
		t.Errorf("%.60q: got %.200q, want %.200q", send, got, want)
	}
}

const ping = "*1\r\n$4\r\nPING\r\n"

// After each hostile input another client is served at once.
func TestHostileInput(t *testing.T) {
	s := serve(t, nil)
	witness := dial(t, s)
	protocol := func(text string) string { return "-ERR Protocol error: " + text + "\r\n" }
	for _, tc := range []struct {
		name, send, want string
		closed           bool
	}{
		{"bulk of 2^63-1", "*1\r\n$9223372036854775807\r\n", protocol("invalid bulk length"), true},
		{"bulk of 2^64", "*1\r\n$18446744073709551616\r\n", protocol("invalid bulk length"), true},
		{"bulk of -2", "*1\r\n$-2\r\n", protocol("invalid bulk length"), true},
		{"bulk of 512 MB and one", "*1\r\n$536870913\r\n", protocol("invalid bulk length"), true},
		{"half a gigabyte announced", "*2\r\n$4\r\nECHO\r\n$536870912\r\n", "", false},
		{"multibulk of 2^31", "*2147483648\r\n", protocol("invalid multibulk length"), true},
		{"multibulk of 1e30", "*1e30\r\n", protocol("invalid multibulk length"), true},
		{"multibulk with a space", "* 1\r\n", protocol("invalid multibulk length"), true},
		{"multibulk with a sign", "*+1\r\n", protocol("invalid multibulk length"), true},
		{"a million arguments announced", "*1000000\r\n", "", false},
		{"empty arrays", "*0\r\n*-1\r\n" + ping, "+PONG\r\n", false},
		{"inline over 64 KiB", strings.Repeat("x", 70<<10), protocol("too big inline request"), true},
		{"unbalanced quotes", "SET \"a\r\n", protocol("unbalanced quotes in request"), true},
		{"nested array", "*1\r\n*1\r\n$4\r\nPING\r\n", protocol("expected '$', got '*'"), true},
		{"commands before a bad frame", ping + ping + "*1\r\n$x\r\n", "+PONG\r\n+PONG\r\n" + protocol("invalid bulk length"), true},
		{"a write before a bad frame", "SET a 1\r\n*1\r\n$x\r\n", "+OK\r\n" + protocol("invalid bulk length"), true},
		{"HTTP POST", "POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a evil\r\n", "", true},
		{"HTTP GET", "GET / HTTP/1.1\r\nHost: x\r\n\r\nSET a evil\r\n", "-ERR wrong number of arguments for 'get' command\r\n", true},
		{"NULs", strings.Repeat("\x00", 1<<20) + "\r\n", protocol("too big inline request"), true},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", false},
		{"command name with CR LF", "*1\r\n$6\r\nfo\r\nba\r\n", "-ERR unknown command 'fo  ba', with args beginning with: \r\n", false},
		{"HELLO 99", "HELLO 99\r\n", "-NOPROTO unsupported protocol version\r\n", false},
		{"SELECT 1e9", "SELECT 1000000000\r\n", "-ERR DB index is out of range\r\n", false},
		{"name with newline", "CLIENT SETNAME \"a\\nb\"\r\n", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n", false},
	} {
		c := dial(t, s)
		exchange(t, c, tc.send, tc.want, tc.closed)
		exchange(t, witness, ping, "+PONG\r\n", false)
		if t.Failed() {
			t.Fatalf("failed at %q", tc.name)
		}
	}
	exchange(t, witness, "GET a\r\n", "$1\r\n1\r\n", false)
}

func TestOneByteAtATime(t *testing.T) {
	c := dial(t, serve(t, nil))
	in := "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nb\r\nc\r\nGET a\r\n"
	for i := range in {
		if _, err := c.Write([]byte{in[i]}); err != nil {
			t.Fatal(err)
		}
	}
	exchange(t, c, "", "+OK\r\n$3\r\nb\r\n\r\n", false)
}

func TestUntrustedClients(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "requirepass", Value: "x"}})
	exchange(t, dial(t, s), "*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n", true)
	exchange(t, dial(t, s), "*2\r\n$4\r\nAUTH\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n", true)
	many := "*13\r\n$4\r\nMGET\r\n" + strings.Repeat("$1\r\nk\r\n", 12)
	exchange(t, dial(t, s), "AUTH x\r\n"+many, "+OK\r\n*12\r\n"+strings.Repeat("$-1\r\n", 12), false)
}

func TestBigValues(t *testing.T) {
	c := dial(t, serve(t, nil))
	big := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
	set := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n", len(big), big)
	get := fmt.Sprintf("$%d\r\n%s\r\n", len(big), big)
	exchange(t, c, set+"GET k\r\n"+ping, "+OK\r\n"+get+"+PONG\r\n", false)
	exchange(t, c, strings.Repeat("GET k\r\n", 5), strings.Repeat(get, 5), false)
}

// A subscriber that does not read is cut at its limit; others, and the
// publisher, do not notice.
func TestSlowSubscriberIsCut(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "client-output-buffer-limit", Value: "pubsub 1mb 0 0"}})
	slow, good, pub := dial(t, s), dial(t, s), dial(t, s)
	confirmed := "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
	exchange(t, slow, "SUBSCRIBE a\r\n", confirmed, false)
	exchange(t, good, "SUBSCRIBE a\r\n", confirmed, false)
	text := strings.Repeat("m", 100<<10)
	message := fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$%d\r\n%s\r\n", len(text), text)
	for i := 0; s.counters.OutputBufferCuts.Load() == 0; i++ {
		if i == 1000 {
			t.Fatal("100 MB unread, and the subscriber is still there")
		}
		_ = pub.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(pub, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$%d\r\n%s\r\n", len(text), text)
		if _, err := bufio.NewReader(pub).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		exchange(t, good, "", message, false)
	}
	_ = slow.SetDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, slow); os.IsTimeout(err) {
		t.Error("the slow subscriber was not disconnected")
	}
}

func TestSoftLimit(t *testing.T) {
	var o output
	conf := config.New()
	if err := conf.Set(config.Pair{Name: "client-output-buffer-limit", Value: "normal 100 50 10 slave 0 0 0 pubsub 0 0 0"}); err != nil {
		t.Fatal(err)
	}
	limits := conf.BufferLimits()
	o.limits = &outputLimits{}
	o.limits.classes.Store(&limits)
	at := time.Unix(1000, 0)
	over := func(size int, after time.Duration) bool {
		return o.overLocked(size, func() time.Time { return at.Add(after) })
	}
	for _, step := range []struct {
		size  int
		after time.Duration
		want  bool
	}{
		{60, 0, false},
		{60, 9 * time.Second, false},
		{40, 10 * time.Second, false}, // below: it begins anew
		{60, 11 * time.Second, false},
		{60, 20 * time.Second, false},
		{60, 22 * time.Second, true},
		{100, 0, true},
	} {
		if got := over(step.size, step.after); got != step.want {
			t.Errorf("%d bytes after %v: cut %t", step.size, step.after, got)
		}
	}
}

// A read in place holds its output's lock as long as it takes, a script's for seconds:
// the other clients are looked after meanwhile.
func TestTendDoesNotWaitForACommand(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "timeout", Value: "1"}})
	busy := dial(t, s)
	exchange(t, busy, ping, "+PONG\r\n", false)
	out := onlyConn(t, s).out
	out.Begin()
	idle := dial(t, s)
	exchange(t, idle, ping, "+PONG\r\n", false)
	exchange(t, idle, "", "", true)
	out.End()
	exchange(t, busy, ping, "+PONG\r\n", false) // it was not idle
}

func TestMaxClients(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "maxclients", Value: "2"}})
	a, b := dial(t, s), dial(t, s)
	exchange(t, a, ping, "+PONG\r\n", false)
	exchange(t, b, ping, "+PONG\r\n", false)
	exchange(t, dial(t, s), "", "-ERR max number of clients reached\r\n", true)
	exchange(t, a, "CONFIG SET maxclients 3\r\n", "+OK\r\n", false)
	exchange(t, dial(t, s), ping, "+PONG\r\n", false)
}

func TestIdleClientsAreClosed(t *testing.T) {
	s := serve(t, []config.Pair{{Name: "timeout", Value: "1"}})
	sub, idle := dial(t, s), dial(t, s)
	exchange(t, sub, "SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", false)
	exchange(t, idle, ping, "+PONG\r\n", false)
	exchange(t, idle, "", "", true)
	exchange(t, sub, "PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n", false)
}

func TestQuitSaysGoodbye(t *testing.T) {
	s := serve(t, nil)
	exchange(t, dial(t, s), "SET a 1\r\nQUIT\r\nSET a 2\r\n", "+OK\r\n+OK\r\n", true)
	c := dial(t, serve(t, nil))
	exchange(t, c, "CLIENT KILL SKIPME no TYPE normal\r\n", ":1\r\n", true)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.sock")
	serve(t, nil, config.Listener{Name: "unix", Network: "unix", Addrs: []string{path}})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exchange(t, c, ping, "+PONG\r\n", false)
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	s := serve(t, []config.Pair{{Name: "tls-cert-file", Value: cert}, {Name: "tls-key-file", Value: key}, {Name: "tls-auth-clients", Value: "no"}},
		config.Listener{Name: "tls", Network: "tcp", Addrs: []string{"127.0.0.1:0"}, TLS: true})
	addr := s.Addrs()[1].Addr.String()
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	big := strings.Repeat("x", 1<<20)
	exchange(t, c, fmt.Sprintf("SET a b\r\nGET a\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(big), big), fmt.Sprintf("+OK\r\n$1\r\nb\r\n$%d\r\n%s\r\n", len(big), big), false)
	exchange(t, c, "SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", false)
	pub := dial(t, s)
	exchange(t, pub, "PUBLISH a hi\r\n", ":1\r\n", false)
	exchange(t, c, "QUIT\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n+OK\r\n", true)

	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_ = plain.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(plain, ping)
	if b, _ := io.ReadAll(plain); bytes.Contains(b, []byte("PONG")) {
		t.Error("a plain client was served on the TLS port")
	}
}

func certificate(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, data := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

// When a place can't be opened nothing has changed, not the certificate either.
func TestACertificateOfListenersThatFail(t *testing.T) {
	cert, key, pool := certificate(t, t.TempDir())
	otherCert, otherKey, otherPool := certificate(t, t.TempDir())
	s := serve(t, []config.Pair{{Name: "tls-cert-file", Value: cert}, {Name: "tls-key-file", Value: key}, {Name: "tls-auth-clients", Value: "no"}},
		config.Listener{Name: "tls", Network: "tcp", Addrs: []string{"127.0.0.1:0"}, TLS: true})
	open := s.listeners
	serves := func(pool *x509.CertPool) error {
		c, err := tls.Dial("tcp", s.Addrs()[1].Addr.String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
		if err == nil {
			c.Close()
		}
		return err
	}
	addr := s.Addrs()[0].Addr.String()
	s.config.OnSet("tls-port", func(port string) error {
		if port == "0" {
			return s.Relisten([]config.Listener{open[0].Listener, open[1].Listener})
		}
		return s.Relisten([]config.Listener{open[0].Listener, open[1].Listener, {Name: "more", Network: "tcp", Addrs: []string{addr}, TLS: true}})
	})
	next := []config.Pair{{Name: "tls-port", Value: "1"}, {Name: "tls-cert-file", Value: otherCert}, {Name: "tls-key-file", Value: otherKey}}
	if err := s.config.Set(next...); err == nil {
		t.Fatal("an address that is taken was opened")
	}
	if err := serves(pool); err != nil {
		t.Errorf("after an error the certificate is not the old one: %v", err)
	}
	addr = "127.0.0.1:0"
	if err := s.config.Set(next...); err != nil {
		t.Fatal(err)
	}
	if err := serves(otherPool); err != nil {
		t.Errorf("the certificate is not the new one: %v", err)
	}
}

func TestListenErrorsNameTheAddress(t *testing.T) {
	s := serve(t, nil)
	taken := s.Addrs()[0].Addr.String()
	_, err := Listen(Options{Sessions: s.sessions, Listeners: []config.Listener{{Name: "x", Network: "tcp", Addrs: []string{taken}}}})
	if err == nil || !strings.Contains(err.Error(), "listener x on "+taken) {
		t.Errorf("error %v", err)
	}
	other, err := Listen(Options{Sessions: s.sessions, Listeners: []config.Listener{{Name: "x", Network: "tcp", Addrs: []string{"127.0.0.1:0", "-192.0.2.1:1"}}}})
	if err != nil {
		t.Fatalf("an optional address that is not there: %v", err)
	}
	other.Close()
}

// Many clients with deep pipelines of everything at once, against the race
// detector.
func TestManyClients(t *testing.T) {
	s := serve(t, nil)
	done := make(chan struct{})
	for i := range 16 {
		c := dial(t, s)
		go func() {
			defer func() { done <- struct{}{} }()
			for range 20 {
				key := fmt.Sprint("k", i)
				exchange(t, c, "SET "+key+" 1\r\nINCR "+key+"\r\nGET "+key+"\r\nPING\r\nMULTI\r\nGET "+key+"\r\nDEL "+key+"\r\nEXEC\r\nPUBLISH x y\r\nGET "+key+"\r\n",
					"+OK\r\n:2\r\n$1\r\n2\r\n+PONG\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n2\r\n:1\r\n:0\r\n$-1\r\n", false)
			}
		}()
	}
	for range 16 {
		<-done
	}
}

func BenchmarkServer(b *testing.B) {
	for name, command := range map[string]string{"get": "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "set": "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"} {
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/depth=%d", name, depth), func(b *testing.B) {
				c := dial(b, serve(b, nil))
				send := []byte(strings.Repeat(command, depth))
				in := bufio.NewReader(c)
				for b.Loop() {
					if _, err := c.Write(send); err != nil {
						b.Fatal(err)
					}
					for range depth {
						if _, err := in.ReadSlice('\n'); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// A panic while a connection is served ends that connection and nothing else.
func TestPanicEndsTheConnection(t *testing.T) {
	var served atomic.Bool
	s := serveOn(t, nil, func(c *sessiontest.Cluster) {
		c.View = func(string) session.Topology {
			if served.Load() {
				panic("for the test")
			}
			return session.Topology{}
		}
	})
	served.Store(true)
	witness := dial(t, s)
	exchange(t, witness, ping, "+PONG\r\n", false)
	exchange(t, dial(t, s), "SET a 1\r\nCLUSTER MYID\r\nSET a 2\r\n", "+OK\r\n", true)
	exchange(t, witness, "GET a\r\n", "$1\r\n1\r\n", false)
	if n := s.counters.Panics.Load(); n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

// Clients that wait for something do not hold up the end of the node.
func TestCloseWithWaitingClients(t *testing.T) {
	var cluster *sessiontest.Cluster
	s := serveOn(t, nil, func(c *sessiontest.Cluster) { cluster = c })
	paused, stuck := dial(t, s), dial(t, s)
	exchange(t, paused, "CLIENT PAUSE 1000000\r\n", "+OK\r\n", false)
	_, _ = io.WriteString(paused, "GET a\r\n")
	exchange(t, stuck, "CLIENT UNPAUSE\r\n", "+OK\r\n", false)
	cluster.Pause()
	_, _ = io.WriteString(stuck, "SET a 1\r\nCLIENT GETNAME\r\n")
	for deadline := time.Now().Add(patience); len(cluster.Waiting()) == 0; time.Sleep(time.Millisecond) { // a poll: the write is on its way
		if time.Now().After(deadline) {
			t.Fatal("the write does not arrive")
		}
	}
	s.Close()
	cluster.Resume()
}
