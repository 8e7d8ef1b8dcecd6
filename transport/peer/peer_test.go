package peer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t *testing.T, id string, edit func(*Options)) *Port {
	t.Helper()
	o := Options{Bind: "127.0.0.1:0", NodeID: id, ClusterName: "test", Log: quiet}
	if edit != nil {
		edit(&o)
	}
	p, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func secret(s string) func(*Options) { return func(o *Options) { o.Secret = []byte(s) } }

// cluster id, name and secret decide who may talk to whom.
func TestWhoIsTaken(t *testing.T) {
	type conf struct{ name, cluster, secret string }
	tests := []struct {
		name   string
		a, b   conf
		reason string // "" = taken
	}{
		{"plain loopback", conf{"n", "", ""}, conf{"n", "", ""}, ""},
		{"same secret", conf{"n", "", "s"}, conf{"n", "", "s"}, ""},
		{"same cluster", conf{"n", "c", "s"}, conf{"n", "c", "s"}, ""},
		{"fresh node asks a cluster", conf{"n", "", "s"}, conf{"n", "c", "s"}, ""},
		{"cluster asks a fresh node", conf{"n", "c", "s"}, conf{"n", "", "s"}, ""},
		{"other name", conf{"n", "", "s"}, conf{"m", "", "s"}, "cluster-name"},
		{"other cluster of the name", conf{"n", "c", "s"}, conf{"n", "d", "s"}, "cluster-id"},
		{"wrong secret", conf{"n", "", "s"}, conf{"n", "", "z"}, "secret-wrong"},
		{"dialer has no secret", conf{"n", "", ""}, conf{"n", "", "s"}, "secret-missing"},
		{"acceptor has no secret", conf{"n", "", "s"}, conf{"n", "", ""}, "secret-missing"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			set := func(c conf) func(*Options) {
				return func(o *Options) { o.ClusterName, o.ClusterID, o.Secret = c.name, c.cluster, []byte(c.secret) }
			}
			a, b := open(t, "a", set(tc.a)), open(t, "b", set(tc.b))
			c, info, err := a.Dial(within(t), b.Advertised(), KindCall)
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if info.NodeID != "b" || info.ClusterID != tc.b.cluster {
					t.Errorf("reached %+v", info)
				}
				c.Close()
				return
			}
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Reason != tc.reason {
				t.Fatalf("error %v, want %s", err, tc.reason)
			}
			if n := a.Stats().Refused[tc.reason] + b.Stats().Refused[tc.reason]; n == 0 {
				t.Error("not counted")
			}
		})
	}
}

func TestSelfAndCopies(t *testing.T) {
	a, copied := open(t, "a", nil), open(t, "a", nil)
	if _, _, err := a.Dial(within(t), a.Advertised(), KindCall); !errors.Is(err, ErrSelf) {
		t.Errorf("dialling itself: %v", err)
	}
	var refused *RefusedError
	if _, _, err := a.Dial(within(t), copied.Advertised(), KindCall); !errors.As(err, &refused) || refused.Reason != "duplicate-node-id" {
		t.Errorf("dialling a copy: %v", err)
	}
}

func TestUnprotectedBeyondLoopback(t *testing.T) {
	for _, bind := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		if _, err := Listen(Options{Bind: bind, NodeID: "a", ClusterName: "n", Log: quiet}); !errors.Is(err, ErrInsecure) {
			t.Errorf("%s: %v", bind, err)
		}
	}
	serverOnly := &tls.Config{}
	if _, err := Listen(Options{Bind: ":0", NodeID: "a", ClusterName: "n", TLS: serverOnly, Log: quiet}); !errors.Is(err, ErrInsecure) {
		t.Errorf("TLS that does not verify clients: %v", err)
	}
	a := open(t, "a", nil)
	if _, _, err := a.Dial(within(t), "192.0.2.1:1", KindCall); !errors.Is(err, ErrInsecure) {
		t.Errorf("dial: %v", err)
	}
	open(t, "b", func(o *Options) { o.Bind, o.Secret = ":0", []byte("s") })
}

func TestAdvertised(t *testing.T) {
	p := open(t, "a", func(o *Options) { o.Advertise = "node1.example:0" })
	if want := fmt.Sprintf("node1.example:%d", p.Addr().(*net.TCPAddr).Port); p.Advertised() != want {
		t.Errorf("%s, want %s", p.Advertised(), want)
	}
	if _, err := Listen(Options{Bind: "127.0.0.1:0", NodeID: "a", ClusterName: "n", Advertise: ":7", Log: quiet}); err == nil {
		t.Error("an empty advertised host was taken")
	}
}

// When the id becomes known, nodes of other clusters of the same name are cut.
func TestSetClusterID(t *testing.T) {
	fresh := open(t, "fresh", secret("s"))
	other := open(t, "other", func(o *Options) { o.Secret, o.ClusterID = []byte("s"), "foreign" })
	c, _, err := fresh.Dial(within(t), other.Advertised(), KindCall)
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.SetClusterID("own"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the foreign connection lives: %v", err)
	}
	if err := fresh.SetClusterID("own"); err != nil {
		t.Error(err)
	}
	if err := fresh.SetClusterID("second"); err == nil {
		t.Error("the id was changed")
	}
	if _, _, err := fresh.Dial(within(t), other.Advertised(), KindCall); err == nil {
		t.Error("the foreign cluster was reached again")
	}
}

// A proof made for one connection is worth nothing on another.
func TestProofIsBound(t *testing.T) {
	p := open(t, "a", secret("s"))
	d, a := []byte("dialer hello"), []byte("acceptor hello")
	base := p.proof(roleDialer, d, a, nil)
	for name, other := range map[string][]byte{
		"role":         p.proof(roleAcceptor, d, a, nil),
		"hello":        p.proof(roleDialer, []byte("dialer hellO"), a, nil),
		"other hello":  p.proof(roleDialer, d, []byte("acceptor hellO"), nil),
		"TLS":          p.proof(roleDialer, d, a, []byte{1}),
		"moved border": p.proof(roleDialer, []byte("dialer helloa"), []byte("cceptor hello"), nil),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("the proof does not depend on the %s", name)
		}
	}
}

// Whatever arrives before a proof costs one closed connection.
func TestGarbageIsRefused(t *testing.T) {
	p := open(t, "a", secret("s"))
	good := p.hello(KindCall)
	good.node = "x"
	good.instance = [16]byte{1}
	tests := map[string][]byte{
		"text":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"TLS":             {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc},
		"huge body":       append([]byte("QRTM\x01\x02\x00"), 0xff, 0xff),
		"short body":      append([]byte("QRTM\x01\x02\x00"), 0, 3, 1, 2, 3),
		"unproved dialer": append(good.append(nil), make([]byte, 200)...),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", p.Advertised())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			c.Write(b)
			c.(*net.TCPConn).CloseWrite()
			if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) {
				t.Error("the connection stayed open")
			}
		})
	}
	p.Close() // waits for the handlers
	if s := p.Stats(); s.Accepted != 0 || s.Refused["malformed"] == 0 || s.Refused["secret-wrong"] != 1 {
		t.Errorf("%+v", s)
	}
}

// A stranger who says nothing is let go after the handshake's time.
func TestSilentStranger(t *testing.T) {
	p := open(t, "a", func(o *Options) { o.HandshakeTimeout = 20 * time.Millisecond })
	c, err := net.Dial("tcp", p.Advertised())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read %v", err)
	}
}

func FuzzHello(f *testing.F) {
	h := hello{version: 1, kind: KindRaft, name: "n", cluster: "c", node: "x"}
	f.Add(h.append(nil))
	f.Add([]byte("QRTM\x01\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, raw, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(b, raw) {
			t.Fatal("the proof would cover other bytes than came")
		}
		again, _, err := readHello(bytes.NewReader(h.append(nil)))
		if err != nil || again != h {
			t.Fatalf("%+v became %+v: %v", h, again, err)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 'x'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		readRequest(bytes.NewReader(b), 1<<20)
		readReply(bytes.NewReader(b), 1<<20)
	})
}

const (
	echo   = 1
	refuse = 2
	block  = 3
)

// serving returns a port with methods. block closes began when its request is not empty.
func serving(t *testing.T, id string, began chan struct{}) *Port {
	p := open(t, id, secret("s"))
	p.HandleCall(echo, func(_ context.Context, from Info, req []byte) ([]byte, error) {
		return append([]byte(from.NodeID+":"), req...), nil
	})
	p.HandleCall(refuse, func(context.Context, Info, []byte) ([]byte, error) { return nil, errors.New("no") })
	p.HandleCall(block, func(ctx context.Context, _ Info, req []byte) ([]byte, error) {
		if len(req) > 0 {
			close(began)
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	return p
}

func TestCalls(t *testing.T) {
	a, b := open(t, "a", secret("s")), serving(t, "b", nil)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			req := bytes.Repeat([]byte{byte(i)}, i*37)
			got, err := a.Call(within(t), b.Advertised(), echo, req)
			if err != nil || !bytes.Equal(got, append([]byte("a:"), req...)) {
				t.Errorf("call %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	if n := b.Stats().Accepted; n != 1 {
		t.Errorf("%d connections for calls to one address", n)
	}
	large := bytes.Repeat([]byte("x"), 5<<20)
	if got, err := a.Call(within(t), b.Advertised(), echo, large); err != nil || len(got) != len(large)+2 {
		t.Errorf("5 MiB: %d, %v", len(got), err)
	}
	var remote *RemoteError
	if _, err := a.Call(within(t), b.Advertised(), refuse, nil); !errors.As(err, &remote) || remote.Text != "no" {
		t.Errorf("remote error: %v", err)
	}
	if _, err := a.Call(within(t), b.Advertised(), 99, nil); !errors.Is(err, ErrNotSent) {
		t.Errorf("unknown method: %v", err)
	}
	if _, err := a.Call(within(t), "127.0.0.1:1", echo, nil); !errors.Is(err, ErrNotSent) {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := a.Call(within(t), b.Advertised(), echo, make([]byte, DefaultMaxFrame+1)); !errors.Is(err, ErrFrameTooLarge) || !errors.Is(err, ErrNotSent) {
		t.Errorf("too large: %v", err)
	}
}

func TestCallDeadlineAndBreak(t *testing.T) {
	began := make(chan struct{})
	a, b := open(t, "a", secret("s")), serving(t, "b", began)
	if _, err := a.Call(within(t), b.Advertised(), echo, nil); err != nil { // connects
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	// The far side's method gets the deadline too: whichever end sees it first answers.
	if _, err := a.Call(ctx, b.Advertised(), block, nil); err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("deadline: %v", err)
	}
	if _, err := a.Call(within(t), b.Advertised(), echo, nil); err != nil {
		t.Errorf("after it: %v", err)
	}
	broken := make(chan error, 1)
	go func() {
		_, err := a.Call(within(t), b.Advertised(), block, []byte("tell"))
		broken <- err
	}()
	<-began
	b.Close()
	if err := <-broken; err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("a call that may have run is said to be unsent: %v", err)
	}
}

func TestStreamKeepsOrder(t *testing.T) {
	const frames = 20000
	a, b := open(t, "a", secret("s")), open(t, "b", secret("s"))
	got := make(chan error, 1)
	b.HandleStream(7, func(in *Incoming) {
		if string(in.Opening) != "hello" || in.Peer().NodeID != "a" {
			got <- fmt.Errorf("opened by %s with %q", in.Peer().NodeID, in.Opening)
			return
		}
		for i := range frames {
			f, err := in.Next()
			if err != nil || string(f) != strings.Repeat("x", i%50)+fmt.Sprint(i) {
				got <- fmt.Errorf("frame %d: %q, %v", i, f, err)
				return
			}
		}
		got <- nil
	})
	s, err := a.OpenStream(within(t), b.Advertised(), 7, StreamOptions{Opening: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := s.Send([]byte(strings.Repeat("x", i%50) + fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	<-s.Done() // the receiver returned
	if s.Err() == nil {
		t.Error("done without a reason")
	}
	if err := s.Send([]byte("late")); err == nil {
		t.Error("sent on a stream that is done")
	}
	if _, err := a.OpenStream(within(t), b.Advertised(), 8, StreamOptions{}); !errors.Is(err, ErrNoTopic) {
		t.Errorf("unknown topic: %v", err)
	}
}

func TestStreamQueueIsBounded(t *testing.T) {
	a, b := open(t, "a", secret("s")), open(t, "b", secret("s"))
	release := make(chan struct{})
	counted := make(chan int, 1)
	b.HandleStream(1, func(in *Incoming) {
		<-release
		n := 0
		for {
			f, err := in.Next()
			if err != nil || len(f) == 1 {
				counted <- n
				return
			}
			n++
		}
	})
	s, err := a.OpenStream(within(t), b.Advertised(), 1, StreamOptions{QueueBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	sent, frame := 0, make([]byte, 1<<20)
	for sent < 100 {
		if err = s.Send(frame); err != nil {
			break
		}
		sent++
	}
	if !errors.Is(err, ErrQueueFull) {
		t.Fatalf("%d MiB taken: %v", sent, err)
	}
	close(release)
	for errors.Is(err, ErrQueueFull) {
		err = s.Send([]byte{1})
		time.Sleep(time.Millisecond) // a poll: the queue drains at its own pace
	}
	if n := <-counted; n != sent {
		t.Errorf("%d frames taken, %d arrived", sent, n)
	}
	if a.Stats().FramesShed == 0 {
		t.Error("not counted")
	}
	s.Close()
	if err := s.Err(); !errors.Is(err, ErrClosed) && s.Err() == nil {
		t.Errorf("closed stream says %v", err)
	}
}

func TestListener(t *testing.T) {
	a, b := open(t, "a", nil), open(t, "b", nil)
	la := a.Listener(KindRaft)
	if _, _, err := la.Dial(within(t), b.Advertised()); err == nil {
		t.Error("a kind that nobody handles was taken")
	}
	lb := b.Listener(KindRaft)
	go func() {
		c, id, err := lb.Accept()
		if err != nil {
			return
		}
		c.Write([]byte(id))
		c.Close()
	}()
	c, id, err := la.Dial(within(t), b.Advertised())
	if err != nil || id != "b" {
		t.Fatal(id, err)
	}
	if got, _ := io.ReadAll(c); string(got) != "a" {
		t.Errorf("accepted from %q", got)
	}
	lb.Close()
	if _, _, err := lb.Accept(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// authority makes certificates of one CA.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{t, key, cert}
}

func (a *authority) config() *tls.Config {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

func TestTLS(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	with := func(a *authority, s string) func(*Options) {
		return func(o *Options) {
			o.TLS = a.config()
			if s != "" {
				o.Secret = []byte(s)
			}
		}
	}
	tests := []struct {
		name string
		a, b func(*Options)
		ok   bool
	}{
		{"one CA", with(ca, ""), with(ca, ""), true},
		{"one CA and secret", with(ca, "s"), with(ca, "s"), true},
		{"one CA, secrets differ", with(ca, "s"), with(ca, "z"), false},
		{"other CA", with(foreign, "s"), with(ca, "s"), false},
		{"plain dialer", secret("s"), with(ca, "s"), false},
		{"plain acceptor", with(ca, "s"), secret("s"), false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			a, b := open(t, "a", tc.a), open(t, "b", tc.b)
			b.HandleCall(echo, func(_ context.Context, _ Info, req []byte) ([]byte, error) { return req, nil })
			got, err := a.Call(within(t), b.Advertised(), echo, []byte("x"))
			if (err == nil) != tc.ok || tc.ok && string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
