package resp

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/transport/config"
)

// limited is a server of which clients may take so many bytes.
func limited(t *testing.T, bytes string) (s *Server, control net.Conn) {
	s = serve(t, []config.Pair{{Name: "maxmemory-clients", Value: bytes}})
	control = dial(t, s)
	exchange(t, control, "CLIENT NO-EVICT ON\r\nCLIENT SETNAME control\r\n", "+OK\r\n+OK\r\n", false)
	return s, control
}

// clients returns how many clients of a name CLIENT LIST shows.
func clients(t *testing.T, control net.Conn, name string) int {
	return strings.Count(ask(t, control, "CLIENT LIST\r\n"), " name="+name)
}

// ask returns the reply, a bulk string.
func ask(t *testing.T, c net.Conn, send string) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, send)
	var got []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
		head, body, ok := strings.Cut(string(got), "\r\n")
		if size, _ := strconv.Atoi(strings.TrimPrefix(head, "$")); ok && len(body) >= size+2 {
			return body[:size]
		}
	}
}

// field returns a number that CLIENT LIST shows of a client.
func field(t *testing.T, control net.Conn, name, field string) int {
	t.Helper()
	for line := range strings.Lines(ask(t, control, "CLIENT LIST\r\n")) {
		if !strings.Contains(line, " name="+name+" ") {
			continue
		}
		n, err := strconv.Atoi(regexp.MustCompile(" " + field + `=(\d+) `).FindStringSubmatch(line)[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("no client %s", name)
	return 0
}

func TestClientEviction(t *testing.T) {
	for _, tc := range []struct{ name, send string }{
		{"an argument that has come in part", "*2\r\n$3\r\nGET\r\n$1000000\r\n" + strings.Repeat("v", 400_000)},
		{"arguments that have come", "*4\r\n$4\r\nMSET\r\n$1\r\nk\r\n$300000\r\n" + strings.Repeat("v", 300_000) + "\r\n$200000\r\n" + strings.Repeat("v", 200_000)},
		{"a transaction", "MULTI\r\n" + strings.Repeat("SET k "+strings.Repeat("v", 50_000)+"\r\n", 10)},
		{"watched keys", strings.Repeat("WATCH "+strings.Repeat("k", 1000)+"\r\n", 500)},
		{"subscriptions", "SUBSCRIBE" + numbered(5000) + "\r\n"},
		{"patterns", "PSUBSCRIBE" + numbered(5000) + "\r\n"},
		{"prefixes of tracking", "CLIENT TRACKING ON BCAST PREFIX " + strings.Join(strings.Fields(numbered(3000)), " PREFIX ") + "\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, control := limited(t, "300000")
			c := dial(t, s)
			exchange(t, c, "CLIENT SETNAME large\r\n", "+OK\r\n", false)
			go func() { _, _ = io.WriteString(c, tc.send) }()
			_ = c.SetDeadline(time.Now().Add(patience))
			_, err := io.Copy(io.Discard, c)
			if n, isTimeout := err.(net.Error); isTimeout && n.Timeout() {
				t.Fatal("the client was not closed")
			}
			if n := clients(t, control, "large"); n != 0 {
				t.Errorf("CLIENT LIST shows it %d times", n)
			}
			if n := s.counters.EvictedClients.Load(); n != 1 {
				t.Errorf("%d clients are counted", n)
			}
			if !strings.Contains(ask(t, control, "INFO stats\r\n"), "evicted_clients:1\r\n") {
				t.Error("INFO does not show it")
			}
		})
	}
}

// numbered returns n names of ten bytes.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " %010d", i)
	}
	return b.String()
}

// A subscriber that reads nothing is cut, although its own limit is far.
func TestASubscriberIsEvicted(t *testing.T) {
	s, control := limited(t, "2mb")
	sub := dial(t, s)
	exchange(t, sub, "SUBSCRIBE news\r\n", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", false)
	message := strings.Repeat("m", 100_000)
	for deadline := time.Now().Add(patience); s.counters.EvictedClients.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the subscriber is there")
		}
		_, _ = io.WriteString(control, "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$100000\r\n"+message+"\r\n")
		if _, err := control.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
}

// The largest go first, by powers of two, and no more than must; a limit that is set
// later counts at once.
func TestWhoIsEvicted(t *testing.T) {
	s, control := limited(t, "0")
	hold := func(name string, bytes int) {
		c := dial(t, s)
		exchange(t, c, "CLIENT SETNAME "+name+"\r\n", "+OK\r\n", false)
		_, _ = io.WriteString(c, fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n%s", bytes, strings.Repeat("v", bytes)))
		for deadline := time.Now().Add(patience); field(t, control, name, "qbuf") < bytes; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the bytes have not come", name)
			}
		}
		if total := field(t, control, name, "tot-mem"); total < bytes || total > 2*bytes+64<<10 {
			t.Errorf("%s holds %d bytes and is said to take %d", name, bytes, total)
		}
	}
	for _, c := range []struct {
		name  string
		bytes int
	}{{"small", 100_000}, {"medium", 400_000}, {"large", 1_500_000}, {"medium2", 400_000}, {"small2", 100_000}} {
		hold(c.name, c.bytes)
	}
	for _, step := range []struct{ limit, small, medium, large int }{
		{3_500_000, 2, 2, 1},
		{2_000_000, 2, 2, 0},
		{800_000, 2, 1, 0},
		{0, 2, 1, 0},
		{1, 1, 0, 0}, // 128 KiB are left to them, whatever the limit is
	} {
		exchange(t, control, fmt.Sprintf("CONFIG SET maxmemory-clients %d\r\n", step.limit), "+OK\r\n", false)
		for name, want := range map[string]int{"small": step.small, "medium": step.medium, "large": step.large, "control": 1} {
			if n := clients(t, control, name); n != want {
				t.Errorf("at %d there are %d %s, want %d", step.limit, n, name, want)
			}
		}
	}
}

// Who is spared by CLIENT NO-EVICT counts for nothing, until it is not spared any more.
func TestNoEvict(t *testing.T) {
	s, _ := limited(t, "300000")
	c := dial(t, s)
	exchange(t, c, "CLIENT NO-EVICT ON\r\nMULTI\r\n", "+OK\r\n+OK\r\n", false)
	exchange(t, c, strings.Repeat("SET k "+strings.Repeat("v", 50_000)+"\r\n", 10), strings.Repeat("+QUEUED\r\n", 10), false)
	exchange(t, c, "DISCARD\r\n", "+OK\r\n", false)
	exchange(t, c, "SETRANGE k 400000 v\r\n", ":400001\r\n", false)
	exchange(t, c, "CLIENT NO-EVICT OFF\r\nPING\r\n", "+OK\r\n+PONG\r\n", false)
}

// An idle connection's buffers go, and what was for a big argument before that.
func TestInputMemoryOfIdleClients(t *testing.T) {
	src := cut([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000\r\n"+strings.Repeat("v", 400_000)+"\r\n"), 1<<20)
	r := NewReader(&parking{src}, fixed(testLimits))
	if _, err := r.Next(true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(true); err == nil {
		t.Fatal("there is more")
	}
	r.mu.Unlock() // as while it waits
	if n := holds(r); n < 400_000 {
		t.Errorf("memory for the next big argument: %d bytes", n)
	}
	r.Tend(false) // it was used
	if n := holds(r); n < 400_000 {
		t.Errorf("after one look: %d bytes", n)
	}
	r.Tend(false)
	if n := holds(r); n != bufferLen {
		t.Errorf("after another look: %d bytes", n)
	}
	r.Tend(true)
	if n := holds(r); n != 0 {
		t.Errorf("idle: %d bytes", n)
	}
}

// parking parks before it reads what is idle, as a socket does.
type parking struct{ *pieces }

func (p *parking) ReadIdle(get func() []byte, put func([]byte)) ([]byte, int, error) {
	put(get())
	return p.pieces.ReadIdle(get, put)
}

// The buffer for replies that a connection keeps follows what is written.
func TestReplyBufferFollows(t *testing.T) {
	s, control := limited(t, "0")
	c := dial(t, s)
	exchange(t, c, "CLIENT SETNAME reader\r\n", "+OK\r\n", false)
	if n := field(t, control, "reader", "rbs"); n != homeMin {
		t.Errorf("at the start it has %d bytes", n)
	}
	value := strings.Repeat("v", 20_000)
	exchange(t, c, "ECHO "+value+"\r\n", "$20000\r\n"+value+"\r\n", false)
	for deadline := time.Now().Add(patience); field(t, control, "reader", "rbs") < homeMax; {
		if time.Now().After(deadline) {
			t.Fatal("it does not grow")
		}
		exchange(t, c, "ECHO "+value+"\r\n", "$20000\r\n"+value+"\r\n", false)
	}
	s.sessions.ReplyBuffers().PeakFor.Store(0)
	for deadline := time.Now().Add(patience); field(t, control, "reader", "rbs") > homeMin; {
		if time.Now().After(deadline) {
			t.Fatal("it does not shrink")
		}
		exchange(t, c, "PING\r\n", "+PONG\r\n", false)
	}
	info := ask(t, control, "INFO stats\r\n")
	if strings.Contains(info, "reply_buffer_expands:0\r\n") || strings.Contains(info, "reply_buffer_shrinks:0\r\n") {
		t.Error("INFO does not count it")
	}
}
