package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// scripted is a connection that reads from r and writes to w.
type scripted struct {
	net.Conn
	r io.Reader
	w io.Writer
}

func (s *scripted) Read(p []byte) (int, error)  { return s.r.Read(p) }
func (s *scripted) Write(p []byte) (int, error) { return s.w.Write(p) }
func (s *scripted) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

// records returns what is sent for messages.
func records(t *testing.T, messages ...[]byte) []byte {
	t.Helper()
	var sent bytes.Buffer
	c := &checkedConn{Conn: &scripted{w: &sent}}
	for _, m := range messages {
		if n, err := c.Write(m); n != len(m) || err != nil {
			t.Fatal(n, err)
		}
	}
	return sent.Bytes()
}

func reads(r io.Reader) *checkedConn {
	return &checkedConn{Conn: &scripted{r: r}, garbled: func(string) {}}
}

func TestRecordsCarryBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var messages [][]byte
	for _, n := range []int{1, 7, 8, 9, 100, 16<<10 - 8, 16 << 10, recordMax - 1, recordMax, recordMax + 1, 300_000, 3} {
		m := make([]byte, n)
		for i := range m {
			m[i] = byte(random.Uint32())
		}
		messages = append(messages, m)
	}
	sent := records(t, messages...)
	want := bytes.Join(messages, nil)
	for _, step := range []int{1, 5, 4096, 1 << 20} {
		got, err := io.ReadAll(reads(&slowReader{sent, step}))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("in steps of %d: %d bytes of %d, %v", step, len(got), len(want), err)
		}
	}
}

// slowReader gives at most so many bytes at a time.
type slowReader struct {
	left []byte
	step int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.left[:min(r.step, len(r.left))])
	r.left = r.left[n:]
	return n, nil
}

// TestEveryTurnedBitIsSeen turns over each bit of two records: what is read is
// what was sent, up to an error.
func TestEveryTurnedBitIsSeen(t *testing.T) {
	first, second := []byte("a vote"), []byte("for somebody")
	sent := records(t, first, second)
	for bit := range 8 * len(sent) {
		b := bytes.Clone(sent)
		b[bit/8] ^= 1 << (bit % 8)
		got, err := io.ReadAll(reads(bytes.NewReader(b)))
		if err == nil && len(got) == len(first)+len(second) {
			t.Errorf("bit %d: nothing noticed", bit)
		}
		if !bytes.HasPrefix(append(bytes.Clone(first), second...), got) {
			t.Errorf("bit %d: %q was read", bit, got)
		}
	}
}

// waiting fails its first read for a deadline.
type waiting struct {
	parts [][]byte
}

func (w *waiting) Read(p []byte) (int, error) {
	if len(w.parts) == 0 {
		return 0, io.EOF
	}
	part := w.parts[0]
	w.parts = w.parts[1:]
	if part == nil {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(p, part), nil
}

func TestDeadlineInARecordLosesNothing(t *testing.T) {
	sent := records(t, []byte("slowly"))
	c := reads(&waiting{[][]byte{sent[:5], nil, sent[5:10], nil, sent[10:]}})
	p := make([]byte, 20)
	for range 2 {
		if n, err := c.Read(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(n, err)
		}
	}
	if n, err := c.Read(p); err != nil || string(p[:n]) != "slowly" {
		t.Errorf("%q, %v", p[:n], err)
	}
}

// TestOlderNodes: who does not ask for records gets none, and a hello of the
// oldest form is taken.
func TestOlderNodes(t *testing.T) {
	p := open(t, "a", nil)
	plain := &scripted{}
	if c := p.checked(plain, hello{}); c != net.Conn(plain) {
		t.Error("a node that knows no records is sent some")
	}
	h := p.hello(KindCall)
	h.flags = 0
	raw := h.append(nil)
	raw = raw[:len(raw)-4]
	binary.BigEndian.PutUint16(raw[helloHead-2:], uint16(len(raw)-helloHead))
	if got, _, err := readHello(bytes.NewReader(raw)); err != nil || got.node != "a" || got.flags != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestGarbledHelloIsRefused(t *testing.T) {
	p := open(t, "a", nil)
	h := p.hello(KindCall)
	raw := h.append(nil)
	for bit := range 8 * len(raw) {
		b := bytes.Clone(raw)
		b[bit/8] ^= 1 << (bit % 8)
		if got, _, err := readHello(bytes.NewReader(b)); err == nil {
			t.Errorf("bit %d: taken as %+v", bit, got)
		}
	}
}

// TestGarblingNetwork has ports call each other over a network that turns over
// bits: calls fail, but no answer is wrong, and in the end all are answered.
func TestGarblingNetwork(t *testing.T) {
	hasty := func(o *Options) { o.HandshakeTimeout = 100 * time.Millisecond } // a garbled length is waited for
	a, b := open(t, "a", hasty), open(t, "b", hasty)
	const method = 77
	b.HandleCall(method, func(_ context.Context, _ Info, req []byte) ([]byte, error) { return req, nil })
	addr := garble(t, b.Advertised(), 4000)
	ctx := within(t)
	failed := 0
	for i := range 200 {
		req := bytes.Repeat([]byte{byte(i)}, 500)
		for {
			got, err := a.Call(ctx, addr, method, req) // a garbled record ends the connection: nobody waits
			if err == nil && !bytes.Equal(got, req) {
				t.Fatalf("call %d: the answer is wrong", i)
			}
			if err == nil {
				break
			}
			if failed++; ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	if failed == 0 || a.Stats().Garbled+b.Stats().Garbled == 0 {
		t.Errorf("%d calls failed, %d and %d garbled connections: the test shows nothing", failed, a.Stats().Garbled, b.Stats().Garbled)
	}
}

// garble returns the address of a relay to addr that turns over one bit in about
// so many bytes.
func garble(t *testing.T, addr string, each int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	random := rand.New(rand.NewPCG(5, 6))
	pipe := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			mu.Lock()
			for at := random.IntN(2 * each); at < n; at += 1 + random.IntN(2*each) {
				buf[at] ^= 1 << random.IntN(8)
			}
			mu.Unlock()
			if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.DialTimeout("tcp", addr, 5*time.Second)
			if err != nil {
				in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			wg.Go(func() { pipe(out, in) })
			wg.Go(func() { pipe(in, out) })
		}
	})
	return l.Addr().String()
}
